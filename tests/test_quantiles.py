"""Several quantiles from one network: shares, order, streams, and what is missing with other losses."""

import pickle

import numpy as np
import pytest
from estimator_case import as_read
from numpy.testing import assert_allclose, assert_array_equal
from reference.lstm import network_forward, table_windows
from sklearn.base import clone
from sklearn.metrics import make_scorer, mean_pinball_loss
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from stream_case import same

from sklstm import DeepLSTMRegressor
from sklstm._validation import median_place

RNG = np.random.default_rng(1)
LEVELS = (0.1, 0.5, 0.9)
X = RNG.normal(size=(80, 2))
TARGETS = {
    "one": 20.0 + 5.0 * X[:, 0],
    "column": 3.0 * X[:, :1],
    "two": np.column_stack([X[:, 0], 9.0 - 7.0 * X[:, 1]]),
}
each_target = pytest.mark.parametrize("kind", TARGETS)


def make(**options):
    settings = {"hidden_size": 5, "sequence_length": 4, "max_iter": 2, "random_state": 0}
    return DeepLSTMRegressor(**{**settings, "loss": "quantile", "quantile": LEVELS, **options})


def test_every_quantile_covers_its_share():
    """Where X says nothing, of two skewed targets in different units."""
    noise = RNG.exponential(size=(2000, 2)) * [1.0, 50.0]
    flat = np.zeros((2000, 1))
    model = make(hidden_size=2, sequence_length=1, max_iter=40, learning_rate_init=0.02, learning_rate="cosine",
                 batch_size=100, early_stopping=False, n_iter_no_change=40, quantile=[0.05, 0.5, 0.8])  # fmt: skip
    found = model.fit(flat, noise).predict_quantiles(flat[:1])
    assert_allclose((noise[:, :, np.newaxis] <= found).mean(axis=0), [[0.05, 0.5, 0.8]] * 2, atol=0.03)


def test_one_network_learns_what_spreads():
    """The distance of the outer quantiles follows the noise, which X tells."""
    x = RNG.uniform(0.1, 2.0, size=(1500, 1))
    y = x[:, 0] * RNG.normal(size=1500)
    model = make(hidden_size=8, sequence_length=1, max_iter=60, learning_rate_init=0.01).fit(x, y)
    assert 0 < model.best_validation_score_ < 1
    low, median, high = model.predict_quantiles(np.array([[0.2], [1.8]])).T
    assert_allclose(median, 0.0, atol=0.3)
    assert (high - low)[1] > 4 * (high - low)[0]


@each_target
def test_rearranged_outputs_of_the_network(kind):
    """At the start the raw outputs cross; the answers are their sorted values in the unit of y."""
    model = make(dtype="float64", max_iter=1, learning_rate_init=1e-12).fit(X, TARGETS[kind])
    raw = network_forward(model.parameters_, table_windows(as_read(model, X), 4)).z.reshape(80, -1, 3)
    assert (np.diff(raw) < 0).any()
    mean, scale = np.reshape(model.target_mean_, (-1, 1)), np.reshape(model.target_scale_, (-1, 1))
    expected = np.sort(mean + scale * raw).reshape(*TARGETS[kind].shape, 3)
    assert_allclose(model.predict_quantiles(X), expected, rtol=1e-10)
    assert_allclose(model.predict(X), expected[..., 1], rtol=1e-10)


@each_target
@pytest.mark.parametrize("levels", [[0.5], [0.25, 0.5], [0.5, 0.75, 0.99], np.array([0.1, 0.2, 0.5, 0.9])])
def test_the_median_is_the_prediction(kind, levels):
    model = make(quantile=levels).fit(X, TARGETS[kind])
    found = model.predict_quantiles(X)
    assert found.shape == (*TARGETS[kind].shape, len(levels))
    assert (np.diff(found, axis=-1) >= 0).all()
    assert_array_equal(found[..., list(levels).index(0.5)], model.predict(X))
    assert_array_equal(model.predict_quantiles(X[40:], context=X[:40]), found[40:])
    groups = np.repeat([0, 1], 40)
    assert_array_equal(model.predict_quantiles(X, groups=groups)[40:], model.predict_quantiles(X[40:]))


@pytest.mark.parametrize(
    "levels",
    [
        np.linspace(0.05, 0.95, 19),
        np.arange(1, 10) * 0.1 - 1e-16,
        np.cumsum(np.full(19, 0.05, np.float32)),
        [0.1, np.nextafter(0.5, 0), 0.9],
        [0.1, np.nextafter(0.5, 1), 0.9],
        [np.nextafter(0.5, 0), 0.5, np.nextafter(0.5, 1)],
        [np.nextafter(0.5, 0)],
    ],
    ids=len,
)
def test_a_median_off_by_rounding(levels):
    """Computed levels rarely hit 0.5: np.linspace(0.05, 0.95, 19) has 0.49999999999999994."""
    model = make(quantile=levels).fit(X, X[:, 0])
    assert_array_equal(model.predict_quantiles(X)[:, len(levels) // 2], model.predict(X))
    assert median_place(levels) == len(levels) // 2


@pytest.mark.parametrize("levels", [[0.1], [0.1, 0.9], [0.1, 0.4999, 0.9], [0.50001]])
def test_what_is_no_median(levels):
    assert median_place(levels) is None
    with pytest.raises(ValueError, match=r"with 0\.5 among them"):
        make(quantile=levels).fit(X, X[:, 0])


@each_target
def test_one_quantile_is_one_column(kind):
    model = make(quantile=0.3).fit(X, TARGETS[kind])
    assert_array_equal(model.predict_quantiles(X), model.predict(X)[..., np.newaxis])
    alone = make(quantile=[0.5]).fit(X, TARGETS[kind])
    assert_array_equal(alone.predict(X), make(quantile=0.5).fit(X, TARGETS[kind]).predict(X))


@pytest.mark.isa
@each_target
@pytest.mark.parametrize("quantile", [LEVELS, 0.3])
@pytest.mark.parametrize("window", [False, True])
@pytest.mark.parametrize("method", ["predict", "predict_quantiles"])
def test_streams_answer_the_same(kind, quantile, window, method):
    model = make(quantile=quantile).fit(X, TARGETS[kind])
    call = getattr(model, method)
    one, three = (model.stream(n_streams=n, window=window, response_method=method) for n in (None, 3))
    for t in range(8):
        expected = call(X[: t + 1])[-1:] if window else call(X[np.newaxis, : t + 1])
        before = pickle.loads(pickle.dumps(one))
        assert same(one.step(X[t]), expected[0])
        out = np.empty(expected.shape[1:])
        assert before.step(X[t], out=out) is out
        assert same(out, expected[0])
        assert same(three.step(X[[t, t, t]]), np.repeat(expected, 3, axis=0))


def test_methods_that_other_losses_do_not_have():
    model = make(loss="squared_error", quantile=0.5)
    assert not hasattr(model, "predict_quantiles")
    assert hasattr(make(), "predict_quantiles")
    with pytest.raises(AttributeError, match="has no attribute 'predict_quantiles'") as caught:
        model.fit(X, X[:, 0]).predict_quantiles(X)
    message = "predict_quantiles needs loss='quantile' and the parameter quantile; found loss='squared_error'."
    assert str(caught.value.__cause__) == message
    with pytest.raises(ValueError, match="response_method of DeepLSTMRegressor must be one of"):
        model.stream(response_method="predict_quantiles")


def test_what_was_fitted_counts_and_not_what_is_set_later():
    model = make().fit(X, X[:, 0])
    expected = model.predict_quantiles(X)
    for changed in (model.set_params(loss="huber", quantile=0.2), pickle.loads(pickle.dumps(model))):
        assert_array_equal(changed.predict_quantiles(X), expected)
        assert_array_equal(changed.predict(X), expected[:, 1])
    with pytest.raises(AttributeError, match="predict_quantiles"):
        _ = clone(model).predict_quantiles


@pytest.mark.parametrize("after", [{"quantile": 0.3}, {"quantile": [0.1, 0.5]}, {"loss": "huber", "quantile": 0.5}])
def test_training_goes_on_with_as_many_quantiles(after):
    model = make(warm_start=True).fit(X, X[:, 0])
    before = model.predict_quantiles(X)
    # Other levels, as many of them, are a matter of training.
    model.set_params(quantile=[0.3, 0.5, 0.7], max_iter=30).fit(X, X[:, 0])
    assert np.ptp(model.predict_quantiles(X), axis=1).mean() != np.ptp(before, axis=1).mean()
    message = r"cannot go on with loss=.* and quantile=.*: the network was trained with 3 outputs for each target, not "
    with pytest.raises(ValueError, match=message):
        model.set_params(**after).fit(X, X[:, 0])


def test_grid_search():
    grid = {"quantile": [0.5, [0.25, 0.5, 0.75], (0.1, 0.5)]}
    scorer = make_scorer(mean_pinball_loss, greater_is_better=False)
    search = GridSearchCV(make(), grid, scoring=scorer, cv=TimeSeriesSplit(2), error_score="raise").fit(X, X[:, 0])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(np.unique(search.cv_results_["mean_test_score"])) == 3


@pytest.mark.parametrize(
    "quantile",
    [[], [0.1, 0.9], [0.5, 0.1], [0.1, 0.5, 0.5], [0.0, 0.5], [0.5, 1.0], [[0.1, 0.5]], [np.nan, 0.5], ["a", 0.5]],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_what_cannot_be(quantile, method):
    message = (
        r"quantile must be a number between 0 and 1, or an increasing sequence of such with 0\.5 among them.*found"
    )
    model = make(quantile=quantile)
    with pytest.raises(ValueError, match=message):
        getattr(model, method)(X, X[:, 0])
    assert not hasattr(model, "parameters_")

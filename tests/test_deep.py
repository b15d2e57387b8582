"""Layers of different sizes, residual sums and layer normalisation, through the estimators."""

import pickle

import numpy as np
import pytest
from estimator_case import as_read
from numpy.testing import assert_allclose
from reference.layer_output import deep_forward
from reference.lstm import table_windows
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 3))
Y = X[:, 0] + np.roll(X[:, 1], 1)
OPTIONS = [
    {"hidden_size": [9, 4, 6]},
    {"n_layers": 3, "residual": 2},
    {"n_layers": 5, "residual": 2, "layer_norm": "output"},
    {"n_layers": 2, "residual": 1},
    {"layer_norm": "output"},
    {"hidden_size": (8, 5, 8), "residual": 2, "layer_norm": "output"},
]
each_option = pytest.mark.parametrize("options", OPTIONS, ids=str)


def make(kind=DeepLSTMRegressor, **options):
    options = {"hidden_size": 7, "max_iter": 2, "sequence_length": 6, "random_state": 0} | options
    return kind(**options)


@each_option
@pytest.mark.parametrize("kind", [DeepLSTMRegressor, DeepLSTMClassifier])
def test_prediction_is_that_of_the_equations(kind, options):
    model = make(kind, dtype="float64", **options).fit(X, Y if kind is DeepLSTMRegressor else Y > 0)
    exact = deep_forward(model.parameters_, table_windows(as_read(model, X), 6), residual=options.get("residual", 0))
    z = exact.z[:, 0]
    found = model.predict(X) if kind is DeepLSTMRegressor else model.predict_proba(X)[:, 1]
    expected = model.target_mean_ + model.target_scale_ * z if kind is DeepLSTMRegressor else 1 / (1 + np.exp(-z))
    assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    assert_allclose(model.transform(X), [y[-1] for y in exact.hidden], rtol=1e-10, atol=1e-12)


@pytest.mark.isa
@each_option
@pytest.mark.parametrize("window", [False, True])
def test_streams_answer_as_predict_does(options, window):
    model = make(**options).fit(X, Y)
    stream, several = model.stream(window=window), model.stream(n_streams=3, window=window)
    for t in range(12):
        expected = model.predict(X[: t + 1])[-1] if window else model.predict(X[np.newaxis, : t + 1])[0]
        assert stream.step(X[t]) == expected
        assert (several.step(X[[t, t, t]]) == expected).all()
    again = pickle.loads(pickle.dumps(stream))
    assert again.step(X[50]) == stream.step(X[50])


@each_option
def test_threads_pickles_and_rows_alone(options):
    several = "n_layers" in options or np.ndim(options.get("hidden_size", 8))
    one, two = (make(n_jobs=n, dropout=0.2 if several else 0.0, **options).fit(X, Y) for n in (1, 2))
    assert all((one.parameters_[name] == two.parameters_[name]).all() for name in one.parameters_)
    assert (pickle.loads(pickle.dumps(one)).predict(X) == one.predict(X)).all()
    assert one.predict(X[40:46])[-1] == one.predict(X)[45]


def test_training_goes_on(tmp_path):
    model = make(n_layers=3, residual=2, layer_norm="output", warm_start=True).fit(X, Y)
    before = model.loss_
    model.set_params(max_iter=10).fit(X, Y)
    assert (model.loss_ < before, model.n_iter_) == (True, 12)
    with pytest.raises(ValueError, match=r"residual=1, not residual=2\. Set warm_start=False, or"):
        model.set_params(residual=1).fit(X, Y)
    with pytest.raises(ValueError, match=r"layer_norm=None, not layer_norm='output'\..* set layer_norm back"):
        model.set_params(residual=2, layer_norm=None).fit(X, Y)
    # What it predicts is what was trained.
    expected = model.set_params(layer_norm="output").predict(X)
    assert (model.set_params(residual=0, layer_norm=None, hidden_size=3).predict(X) == expected).all()


def test_options_do_something():
    plain = make(n_layers=3).fit(X, Y).predict(X)
    for options in ({"residual": 1}, {"residual": 2}, {"layer_norm": "output"}, {"hidden_size": [7, 7, 8]}):
        assert np.abs(make(n_layers=3, **options).fit(X, Y).predict(X) - plain).max() > 1e-3
    # Nothing is three layers below the first three.
    with pytest.warns(UserWarning, match="residual=3 has no effect on 3 layers .*: it needs 4 or more"):
        assert (make(n_layers=3, residual=3).fit(X, Y).predict(X) == plain).all()
    with pytest.warns(UserWarning, match="dropout=0.5 has no effect on 1 layer .*: it needs 2 or more") as caught:
        make(dropout=0.5).fit(X, Y)
    assert caught[0].filename == __file__


def test_layer_norm_makes_rows_of_one_size():
    """At the start the gain is 1 and the bias 0: mean 0, mean square 1."""
    model = make(layer_norm="output", max_iter=1, learning_rate_init=1e-12, dtype="float64").fit(X, Y)
    hidden = model.transform(X)
    assert_allclose(hidden.mean(axis=1), 0.0, atol=1e-10)
    # The epsilon under the root shows where all units are small.
    assert (np.abs((hidden**2).mean(axis=1) - 1.0) < 0.05).all()


def test_grid_search():
    grid = {"hidden_size": [4, (6, 4)], "layer_norm": [None, "output"]}
    search = GridSearchCV(make(max_iter=1), grid, cv=TimeSeriesSplit(2), error_score="raise").fit(X, Y)
    assert len(search.cv_results_["params"]) == 4
    search = GridSearchCV(make(max_iter=1, n_layers=3), {"residual": [0, 1, 2]}, cv=TimeSeriesSplit(2)).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_size": []}, r"hidden_size must be an integer of at least 1, or a sequence of such, found \[\]"),
        ({"hidden_size": [4, 0]}, r"hidden_size must be .*, found \[4, 0\]"),
        ({"hidden_size": [4.5]}, "hidden_size must be"),
        ({"hidden_size": [[4]]}, "hidden_size must be"),
        ({"hidden_size": [4, 5], "n_layers": 3}, r"hidden_size=\[4, 5\] describes 2 layers, but n_layers=3"),
        ({"residual": -1}, "The 'residual' parameter"),
        ({"layer_norm": "input"}, "The 'layer_norm' parameter"),
    ],
)
def test_what_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options).fit(X, Y)

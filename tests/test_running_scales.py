"""`partial_fit`: what a first block did not say is learnt from the next ones, and nothing that was learnt is lost."""

import copy
import warnings

import numpy as np
import pytest
from estimator_case import parameters_equal
from sklearn.metrics import r2_score

from sklstm import DeepLSTMRegressor
from sklstm._scaling import column_scales, moments_of

SMALL = {"hidden_size": 4, "sequence_length": 5, "n_jobs": 1, "random_state": 0, "dtype": "float64"}
FROZEN = {**SMALL, "learning_rate_init": 1e-300}
RNG = np.random.default_rng(4)
X = RNG.normal(size=(200, 3))
Y = 5.0 + X[:, 0] + np.roll(X[:, 1], 1)


def solar(n_days=60):
    """Power by hour of the day and clouds: nothing at night."""
    hour = np.arange(24 * n_days) % 24
    clouds = np.random.default_rng(1).uniform(0.5, 1, size=len(hour))
    power = 800 * np.clip(np.sin((hour - 6) / 12 * np.pi), 0, None) * clouds
    return np.column_stack([np.sin(hour / 12 * np.pi), np.cos(hour / 12 * np.pi), clouds]), power


@pytest.mark.parametrize("first", [24, 5, 1], ids=["a day", "hours of a night", "a row"])
def test_a_first_block_that_says_nothing(first):
    """R^2 was -.61 after rows of a night, -1.17 after a single row, .999 after a day."""
    X, y = solar()
    model = DeepLSTMRegressor(16, sequence_length=6, learning_rate_init=0.01, random_state=0, n_jobs=1)
    model.partial_fit(X[:first], y[:first])
    assert (model.target_scale_ == 0) == (first < 24)
    for _ in range(20):
        for begin in range(first, len(y), 240):
            model.partial_fit(X[begin : begin + 240], y[begin : begin + 240])
    assert r2_score(y, model.predict(X)) > 0.99


def test_the_same_data_again_changes_nothing():
    model = DeepLSTMRegressor(**FROZEN).partial_fit(X, Y)
    mean, scale = model.target_mean_, model.target_scale_
    for _ in range(5):
        model.partial_fit(X, Y)
        assert (model.target_mean_, model.target_scale_) == (mean, scale)


def test_measures_are_those_of_all_rows_so_far():
    weights = RNG.uniform(0.5, 2.0, size=200) * np.where(np.arange(200) < 100, 1e-6, 1e3)
    model = DeepLSTMRegressor(**FROZEN).partial_fit(X[:100], np.full(100, 3.0), sample_weight=weights[:100])
    assert (model.target_mean_, model.target_scale_) == (3.0, 0.0)
    model.partial_fit(X[100:], Y[100:], sample_weight=weights[100:])
    y = np.r_[np.full(100, 3.0), Y[100:]]
    mean = np.average(y, weights=weights)
    assert model.target_mean_ == pytest.approx(mean, rel=1e-12)
    assert model.target_scale_ == pytest.approx(np.sqrt(np.average((y - mean) ** 2, weights=weights)), rel=1e-12)


LOSSES = [
    {},
    {"loss": "quantile", "quantile": [0.1, 0.5, 0.9]},
    {"loss": "absolute_error", "linear_skip": 2},
    {"loss": "poisson"},
]


@pytest.mark.parametrize("options", LOSSES, ids=lambda options: options.get("loss", "squared_error"))
@pytest.mark.parametrize("first", [Y, np.full(200, 4.0)], ids=["numbers", "a constant"])
def test_what_is_measured_anew_answers_the_same(options, first):
    """The scale has grown seven times; the head takes it back (Pop-Art)."""
    y = np.column_stack([np.abs(first), np.abs(Y)])
    model = DeepLSTMRegressor(**{**FROZEN, **options}).partial_fit(X, y)
    before, scale = model.predict(X), model.target_scale_.copy()
    bias = model.parameters_["bias_out"].copy()
    model.partial_fit(X, y * [40.0, 1.0])
    np.testing.assert_allclose(model.predict(X), before, rtol=1e-9)
    assert model.target_scale_[0] > 3 * scale[0]
    assert model.target_scale_[1] == scale[1]
    half = len(bias) // 2
    np.testing.assert_allclose(model.parameters_["bias_out"][half:], bias[half:], atol=1e-200)
    assert not model.parameters_["weight_out"].flags.writeable


@pytest.mark.parametrize(("factor", "is_new"), [(2.0, False), (9.0, True)])
def test_growth_that_counts(factor, is_new):
    """Of both together: with 2, 1.6 times; with 9, 6.4 times."""
    y = Y - Y.mean()
    model = DeepLSTMRegressor(**FROZEN).partial_fit(X, y)
    scale = model.target_scale_
    model.partial_fit(X, factor * y)
    expected = scale * np.sqrt((1 + factor**2) / 2) if is_new else scale
    assert model.target_scale_ == pytest.approx(expected, rel=1e-12)


@pytest.mark.filterwarnings("ignore:y holds .* far from the blocks before")
def test_it_learns_in_the_new_scale():
    """Nothing of the solver's averages, in the old scale, slows it down."""
    settings = {"hidden_size": 16, "sequence_length": 4, "learning_rate_init": 0.01, "random_state": 0, "n_jobs": 1}
    model = DeepLSTMRegressor(**settings)
    for factor, n_epochs in ((1e-6, 30), (1e3, 60)):
        for _ in range(n_epochs):
            model.partial_fit(X, factor * Y)
    assert r2_score(1e3 * Y, model.predict(X)) > 0.95


def test_the_solver_starts_anew_with_a_new_scale():
    """Its averages, and the norms and losses so far, are those of the old one."""
    settings = {**SMALL, "max_grad_norm": "adaptive", "learning_rate": "reduce_on_plateau"}
    model = DeepLSTMRegressor(**settings).partial_fit(X, Y)
    other = copy.deepcopy(model)
    for name in ("moments", "clipping", "schedule"):
        del other._training_state["loop"][name]
    for one in (model, other):
        one.partial_fit(X, 40 * Y)
    assert parameters_equal(model, other)


def test_fit_is_gone_on_from():
    model = DeepLSTMRegressor(**FROZEN, max_iter=1, early_stopping=False).fit(X, np.full(200, 2.0))
    model.partial_fit(X, Y)
    assert model.target_scale_ == pytest.approx(np.r_[np.full(200, 2.0), Y].std(), rel=1e-12)


def test_an_output_that_comes_later():
    """Its head is the start's, not what answers for a constant that nobody saw."""
    y = np.column_stack([Y, 1e6 + Y])
    model = DeepLSTMRegressor(**FROZEN).partial_fit(X, y, sample_weight=np.tile([1.0, 0.0], (200, 1)))
    start = model.parameters_
    model.partial_fit(X, y)
    assert model.target_mean_[1] == pytest.approx(1e6 + Y.mean())
    assert model.target_scale_[1] == pytest.approx(Y.std(), rel=1e-6)
    np.testing.assert_allclose(model.parameters_["weight_out"], start["weight_out"], rtol=1e-12)


@pytest.mark.filterwarnings("error")
def test_joined_moments_of_a_column_without_weight():
    nothing = moments_of(np.ones((5, 2)), np.array([[1.0, 0.0]] * 5))
    np.testing.assert_array_equal(nothing.joined(nothing).weight, [10.0, 0.0])
    assert np.isfinite(nothing.joined(nothing).mean).all()


@pytest.mark.parametrize("unit", [1.0, 1e-300, 1e300])
def test_joined_moments(unit):
    table = RNG.normal(3.0, 2.0, size=(90, 2)) * unit
    weights = RNG.uniform(0.1, 1.0, size=90)
    found = moments_of(table[:20], weights[:20])
    for part in (slice(20, 21), slice(21, 90)):
        found = found.joined(moments_of(table[part], np.ldexp(weights[part], -70), 70))
    mean, deviation = column_scales(table, weights)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-13)
    np.testing.assert_allclose(found.deviation, deviation, rtol=1e-12)
    again = found.joined(found)
    assert (again.mean == found.mean).all()
    assert (again.deviation == found.deviation).all()


def test_classes_have_no_scale(classifier):
    first = classifier.make().partial_fit(classifier.X, classifier.y).partial_fit(classifier.X, classifier.y)
    second = classifier.make().partial_fit(classifier.X, classifier.y).partial_fit(classifier.X, classifier.y)
    assert parameters_equal(first, second)


def test_a_block_far_from_all_before_is_told():
    # Beside it, in the precision of the network, all that was learnt would be one number.
    X = np.random.default_rng(2).normal(size=(60, 2))
    far = np.column_stack([X[:, 0], X[:, 1]])
    far[17, 1] = -1e9
    model = DeepLSTMRegressor(hidden_size=3, sequence_length=4, n_jobs=1, random_state=0).partial_fit(X, X)
    message = r"y holds -1e\+09 in row 17, far from the blocks before: target_scale_ grows from .* to 9\.\d+e\+07"
    with pytest.warns(UserWarning, match=message):
        copy.deepcopy(model).partial_fit(X, far)
    before = model.predict(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match=message):
            model.partial_fit(X, far)
    np.testing.assert_array_equal(model.predict(X), before)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        weights = np.ones((60, 2))
        weights[17, 1] = 0.0
        model.partial_fit(X, far, sample_weight=weights)  # it is not there
        model.partial_fit(X, 100.0 * X)


@pytest.mark.parametrize("first", [2, 3, 20])
def test_columns_that_hardly_moved_in_a_first_block(first):
    """R^2 was .14 after two rows, .31 after three: the scale of a slow column was that of its first rows for good."""
    X, y = solar()
    X = np.column_stack([X, np.sin(np.arange(len(X)) / 200)])
    model = DeepLSTMRegressor(16, sequence_length=6, learning_rate_init=0.01, random_state=0, n_jobs=1)
    model.partial_fit(X[:first], y[:first])
    for _ in range(10):
        for begin in range(first, len(y), 240):
            model.partial_fit(X[begin : begin + 240], y[begin : begin + 240])
    assert r2_score(y, model.predict(X)) > 0.99
    # What was seen often stays measured as it was.
    mean, scale = model.input_mean_, model.input_scale_
    model.partial_fit(X[:240] * 50.0, y[:240])
    np.testing.assert_array_equal(model.input_mean_, mean)
    np.testing.assert_array_equal(model.input_scale_, scale)


def test_what_a_fit_has_learnt_of_columns_stays():
    few, many = X[:30], np.tile(X * 50.0, (2, 1))
    model = DeepLSTMRegressor(**FROZEN, max_iter=1, early_stopping=False).fit(few, Y[:30])
    mean, scale = model.input_mean_, model.input_scale_
    model.partial_fit(many, np.tile(Y, 2))
    np.testing.assert_array_equal([model.input_mean_, model.input_scale_], [mean, scale])

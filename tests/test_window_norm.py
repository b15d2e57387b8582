"""`window_norm`: what a window is freed of, and how predictions are put back."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference.lstm import network_forward, table_windows

from sklstm import DeepLSTMRegressor

EXACT = {"dtype": "float64", "early_stopping": False}
each_norm = pytest.mark.parametrize("norm", ["last", "standard"])


# Targets here need not look like the future of a column; test_target_columns.py has the warning.
pytestmark = pytest.mark.filterwarnings("ignore:window_norm takes target")


def moments(window, norm, table, weights=None):
    """What each column is freed of: its last value and the deviation of the table, or mean and deviation."""
    weights = np.ones(len(table)) if weights is None else weights
    mean = np.average(table, axis=0, weights=weights)
    scale = np.sqrt(np.average((table - mean) ** 2, axis=0, weights=weights))
    scale[scale == 0.0] = 1.0
    if norm == "last":
        return window[-1], scale
    return window.mean(axis=0), np.sqrt(window.var(axis=0) + (scale / 10) ** 2)


def by_hand(model, sequences, norm, columns, table):
    """Predictions of the plain network for the normalised sequences, put back by the moments of some columns."""
    known = [moments(window, norm, table) for window in sequences]
    freed = [(window - shift) / deviation for window, (shift, deviation) in zip(sequences, known, strict=True)]
    values = model.target_mean_ + model.target_scale_ * network_forward(model.parameters_, freed).z
    shift, deviation = (np.array([pair[k] for pair in known])[:, columns] for k in (0, 1))
    return shift + deviation * values


# The equations


@each_norm
@pytest.mark.parametrize("column", [0, 2])
def test_prediction_is_that_of_the_equations(regressor, norm, column):
    model = regressor.fit(**EXACT, window_norm=norm, target_column=column)
    windows = table_windows(regressor.X, 5)
    expected = by_hand(model, windows, norm, [column], regressor.X)[:, 0]
    assert_allclose(model.predict(regressor.X), expected, rtol=1e-10)
    shift, deviation = np.array([moments(window, norm, regressor.X) for window in windows])[:, :, column].T
    y = (regressor.y - shift) / deviation
    assert (model.target_mean_, model.target_scale_) == pytest.approx((y.mean(), y.std()), rel=1e-10)


@each_norm
def test_sequences(case, norm):
    """Freed of their own last row, of their own mean; the classifier has nothing to put back."""
    for X, y in ((case.array, case.array_y), (case.ragged, case.ragged_y)):
        model = case.make(**EXACT, window_norm=norm).fit(X, y)
        if not case.is_classifier:
            expected = by_hand(model, list(X), norm, [0], np.concatenate(list(X)))[:, 0]
            assert_allclose(model.predict(X), expected, rtol=1e-10)
            continue
        known = [moments(one, norm, np.concatenate(list(X))) for one in X]
        freed = [(one - shift) / deviation for one, (shift, deviation) in zip(X, known, strict=True)]
        assert_allclose(model.predict_proba(X), case.by_hand(model, freed), rtol=1e-10)


@each_norm
@pytest.mark.parametrize("columns", [[2, 0], 1])
def test_several_targets(regressor, norm, columns):
    Y = np.column_stack([regressor.y, 3.0 - regressor.X[:, 1]])
    model = regressor.make(**EXACT, window_norm=norm, target_column=columns).fit(regressor.X, Y)
    expected = by_hand(model, table_windows(regressor.X, 5), norm, np.broadcast_to(columns, 2), regressor.X)
    assert_allclose(model.predict(regressor.X), expected, rtol=1e-10)
    stream = model.stream(n_streams=2, window=True)
    for t in range(8):
        answer = stream.step(regressor.X[[t, t]])
        assert answer.shape == (2, 2)
        assert_array_equal(answer[1], model.predict(regressor.X)[t])


# Levels and scales


@each_norm
def test_a_constant_shifts_predictions(case, norm):
    """Of the target's column; of another it changes nothing, and no probability."""
    options = {} if case.is_classifier else {"target_column": 1}
    model = case.fit(**EXACT, **options, window_norm=norm)
    expected = case.output(model, case.X)
    for column in range(3):
        shift = 1000.0 * (column == 1 and not case.is_classifier)
        moved = case.X + 1000.0 * (np.arange(3) == column)
        assert_allclose(case.output(model, moved), expected + shift, rtol=1e-9)
        assert_allclose(model.transform(moved), model.transform(case.X), rtol=1e-8, atol=1e-10)


@each_norm
def test_units_do_not_matter(case, norm):
    """Trained in another unit, a network predicts the same in that unit."""
    model = case.fit(**EXACT, window_norm=norm)
    y = case.y if case.is_classifier else 700.0 * case.y + 1e4
    other = case.make(**EXACT, window_norm=norm).fit(700.0 * case.X + 1e4, y)
    expected = case.output(model, case.X)
    expected = expected if case.is_classifier else 700.0 * expected + 1e4
    assert_allclose(case.output(other, 700.0 * case.X + 1e4), expected, rtol=1e-6)


def test_windows_that_are_nearly_constant():
    """Nights without sun but with a noisy sensor: divided by their own deviation, they would be all that counts."""
    rng = np.random.default_rng(1)
    hours = np.arange(1500)
    sun = np.maximum(0, np.sin(2 * np.pi * hours / 24)) * 800 * (1 + 0.2 * rng.normal(size=1500))
    X, y = (sun + 0.01 * rng.normal(size=1500))[:, np.newaxis], np.roll(sun, -6)
    model = DeepLSTMRegressor(16, sequence_length=10, max_iter=15, learning_rate_init=3e-3, random_state=0, n_jobs=1,
                              window_norm="standard").fit(X[:1200], y[:1200])  # fmt: skip
    error = np.abs(model.predict(X[1200:1490], context=X[:1200]) - y[1200:1490]).mean()
    assert error < 0.5 * np.abs(y[1200:1490] - X[1200:1490, 0]).mean()


@each_norm
def test_a_random_walk_of_large_level(norm):
    """The level of the test part was never seen; what matters is the last step."""
    rng = np.random.default_rng(0)
    steps = rng.normal(size=801)
    walk = 500.0 + np.cumsum(steps + 0.8 * np.roll(steps, 1))
    X, y = walk[:-1, np.newaxis], walk[1:]
    settings = {"sequence_length": 8, "max_iter": 40, "random_state": 0, "n_jobs": 1, "learning_rate_init": 0.01}
    scores = {}
    for name in (None, norm):
        model = DeepLSTMRegressor(8, **settings, window_norm=name).fit(X[:600], y[:600])
        prediction = model.predict(X[600:], context=X[:600])
        # Against the last value, the best that knows no dynamics.
        scores[name] = 1 - np.mean((y[600:] - prediction) ** 2) / np.mean((y[600:] - X[600:, 0]) ** 2)
        assert model.score(X[600:], y[600:], context=X[:600]) > 0.9 or name is None
    assert scores[None] < 0
    assert scores[norm] > 0.15


def test_a_constant_column(case):
    """It becomes zero, and nothing is divided by zero."""
    X = case.X * [1.0, 0.0, 0.0] + [0.0, 0.0, 5.0]
    for options in ({"window_norm": "standard"}, {"window_norm": "last"}):
        model = case.make(**options).fit(X, case.y)
        assert np.isfinite(case.output(model, X)).all()
        assert_array_equal(case.output(model, X), case.output(model, X + [0.0, 3.0, 3.0]))


# With all the rest


@each_norm
def test_quantiles(regressor, norm):
    settings = {**EXACT, "loss": "quantile", "quantile": [0.1, 0.5, 0.9], "window_norm": norm, "max_iter": 30}
    Y = np.column_stack([regressor.y, regressor.X[:, 1]])
    for y, columns in ((regressor.y, 1), (Y, [1, 0])):
        model = regressor.make(**settings, target_column=columns, learning_rate_init=0.01).fit(regressor.X, y)
        found = model.predict_quantiles(regressor.X)
        assert found.shape == (*y.shape, 3)
        assert (np.diff(found, axis=-1) >= 0).all()
        assert_array_equal(found[..., 1], model.predict(regressor.X))
        assert 0.5 < np.mean((found[..., 0] <= y) & (y <= found[..., 2])) <= 1
        moved = model.predict_quantiles(regressor.X + [0.0, 100.0, 0.0])
        shift = 100.0 * (np.atleast_1d(columns) == 1)
        assert_allclose(moved, found + (shift[0] if y.ndim == 1 else shift[:, np.newaxis]), rtol=1e-9)
        stream = model.stream(window=True, response_method="predict_quantiles")
        assert_array_equal([stream.step(row) for row in regressor.X[:9]], found[:9])


@each_norm
def test_streams(regressor, norm):
    """In float and into `out`, after rows that came before, from a state that was saved."""
    model = regressor.fit(window_norm=norm, target_column=2)
    expected = model.predict(regressor.X)
    stream = model.stream(window=True, context=regressor.X[:30])
    assert isinstance(stream.step(regressor.X[30]), float)
    out = np.empty(())
    assert stream.step(regressor.X[31], out=out) == out == expected[31]
    saved = stream.state
    assert stream.step(regressor.X[32]) == expected[32]
    stream.state = saved
    assert stream.step(regressor.X[32].tolist()) == expected[32]
    carried = regressor.fit(window_norm=norm, target_column=2, carry_context=True)
    assert carried.stream(window=True).step(regressor.X[3]) == carried.predict(regressor.X[3:4])[0]
    assert_array_equal(model.stream(window=True, response_method="transform").step(regressor.X[0]),
                       model.transform(regressor.X[:1])[0])  # fmt: skip


@each_norm
def test_weights_are_those_of_the_relative_target(regressor, norm):
    weights = np.random.default_rng(0).uniform(0, 2, 90)
    model = regressor.make(**EXACT, window_norm=norm).fit(regressor.X, regressor.y, sample_weight=weights)
    # A row of the table has the mean weight of the five windows that hold it, fewer at the end.
    rows = [weights[i : i + 5].mean() for i in range(90)]
    known = [moments(window, norm, regressor.X, rows) for window in table_windows(regressor.X, 5)]
    y = (regressor.y - [shift[0] for shift, _ in known]) / [deviation[0] for _, deviation in known]
    mean = np.average(y, weights=weights)
    deviation = np.sqrt(np.average((y - mean) ** 2, weights=weights))
    assert (model.target_mean_, model.target_scale_) == pytest.approx((mean, deviation), rel=1e-10)


@each_norm
def test_groups(regressor, norm):
    """A window of another group has no part in the moments."""
    X, y, groups = regressor.X, regressor.y, regressor.groups
    model = regressor.make(**EXACT, window_norm=norm).fit(X, y, groups=groups)
    expected = by_hand(model, table_windows(X, 5, groups), norm, [0], X)[:, 0]
    assert_allclose(model.predict(X, groups=groups), expected, rtol=1e-10)
    moved = X + np.where(groups == "c", 50.0, 0.0)[:, np.newaxis]
    shifted = model.predict(moved, groups=groups) - model.predict(X, groups=groups)
    assert_allclose(shifted, np.where(groups == "c", 50.0, 0.0), atol=1e-9)


@each_norm
def test_early_stopping(regressor, norm):
    """Scores are those of the relative targets, also of a validation table."""
    X, y = regressor.X, regressor.y
    for given in (False, True):
        more = {"X_val": X[60:], "y_val": y[60:]} if given else {}
        model = regressor.make(window_norm=norm, dtype="float64", max_iter=1, early_stopping=True)
        model.fit(*((X[:60], y[:60]) if given else (X, y)), **more)
        table, first, n_train = (X[60:], 0, 60) if given else (X, 81, 77)
        fitted = X[:n_train]
        known = [moments(window, norm, fitted) for window in table_windows(table, 5)]
        shift, deviation = (np.array([pair[k][0] for pair in known])[first:] for k in (0, 1))
        trained = [moments(window, norm, fitted) for window in table_windows(X, 5)][:n_train]
        inside = (y[:n_train] - [s[0] for s, _ in trained]) / [d[0] for _, d in trained]
        truth = ((y[60:] if given else y[81:]) - shift) / deviation
        guess = (model.predict(table)[first:] - shift) / deviation
        expected = 1 - np.mean((truth - guess) ** 2) / np.mean((truth - inside.mean()) ** 2)
        assert model.validation_scores_ == pytest.approx([expected], rel=1e-8)


@each_norm
def test_other_losses_and_parts_of_the_network(regressor, norm):
    plain = regressor.fit(window_norm=norm).predict(regressor.X)
    for options in (
        {"loss": "absolute_error"},
        {"loss": "log_cosh"},
        {"loss": "huber", "huber_delta": 0.5},
        {"patch_length": 2},
        {"linear_skip": 3},
        {"bidirectional": True, "pooling": "mean"},
        {"attention_heads": 2, "dropout": 0.2, "n_layers": 2},
    ):
        model = regressor.fit(window_norm=norm, **options, dtype="float64")
        found = model.predict(regressor.X)
        assert (found != plain).all()
        assert_allclose(model.predict(regressor.X + 50.0), found + 50.0, rtol=1e-9)


@each_norm
def test_the_skip_reads_normalised_rows(regressor, norm):
    model = regressor.fit(**EXACT, window_norm=norm, linear_skip=1)
    known = [moments(window, norm, regressor.X) for window in table_windows(regressor.X, 5)]
    last = np.array([(row - shift) / deviation for row, (shift, deviation) in zip(regressor.X, known, strict=True)])
    linear = model.target_scale_ * (last @ model.parameters_["weight_skip"].T)[:, 0]
    expected = by_hand(model, table_windows(regressor.X, 5), norm, [0], regressor.X)[:, 0]
    expected += linear * np.array([deviation[0] for _, deviation in known])
    assert_allclose(model.predict(regressor.X), expected, rtol=1e-10)


# What cannot be


@each_norm
def test_counts_have_no_level(regressor, norm):
    with pytest.raises(ValueError, match=f"loss='poisson' cannot be combined with window_norm='{norm}'"):
        regressor.make(loss="poisson", window_norm=norm).fit(regressor.X, np.abs(regressor.y))


@each_norm
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_nothing_is_left_of_a_single_row(case, norm, method):
    model = case.make(window_norm=norm, sequence_length=1)
    message = f"sequence_length=1 cannot be combined with window_norm='{norm}': .* the network would read nothing"
    with pytest.raises(ValueError, match=message):
        getattr(model, method)(case.X, case.y)
    # A set of sequences is used as it is.
    assert case.make(window_norm=norm, sequence_length=1).fit(case.array, case.array_y).n_iter_ == 3

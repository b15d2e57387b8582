"""`known_columns`: what is known ahead is read as it is, whatever `window_norm` does to the other columns."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference.lstm import network_forward, table_windows

from sklstm import DeepLSTMRegressor, DeepRNNClassifier, DeepRNNRegressor, quantize

EXACT = {"dtype": "float64", "early_stopping": False}
each_norm = pytest.mark.parametrize("norm", ["last", "standard"])

# Targets here need not look like the future of a column; test_target_columns.py has the warning.
pytestmark = pytest.mark.filterwarnings("ignore:window_norm takes target")


def read(model, window, norm, known):
    """The rows of a window as the network reads them."""
    mean, scale = model.input_mean_, model.input_scale_
    shift, deviation = window[-1], scale
    if norm == "standard":
        shift, deviation = window.mean(axis=0), np.sqrt(window.var(axis=0) + (scale / 10) ** 2)
    is_known = np.isin(np.arange(window.shape[1]), known)
    return (window - np.where(is_known, mean, shift)) / np.where(is_known, scale, deviation)


@each_norm
@pytest.mark.parametrize("known", [[2], [1, 2]])
@pytest.mark.parametrize("input_scaling", ["standard", "robust", None])
def test_known_columns_are_standardised(case, norm, known, input_scaling):
    X = case.X * [1.0, 3.0, 5.0] + [0.0, 2.0, -70.0]
    model = case.make(**EXACT, window_norm=norm, known_columns=known, input_scaling=input_scaling).fit(X, case.y)
    if input_scaling is None:  # as they come
        assert (model.input_scale_[known] == 1).all()
        assert not model.input_mean_.any()
        assert (np.delete(model.input_scale_, known) != 1).all()
    else:
        assert model.input_mean_[2] == pytest.approx(-70, abs=2)
    windows = table_windows(X, 5)
    hidden = network_forward(model.parameters_, [read(model, window, norm, known) for window in windows]).hidden
    assert_allclose(model.transform(X), [h[-1] for h in hidden], rtol=1e-8, atol=1e-12)


def walk_with_a_known_part(n=2400, ahead=24):
    """A random walk whose future has a part that is known ahead; X holds the walk and that part."""
    rng = np.random.default_rng(0)
    walk, z = np.cumsum(0.1 * rng.normal(size=n + ahead)), rng.normal(size=n + ahead)
    return np.column_stack([walk[:n], z[ahead:]]), walk[ahead:] + 3 * z[ahead:], z[ahead:]


@pytest.mark.parametrize(("norm", "least"), [("last", 0.995), ("standard", 0.97)])
def test_a_part_that_is_known_ahead_is_predicted(norm, least):
    """With "standard", answers are scaled by the deviation of the window, which the network does not know."""
    X, y, z = walk_with_a_known_part()
    explained = {}
    for known in (None, [1]):
        model = DeepLSTMRegressor(
            16, window_norm=norm, target_column=0, known_columns=known, sequence_length=16, random_state=0, n_jobs=1,
            learning_rate_init=0.01, learning_rate="one_cycle", max_iter=25,
        ).fit(X[:2000], y[:2000])  # fmt: skip
        answer = model.predict(X[2000:], context=X[:2000]) - X[2000:, 0]
        explained[bool(known)] = np.corrcoef(answer, 3 * z[2000:])[0, 1] ** 2
    assert explained[True] >= least
    assert explained[True] > explained[False] + 0.01


def test_names_are_those_of_fit(case):
    frame = pd.DataFrame(case.X, columns=["load", "hour", "price"])
    by_name = case.make(window_norm="last", known_columns=["price", "hour"]).fit(frame, case.y)
    by_place = case.make(window_norm="last", known_columns=[1, 2]).fit(case.X, case.y)
    assert_array_equal(case.output(by_name, frame), case.output(by_place, case.X))
    assert by_name._architecture["known_columns"] == (1, 2)
    assert all(type(k) is int for k in by_name._architecture["known_columns"])
    one = case.make(window_norm="last", known_columns="price").fit(frame, case.y)
    assert one._architecture["known_columns"] == (2,)
    # What was fitted counts, also after another value was set.
    by_name.set_params(known_columns=None)
    assert_array_equal(case.output(pickle.loads(pickle.dumps(by_name)), frame), case.output(by_place, case.X))


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ("hour", "known_columns='hour' names a column, but X came without names"),
        ([3], r"known_columns=\[3\] is beyond the columns of X, 0 to 2"),
        ([1, 1], r"known_columns=\[1, 1\] names a column twice"),
        ([1.5], r"known_columns=\[1.5\] holds 1.5, expected an integer position"),
        ([[1]], r"known_columns must be a column of X or a list of columns; found \[\[1\]\]"),
    ],
)
def test_columns_that_are_not_there(case, known, message):
    with pytest.raises(ValueError, match=message):
        case.make(window_norm="last", known_columns=known).fit(case.X, case.y)


@pytest.mark.filterwarnings("ignore:known_columns.* has no effect")
def test_targets_are_not_known(regressor):
    message = r"known_columns=\[0, 2\] holds 0, which is a target_column: y is its future"
    with pytest.raises(ValueError, match=message):
        regressor.make(window_norm="last", known_columns=[0, 2], target_column=0).fit(regressor.X, regressor.y)
    frame = pd.DataFrame(regressor.X, columns=["a", "b", "c"])
    with pytest.raises(ValueError, match="known_columns='b' holds 'b', which is a target_column"):
        regressor.make(window_norm="last", known_columns="b", target_column=1).fit(frame, regressor.y)
    with pytest.raises(ValueError, match=r"known_columns=\[2\] holds 2, which is a target_column"):
        regressor.make(group_scaling="standard", known_columns=[2], target_column=2).fit(
            regressor.X, regressor.y, groups=regressor.groups
        )


@pytest.mark.parametrize("kind", [DeepRNNRegressor, DeepRNNClassifier])
def test_without_a_norm_they_have_no_effect(kind):
    X = np.random.default_rng(0).normal(size=(60, 3))
    y = X[:, 0] > 0 if kind is DeepRNNClassifier else X[:, 0]
    with pytest.warns(UserWarning, match=r"known_columns=\[1\] has no effect with window_norm=None"):
        kind(4, max_iter=1, known_columns=[1]).fit(X, y)


@each_norm
def test_partial_fits(case, norm):
    """Scales of the other columns follow; with input_scaling=None the known ones stay as they come."""
    more = {"classes": np.unique(case.y)} if case.is_classifier else {}
    model = case.make(window_norm=norm, known_columns=[2], input_scaling=None)
    X = case.X.copy()
    X[:5, 1] = 4.0
    model.partial_fit(X[:5], case.y[:5], **more)
    model.partial_fit(X[5:], case.y[5:])
    assert model.input_scale_[2] == 1
    assert model.input_scale_[1] != 1
    whole = case.make(window_norm=norm, known_columns=[2], max_iter=2, early_stopping=False).fit(X, case.y)
    again = case.make(window_norm=norm, known_columns=[2]).partial_fit(X, case.y, **more).partial_fit(X, case.y)
    assert_array_equal(case.output(again, X), case.output(whole, X))


def test_integers_and_bfloat16(regressor):
    model = regressor.fit(window_norm="last", known_columns=[1], max_iter=20)
    small = quantize(model, regressor.X, dtype="int16")
    assert_allclose(small.predict(regressor.X), model.predict(regressor.X), atol=0.3)
    model = regressor.fit(window_norm="last", known_columns=[1], dtype="bfloat16")
    assert_array_equal(model.predict(regressor.X[40:46])[-1], model.predict(regressor.X)[45])


def test_large_numbers_in_known_columns_are_beyond_the_range(case):
    """A norm would free a column of its level; a known column keeps it."""
    X = case.X.copy()
    for known in (None, [1]):
        model = case.make(window_norm="last", known_columns=known).fit(X, case.y)
        far = X + [0.0, 1e17, 0.0]
        if known:
            with pytest.raises(ValueError, match=r"X holds 1e\+17 in column 1"):
                case.output(model, far)
        else:
            assert np.isfinite(case.output(model, far)).all()

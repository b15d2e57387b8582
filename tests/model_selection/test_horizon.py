"""`make_horizon`: every target is the value it should be, of the same series, and known."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sklstm import DeepLSTMRegressor, TimeOrderWarning
from sklstm.model_selection import make_horizon


@pytest.mark.parametrize("gap", [0, 1, 5])
@pytest.mark.parametrize("horizon", [1, 3, 24])
def test_each_target_is_that_many_rows_ahead(horizon, gap):
    y = np.random.default_rng(0).normal(size=60)
    rows, Y = make_horizon(y, horizon, gap=gap)
    assert rows.dtype == bool
    np.testing.assert_array_equal(np.flatnonzero(rows), np.arange(60 - horizon - gap))
    expected = [[y[i + 1 + gap + k] for k in range(horizon)] for i in np.flatnonzero(rows)]
    np.testing.assert_array_equal(Y, expected)


def test_several_targets_have_an_axis_of_their_own():
    y = np.random.default_rng(0).normal(size=(30, 2))
    rows, Y = make_horizon(y, 4, gap=1)
    assert Y.shape == (25, 4, 2)
    for k in range(2):
        np.testing.assert_array_equal(Y[..., k], make_horizon(y[:, k], 4, gap=1)[1])
    assert make_horizon(y[:, :1], 4)[1].shape == (26, 4, 1)
    frame = pd.DataFrame(y, index=pd.date_range("2024", periods=30), columns=["a", "b"])
    again, targets = make_horizon(frame, 4, gap=1)
    assert isinstance(targets, np.ndarray)
    np.testing.assert_array_equal(targets, Y)
    np.testing.assert_array_equal(again, rows)


@pytest.mark.parametrize("gap", [0, 2])
@pytest.mark.parametrize("n_axes", [1, 2])
def test_no_target_comes_from_another_series(n_axes, gap):
    rng = np.random.default_rng(1)
    lengths = [9, 3, 1, 7, 20]
    groups = np.repeat(["c", "a", "short", "d", "b"], lengths)
    y = rng.normal(size=(len(groups), 2))[:, slice(2) if n_axes == 2 else 0]
    rows, Y = make_horizon(y, 3, gap=gap, groups=groups)
    expected = []
    for label, length in zip(["c", "a", "short", "d", "b"], lengths, strict=True):
        assert rows[groups == label].sum() == max(0, length - 3 - gap)
        if length > 3 + gap:
            alone = make_horizon(y[groups == label], 3, gap=gap)
            expected.append(alone[1])
            np.testing.assert_array_equal(rows[groups == label], alone[0])
    np.testing.assert_array_equal(Y, np.concatenate(expected))


def test_pandas_keeps_its_index():
    index = pd.date_range("2024-01-01", periods=10, freq="h")
    y = pd.Series(np.arange(10), index=index, name="load")
    rows, Y = make_horizon(y, 2, gap=3)
    assert Y.index.equals(index[:5])
    assert Y.columns.tolist() == [4, 5]
    np.testing.assert_array_equal(Y.to_numpy(), np.arange(5)[:, None] + [4, 5])
    X = pd.DataFrame({"a": np.zeros(10)}, index=index)
    assert X[rows].index.equals(Y.index)
    assert len(X[~rows]) == 5
    groups = pd.Series(np.repeat([1, 2], 5), index=index)
    Y = make_horizon(y, 2, groups=groups)[1]
    assert Y.index.equals(index[[0, 1, 2, 5, 6, 7]])


def test_any_container_and_type():
    y = [1, 2, 3, 4, 5]
    expected = np.array([[2, 3], [3, 4], [4, 5]])
    for given in (y, tuple(y), np.array(y), pl.Series(y), pd.Series(y), pd.Series(y, dtype="Int64")):
        found = make_horizon(given, 2)[1]
        np.testing.assert_array_equal(np.asarray(found), expected)
    assert make_horizon(np.array(y, np.float32), 2)[1].dtype == np.float32
    assert make_horizon(["up", "down", "up"], 1)[1].tolist() == [["down"], ["up"]]
    missing = make_horizon(pd.Series([1, None, 3], dtype="Int64"), 1)[1]
    np.testing.assert_array_equal(missing.to_numpy(), [[np.nan], [3.0]])


def test_without_groups_nothing_is_copied():
    y = np.arange(1000.0)
    targets = make_horizon(y, 300)[1]
    assert np.shares_memory(targets, y)
    assert not targets.flags.writeable
    y = pd.Series(y)
    assert np.shares_memory(make_horizon(y, 300)[1].to_numpy(), y.to_numpy())


def test_nullable_columns_of_pandas_have_their_numbers():
    series = pd.Series([1, 2, None, 4, 5], dtype="Int64")
    expected = make_horizon(np.array([1, 2, np.nan, 4, 5]), 2)
    for y in (series, series.to_frame("a").assign(b=series.astype("Float64"))):
        rows, Y = make_horizon(y, 2)
        Y = Y if y is series else Y[..., 0]
        np.testing.assert_array_equal(np.asarray(Y, np.float64), expected[1])
        np.testing.assert_array_equal(rows, expected[0])


def test_what_is_missing_stays_missing_and_is_not_learnt():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 2))
    y = X[:, 0].copy()
    y[50] = np.nan
    rows, Y = make_horizon(y, 3)
    assert rows.sum() == 117  # no row is left out in the middle
    assert np.isnan(Y).sum() == 3
    settings = {"hidden_size": 4, "sequence_length": 4, "max_iter": 2, "random_state": 0}
    model = DeepLSTMRegressor(**settings).fit(X[rows], Y, sample_weight=np.isfinite(Y))
    other = DeepLSTMRegressor(**settings).fit(X[rows], np.nan_to_num(Y, nan=7.0), sample_weight=np.isfinite(Y))
    np.testing.assert_array_equal(model.predict(X[~rows]), other.predict(X[~rows]))


def test_rows_serve_a_panel_whole():
    rng = np.random.default_rng(0)
    X, groups = rng.normal(size=(90, 2)), np.repeat(["x", "y", "z"], 30)
    rows, Y = make_horizon(X[:, 0], 5, groups=groups)
    settings = {"hidden_size": 4, "sequence_length": 6, "max_iter": 2, "random_state": 0}
    model = DeepLSTMRegressor(**settings).fit(X[rows], Y, groups=groups[rows])
    newest = model.predict(X[~rows], groups=groups[~rows], context=X[rows], context_groups=groups[rows])
    assert newest.shape == (15, 5)
    np.testing.assert_array_equal(newest, model.predict(X, groups=groups)[~rows])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"y": np.zeros(5), "horizon": 0}, ValueError, "horizon must be at least 1, got 0"),
        ({"y": np.zeros(5), "horizon": 2.0}, TypeError, "horizon must be a whole number, got 2.0"),
        ({"y": np.zeros(5), "horizon": True}, TypeError, "horizon must be a whole number, got True"),
        ({"y": np.zeros(5), "horizon": 1, "gap": -1}, ValueError, "gap must be at least 0, got -1"),
        ({"y": np.zeros(5), "horizon": 4, "gap": 1}, ValueError, "need series of at least 6 rows, y has 5"),
        (
            {"y": np.zeros(9), "horizon": 4, "groups": [1] * 4 + [2] * 3 + [3] * 2},
            ValueError,
            "at least 5 rows, the longest one of y has 4",
        ),
        ({"y": np.zeros((2, 2, 2)), "horizon": 1}, ValueError, r"y must be a series .* got shape \(2, 2, 2\)"),
        ({"y": np.zeros((5, 0)), "horizon": 1}, ValueError, r"got shape \(5, 0\)"),
        ({"y": 3.0, "horizon": 1}, ValueError, r"got shape \(\)"),
        ({"y": np.ma.array(np.zeros(5)), "horizon": 1}, ValueError, "y is a masked array"),
        ({"y": iter([1, 2]), "horizon": 1}, TypeError, "y is "),
        ({"y": [np.zeros(4), np.zeros(5)], "horizon": 1}, ValueError, "^y: "),
        ({"y": np.zeros(5), "horizon": 1, "groups": [1, 1, 2]}, ValueError, "groups has 3 labels, but y has 5 rows"),
        ({"y": np.zeros(4), "horizon": 1, "groups": [1, 2, 1, 2]}, ValueError, "groups"),
    ],
)
def test_bad_input_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        make_horizon(**arguments)


def test_the_order_in_time_is_checked():
    index = pd.date_range("2024-01-01", periods=40, freq="h")
    y = pd.Series(np.arange(40.0), index=index)
    with pytest.warns(TimeOrderWarning, match="y is not in time order"):
        make_horizon(y[::-1], 2)
    with pytest.warns(TimeOrderWarning, match="y has a hole in time|y has 1 hole"):
        make_horizon(y.drop(index[20:25]), 2)
    panel = pd.Series(np.arange(40.0), index=pd.MultiIndex.from_product([["a", "b"], index[:20]], names=["id", "t"]))
    with pytest.warns(TimeOrderWarning, match="'id'"):
        make_horizon(panel, 2)
    make_horizon(panel, 2, groups=panel.index.get_level_values("id"))

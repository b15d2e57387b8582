"""Which rows, targets, groups and times a picture of a forecast shows."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from sklstm import DeepRNNRegressor
from sklstm.inspection import ForecastDisplay, permutation_importance

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).normal(size=(60, 2)).cumsum(axis=0)
HORIZON = np.lib.stride_tricks.sliding_window_view(np.r_[X[1:, 0], np.zeros(4)], 4)
GROUPS = np.repeat(["a", "b"], 30)
SMALL = {"hidden_size": 2, "sequence_length": 3, "max_iter": 1, "random_state": 0}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def one():
    return DeepRNNRegressor(**SMALL).fit(X, X[:, 0])


@pytest.fixture(scope="module")
def horizon():
    return DeepRNNRegressor(**SMALL).fit(X, HORIZON, groups=GROUPS)


def test_an_index_of_texts_is_no_time():
    frame = pd.DataFrame(X, index=[f"row {k}" for k in range(60)], columns=["a", "b"])
    model = DeepRNNRegressor(**SMALL).fit(frame, X[:, 0])
    display = ForecastDisplay.from_estimator(model, frame)
    assert_array_equal(display.times, np.arange(60))
    assert display.ax_.get_xlabel() == "Row"


def test_the_only_group_needs_no_choice(horizon):
    display = ForecastDisplay.from_estimator(horizon, X[:30], HORIZON[:30], groups=GROUPS[:30], output=0)
    assert_array_equal(display.y_true, HORIZON[:30, 0])


def test_the_rows_before_are_those_of_the_group(horizon):
    display = ForecastDisplay.from_estimator(horizon, X, HORIZON, groups=GROUPS, row=33)
    assert_array_equal(display.history_times, [31, 32, 33])  # that of row 30 is a target of no row of its group
    assert_array_equal(display.history, X[31:34, 0])


def test_a_single_row_with_a_date(horizon):
    hour = pd.DatetimeIndex(["2024-01-01T05"]).as_unit("s")
    times = hour.to_numpy().astype("M8[h]")
    display = ForecastDisplay.from_estimator(horizon, X[:1], groups=GROUPS[:1], row=0, times=times)
    assert_array_equal(display.times, times + np.arange(1, 5))


def test_a_forecast_of_one_step_is_a_horizon_of_one():
    model = DeepRNNRegressor(**SMALL).fit(X, HORIZON[:, :1])
    assert_array_equal(ForecastDisplay.from_estimator(model, X).y_pred, model.predict(X).ravel())


def test_what_cannot_be_chosen(one, horizon):
    with pytest.raises(ValueError, match="output=1, but there is a single target"):
        ForecastDisplay.from_estimator(one, X, output=1)
    with pytest.raises(ValueError, match="output=1, but there is a single target"):
        ForecastDisplay.from_estimator(horizon, X, groups=GROUPS, row=5, output=1)
    for wrong in (-1, True, 1.5):
        with pytest.raises(ValueError, match=r"n_history=.*, expected an integer of at least 0"):
            ForecastDisplay.from_estimator(horizon, X, groups=GROUPS, row=5, n_history=wrong)


def test_lists_of_rows_are_a_table(one):
    found = permutation_importance(one, X.tolist(), X[:, 0], n_repeats=1, random_state=0)
    expected = permutation_importance(one, X, X[:, 0], n_repeats=1, random_state=0)
    assert_array_equal(found.importances, expected.importances)
    with pytest.raises(ValueError, match=r"expected a table|Expected 2D array"):
        permutation_importance(one, X[:, 0], X[:, 0], n_repeats=1)


def test_times_of_the_rows_ahead(horizon):
    """Those of the table, then by its frequency, else at the usual distance; of one date alone there is none."""

    def times(rows, **options):
        return ForecastDisplay.from_estimator(horizon, rows, row=-1, **options).times

    days = pd.date_range("2024-03-01", periods=60, freq="B")
    frame = pd.DataFrame(X[:60], index=days)
    expected = pd.date_range(days[-1], periods=5, freq="B")[1:].to_numpy()
    assert_array_equal(times(frame), expected)
    assert_array_equal(times(frame[-1:], context=frame[:-1]), expected)
    inside = ForecastDisplay.from_estimator(horizon, frame, row=30)
    assert_array_equal(inside.times, days[31:35].to_numpy())
    known = frame.set_axis(pd.DatetimeIndex(days.to_numpy()))  # no frequency
    usual = days.to_numpy()[-1] + np.arange(1, 5) * np.timedelta64(1, "D")
    assert_array_equal(times(known), usual)
    assert_array_equal(times(known[-1:], context=known[:-1]), usual)
    alone = ForecastDisplay.from_estimator(horizon, known[-1:], row=0)
    assert_array_equal(alone.times, [1, 2, 3, 4])
    assert alone.ax_.get_xlabel() == "Rows ahead"
    groups = np.repeat(["a", "b"], 30)
    both = known.set_axis(known.index[[*range(30), *range(30)]])
    first = ForecastDisplay.from_estimator(horizon, both, row=30, groups=groups)
    assert_array_equal(first.times, days[1:5].to_numpy())

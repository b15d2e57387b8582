"""Order in time inside a table, where an index shows it: what is told, and what is nothing to tell."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import TimeSeriesSplit, cross_val_predict, cross_validate, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor, TimeOrderWarning
from sklstm._time_order import check_order

HOURS = pd.date_range("2024-01-01", periods=120, freq="h")
RNG = np.random.default_rng(0)
X = pd.DataFrame(RNG.normal(size=(120, 2)), columns=["a", "b"], index=HOURS)
Y = pd.Series(X["a"].to_numpy() + np.roll(X["b"].to_numpy(), 1), index=HOURS)
SMALL = {"hidden_size": 4, "sequence_length": 5, "max_iter": 1, "random_state": 0, "n_jobs": 1}


def model(**parameters):
    return DeepLSTMRegressor(**{**SMALL, **parameters})


def told(index, groups=None):
    """Return what is said of a table with an index."""
    table = pd.DataFrame(np.zeros((len(index), 1)), index=index)
    blocks = None if groups is None else np.r_[0, np.flatnonzero(np.diff(groups)) + 1, len(groups)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_order(table, blocks, holes=True)
    assert all(one.category is TimeOrderWarning for one in caught)
    assert len(caught) <= 1
    return str(caught[0].message) if caught else ""


def at_work(start, stop, n_days, freq, zone=None):
    times = pd.date_range("2024-01-01", periods=n_days * 86400 // pd.Timedelta(freq).seconds, freq=freq, tz=zone)
    return times[(times.day_of_week < 5) & (times.hour >= start) & (times.hour < stop)]


FINE = {
    "hours": HOURS,
    "a step half as long again": pd.Index([*range(0, 60, 2), *range(61, 120, 2)]),
    "a time zone, both changes of the clock": pd.date_range("2024", periods=9000, freq="h", tz="Europe/Berlin"),
    "days in a time zone": pd.date_range("2024", periods=400, tz="Europe/Berlin"),
    "business days": pd.bdate_range("2024", periods=300),
    "four business days": pd.bdate_range("2024-01-04", periods=4),
    "holidays": pd.bdate_range("2024", periods=500).delete([3, 50, 51, 100, 220, 300, 301, 302, 303]),
    "trading hours": at_work(9, 17, 60, "10min"),
    "trading hours in UTC": at_work(9, 17, 365, "1h", "America/New_York").tz_convert("UTC"),
    "trading hours without their zone": at_work(9, 17, 365, "1h", "America/New_York")
    .tz_convert("UTC")
    .tz_localize(None),
    "day and night": pd.DatetimeIndex([t for t in pd.date_range("2024-06-01", periods=960, freq="h") if t.hour > 5]),
    "months": pd.date_range("2020", periods=50, freq="MS"),
    "ends of quarters": pd.date_range("2000", periods=50, freq="QE"),
    "years": pd.date_range("1950", periods=50, freq="YS"),
    "weeks": pd.date_range("2020", periods=50, freq="W"),
    "periods": pd.period_range("2020", periods=50, freq="M"),
    "periods of a day": pd.period_range("2020", periods=50, freq="D"),
    "periods of business days": pd.bdate_range("2024", periods=300).to_period("D"),
    "time deltas": pd.timedelta_range("0s", periods=50, freq="s"),
    "dates as objects": pd.Index(pd.date_range("2024", periods=50).date),
    "a slice": pd.RangeIndex(100, 150),
    "numbers": pd.Index(np.arange(50) * 0.1),
    "nullable numbers": pd.Index(range(50), dtype="Int64"),
    "names": pd.Index([*"bcadef"]),
    "dates as text": HOURS.astype(str),
    "dates as text with a zone": pd.date_range("2024-10-20", periods=300, freq="h", tz="Europe/Berlin").astype(str),
    "text like dates": pd.Index(["2024-01-02", "2024-13-01", "2024-01-01"]),
    "numbers of articles": pd.Index(["2024-01-023", "2024-01-022"]),
    "categories": pd.CategoricalIndex([*"bcadef"]),
    "trades": pd.DatetimeIndex(HOURS[0] + pd.to_timedelta(np.cumsum(RNG.exponential(1e9, 300)))),
    "a clock that is not exact": pd.DatetimeIndex(
        HOURS[0] + pd.to_timedelta(np.arange(300) * 60e9 + RNG.normal(0, 1e9, 300))
    ),
    "year and month": pd.MultiIndex.from_product([range(2000, 2005), range(1, 13)]),
    "one row": HOURS[:1],
    "no rows": HOURS[:0],
    "no rows of text": pd.Index([], dtype="str"),
    "no text at first": pd.Index([None, "2024-01-02", "2024-01-01"], dtype="str"),
}


@pytest.mark.parametrize("kind", FINE)
def test_nothing_to_tell(kind):
    assert told(FINE[kind]) == ""


PANEL = pd.MultiIndex.from_product([["A", "B"], HOURS[:20]], names=["ticker", "date"])
SHUFFLED = RNG.permutation(120)
WRONG = {
    "newest first": (HOURS[::-1], "row 1 .*22:00.* does not come after row 0 .*119 such.*reverse it with X.iloc"),
    "numbers, newest first": (pd.RangeIndex(99, -1, -1), "row 1 .98. does not come after row 0 .99.*reverse it"),
    "shuffled": (HOURS[SHUFFLED], "shuffled, as by train_test_split without shuffle=False"),
    "shuffled numbers": (pd.Index(SHUFFLED), "shuffled, as by train_test_split"),
    "shuffled periods": (HOURS.to_period("h")[SHUFFLED], "shuffled"),
    "shuffled in a zone": (HOURS.tz_localize("Asia/Tokyo")[SHUFFLED], "shuffled"),
    "shuffled text": (HOURS.astype(str)[SHUFFLED], "shuffled"),
    "shuffled text of days": (pd.Index(pd.date_range("2024", periods=120).strftime("%Y-%m-%d"))[SHUFFLED], "shuffled"),
    "a hole in text": (HOURS.astype(str).delete([5, 6]), "X has 1 hole in time: after row 4 .*04:00.* comes .*07:00"),
    "shuffled dates": (pd.Index(pd.date_range("2024", periods=120).date)[SHUFFLED], "shuffled"),
    "shuffled pairs of numbers": (FINE["year and month"][RNG.permutation(60)], "shuffled"),
    "twice each": (HOURS.repeat(2), "row 1 .* row 0 .*120 such.*more than once: if these are rows of several series"),
    "once twice": (HOURS.insert(70, HOURS[69]), "row 70 .* row 69 .*one of 1 such"),
    "one table after the other": (
        pd.Index([*range(50), *range(40)]),
        r"row 50 \(0\) .* row 49 \(49\).*another series begins there.*reset_index",
    ),
    "no time": (pd.DatetimeIndex([*HOURS[:5], pd.NaT, *HOURS[6:9]]), "row 5 .NaT. does not come after"),
    "a panel": (PANEL, "row 20 .B 2024.*The index also holds 'ticker'.*by groups"),
    "a panel with numbers": (
        pd.MultiIndex.from_product([[*"BA"], range(9)], names=["unit", "cycle"]),
        r"row 9 \(A 0\).*holds 'unit'",
    ),
    "a panel, interleaved": (
        PANEL.swaplevel()[np.arange(40).reshape(2, 20).T.ravel()],
        "Sort by 'ticker' and time first",
    ),
    "holes": (HOURS.delete([5, 6, 7, 60, 100]), r"X has 3 holes in time: after row 4 .*04:00.* comes .*08:00.*1 h are"),
    "a hole in numbers": (
        pd.Index([*range(30), *range(60, 90)]),
        r"X has 1 hole in time: after row 29 of X \(29\) comes 60",
    ),
    "a random part": (HOURS[np.sort(RNG.permutation(120)[:96])], "holes in time"),
    "a day of all seven": (pd.date_range("2024", periods=99).delete([50]), "X has 1 hole in time: after row 49"),
    "weeks without work": (
        pd.bdate_range("2024", periods=300).delete(range(99, 111)),
        "X has 1 hole in time: after row 98",
    ),
    "inside trading hours": (
        at_work(9, 17, 60, "10min").delete(range(500, 505)),
        "X has 1 hole in time: after row 499",
    ),
    # No day of the week is off, so that a day away is no holiday.
    "a day of opening hours on all seven": (
        pd.DatetimeIndex([t for t in pd.date_range("2024", periods=960, freq="h") if 8 <= t.hour < 18 and t.day != 17]),
        "X has 1 hole in time: after row 159",
    ),
    "a month": (pd.date_range("2020", periods=50, freq="MS").delete([7]), "X has 1 hole in time: after row 6"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_told(kind):
    index, message = WRONG[kind]
    assert pd.Series([told(index)]).str.contains(message, regex=True).all(), told(index)


def test_groups_are_looked_at_one_by_one():
    assert told(PANEL, np.repeat([0, 1], 20)) == ""
    assert told(HOURS.append(HOURS), np.repeat([0, 1], 120)) == ""
    assert "row 130" in told(HOURS.append(HOURS[[*range(10), 5, *range(11, 120)]]), np.repeat([0, 1], 120))
    # A hole between two groups is none.
    assert told(HOURS.delete(range(50, 60)), np.repeat([0, 1], [50, 60])) == ""


def test_an_index_that_names_the_groups_is_no_time():
    """As after ``set_index("unit")``, in fit and where tables are joined."""
    units = np.repeat([7, 3], 60)
    table, y = X.set_axis(units), Y.set_axis(units)
    fitted = model(carry_context=True).fit(table, y, groups=units, X_val=table, y_val=y, groups_val=units)
    fitted.predict(table, groups=units)
    fitted.predict(table[:60], groups=units[:60])
    fitted.predict(X.set_axis(np.arange(1, 121)), groups=units)
    fitted.predict(table[::5], groups=units[::5], context=table, context_groups=units)
    model().partial_fit(table, y, groups=units).partial_fit(table, y, groups=units)
    model().fit(table.set_axis(np.arange(3, 123)), y, groups=units, X_val=table, y_val=y, groups_val=units)
    assert "row 1 (7) does not come after row 0 (7), one of 119" in told(pd.Index(units))
    assert "row 1 (7) does not come after" in told(pd.Index([*units[:60], *range(60)]), units)


def test_newest_first_is_told_where_it_ruined_the_model():
    """A target that depends on the row before: without the order there is nothing to learn."""
    with pytest.warns(TimeOrderWarning, match="X is not in time order.*newest comes first"):
        model().fit(X[::-1], Y[::-1])
    X_train, X_test, y_train, _ = train_test_split(X, Y, random_state=0)
    with pytest.warns(TimeOrderWarning, match="X is not in time order.*train_test_split"):
        fitted = model().fit(X_train, y_train)
    with pytest.warns(TimeOrderWarning, match="X is not in time order"):
        fitted.predict(X_test)
    with pytest.warns(TimeOrderWarning, match="X is not in time order"):
        fitted.transform(X_test)


def test_the_index_of_y_speaks_where_x_has_none():
    """As behind a scaler, whose output has lost it."""
    pipeline = make_pipeline(StandardScaler(), model())
    X_train, _, y_train, _ = train_test_split(X, Y, random_state=0)
    with pytest.warns(TimeOrderWarning, match="y is not in time order.*train_test_split"):
        pipeline.fit(X_train, y_train)
    with pytest.warns(TimeOrderWarning, match="X is not in time order"):
        make_pipeline(StandardScaler(), model()).set_output(transform="pandas").fit(X_train, y_train)


def test_the_line_of_the_user_is_named():
    with pytest.warns(TimeOrderWarning) as caught:
        make_pipeline(StandardScaler().set_output(transform="pandas"), model()).fit(X[::-1], Y[::-1])
    assert [one.filename for one in caught] == [__file__]
    # Of joblib too, by which scikit-learn runs folds.
    with pytest.warns(TimeOrderWarning) as caught:
        cross_validate(model(), X[::-1], Y[::-1], cv=TimeSeriesSplit(2))
    assert {one.filename for one in caught} == {__file__}


def test_holes_are_told_once():
    with pytest.warns(TimeOrderWarning, match="X has 1 hole in time") as caught:
        fitted = model().fit(X.drop(HOURS[40:50]), Y.drop(HOURS[40:50]))
    assert len(caught) == 1
    fitted.predict(X.drop(HOURS[40:50]))
    with pytest.warns(TimeOrderWarning, match=r"X has 2 holes in time: after row 4 of X\[0\]") as caught:
        model().fit([X.drop(HOURS[5:8]), X, X.drop(HOURS[60:62])], [1.0, 2.0, 3.0])
    assert len(caught) == 1


def test_frames_in_a_list():
    fitted = model().fit([X[:5], X[3:9]], [1.0, 2.0])
    for method in (fitted.predict, lambda frames: model().fit(frames, [1.0, 2.0])):
        with pytest.warns(TimeOrderWarning, match=r"X\[1\] is not in time order: row 1 .*reverse it with X\[1\].iloc"):
            method([X[:5], X[5:9][::-1]])


def test_rows_that_are_samples_of_their_own_have_no_order():
    model(sequence_length=1).fit(X[::-1], Y[::-1]).predict(X.sample(frac=1))


@pytest.mark.parametrize("kind", [DeepLSTMRegressor, DeepLSTMClassifier])
def test_folds_in_time_have_nothing_to_tell(kind):
    y = Y if kind is DeepLSTMRegressor else (Y > 0).astype(int)
    for table, target in ((X, y), (X.reset_index(drop=True), y.reset_index(drop=True))):
        pipeline = make_pipeline(StandardScaler(), kind(**SMALL, carry_context=True)).set_output(transform="pandas")
        scores = cross_validate(pipeline, table, target, cv=TimeSeriesSplit(3), error_score="raise")
        assert len(scores["test_score"]) == 3
    # Two halves: no hole, whichever is the test part.
    assert len(
        cross_val_predict(kind(**SMALL), X, y.to_numpy(), cv=[(np.r_[:60], np.r_[60:120]), (np.r_[60:120], np.r_[:60])])
    )


def test_folds_around_a_test_part_have_a_hole():
    with pytest.warns(TimeOrderWarning, match="X has 1 hole in time: after row 39"):
        cross_validate(model(), X, Y, cv=[(np.r_[:40, 80:120], np.r_[40:80])])

"""Labels of the rows that a stream takes: times that go back are told; names of features."""

import pickle
import warnings

import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from stream_case import ROWS, TABLE, fitted, same

from sklstm import DeepLSTMRegressor
from sklstm.exceptions import TimeOrderWarning
from sklstm.streaming import stream


def dated(n=12):
    return pd.DataFrame(
        ROWS[0, :n], columns=list("abc"), index=pd.date_range("2024-01-01", periods=len(ROWS[0, :n]), freq="h")
    )


def told(stream, rows):
    """Answers, and the messages that came with them."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        answers = [stream.step(row) for row in rows]
    assert all(warning.category is TimeOrderWarning and warning.filename == __file__ for warning in caught)
    return answers, [str(warning.message) for warning in caught]


@pytest.mark.parametrize("with_steps", [False, True])
def test_rows_out_of_order_are_told(with_steps):
    frame = dated()
    model = make_pipeline(StandardScaler(), fitted("one")).fit(frame, frame["a"])
    made = stream(model) if with_steps else model[-1].stream()
    rows = [row for _, row in frame.iterrows()]
    assert told(made, rows)[1] == []
    message = (
        "x does not come after the row before it: it is 2024-01-01 {:02}:00:00, that one 2024-01-01 {:02}:00:00. A "
        "stream takes rows in the order of time; reset() it for rows of another series."
    )
    assert told(made, [rows[10], rows[3], rows[4], rows[4]])[1] == [
        message.format(10, 10), message.format(3, 10), message.format(4, 4)]  # fmt: skip
    assert told(made.reset(), rows[:2])[1] == []
    assert told(made, [frame[1:2], frame[2:3], frame[1:2]])[1] == [message.format(1, 1), message.format(1, 2)]
    made.state = made.state
    assert told(made, rows[:1])[1] == []
    # Nothing is said where nothing is known.
    assert told(made, [rows[3].to_numpy(), rows[3].rename(None), rows[3].rename("a"), rows[4]])[1] == []
    assert told(made, [rows[3].rename(pd.Timestamp("2020", tz="UTC"))])[1] == []


@pytest.mark.parametrize("with_steps", [False, True])
def test_the_rows_before_end_before_the_first(with_steps):
    frame = dated()
    model = make_pipeline(StandardScaler(), fitted("one")).set_output(transform="pandas").fit(frame, frame["a"])
    make = (
        (lambda context: stream(model, context=context))
        if with_steps
        else (lambda context: model[-1].stream(context=context))
    )
    assert told(make(frame[:5]), [frame.iloc[5]])[1] == []
    assert len(told(make(frame[:5]), [frame.iloc[4]])[1]) == 1
    # As an error it leaves the stream as it was.
    made = make(frame[:5])
    before = pickle.dumps(made.state)
    with pytest.raises(TimeOrderWarning, match="does not come after"):
        made.step(frame.iloc[4])
    assert pickle.dumps(made.state) == before


@pytest.mark.parametrize("with_steps", [False, True])
@pytest.mark.parametrize(
    "index",
    [
        pd.date_range("2024", periods=11, freq="h"),
        pd.date_range("2024", periods=11, freq="h", tz="Asia/Tokyo"),
        pd.timedelta_range("1s", periods=11, freq="s"),
        pd.RangeIndex(3, 14),
        pd.Index(range(3, 14)) / 2,
    ],
    ids=["times", "times in a zone", "differences", "integers", "numbers"],
)
def test_the_rows_that_were_kept_end_before_the_first(with_steps, index):
    frame = dated().set_axis(index)
    model = make_pipeline(StandardScaler(), fitted("one").set_params(carry_context=True)).set_output(transform="pandas")
    model.fit(frame.iloc[:8], frame["a"].iloc[:8])
    make = (lambda: stream(model)) if with_steps else model[-1].stream
    assert told(make(), [frame.iloc[8], frame.iloc[9]])[1] == []
    assert len(told(make(), [frame.iloc[5], frame.iloc[6]])[1]) == 1
    assert told(make().reset(), [frame.iloc[5]])[1] == []
    assert told(model[-1].stream(context=frame.iloc[:0]), [frame.iloc[5]])[1] == []
    assert told(make(), [frame.iloc[5].rename(0), frame.iloc[6].rename("a")])[1] == []


@pytest.mark.parametrize("output", ["default", "pandas"])
def test_a_context_that_is_out_of_order(output):
    frame = dated()
    model = make_pipeline(StandardScaler(), fitted("one")).set_output(transform=output).fit(frame, frame["a"])
    makers = {"default": [stream], "pandas": [stream, lambda model, **kind: model[-1].stream(**kind)]}
    for make in makers[output]:
        with pytest.warns(TimeOrderWarning, match="context is not in time order") as caught:
            make(model, context=frame[:5][::-1])
        assert [one.filename for one in caught] == [__file__]


@pytest.mark.parametrize(
    ("labels", "n_told"),
    [
        ([0, 1, 2], 0), ([7, 9, 10], 0), ([7, 9, 8], 1), ([0, 0, 0], 0), ([0, 1, 0, 1], 0), ([5, 5], 0),
        ([1.5, 0.5], 1),
        ([pd.Period("2024-03"), pd.Period("2024-02")], 1), ([pd.Timedelta("2h"), pd.Timedelta("1h")], 1),
        (["b", "a"], 0), ([("x", 2), ("x", 1)], 0), ([3, "a", 2], 1),
    ],
)  # fmt: skip
def test_labels_of_all_kinds(labels, n_told):
    regressor = fitted("one")
    rows = [pd.Series(TABLE[k], name=label) for k, label in enumerate(labels)]
    assert len(told(regressor.stream(), rows)[1]) == n_told
    # Labels of rows that belong to several streams are no times.
    table = pd.DataFrame(TABLE[: len(labels)], index=pd.Index(labels, tupleize_cols=False))
    assert told(regressor.stream(n_streams=len(labels)), [table, table])[1] == []


def test_names_of_arrow_tables():
    pa = pytest.importorskip("pyarrow")
    frame = dated()
    model = DeepLSTMRegressor(4, max_iter=1, random_state=0).fit(frame, frame["a"])
    table = pa.table({name: frame[name].to_numpy() for name in "abc"})
    assert same(model.stream().step(table[:1]), model.predict(frame)[0])
    with pytest.raises(ValueError, match="feature 0 of x is named 'b', expected 'a'"):
        model.stream().step(table.select(["b", "a", "c"])[:1])

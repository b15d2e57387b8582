"""The log of a learner: columns, the course of the loss in bounded memory, states."""

import sys
import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklstm._online.history import KINDS, History


def test_events_are_columns():
    history = History(rows_per_point=2)
    history.append("refit", 10, n=100)
    history.append("drift", 4, loss=2.5)
    history.append("own", np.int64(12), share=np.float32(0.5), loss=3)
    for row, loss in enumerate((1.0, 2.0, 5.0)):
        history.observe(row, loss)
    found = history.as_dict()
    assert list(found) == ["kind", "row", "loss", "n", "share"]
    assert found["kind"].tolist() == ["loss", "loss", "drift", "refit", "own"]
    assert_array_equal(found["row"], [1, 2, 4, 10, 12])
    assert_array_equal(found["loss"], [1.5, 5.0, 2.5, np.nan, 3.0])
    assert_array_equal(found["n"], [2, 1, np.nan, 100, np.nan])
    assert_array_equal(found["share"], [np.nan] * 4 + [0.5])
    assert {found[name].dtype.kind for name in ("loss", "n", "share")} == {"f"}
    assert (found["row"].dtype, len(history)) == (np.int64, 3)
    assert set(History().as_dict()) == {"kind", "row", "loss", "n"}
    assert all(len(column) == 0 for column in History().as_dict().values())


def test_an_event_comes_behind_the_loss_that_led_to_it():
    history = History(rows_per_point=1)
    history.append("drift", 5)
    history.observe(5, 1.0)
    assert history.as_dict()["kind"].tolist() == ["loss", "drift"]


def test_refusals_leave_the_log_as_it_was():
    history = History()
    history.append("drift", 1, loss=1.0)
    for call, kind, message in (
        (lambda: history.append("", 1), ValueError, "kind=''"),
        (lambda: history.append(3, 1), ValueError, "kind=3"),
        (lambda: history.append("loss", 1), ValueError, "the loss is told to observe"),
        (lambda: history.append("drift", -1), ValueError, "row=-1"),
        (lambda: history.append("drift", 1.5), ValueError, "row=1.5"),
        (lambda: history.append("drift", 1, loss="a"), TypeError, "loss='a', expected a number"),
        (lambda: History(rows_per_point=0), ValueError, "rows_per_point=0"),
        (lambda: History(max_points=7), ValueError, "max_points=7, expected an even number"),
    ):
        with pytest.raises(kind, match=message):
            call()
    assert len(history) == 1
    assert history.as_dict()["loss"].tolist() == [1.0]


@pytest.mark.parametrize("n", [1, 63, 64, 65, 200, 5000])
def test_the_course_of_the_loss_is_bounded_and_loses_no_row(n):
    losses = np.random.default_rng(0).normal(size=n)
    history = History(rows_per_point=4, max_points=16)
    for row, loss in enumerate(losses.tolist()):
        history.observe(row, loss)
    found = history.as_dict()
    assert len(found["row"]) <= 16
    assert found["n"].sum() == n
    ends = found["row"] + 1
    assert ends[-1] == n
    begins = np.concatenate([[0], ends[:-1]])
    assert_allclose(found["loss"], [losses[a:b].mean() for a, b in zip(begins, ends, strict=True)], rtol=1e-12)
    assert_array_equal(found["n"], ends - begins)


def test_blocks_of_rows():
    one, many = History(rows_per_point=4), History(rows_per_point=4)
    losses = np.random.default_rng(0).normal(size=40)
    for row in range(0, 40, 2):
        one.observe(row, losses[row])
        one.observe(row + 1, losses[row + 1])
        many.observe(row + 1, losses[row : row + 2].mean(), n=2)
    assert_array_equal(one.as_dict()["row"], many.as_dict()["row"])
    assert_allclose(one.as_dict()["loss"], many.as_dict()["loss"], rtol=1e-12)


def test_memory_does_not_grow_with_rows():
    history = History()
    for row in range(1000):
        history.observe(row, 1.0)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for row in range(1000, 30_000):
        history.observe(row, 1.0)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 2000
    assert sys.getsizeof(history._rows) < 200


@pytest.mark.parametrize("cut", [0, 3, 50, 64, 99])
def test_a_state_goes_on_with_the_same_bits(cut):
    def play(history, rows):
        for row in rows:
            history.observe(row, 0.1 * row)
            if row % 7 == 0:
                history.append("drift" if row % 2 else "share", row, **({"share": 0.1} if row > 40 else {}))

    whole, part = History(3, 8), History(3, 8)
    play(whole, range(100))
    play(part, range(cut))
    again = History.from_state(part.state())
    play(again, range(cut, 100))
    assert list(again.as_dict()) == list(whole.as_dict())
    for name, column in whole.as_dict().items():
        assert_array_equal(again.as_dict()[name], column)
    assert again.rows_per_point == whole.rows_per_point


def test_a_state_that_does_not_fit_together_is_refused():
    history = History()
    history.append("drift", 1, loss=1.0)
    history.observe(1, 1.0, n=40)
    for change in (
        lambda s: s.update(rows=np.zeros(2, np.int64)),
        lambda s: s.update(codes=np.array([1])),
        lambda s: s["numbers"].update(loss=np.zeros(3)),
        lambda s: s["points"].update(sums=np.zeros(3)),
    ):
        state = history.state()
        change(state)
        with pytest.raises(ValueError, match="do not fit together"):
            History.from_state(state)


def test_a_table_of_pandas_can_be_made():
    pandas = pytest.importorskip("pandas")
    history = History()
    history.observe(3, 1.0)
    history.append("drift", 3, loss=1.0)
    assert pandas.DataFrame(history.as_dict()).shape == (2, 4)
    assert "drift" in KINDS

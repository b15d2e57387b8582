"""Rows that arrive one at a time: the bits of `predict`, context, and answers written to `out`."""

import copy
import sys
import tracemalloc

import numpy as np
import pytest
from stream_case import (
    KINDS,
    LENGTH,
    N_ROWS,
    ROWS,
    all_same,
    expected_answers,
    fitted,
    methods,
    run,
    same,
)


@pytest.fixture(scope="module")
def regressor():
    return fitted("one")


# The bits of predict


@pytest.mark.isa
@pytest.mark.parametrize("window", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("n_layers", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_every_step_has_the_bits_of_one_call(kind, n_layers, dtype, window):
    model = fitted(kind, n_layers=n_layers, dtype=dtype)
    for method in methods(model):
        for n_streams in (1, 3):
            rows = ROWS[:n_streams]
            stream = model.stream(n_streams=n_streams, window=window, response_method=method)
            assert all_same(run(stream, rows), expected_answers(model, rows, method, window))
        stream = model.stream(window=window, response_method=method)
        single = [answer[0] for answer in expected_answers(model, ROWS[:1], method, window)]
        assert all_same(run(stream, ROWS[0]), single)


@pytest.mark.isa
@pytest.mark.parametrize("window", [False, True])
@pytest.mark.parametrize("hidden_size", [1, 16, 33])
@pytest.mark.parametrize("n_streams", [20, 40])
def test_many_streams(n_streams, hidden_size, window):
    """Several chunks, which threads share."""
    rows = ROWS[:n_streams]
    for kind in ("many", "three labels"):
        model = fitted(kind, hidden_size=hidden_size, n_layers=2)
        stream = model.stream(n_streams=n_streams, window=window)
        assert all_same(run(stream, rows), expected_answers(model, rows, "predict", window))


@pytest.mark.isa
@pytest.mark.parametrize("length", [1, 2, N_ROWS - 1, N_ROWS, 50])
def test_windows_of_any_length(length):
    """The first, short ones and those the first rows have left."""
    model = fitted("one", sequence_length=length)
    assert all_same(
        run(model.stream(n_streams=3, window=True), ROWS[:3]), expected_answers(model, ROWS[:3], "predict", 1)
    )
    long = np.concatenate(ROWS[:8])
    assert all_same(run(model.stream(window=True), long), list(model.predict(long)))


@pytest.mark.isa
def test_a_long_carried_stream(regressor):
    long = np.concatenate(ROWS)
    stream = regressor.stream(window=False)
    answers = run(stream, long)
    for n_rows in (1, 7, 100, len(long)):
        assert same(answers[n_rows - 1], regressor.predict(long[np.newaxis, :n_rows])[0])


@pytest.mark.parametrize("window", [False, True])
def test_streams_are_independent(regressor, window):
    stream = regressor.stream(n_streams=3, window=window)
    changed = ROWS[:3].copy()
    changed[1] += 1.0
    before, after = np.array(run(stream, ROWS[:3])), np.array(run(stream.reset(), changed))
    np.testing.assert_array_equal((before != after).any(axis=0), [False, True, False])


# Context


@pytest.mark.isa
@pytest.mark.parametrize("window", [False, True])
@pytest.mark.parametrize("n_before", [0, 1, LENGTH - 2, LENGTH - 1, LENGTH, 8])
def test_context_is_the_rows_before(regressor, n_before, window):
    rows = ROWS[:3]
    expected = expected_answers(regressor, rows, "predict", window)[n_before:]
    stream = regressor.stream(n_streams=3, window=window, context=rows[:, :n_before])
    assert all_same(run(stream, rows[:, n_before:]), expected)
    one = regressor.stream(window=window, context=rows[1, :n_before])
    assert all_same(run(one, rows[1, n_before:]), [answer[1] for answer in expected])
    if n_before:
        listed = regressor.stream(n_streams=3, window=window, context=[row.tolist() for row in rows[:, :n_before]])
        assert all_same(run(listed, rows[:, n_before:]), expected)


@pytest.mark.isa
@pytest.mark.parametrize("kind", ["many", "two labels"])
@pytest.mark.parametrize("length", [1, LENGTH])
def test_carried_rows_come_before_every_windowed_stream(kind, length):
    model = fitted(kind, carry_context=True, sequence_length=length)
    rows = ROWS[:3]
    expected = expected_answers(model, rows, "transform", True)
    for n_streams in (None, 3):
        chosen = rows[0] if n_streams is None else rows
        stream = model.stream(n_streams=n_streams, window=True, response_method="transform")
        assert all_same(run(stream, chosen), [answer[0] for answer in expected] if n_streams is None else expected)
    # Other rows before, or none, replace them; a sequence follows nothing.
    stream = model.stream(window=True, context=rows[0, :5], response_method="transform")
    assert all_same(run(stream, rows[0, 5:]), list(model.transform(rows[0, 5:], context=rows[0, :5])))
    nothing = np.empty((0, 3))
    stream = model.stream(window=True, context=nothing, response_method="transform")
    assert all_same(run(stream, rows[0]), list(model.transform(rows[0], context=nothing)))
    stream = model.stream(n_streams=3, window=False, response_method="transform")
    assert all_same(run(stream, rows), expected_answers(model, rows, "transform", False))


# out, and memory


@pytest.mark.parametrize("window", [False, True])
@pytest.mark.parametrize("n_streams", [None, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_out_takes_the_answer(kind, n_streams, window):
    model = fitted(kind)
    rows = ROWS[0] if n_streams is None else ROWS[:3]
    for method in methods(model):
        streams = [model.stream(n_streams=n_streams, window=window, response_method=method) for _ in range(2)]
        for row in np.moveaxis(rows, -2, 0):
            expected = np.asarray(streams[0].step(row))
            if method == "predict" and "labels" in kind:
                expected = expected.astype(model.classes_.dtype)
            wide = np.zeros((*expected.shape, 2), expected.dtype)
            for out in (np.zeros_like(expected), wide[..., 0]):
                before = copy.deepcopy(streams[1])
                assert before.step(row, out=out) is out
                assert same(out, expected)
            assert not wide[..., 1].astype(bool).any()
            streams[1] = before


@pytest.mark.parametrize("window", [False, True])
@pytest.mark.parametrize("n_streams", [None, 3])
@pytest.mark.parametrize("method", ["predict", "transform"])
def test_a_step_keeps_no_memory(method, n_streams, window):
    model = fitted("many", n_jobs=1)
    stream = model.stream(n_streams=n_streams, window=window, response_method=method)
    rows = np.moveaxis(ROWS[0] if n_streams is None else ROWS[:3], -2, 0).astype(np.float32).copy()
    out = np.array(stream.step(rows[0]))

    def steps(n):
        for t in range(n):
            stream.step(rows[t % N_ROWS], out=out)

    steps(100)
    tracemalloc.start()
    try:
        steps(100)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        steps(1000)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 500
    # At no moment is there more than the small objects of Python and NumPy: a view of `out`, a number, an iterator.
    assert peak - before < 2500
    blocks = sys.getallocatedblocks()
    steps(1000)
    assert sys.getallocatedblocks() - blocks < 20

"""What a stream remembers: reset, states that can be put back, copies, one model for many streams."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from stream_case import (
    LENGTH,
    ROWS,
    TABLE,
    TARGETS,
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


# States


@pytest.mark.parametrize("window", [False, True])
@pytest.mark.parametrize("n_streams", [None, 3])
def test_reset(regressor, n_streams, window):
    rows = ROWS[0] if n_streams is None else ROWS[:3]
    stream = regressor.stream(n_streams=n_streams, window=window, context=rows[..., :2, :])
    run(stream, rows)
    assert stream.reset() is stream
    fresh = regressor.stream(n_streams=n_streams, window=window)
    assert pickle.dumps(stream.state) == pickle.dumps(fresh.state)
    assert all_same(run(stream, rows), run(fresh, rows))


@pytest.mark.isa
@pytest.mark.parametrize("window", [False, True])
@pytest.mark.parametrize("streams", [[1], 1, [-2], [1, 1], np.array([False, True, False]), [False, True, False]])
def test_reset_of_some(regressor, streams, window):
    """The lengths of windows differ from then on."""
    rows = ROWS[:3]
    stream = regressor.stream(n_streams=3, window=window)
    run(stream, rows[:, :6])
    stream.reset(streams)
    answers = np.array(run(stream, rows[:, 6:]))
    whole = np.array(expected_answers(regressor, rows, "predict", window))[6:]
    anew = np.array(expected_answers(regressor, rows[1:2, 6:], "predict", window))
    assert same(answers, np.column_stack([whole[:, 0], anew, whole[:, 2]]))


def test_reset_of_none(regressor):
    stream = regressor.stream(n_streams=3)
    run(stream, ROWS[:3])
    before = pickle.dumps(stream.state)
    stream.reset([]).reset(np.zeros(3, bool))
    assert pickle.dumps(stream.state) == before


def test_the_carried_state_is_that_of_the_network():
    model = fitted("one", n_layers=2)
    stream = model.stream(n_streams=3, window=False)
    assert list(stream.state) == ["h_l0", "c_l0", "h_l1", "c_l1"]
    assert all(not array.any() for array in stream.state.values())
    run(stream, ROWS[:3])
    state = stream.state
    assert {(array.shape, array.dtype.name) for array in state.values()} == {((3, 7), "float32")}
    assert same(state["h_l1"], model.transform(ROWS[:3]))
    for name in ("c_l0", "h_l0", "c_l1"):
        assert not same(state[name], state["h_l1"])


def test_the_windowed_state_is_the_last_rows(regressor):
    stream = regressor.stream(n_streams=2, window=True)
    rows = ROWS[:2]
    for t in range(9):
        if t == 6:
            stream.reset([1])
        n_rows = np.array([min(t, LENGTH - 1), min(t - 6 if t >= 6 else t, LENGTH - 1)])
        state = stream.state
        assert list(state) == ["rows", "n_rows"]
        assert same(state["n_rows"], n_rows)
        assert state["rows"].shape == (2, LENGTH - 1, 3)
        for i, n in enumerate(n_rows):
            assert same(state["rows"][i, LENGTH - 1 - n :], rows[i, t - n : t])
            assert not state["rows"][i, : LENGTH - 1 - n].any()
        stream.step(rows[:, t])


@pytest.mark.isa
@pytest.mark.parametrize("length", [1, LENGTH])
@pytest.mark.parametrize("window", [False, True])
@pytest.mark.parametrize("n_streams", [None, 3])
@pytest.mark.parametrize("n_before", [0, 2, 7])
def test_a_state_can_be_saved_and_put_back(tmp_path, n_before, n_streams, window, length):
    model = fitted("many", n_layers=2, sequence_length=length)
    rows = ROWS[0] if n_streams is None else ROWS[:3]
    stream = model.stream(n_streams=n_streams, window=window)
    run(stream, rows[..., :n_before, :])
    np.savez(tmp_path / "state.npz", **stream.state)
    saved = stream.state
    expected = run(stream, rows[..., n_before:, :])
    stream.state = saved
    assert all_same(run(stream, rows[..., n_before:, :]), expected)
    other = model.stream(n_streams=n_streams, window=window)
    run(other, rows[..., ::-1, :])
    with np.load(tmp_path / "state.npz") as loaded:
        other.state = loaded
    assert pickle.dumps(other.state) == pickle.dumps(saved)
    assert all_same(run(other, rows[..., n_before:, :]), expected)


def test_states_are_copies(regressor):
    for window in (False, True):
        stream = regressor.stream(window=window)
        run(stream, ROWS[0])
        state = stream.state
        before = pickle.dumps(state)
        run(stream, ROWS[1])
        assert pickle.dumps(state) == before
        stream.state = state
        for array in state.values():
            array[:] = 0
        assert pickle.dumps(stream.state) == before


# One model, many streams


@pytest.mark.parametrize("window", [False, True])
@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda stream: pickle.loads(pickle.dumps(stream))])
def test_copies_go_their_own_way(how, window):
    for kind in ("one", "two labels"):
        model = fitted(kind, carry_context=True)
        method = methods(model)[-1]
        for n_streams in (None, 3):
            rows = ROWS[0] if n_streams is None else ROWS[:3]
            stream = model.stream(n_streams=n_streams, window=window, response_method=method)
            run(stream, rows[..., :5, :])
            copied = how(stream)
            expected = run(stream, rows[..., 5:, :])
            assert all_same(run(copied, rows[..., 5:, :]), expected)


def test_a_copy_of_a_refitted_model_s_stream():
    """Pickled after a new fit, it still holds the parameters it was made with."""
    model = fitted("one")
    expected = run(model.stream(), ROWS[0])
    stream = model.stream()
    model.set_params(n_layers=2, sequence_length=2).fit(TABLE * 2, TARGETS["many"])
    assert all_same(run(pickle.loads(pickle.dumps(stream)), ROWS[0]), expected)


def test_a_pickle_holds_nothing_of_the_training():
    model = fitted("one", carry_context=True).partial_fit(TABLE, TARGETS["one"])
    moments = model._training_state["loop"]["moments"]
    stream = model.stream().reset()
    assert "_training_state" not in vars(stream._model)
    assert model.context_.tobytes() not in pickle.dumps(stream)
    assert model._training_state["loop"]["moments"] is moments


@pytest.mark.parametrize("window", [False, True])
def test_a_stream_keeps_the_parameters_it_was_made_with(window):
    model = fitted("many")
    expected = expected_answers(model, ROWS[:2], "predict", window)
    stream = model.stream(n_streams=2, window=window)
    found = run(stream, ROWS[:2, :4])
    model.set_params(sequence_length=9, hidden_size=3, dtype="float64").fit(TABLE[::-1], TARGETS["one"])
    assert all_same(found + run(stream, ROWS[:2, 4:]), expected)
    assert all_same(
        run(model.stream(n_streams=2, window=window), ROWS[:2]), expected_answers(model, ROWS[:2], "predict", window)
    )


@pytest.mark.parametrize("window", [False, True])
def test_one_stream_a_thread(window):
    model = fitted("many", n_layers=2)

    def answers(i):
        rows = ROWS[i : i + 20]
        return b"".join(answer.tobytes() for answer in run(model.stream(n_streams=20, window=window), rows))

    expected = [answers(i) for i in range(6)]
    with ThreadPoolExecutor(2) as executor:
        for _ in range(3):
            assert list(executor.map(answers, range(6))) == expected

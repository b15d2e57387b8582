"""One stream belongs to one thread at a time: another is refused in words, and neither crashes nor mixes anything."""

import copy
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from stream_case import ROWS, fitted, run

KINDS_OF_STREAM = {
    "rows of a window": ({}, True),
    "carried states": ({"n_layers": 2}, False),
    "stateful training": ({"training": "stateful", "shuffle": False}, None),
    "calls, bidirectional": ({"bidirectional": True}, None),
    "calls, pooling": ({"pooling": "mean"}, None),
    "calls, pooling, carried": ({"pooling": "mean"}, False),
    "calls, window_norm": ({"window_norm": "standard"}, None),
}
each_kind = pytest.mark.parametrize("kind", KINDS_OF_STREAM)


def make(kind, target="three labels", method="predict_proba", **more):
    options, window = KINDS_OF_STREAM[kind]
    model = fitted(target, **options, **more)
    return model, model.stream(window=window, response_method=method)


@each_kind
@pytest.mark.parametrize("with_out", [False, True])
def test_whatever_another_thread_asks_of_it_is_refused(kind, with_out):
    _, stream = make(kind)
    expected = run(copy.deepcopy(stream), ROWS[0])
    state, answer, refused = stream.state, stream._decode, []
    asked = [
        lambda: stream.step(ROWS[1, 0]),
        lambda: stream.step(ROWS[1, 0], out=np.empty(3)),
        stream.reset,
        lambda: stream.state,
        lambda: setattr(stream, "state", state),
        lambda: pickle.dumps(stream),
        lambda: copy.deepcopy(stream),
    ]

    def ask():
        for question in asked:
            with pytest.raises(RuntimeError, match=r"at work in another thread.* make a stream for each"):
                question()
            refused.append(question)

    def interrupted(z, out=None):
        stream._decode = answer  # for whom nobody refuses
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
        stream._decode = interrupted
        return answer(z, out=out)

    stream._decode = interrupted
    found = [stream.step(row, out=np.empty(3) if with_out else None) for row in ROWS[0]]
    assert_array_equal(found, expected)
    assert len(refused) == len(asked) * len(ROWS[0])


def test_the_short_way_of_a_number_asks_too():
    """One stream and one output: no array is made, but a step that makes one may be under way."""
    _, stream = make("rows of a window", "one", "predict")
    expected = run(copy.deepcopy(stream), ROWS[0])
    scalar, refused = stream._decode_one, []

    def ask():
        with pytest.raises(RuntimeError, match="at work in another thread"):
            stream.step(ROWS[1, 0])
        refused.append(True)

    def interrupted(z):
        stream._decode_one = scalar
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
        stream._decode_one = interrupted
        return scalar(z)

    stream._decode_one = interrupted
    assert [stream.step(row.tolist()) for row in ROWS[0]] == expected
    assert len(refused) == len(ROWS[0])


@each_kind
def test_a_step_that_failed_locks_nobody_out(kind):
    _, stream = make(kind)

    def failing(z, out=None):
        raise KeyboardInterrupt

    answer, stream._decode = stream._decode, failing
    with pytest.raises(KeyboardInterrupt):
        stream.step(ROWS[0, 0])
    stream._decode, answers = answer, []
    thread = threading.Thread(target=lambda: answers.append(stream.reset().step(ROWS[0, 0])))
    thread.start()
    thread.join()
    assert len(answers) == 1


EIGHT_THREADS = """
import sys
import threading
import numpy as np

sys.path.insert(0, sys.argv[1])
from stream_case import ROWS
from test_streaming_threads import KINDS_OF_STREAM, make

sys.setswitchinterval(1e-5)
rows = ROWS[:8, 0]
for kind in KINDS_OF_STREAM:
    if kind == "calls, window_norm":
        continue  # no windows of one row
    for target, method in (("many", "predict"), ("one", "predict"), ("three labels", "transform")):
        model, stream = make(kind, target, method, sequence_length=1, hidden_size=200)
        if "carried" in kind or "stateful" in kind:
            possible = None  # any order of the steps before gives another answer
        else:
            possible = getattr(model, method)(rows)
        done, refused, wrong = [], [], []

        def work(i):
            for _ in range(50):
                try:
                    answer = stream.step(rows[i])
                except RuntimeError as error:
                    refused.append(str(error))
                else:
                    done.append(i)
                    if possible is not None and not np.array_equal(answer, possible[i]):
                        wrong.append(i)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(done) + len(refused) == 8 * 50, kind
        assert not wrong, (kind, target, len(wrong))
        assert all("at work in another thread" in message for message in refused)
        print(kind, target, len(done), len(refused))
"""


def test_eight_threads_and_one_stream():
    """In a process of its own: without a guard it dies of signal 11."""
    done = subprocess.run(
        [sys.executable, "-c", EIGHT_THREADS, str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3 * (len(KINDS_OF_STREAM) - 1)

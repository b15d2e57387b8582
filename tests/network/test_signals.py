"""Calls without the GIL: other threads of Python are neither waited for nor held up, and signals are answered."""

import signal
import sys
import threading
import time

import numpy as np
import pytest
from network.test_network import make_network
from numpy.testing import assert_array_equal

from sklstm._network.network import Network
from sklstm._network.parameters import ParameterLayout
from sklstm._sequences import Sequences

needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="timers that raise signals are POSIX")


class Answer(Exception):
    """Raised by a handler."""


@pytest.fixture
def handler():
    """Raise `Answer` when the alarm rings."""

    def answer(number, frame):
        raise Answer

    before = signal.signal(signal.SIGALRM, answer)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def long_call(n_threads, hidden=32, n=64, steps=1500):
    """A network, and sequences that take it some time."""
    network, _ = make_network("float32", n_threads, layout=ParameterLayout(4, (hidden,), 2))
    return network, Sequences.from_array(np.random.default_rng(0).normal(size=(n, steps, 4)).astype(np.float32))


def seconds_of(function):
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def test_a_busy_thread_of_python_is_not_waited_for():
    """Taking the GIL once per step would take 5 ms each: 7 s here."""
    network, sequences = long_call(1)
    alone = min(seconds_of(lambda: network.forward(sequences)) for _ in range(3))
    stop = False

    def spin():
        while not stop:
            pass

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        beside = min(seconds_of(lambda: network.forward(sequences)) for _ in range(3))
    finally:
        stop = True
        thread.join()
    # Twice for a machine of one core, and a switch of the GIL at the end.
    assert beside < 3 * alone + 0.2


def call_of_some_time(training, n_threads, least=0.4):
    """A call of at least so many seconds when its memory has been touched before, and how long it takes then."""
    n = 256
    while True:
        network, sequences = long_call(n_threads, hidden=64, n=n, steps=300)
        arguments = sequences, np.arange(n), np.zeros((n, 2), np.float32), np.ones(n, np.float32), "squared", 1.0

        def call(network=network, sequences=sequences, arguments=arguments):
            return network.loss_and_gradient(*arguments) if training else network.forward(sequences)

        call()
        seconds = min(seconds_of(call) for _ in range(2))
        if seconds > least:
            return call, seconds
        n *= max(2, int(1.3 * least / seconds))


def seconds_to_answer(call, wait):
    """How long after the alarm what its handler raises ends the call."""
    begin = time.perf_counter()
    signal.setitimer(signal.ITIMER_REAL, wait)
    with pytest.raises(Answer):
        call()
    return time.perf_counter() - begin - wait


@needs_posix
@pytest.mark.parametrize(("training", "n_threads"), [(False, 1), (True, 2)])
def test_what_a_handler_raises_ends_the_call(handler, training, n_threads):
    call, whole = call_of_some_time(training, n_threads)
    expected = call()
    # The best of three: another program may hold the core for a while.
    delays = [seconds_to_answer(call, 0.1) for _ in range(3)]
    assert min(delays) < 0.15 < 0.5 * whole
    # Nothing of the ended call is left behind.
    assert_array_equal(call(), expected)


@needs_posix
def test_a_handler_that_returns_changes_nothing(handler):
    """It is asked for again and again: at every look of the caller, each 50 ms, one of the alarms is answered."""
    call, _ = call_of_some_time(False, 2)
    expected, rung = call(), []
    signal.signal(signal.SIGALRM, lambda number, frame: rung.append(time.perf_counter()))
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    begin = time.perf_counter()
    found = call()
    end = time.perf_counter()
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert_array_equal(found, expected)
    inside = [moment for moment in rung if begin < moment < end - 0.01]
    assert len(inside) > (end - begin) / 0.15
    assert len(inside) < (end - begin) / 0.04 + 2


def test_another_thread_asks_nobody():
    """Only the main thread runs handlers."""
    network, sequences = long_call(1, steps=300)
    results = []
    thread = threading.Thread(target=lambda: results.append(network.forward(sequences)))
    thread.start()
    thread.join()
    assert_array_equal(results[0], network.forward(sequences))


def test_a_stream_is_refused_while_another_thread_steps():
    """Two steps at once would write beyond the rows that a window keeps."""
    layout = ParameterLayout(64, (256,), 1)
    network = Network(layout, "float32", 1)
    network.load(layout.initial(np.random.default_rng(0), np.float32))
    kernels = network.stream_kernels(32, 16, np.zeros((32, 1), np.float32), False)
    rows, refused = np.ones((32, 64), np.float32), []

    def steps():
        for _ in range(60):
            try:
                kernels.step(rows)
            except RuntimeError as error:
                refused.append(str(error))

    threads = [threading.Thread(target=steps) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused
    assert set(refused) == {
        "the stream is at work in another thread; one thread at a time may use it: make a stream for each"
    }

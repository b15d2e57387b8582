"""Fits that are shared with workers: the bits of a fit alone, and what happens when one of them fails."""

import contextvars
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from estimator_case import parameters_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

from sklstm import DeepRNNClassifier, DeepRNNRegressor
from sklstm._distributed.messages import Lost, connect
from sklstm._distributed.pool import WorkerPool
from sklstm.distributed import LocalWorkers
from sklstm.exceptions import WorkerError

RNG = np.random.default_rng(11)
X = RNG.normal(size=(700, 3))
Y = np.convolve(X[:, 0], [0.5, 0.3])[:700]
GROUPS = np.repeat(["a", "b", "c"], [300, 150, 250])
RAGGED = [RNG.normal(size=(length, 3)) for length in RNG.integers(2, 20, size=120)]
SMALL = {"hidden_size": 12, "sequence_length": 6, "max_iter": 2, "random_state": 0, "n_jobs": 2, "batch_size": 200}


def alone(function, *arguments, **keywords):
    """Call a function without the workers of this test."""
    return contextvars.Context().run(function, *arguments, **keywords)


def regressor(**parameters):
    return DeepRNNRegressor(**{**SMALL, **parameters})


@pytest.fixture(scope="module", params=[1, 2, 4])
def some_workers(request):
    with LocalWorkers(request.param, n_threads=1) as workers:
        yield workers


@pytest.fixture(scope="module")
def workers():
    with LocalWorkers(2, n_threads=2) as workers:
        yield workers


def same(first, second):
    assert parameters_equal(first, second)
    assert first.loss_curve_ == second.loss_curve_
    assert first.validation_scores_ == second.validation_scores_
    assert first.gradient_norms_ == second.gradient_norms_


def test_any_number_of_workers_gives_the_bits_of_a_fit_alone(some_workers):
    model = regressor(dropout=0.2, hidden_size=[12, 8])
    fits = [{"groups": GROUPS, "sample_weight": np.arange(700) % 3}, {}]
    for arguments in fits:
        same(model.fit(X, Y, **arguments), alone(clone(model).fit, X, Y, **arguments))


def described(fits):
    return [pytest.param(model, arguments, id=name) for name, (model, arguments) in fits.items()]


STEPS = [Y[: len(sequence)] for sequence in RAGGED]
FITS = {
    "gru float64": (regressor(cell="gru", dtype="float64", recurrent_dropout=0.1), (X, Y)),
    "bfloat16": (regressor(dtype="bfloat16", hidden_size=16), (X, Y)),
    "weight dropout, accumulation": (regressor(weight_dropout=0.2, accumulation_steps=2, batch_size=70), (X, Y)),
    "zoneout, adaptive norm": (regressor(zoneout=0.1, max_grad_norm="adaptive", shuffle="blocks"), (X, Y)),
    "float32 table, two outputs": (regressor(), (X.astype("f4"), np.column_stack([Y, X[:, 1]]))),
    "window norm, skip": (regressor(window_norm="last", target_column=0, linear_skip=3), (X, Y)),
    "skip, fine-tuned": (regressor(linear_skip=3, linear_skip_training="fine_tune"), (X, Y)),
    "attention, schedule-free": (regressor(attention_heads=2, solver="schedule_free", bidirectional=True), (X, Y)),
    "quantiles, no early stopping": (
        regressor(loss="quantile", quantile=[0.1, 0.5, 0.9], early_stopping=False),
        (X, Y),
    ),
    "huber, constraint": (regressor(loss="huber", recurrent_constraint="spectral_norm"), (X, Y)),
    "two seeds": (regressor(n_seeds=2), (X, Y)),
    "stateful": (regressor(training="stateful", shuffle=False, bptt_steps=5, batch_size=50), (X, Y)),
    "sequences": (regressor(batch_size=60), (RAGGED, Y[:120])),
    "array of sequences": (regressor(batch_size=60), (X[:696].reshape(116, 6, 3), Y[:116])),
    "targets at every step": (regressor(targets="sequence", batch_size=40), (RAGGED, STEPS)),
    "labels": (DeepRNNClassifier(**SMALL), (X, np.digitize(Y, [-0.5, 0.5]))),
}


@pytest.mark.parametrize(("model", "arguments"), described(FITS))
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_every_kind_of_fit_has_its_bits(workers, model, arguments):
    same(clone(model).fit(*arguments), alone(clone(model).fit, *arguments))


def test_a_decoder_reads_the_rows_ahead(workers):
    model = regressor(decoder="recurrent", known_columns=[1, 2], early_stopping=False)
    y = np.column_stack([Y[1:-2], Y[2:-1], Y[3:]])
    arguments = {"future": X[-3:]}
    same(model.fit(X[:-3], y, **arguments), alone(clone(model).fit, X[:-3], y, **arguments))


def test_partial_fit_and_warm_start(workers):
    models = regressor(warm_start=True), regressor(warm_start=True)
    for block in (slice(0, 300), slice(300, 700)):
        models[0].partial_fit(X[block], Y[block])
        alone(models[1].partial_fit, X[block], Y[block])
    same(models[0].fit(X, Y), alone(models[1].fit, X, Y))


def test_a_search_is_shared_too(workers):
    def scores():
        search = GridSearchCV(regressor(max_iter=1), {"hidden_size": [4, 8]}, cv=TimeSeriesSplit(2))
        return search.fit(X, Y).cv_results_["mean_test_score"]

    np.testing.assert_array_equal(scores(), alone(scores))


def test_the_gradients_come_from_the_workers(workers, monkeypatch):
    """Here, the kernels are not called for any."""
    from sklstm._network.network import Network

    def never(*batch, **more):
        raise AssertionError("computed here")

    monkeypatch.setattr(Network, "_forward_backward", never)
    regressor().fit(X, Y)
    with pytest.raises(AssertionError, match="computed here"):
        alone(regressor().fit, X, Y)


def test_the_validation_part_is_evaluated_by_the_workers(workers, monkeypatch):
    """Where it is large enough to be worth it."""
    from sklstm._network.network import Network

    forward, seen = Network.forward, []

    def here(self, sequences, **more):
        seen.append(len(sequences))
        return forward(self, sequences, **more)

    monkeypatch.setattr(Network, "forward", here)
    own = {"X_val": X[600:], "y_val": Y[600:]}
    model = regressor().fit(X, Y, **own)
    assert seen == []
    same(model, alone(regressor().fit, X, Y, **own))
    assert seen == [100, 100]
    few = regressor(early_stopping=True).fit(RAGGED, Y[:120])
    assert seen[2:] == [12, 12]
    same(few, alone(regressor(early_stopping=True).fit, RAGGED, Y[:120]))


def wait_until_gone(pid):
    for _ in range(200):
        try:
            os.kill(pid, 0)
            stat = Path(f"/proc/{pid}/stat")
            if stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return  # ended, and nobody asks how
        except (ProcessLookupError, FileNotFoundError):
            return
        time.sleep(0.05)
    raise AssertionError(f"process {pid} is still there")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("which", [0, 1])
def test_a_worker_that_dies_is_an_error_and_nothing_is_half_fitted(which):
    model = regressor(max_iter=100_000, tol=0, n_iter_no_change=100_000, early_stopping=False)
    with LocalWorkers(2, n_threads=1) as workers:
        before = clone(model).set_params(max_iter=2).fit(X, Y)
        again = clone(before).set_params(**model.get_params()).set_params(max_iter=2).fit(X, Y)
        again.set_params(max_iter=100_000)
        state = {name: value for name, value in vars(again).items() if name.endswith("_")}
        process = workers._processes[which]
        killer = threading.Timer(0.5, process.kill)
        killer.start()
        with pytest.raises(WorkerError, match=rf"process {process.pid} on .* has gone, in epoch \d+ of the training"):
            again.fit(X, Y)
        killer.join()
        assert {name: value for name, value in vars(again).items() if name.endswith("_")} == state
        with pytest.raises(NotFittedError):
            model.predict(X)
        # A new process is in its place.
        same(again.set_params(max_iter=2).fit(X, Y), before)
        assert workers._processes[which].pid != process.pid


@pytest.mark.skipif(sys.platform == "win32", reason="a signal cannot be sent to this process alone")
def test_ctrl_c_ends_a_fit_at_once_and_the_workers_are_there_for_the_next(workers):
    expected = alone(regressor().fit, X, Y)
    for delay in (0.02, 0.3, 0.5):
        model = regressor(max_iter=100_000, tol=0, n_iter_no_change=100_000, early_stopping=False)
        sent = []

        def interrupt(sent=sent):
            sent.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)

        timer = threading.Timer(delay, interrupt)
        timer.start()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the epochs that were finished
            with pytest.raises(KeyboardInterrupt):
                model.fit(X, Y)
        assert time.perf_counter() - sent[0] < 2
        same(regressor().fit(X, Y), expected)


def test_what_a_worker_raises_is_told(workers, monkeypatch):
    from sklstm._distributed.network import DistributedNetwork

    train = DistributedNetwork._train
    monkeypatch.setattr(
        DistributedNetwork, "_train", lambda self, *a, **k: train(self, *a, **{**k, "loss": "no such loss"})
    )
    with pytest.raises(WorkerError, match=r"worker \d of 2 \(process \d+ on .*\) failed: KeyError: 'no such loss'"):
        regressor().fit(X, Y)
    monkeypatch.undo()
    same(regressor().fit(X, Y), alone(regressor().fit, X, Y))


def test_divergence_leaves_the_workers_as_they_are(workers):
    with pytest.raises(ValueError, match="diverge"):
        regressor(learning_rate_init=1e30, max_grad_norm=None, solver="sgd").fit(X, Y)
    pids = [process.pid for process in workers._processes]
    same(regressor().fit(X, Y), alone(regressor().fit, X, Y))
    assert [process.pid for process in workers._processes] == pids


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_workers_end_with_the_process_that_started_them():
    code = (
        "import os, signal\nfrom sklstm.distributed import LocalWorkers\n"
        "with LocalWorkers(2) as workers:\n"
        "    print(*(process.pid for process in workers._processes), flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 2
    for pid in pids:
        wait_until_gone(pid)


def test_workers_are_for_one_fit_at_a_time_and_for_their_block():
    with LocalWorkers(1, n_threads=1) as workers:
        with workers.team(), pytest.raises(RuntimeError, match="another fit is running with this LocalWorkers"):
            regressor().fit(X, Y)
        with pytest.raises(RuntimeError, match="in use already"):
            workers.__enter__()
        processes = workers._processes
    assert [process.poll() for process in processes] == [0]
    with pytest.raises(RuntimeError, match="LocalWorkers is closed"), workers.team():
        pass


def test_other_threads_fit_alone(workers):
    model = regressor()
    with workers.team():  # it would be an error to use them
        thread = threading.Thread(target=model.fit, args=(X, Y))
        thread.start()
        thread.join()
    same(model, alone(regressor().fit, X, Y))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_workers": 0}, "n_workers=0, expected an integer of at least 1"),
        ({"n_workers": 2.0}, "n_workers=2.0, expected"),
        ({"n_workers": True}, "n_workers=True, expected"),
        ({"n_threads": 0}, "n_threads=0, expected"),
    ],
)
def test_numbers_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        LocalWorkers(**options)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("raise SystemExit(3)", r"worker 1 of 1 ended before it had (connected|begun) \(exit code 3\)"),
        ("import time; time.sleep(600)", r"0 of 1 workers have connected to 127.0.0.1 within 0.2 seconds"),
    ],
)
def test_a_worker_that_does_not_come(program, message, monkeypatch):
    from sklstm import distributed

    started, start = [], LocalWorkers._new_process
    monkeypatch.setattr(distributed, "_START", program)
    monkeypatch.setattr(distributed, "STOP_SECONDS", 0.1)
    monkeypatch.setattr(LocalWorkers, "_new_process", lambda self: started.append(start(self)) or started[-1])
    with pytest.raises(WorkerError, match=message), LocalWorkers(1, timeout=0.2 if "sleep" in program else 60.0):
        pass
    assert [process.poll() is None for process in started] == [False]


def test_those_that_came_are_let_go_when_others_do_not():
    came = []

    class OneWorker(WorkerPool):
        def _start_missing(self):
            if not came:
                came.append(executor.submit(connect, self._address, self._secret, 5.0))

        def _stop(self):
            came.append("stopped")

    with ThreadPoolExecutor(1) as executor:
        message = r"1 of 2 workers have connected to 127.0.0.1 within 0.3 seconds"
        with pytest.raises(WorkerError, match=message), OneWorker(2, "127.0.0.1", 0.3):
            pass
        connection, stopped = came[0].result(), came[1]
    assert stopped == "stopped"
    with pytest.raises(Lost, match="closed the connection"):
        connection.receive()
    connection.close()


def test_a_stranger_is_no_worker(monkeypatch):
    """Somebody who connects first, without the token, does not keep the others out."""
    from sklstm._distributed import messages, pool

    strangers = []

    def listen(host):
        listener = messages.listen(host)
        strangers.append(messages.socket.create_connection(listener.getsockname()))
        strangers[0].sendall(b"x" * 64)
        return listener

    monkeypatch.setattr(pool, "listen", listen)
    with LocalWorkers(1, n_threads=1):
        same(regressor().fit(X, Y), alone(regressor().fit, X, Y))
    with strangers[0] as stranger:
        assert stranger.recv(32)
        assert stranger.recv(32) == b""


def test_another_version_is_refused(monkeypatch):
    from sklstm._distributed import team

    monkeypatch.setattr(team, "__version__", "0.0.0")
    with pytest.raises(WorkerError, match=r"has version .* of sklstm, this process 0.0.0"), LocalWorkers(1):
        pass


def test_a_machine_without_the_instruction_set_is_refused(workers, monkeypatch):
    with workers.team() as team:
        for hello in team._hellos:
            monkeypatch.setitem(hello["isas"], "f32", ["ancient"])
    with pytest.raises(WorkerError, match=r"has no instruction set \w+, .* Set SKLSTM_MAX_ISA=ancient"):
        regressor().fit(X, Y)

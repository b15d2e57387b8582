"""Fits that are shared with other processes, on this machine or on a cluster, with the same bits.

Inside the ``with`` block of a `LocalWorkers` or `DaskWorkers`, the gradients of every `fit` and `partial_fit` are
computed by its workers.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from typing import Any, Self

from sklstm._distributed.pool import WorkerPool
from sklstm._distributed.worker import serve
from sklstm._kernels.core._pool import resolve_num_threads
from sklstm.exceptions import WorkerError

__all__ = ["DaskWorkers", "LocalWorkers"]

STOP_SECONDS = 5.0
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.stdin.readline()); "
    "from sklstm._distributed.worker import main; main()"
)


class LocalWorkers(WorkerPool):
    """Processes of this machine that compute the gradients of fits.

    Parameters
    ----------
    n_workers : int, default=2
        Number of processes.
    n_threads : int or None, default=None
        Threads of each; None for the cores of this process (or ``SKLSTM_NUM_THREADS``) divided by `n_workers`.
    timeout : float, default=60.0
        Seconds to wait until all of them have started.

    Raises
    ------
    WorkerError
        If they do not start in time. In a fit: if one of them has gone or failed; the estimator is then as it was, and
        the next fit has a new process in its place.

    See Also
    --------
    DaskWorkers : The same on the workers of a dask cluster.

    Notes
    -----
    A fit in this process is as fast as one shared with processes of the same machine, whose cores both use. This class
    is for trying out, for tests, and for machines on which the threads of one process do not reach all memory equally
    fast.

    See `DaskWorkers` about what is shared, and how.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepLSTMRegressor
    >>> from sklstm.distributed import LocalWorkers
    >>> X = np.random.default_rng(0).normal(size=(300, 2))
    >>> model = DeepLSTMRegressor(8, sequence_length=4, max_iter=2, random_state=0)
    >>> alone = model.fit(X, X[:, 0]).predict(X)
    >>> with LocalWorkers(2):
    ...     shared = model.fit(X, X[:, 0]).predict(X)
    >>> bool((alone == shared).all())
    True
    """

    def __init__(self, n_workers: int = 2, *, n_threads: int | None = None, timeout: float = 60.0) -> None:
        n_workers = self._checked_number(n_workers, "n_workers")
        super().__init__(n_workers, "127.0.0.1", timeout)
        self._n_threads = n_threads if n_threads is None else self._checked_number(n_threads, "n_threads")
        self._processes: list[subprocess.Popen[bytes] | None] = [None] * n_workers

    def __enter__(self) -> Self:
        """Start the processes."""
        return super().__enter__()

    def __exit__(self, *exception: object) -> None:
        """End the processes."""
        super().__exit__(*exception)

    def _start_missing(self) -> None:
        for k, process in enumerate(self._processes):
            if process is not None and process.poll() is None:
                continue
            if process is not None and k in self._fresh:
                raise WorkerError(
                    f"worker {k + 1} of {self._n_workers} ended before it had connected (exit code "
                    f"{process.returncode})."
                )
            self._processes[k] = self._new_process()
            self._fresh.add(k)

    def _new_process(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-c", _START], stdin=subprocess.PIPE)
        n_threads = self._n_threads or max(1, resolve_num_threads(None) // self._n_workers)
        # Not on the command line, which everybody can read.
        task = {"address": self._address, "token": self._secret.hex(), "n_threads": n_threads}
        lines = json.dumps([str(folder) for folder in sys.path]) + "\n" + json.dumps(task) + "\n"
        assert process.stdin is not None
        try:
            process.stdin.write(lines.encode())
            process.stdin.close()
        except OSError as error:
            raise WorkerError(f"a worker ended before it had begun (exit code {process.wait()}).") from error
        return process

    def _stop(self) -> None:
        for process in self._processes:
            if process is None:
                continue
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes = [None] * self._n_workers


class DaskWorkers(WorkerPool):
    """Workers of a dask cluster that compute the gradients of fits.

    Parameters
    ----------
    client : distributed.Client
        Of the cluster. A task is submitted for each worker, which ends with the ``with`` block; nothing else goes
        through dask.
    n_workers : int or None, default=None
        Number of workers of the cluster that take part; None for all that it has.
    n_threads : int or None, default=None
        Threads of each; None for those that the cluster gives to the worker.
    host : str or None, default=None
        Address of this machine that the workers connect to; None for the one from which it reaches the scheduler.
    timeout : float, default=60.0
        Seconds to wait until all of them have connected.

    Raises
    ------
    WorkerError
        If the cluster has too few workers, or they do not connect in time. In a fit: if one of them has gone or failed;
        the estimator is then as it was, and the next fit takes another worker of the cluster in its place, if there is
        one.

    See Also
    --------
    LocalWorkers : The same with processes of this machine, without dask.

    Notes
    -----
    **What is shared.** The kernels cut a batch into chunks of up to 32 samples and add the gradients of the chunks up
    in up to 16 sums, in a fixed order. Workers compute sums that follow each other: from the first worker the gradient
    goes to the second, which adds its own, and so on; the last one sends it back to this process, which makes the step
    of the solver. So the result has the bits of a fit without workers, for any number of them. More workers than a
    batch has chunks have nothing to do: for four workers of four threads set ``batch_size=512`` or more.

    Everything that `fit` can do is shared: tables, sets of sequences, groups, weights, stateful training, early
    stopping, callbacks, Ctrl-C. Networks of `n_seeds` are trained one after the other, by all workers.

    **What is sent.** The table, once for each fit, to every worker; for each step the weights to every worker, and the
    gradient once around, over connections of its own (TCP, not encrypted, raw arrays with checked lengths). Both sides
    of a connection prove that they know a random token, which the workers get through dask.

    **The same bits** need the same instruction set on all machines; a worker that lacks that of this process is an
    error. ``SKLSTM_MAX_ISA`` lowers it.

    Examples
    --------
    >>> from distributed import Client  # doctest: +SKIP
    >>> from sklstm.distributed import DaskWorkers  # doctest: +SKIP
    >>> with Client("scheduler:8786") as client, DaskWorkers(client):  # doctest: +SKIP
    ...     model.fit(X, y)
    """

    def __init__(
        self,
        client: Any,
        n_workers: int | None = None,
        *,
        n_threads: int | None = None,
        host: str | None = None,
        timeout: float = 60.0,
    ) -> None:
        known = client.nthreads()
        n_workers = len(known) if n_workers is None else self._checked_number(n_workers, "n_workers")
        if not 1 <= n_workers <= len(known):
            raise WorkerError(f"n_workers={n_workers}, but the cluster has {len(known)} workers.")
        super().__init__(n_workers, _address_towards(client.scheduler.address) if host is None else host, timeout)
        self._client = client
        self._n_threads = n_threads if n_threads is None else self._checked_number(n_threads, "n_threads")
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Self:
        """Submit the tasks."""
        return super().__enter__()

    def __exit__(self, *exception: object) -> None:
        """End the tasks."""
        super().__exit__(*exception)

    def _start_missing(self) -> None:
        known = self._client.nthreads()
        for address, future in list(self._tasks.items()):
            if address in known and not future.done():
                continue
            if address in self._fresh:
                why = future.exception() if future.status == "error" else future.status
                raise WorkerError(f"the task on the worker {address} ended before it had connected: {why!r}.")
            future.cancel()
            del self._tasks[address]
        free = iter(_spread([address for address in known if address not in self._tasks]))
        while len(self._tasks) < self._n_workers:
            chosen = next(free, None)
            if chosen is None:
                raise WorkerError(f"the cluster has {len(known)} workers, {self._n_workers} are needed.")
            n_threads = self._n_threads or known[chosen]
            # On this worker alone: dask would run it again elsewhere, when nobody waits for it any more.
            place = {"workers": [chosen], "allow_other_workers": False, "pure": False}
            self._tasks[chosen] = self._client.submit(serve, self._address, self._secret, n_threads, **place)
            self._fresh.add(chosen)

    def _stop(self) -> None:
        for future in self._tasks.values():
            try:
                future.result(timeout=STOP_SECONDS)
            except Exception:  # whatever became of it: nobody needs it any more
                future.cancel()
        self._tasks = {}


def _spread(addresses: list[str]) -> list[str]:
    """Return addresses of workers in an order that goes from machine to machine."""
    seen: dict[str, int] = {}
    turns = []
    for address in addresses:
        machine = address.rpartition(":")[0]
        turns.append(seen.setdefault(machine, 0))
        seen[machine] += 1
    return [address for _, address in sorted(zip(turns, addresses, strict=True), key=lambda pair: pair[0])]


def _address_towards(scheduler: str) -> str:
    """Return the address of this machine from which it reaches a scheduler."""
    protocol, _, place = scheduler.rpartition("://")
    if protocol not in ("tcp", "tls"):
        return "127.0.0.1"  # in this process
    host, _, port = place.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:  # nothing is sent
        probe.connect((host, int(port)))
        return probe.getsockname()[0]

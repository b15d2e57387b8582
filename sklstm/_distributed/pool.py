"""Workers that wait for fits: what those of this machine and those of a cluster have in common."""

import secrets
from abc import ABC, abstractmethod
from contextlib import contextmanager
from numbers import Integral
from threading import Lock
from time import monotonic

from sklstm._distributed.current import stop_using, use
from sklstm._distributed.messages import accept, listen
from sklstm._distributed.team import Team
from sklstm.exceptions import WorkerError


class WorkerPool(ABC):
    """Workers, from the beginning of a ``with`` block to its end.

    Parameters
    ----------
    n_workers : int
    host : str
        Address of this machine that the workers connect to.
    timeout : float
        Seconds to wait for them.
    """

    def __init__(self, n_workers, host, timeout):
        self._n_workers, self._host, self._timeout = n_workers, host, timeout
        self._secret = self._listener = self._address = self._team = self._context = None
        self._fresh = set()
        self._lock = Lock()

    def __enter__(self):
        """Start the workers; the fits of this thread are shared with them from now on."""
        if self._listener is not None:
            raise RuntimeError(f"this {type(self).__name__} is in use already; make another one.")
        self._secret, self._listener = secrets.token_bytes(32), listen(self._host)
        try:
            self._address = self._listener.getsockname()[:2]
            self._gather()
        except BaseException:
            self._close()
            raise
        self._context = use(self)
        return self

    def __exit__(self, *exception):
        """Stop the workers."""
        stop_using(self._context)
        self._close()

    @contextmanager
    def team(self):
        """Give the `Team` for a fit; one fit at a time."""
        if not self._lock.acquire(blocking=False):
            raise RuntimeError(
                f"another fit is running with this {type(self).__name__}; workers are for one fit at a time."
            )
        try:
            if self._listener is None:
                raise RuntimeError(f"this {type(self).__name__} is closed; fit inside of its with block.")
            if not self._team.is_open:
                self._gather()
            try:
                yield self._team
            finally:
                self._team.end_fit()
        finally:
            self._lock.release()

    def _gather(self):
        """Wait until all workers have connected, for the first time or again."""
        self._fresh = set()
        connections, end = [], monotonic() + self._timeout
        try:
            while len(connections) < self._n_workers:
                self._start_missing()
                if monotonic() > end:
                    raise WorkerError(
                        f"{len(connections)} of {self._n_workers} workers have connected to {self._host} within "
                        f"{self._timeout:g} seconds."
                    )
                one = accept(self._listener, self._secret, 0.2)
                if one is not None:
                    connections.append(one)
        except BaseException:
            for one in connections:
                one.close()
            raise
        self._team = Team(connections)

    @staticmethod
    def _checked_number(value, name):
        if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name}={value!r}, expected an integer of at least 1.")
        return int(value)

    def _close(self):
        if self._team is not None:
            self._team.stop()
        self._listener.close()
        self._listener = self._team = None
        self._stop()

    @abstractmethod
    def _start_missing(self):
        """Start workers that have not been started, or have ended since; they connect to `_address` with `_secret`.

        It is called again and again until all have connected: that a worker has ended may take a while to be seen.
        `_fresh` holds those that were started since the beginning; if one of them has ended, it raises.
        """

    @abstractmethod
    def _stop(self):
        """Wait until they have ended; they have been told to."""

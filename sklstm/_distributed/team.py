"""The workers of a fit, as the process that trains sees them."""

import selectors
import sys
from contextlib import contextmanager, suppress
from itertools import pairwise
from time import monotonic

import numpy as np

from sklstm._distributed.messages import Lost, encode
from sklstm._distributed.network import DistributedNetwork
from sklstm._version import __version__
from sklstm.exceptions import WorkerError

# How long to wait for the worker that failed first, when another one tells that it lost its neighbour.
GRACE_SECONDS = 1.0


class Team:
    """Workers that compute gradients together.

    Weights and a batch go to all of them; the sum of the gradients goes from the first to the second and so on, each
    adds its own slots, in their order, and the last one sends it back.

    Parameters
    ----------
    connections : list of Connection
        Each has just been accepted.

    Attributes
    ----------
    is_open : bool
    n_workers : int
    """

    def __init__(self, connections):
        self._connections, self.n_workers = connections, len(connections)
        self._kept, self._number, self._hellos = [], 0, []
        self.is_open = True
        self._selector = selectors.DefaultSelector()
        for rank, one in enumerate(connections):
            self._selector.register(one, selectors.EVENT_READ, rank)
        try:
            for rank in range(self.n_workers):
                self._hellos.append(_checked(self._receive(rank, "hello")[0]))
            for rank, one in enumerate(connections):
                after = self._hellos[rank + 1] if rank + 1 < self.n_workers else None
                address = None if after is None else [after["host"], after["port"]]
                one.send("ring", {"rank": rank, "n_workers": self.n_workers, "next": address})
            for rank in range(self.n_workers):
                self._receive(rank, "formed")
        except BaseException:
            self.close()
            raise

    def network(self, layout, dtype, n_threads, **options):
        """Return a `DistributedNetwork` that these workers train."""
        return DistributedNetwork(self, layout, dtype, n_threads, **options)

    def make_network(self, values, arrays):
        """Let all workers make a network; it takes the place of the one before."""
        dtype, isa = values["dtype"], values["isa"]
        for rank, hello in enumerate(self._hellos):
            if dtype != "bfloat16" and isa not in hello["isas"]["f32"]:
                raise WorkerError(
                    f"{self.name_of(rank)} has no instruction set {isa}, which this process uses: its gradients would "
                    f"have other bits. Set SKLSTM_MAX_ISA={hello['isas']['f32'][-1]} in the environment of this "
                    "process."
                )
        with self._exchange():
            self._send_to_all("network", values, arrays)

    @contextmanager
    def _exchange(self, place="before the first epoch"):
        """Turn what breaks during the block into an error that says which worker has gone."""
        try:
            yield
        except Lost as error:
            raise self._failure(error, place) from error
        except BaseException:
            self.close()  # in the middle of an exchange, Ctrl-C for instance: what is on its way fits nothing
            raise

    def step(self, values, arrays, kept, gradient, epoch):
        """Compute the gradient of a batch.

        Parameters
        ----------
        values : dict
            What `Worker` passes to the network.
        arrays : dict of str to ndarray
            Weights and batch.
        kept : dict of str to ndarray
            Arrays that are the same in each step: they are sent once.
        gradient : ndarray
            Filled.
        epoch : int
            For messages.

        Returns
        -------
        losses : ndarray of shape (n_chunks,)
        states : ndarray or None
            Final states, where there are initial ones.
        """
        with self._exchange(f"in epoch {epoch + 1}"):
            keys = {name: self._keep(array) for name, array in kept.items()}
            self._number += 1
            self._send_to_all("step", {**values, "kept": keys, "number": self._number}, arrays)
            sums = self._receive_sums()
            self._connections[-1].receive_into(gradient)
            return sums["losses"], sums.get("states")

    def forward(self, weights, arrays, kept, out):
        """Compute the outputs of sequences, each worker those of some.

        Parameters
        ----------
        weights : ndarray
            Of the network.
        arrays : dict of str to ndarray
            With an entry for each sequence.
        kept : dict of str to ndarray
            Arrays that are the same in each call: they are sent once.
        out : ndarray of shape (n_sequences, n_outputs)
            Filled.
        """
        edges = [len(out) * rank // self.n_workers for rank in range(self.n_workers + 1)]
        parts = [slice(*pair) for pair in pairwise(edges)]
        with self._exchange("while the validation part was evaluated, in an epoch"):
            keys = {name: self._keep(array) for name, array in kept.items()}
            for one, part in zip(self._connections, parts, strict=True):
                own = {name: _as_sent(array[part]) for name, array in arrays.items()}
                one.send("forward", {"kept": keys}, {**own, "weights": weights})
            for rank, part in enumerate(parts):
                self._receive(rank, "outputs", {"z": out[part]})

    def _keep(self, array):
        """Return the key of an array that the workers keep until the end of the fit."""
        for key, known in enumerate(self._kept):
            if known is array:
                return key
        self._send_to_all("keep", {"key": len(self._kept)}, {"array": array})
        self._kept.append(array)
        return len(self._kept) - 1

    def _send_to_all(self, kind, values, arrays):
        parts = encode(kind, values, {name: _as_sent(array) for name, array in arrays.items()})
        for one in self._connections:
            one.send_parts(parts)

    def _receive(self, rank, kind, into=None):
        """Return values and arrays of the next message of a worker."""
        found, values, arrays = self._connections[rank].receive(into)
        if found == "failed":
            raise WorkerError(f"{self.name_of(rank)} failed: {values['error']}")
        if found != kind:
            raise Lost(f"{self.name_of(rank)} sent {found!r}, expected {kind!r}")
        return values, arrays

    def _receive_sums(self):
        """Return the arrays of the answer of the last worker; none of the others has anything to say by then."""
        last = self.n_workers - 1
        while True:
            ready = [key.data for key, _ in self._selector.select()]
            if any(rank != last for rank in ready):
                raise Lost("a worker tells of a fault, or has gone")
            if ready:
                return self._receive(last, "sum")[1]

    def _failure(self, error, place):
        """Return the error that says which worker has gone, and leave the others alone."""
        gone, told, end = set(), {}, monotonic() + GRACE_SECONDS
        last = self.n_workers - 1
        while monotonic() < end and not gone - {last} and not any(told.values()):
            for key, _ in self._selector.select(0.05):
                rank = key.data
                try:
                    found, values, _ = self._connections[rank].receive()
                    told[rank] = values.get("error") if found == "failed" else None
                except Lost:
                    gone |= {rank} - told.keys()
                    self._selector.unregister(key.fileobj)
        failed = [f"{self.name_of(rank)} failed: {text}" for rank, text in told.items() if text]
        # The last one may have ended in the middle of its answer, because the one before it has gone.
        lost = [f"{self.name_of(rank)} has gone" for rank in sorted(gone - {last} or gone)]
        what = "; ".join(lost or failed or [str(error)])
        self.close()
        return WorkerError(f"{what}, {place} of the training. The estimator is as it was before.")

    def name_of(self, rank):
        """Return what a worker is called in messages."""
        if rank >= len(self._hellos):
            return f"worker {rank + 1} of {self.n_workers}"
        hello = self._hellos[rank]
        where = f"process {hello['pid']} on {hello['machine']}"
        return f"worker {rank + 1} of {self.n_workers} ({where})"

    def end_fit(self):
        """Let the workers forget the arrays of a fit."""
        if not self.is_open:
            return
        self._kept = []
        try:
            self._send_to_all("forget", {}, {})
        except BaseException as error:
            self.close()
            if not isinstance(error, Lost):  # it will be noticed by the next fit
                raise

    def stop(self):
        """Let all workers end."""
        with suppress(Lost):
            for one in self._connections:
                one.send("stop")
        self.close()

    def close(self):
        """Close all connections; the workers connect again."""
        self.is_open = False
        self._selector.close()
        for one in self._connections:
            one.close()


def _checked(hello):
    """Return what a worker tells of itself, if it can work with this process."""
    for name, own in (("version", __version__), ("byteorder", sys.byteorder)):
        if hello[name] != own:
            raise WorkerError(
                f"the worker in process {hello['pid']} on {hello['machine']} has {name} {hello[name]} of sklstm, this "
                f"process {own}: all of them need the same."
            )
    return hello


def _as_sent(array):
    """Return an array with a dtype that messages hold: numbers of rows have 64 bits on all machines."""
    return array.astype(np.int64, copy=False) if array.dtype.kind == "i" else array

"""A worker: it connects to the process that trains, and computes its share of each batch until it is told to stop."""

import json
import os
import signal
import socket
import sys
from contextlib import suppress
from time import monotonic

import numpy as np

from sklstm._distributed.messages import HANDSHAKE_SECONDS, Lost, accept, connect, encode, listen
from sklstm._distributed.share import NetworkShare
from sklstm._kernels import available_isas
from sklstm._kernels.network._stack import lanes_of
from sklstm._network.noise import Noise
from sklstm._network.parameters import ParameterLayout
from sklstm._sequences import Sequences
from sklstm._version import __version__

RING_SECONDS = 30.0
REPORT_SECONDS = 5.0


def serve(address, token, n_threads):
    """Work until the process at an address says stop, or has gone.

    Parameters
    ----------
    address : (str, int)
        Where it listens.
    token : bytes
    n_threads : int
    """
    while True:
        try:
            connection = connect(address, token)
        except OSError:
            return  # it no longer listens
        worker = Worker(connection, token, n_threads)
        try:
            worker.run()
            return
        except Lost:
            # Interrupted, or another worker failed: be there for the next fit.
            continue
        finally:
            worker.close()


class Worker:
    """The state of a worker as long as its connection lasts.

    Parameters
    ----------
    connection : Connection
        To the process that trains.
    token : bytes
    n_threads : int
    """

    def __init__(self, connection, token, n_threads):
        self._trainer, self._token, self._n_threads = connection, token, n_threads
        host = connection.sock.getsockname()[0]
        self._listener = listen(host)
        self._before = self._after = self._network = None
        self._rank, self._n_workers, self._is_answering = 0, 1, False
        self._arrays, self._buffers = {}, {}
        hello = {"version": __version__, "pid": os.getpid(), "machine": socket.gethostname(), "host": host}
        hello |= {"port": self._listener.getsockname()[1], "isas": {k: available_isas(k) for k in ("f32", "reduced")}}
        connection.send("hello", {**hello, "byteorder": sys.byteorder, "n_threads": n_threads})

    def run(self):
        """Do what the messages say, until one of them is stop."""
        tasks = {"ring": self._form_ring, "keep": self._keep, "forget": self._forget}
        tasks |= {"network": self._make_network, "step": self._step, "forward": self._forward}
        while True:
            kind, values, arrays = self._trainer.receive(self._buffers)
            if kind == "stop":
                return
            if kind not in tasks:
                raise Lost(f"received the message {kind!r}")
            try:
                tasks[kind](values, arrays)
            except Lost as error:
                self._report("lost", error)
                raise
            except Exception as error:
                self._report("failed", error)
                raise Lost("told what failed") from error

    def _report(self, kind, error):
        """Tell the process that trains what went wrong, and wait until it has closed the connection.

        In the middle of an answer it would take the message for a part of it: then it finds the end of the connection.
        """
        if not self._is_answering:
            with suppress(Lost):
                self._trainer.send(kind, {"error": f"{type(error).__name__}: {error}"})
                self._trainer.wait_for_the_end(REPORT_SECONDS)

    def close(self):
        """Close all connections."""
        for one in (self._before, self._after, self._trainer):
            if one is not None:
                one.close()
        self._listener.close()

    def _form_ring(self, values, arrays):
        """Connect to the next worker, and wait for the one before."""
        self._rank, self._n_workers = values["rank"], values["n_workers"]
        if values["next"] is not None:
            self._after = connect(values["next"], self._token, HANDSHAKE_SECONDS + RING_SECONDS)
        end = monotonic() + RING_SECONDS
        while self._rank > 0 and self._before is None:
            if monotonic() > end:
                raise TimeoutError(f"worker {self._rank} did not connect to the next one")
            self._before = accept(self._listener, self._token, 1.0)
        self._trainer.send("formed")

    def _keep(self, values, arrays):
        self._arrays[values["key"]] = arrays["array"]

    def _forget(self, values, arrays):
        self._arrays, self._network, self._buffers = {}, None, {}

    def _make_network(self, values, arrays):
        layout = ParameterLayout(**_with_tuples(values["architecture"]))
        dtype, isa = values["dtype"], values["isa"]
        if dtype == "bfloat16" and isa not in available_isas("reduced"):
            isa = None  # the same bits, if the vectors are as long
        if lanes_of(dtype, isa) != values["lanes"]:
            raise ValueError(f"this machine has no kernels with vectors of {values['lanes']} numbers")
        scales = {name: arrays[name] for name in ("input_mean", "input_scale") if name in arrays}
        self._network = NetworkShare(layout, dtype, self._n_threads, self._rank, self._n_workers, isa=isa, **scales)
        # Each step brings new ones.
        self._buffers = {"weights": self._network.weights}

    def _step(self, values, arrays):
        network, kept = self._network, {name: self._arrays[key] for name, key in values["kept"].items()}
        if values["skip_is_frozen"]:
            network.freeze_skip()
        arrays = {**kept, **{name: array for name, array in arrays.items() if name != "weights"}}
        table, starts, lengths, ids = (arrays.pop(name) for name in ("table", "starts", "lengths", "ids"))
        own_states = None
        if "initial_state" in arrays:
            own_states = arrays["final_state"] = np.empty_like(arrays["initial_state"])
        if "sample_weight" in arrays:
            arrays["weights"] = arrays.pop("sample_weight")
        arguments = {**values["arguments"], **arrays}
        network.train_share(table, starts, lengths, ids, Noise(*values["noise"]), values["neighbours"], **arguments)
        self._pass_on(values["number"], own_states)

    def _forward(self, values, arrays):
        kept = {name: self._arrays[key] for name, key in values["kept"].items()}
        starts, blocks = arrays["starts"], np.array([0, len(arrays["starts"])])
        ahead = {"ahead": kept.get("ahead"), "ahead_starts": arrays.get("ahead_starts")}
        sequences = Sequences(kept["table"], starts, arrays["lengths"], blocks, **ahead)
        self._trainer.send("outputs", {}, {"z": self._network.answer(sequences)})

    def _pass_on(self, number, own_states):
        """Add what was computed to what comes from the worker before, and send it to the next, or back."""
        network = self._network
        sums = {"losses": np.zeros_like(network.losses)}
        if own_states is not None:
            sums["states"] = own_states
        if self._rank > 0:
            kind, values, sums = self._before.receive()
            if kind != "sum" or values["number"] != number or sums["losses"].shape != network.losses.shape:
                raise Lost("the worker before is at another step")
        network.add_to(sums["losses"], sums.get("states"), own_states)
        after, self._is_answering = self._after or self._trainer, self._after is None
        after.send_parts(encode("sum", {"number": number}, sums))
        for block in network.blocks_of_sum(None if self._before is None else self._before.receive_into):
            after.send_parts([memoryview(block).cast("B")])
        self._is_answering = False


def _with_tuples(values):
    """Return a dict that was JSON, in which lists stand for tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def main():
    """Serve as the standard input says; a process that ends closes it."""
    # Ctrl-C goes to all processes of a terminal: the one that trains decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    task = json.loads(sys.stdin.readline())
    serve(task["address"], bytes.fromhex(task["token"]), task["n_threads"])

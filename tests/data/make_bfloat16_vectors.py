"""Make bfloat16.npz: what two small networks compute in bfloat16, bit by bit, on every machine.

Gradient at the start, weights after five steps of Adam, predictions then; of an LSTM of two layers, and of a GRU with
options. The numbers were computed by the kernels of the baseline. Run it with the package installed::

    SKLSTM_MAX_ISA=baseline python tests/data/make_bfloat16_vectors.py

A change of these numbers is a change of what models in bfloat16 compute.
"""

from pathlib import Path

import numpy as np

from sklstm._network.network import Network
from sklstm._network.parameters import ParameterLayout
from sklstm._sequences import Sequences
from sklstm._training.optimizers import OPTIMIZERS

FILE = Path(__file__).with_name("bfloat16.npz")
NETWORKS = {
    "lstm": ({"hidden_sizes": (18, 9), "cell": "lstm"}, "squared", 2),
    "gru": (
        {"hidden_sizes": (20, 20), "cell": "gru", "bidirectional": True, "norm": "layer", "residual": 1},
        "multinomial_log",
        3,
    ),
}
N_STEPS = 5


def draw(name):
    """Return starting parameters, table, lengths and targets of a network; all exact in float32."""
    options, loss, n_outputs = NETWORKS[name]
    rng = np.random.default_rng(list(NETWORKS).index(name))
    layout = ParameterLayout(5, options["hidden_sizes"], n_outputs, **_others(options))
    lengths = np.sort(rng.integers(1, 9, 40))[::-1].astype(np.intp)
    targets = rng.normal(size=(40, n_outputs)) if loss == "squared" else rng.integers(0, n_outputs, (40, 1))
    return {
        # Multiples of 2^-20: no library of random numbers, and no QR, decides about the last bit.
        "start": _short(layout.initial(rng, "float64") + 0.1 * rng.normal(size=layout.size)),
        "table": _short(rng.normal(size=(lengths.sum(), 5))),
        "lengths": lengths,
        "targets": targets.astype(np.float32),
    }


def _others(options):
    return {key: value for key, value in options.items() if key != "hidden_sizes"}


def _short(numbers):
    return (np.rint(numbers * 2**20) / 2**20).astype(np.float32)


def compute(name, given, isa=None, n_threads=1):
    """Return the gradient at the start, the weights after some steps, and predictions, of what `draw` gave."""
    options, loss, n_outputs = NETWORKS[name]
    layout = ParameterLayout(5, options["hidden_sizes"], n_outputs, **_others(options))
    network = Network(layout, "bfloat16", n_threads, isa)
    network.load(given["start"])
    lengths = given["lengths"]
    starts = np.cumsum(lengths) - lengths
    sequences = Sequences(given["table"], starts, lengths, np.array([0, len(lengths)], np.intp))
    optimizer, rows = OPTIMIZERS["adam"](network, 0.0), np.arange(len(lengths))
    weights = np.ones(len(lengths), np.float32)
    for step in range(N_STEPS):
        network.loss_and_gradient(sequences, rows, given["targets"], weights, loss, 1 / len(rows))
        if step == 0:
            gradient = network.from_panels(network.gradient)
        optimizer.step(network.weights, network.gradient, 0.01)
    found = {"gradient": gradient, "weights": network.from_panels(network.weights)}
    return found | {"predictions": network.forward(sequences), "hidden": network.forward(sequences, want_hidden=True)}


if __name__ == "__main__":
    arrays = {}
    for name in NETWORKS:
        given = draw(name)
        arrays |= {f"{name}_{key}": value for key, value in {**given, **compute(name, given)}.items()}
    np.savez_compressed(FILE, **arrays)

"""What sharing a training step with local workers costs: the exchange alone, and whole steps with 1, 2 and 4 workers.

    PYTHONPATH=tests/benchmarks python tests/benchmarks/shared_steps.py [--seconds 20]

The network 1x64 with 50 columns has 29,505 parameters: in each step 118 kB of weights go to each worker, and as many
bytes of gradient come back. *Overhead* is that of a step with next to nothing to compute, windows of one row, four
chunks: the fastest of some thousand steps with workers less the fastest alone, and the same of their medians. Whole
steps are forward and backward over a batch of 512 windows of 32 rows. All sides run in turn in one process; other
programs on the machine can only slow one down. Each worker has one thread.
"""

import argparse
import statistics
import time
from contextlib import ExitStack

import numpy as np

from sklstm._network.network import Network
from sklstm._network.parameters import ParameterLayout
from sklstm._sequences import Sequences
from sklstm.distributed import LocalWorkers

ROWS, COLUMNS = 5000, 50
# Of whole steps, and of the exchange: windows and batch.
WHOLE, SMALL = (32, 512), (1, 128)
SIZES = {"1x64": (64,), "3x128": (128, 128, 128)}
TURN_SECONDS = 0.2


class Step:
    """A training step of one network, with the same batch each time."""

    def __init__(self, network, flat, table, length, batch):
        self.network, self.seconds = network, []
        self._sequences = Sequences.from_windows(table, length)
        self._targets, self._weights = table[:, :1].astype("f4"), np.ones(len(table), "f4")
        self._rows = np.random.default_rng(1).permutation(len(table))[:batch]
        network.load(flat)

    def __call__(self):
        """Make one step; return the gradient."""
        arguments = (self._sequences, self._rows, self._targets, self._weights, "squared", 1 / len(self._rows))
        self.network.loss_and_gradient(*arguments)
        return self.network.gradient

    def turn(self):
        """Make steps for a while; keep the seconds of each."""
        end = time.perf_counter() + TURN_SECONDS
        while True:
            begin = time.perf_counter()
            self()
            now = time.perf_counter()
            self.seconds.append(now - begin)
            if now > end:
                return


def measure(hidden_sizes, seconds, length, batch):
    """Return the `Step` of each side, by its name."""
    table = np.random.default_rng(0).normal(size=(ROWS, COLUMNS))
    layout = ParameterLayout(COLUMNS, hidden_sizes, 1)
    flat = np.random.default_rng(2).normal(0, 0.1, layout.size).astype("f4")
    sides = {f"alone, {n} thread{'s' * (n > 1)}": Network(layout, "float32", n) for n in (1, 2)}
    with ExitStack() as stack:
        for n in (1, 2, 4):
            team = stack.enter_context(stack.enter_context(LocalWorkers(n, n_threads=1)).team())
            sides[f"{n} worker{'s' * (n > 1)}"] = team.network(layout, "float32", 1)
        steps = {name: Step(network, flat, table, length, batch) for name, network in sides.items()}
        expected = steps["alone, 1 thread"]().copy()
        for name, step in steps.items():
            assert (step() == expected).all(), f"{name}: other bits"
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            for step in steps.values():
                step.turn()
    return steps, layout.size


def main():
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of each network")
    seconds = parser.parse_args().seconds
    steps, _ = measure(SIZES["1x64"], seconds, *SMALL)
    alone = steps.pop("alone, 1 thread").seconds
    print("| 1x64, windows of one row | overhead of the fastest step, ms | of the median, ms |")
    print("|---|---|---|")
    for side, step in steps.items():
        best, median = (1e3 * (f(step.seconds) - f(alone)) for f in (min, statistics.median))
        print(f"| {side} | {best:.3f} | {median:.3f} |")
    print("\n| network | side | fastest step, ms | median, ms | speed beside alone in 1 thread |")
    print("|---|---|---|---|---|")
    for name, hidden_sizes in SIZES.items():
        steps, n_parameters = measure(hidden_sizes, seconds, *WHOLE)
        base = min(steps["alone, 1 thread"].seconds)
        for side, step in steps.items():
            best, median = 1e3 * min(step.seconds), 1e3 * statistics.median(step.seconds)
            print(f"| {name} ({n_parameters}) | {side} | {best:.2f} | {median:.2f} | {1e3 * base / best:.2f}x |")


if __name__ == "__main__":
    main()

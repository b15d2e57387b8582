"""The linear part beside scikit-learn's `Ridge` on windows that are written down: seconds, memory, coefficients.

    PYTHONPATH=tests/benchmarks python tests/benchmarks/ridge.py

Each measurement is a process of its own, the two in turn; medians, and the peak of memory beyond that of the table.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

# Lags, columns, rows; the windows of ETTh1, and of a long series.
CASES = {"etth1": (336, 7, 17_420), "long": (168, 1, 1_000_000)}
PENALTY = 10.0


def draw(n_steps, n_features, n_rows):
    """Return a table and a target for each of its windows."""
    rng = np.random.default_rng(0)
    table = rng.normal(size=(n_rows, n_features)).cumsum(axis=0) / 10.0
    return table, rng.normal(size=n_rows - n_steps + 1) + table[n_steps - 1 :, 0]


def of_sklearn(table, y, n_steps):
    """Solve on windows less their last rows, as a user writes them."""
    from sklearn.linear_model import Ridge

    windows = np.lib.stride_tricks.sliding_window_view(table, n_steps, axis=0).transpose(0, 2, 1)
    windows = (windows - windows[:, -1:]).reshape(len(windows), -1)
    return Ridge(alpha=PENALTY).fit(windows, y).coef_


def of_sklstm(table, y, n_steps):
    """Solve as a fit with `linear_skip` does, for one penalty."""
    from sklstm._kernels.core._pool import resolve_num_threads
    from sklstm._network.network import Network
    from sklstm._network.parameters import ParameterLayout
    from sklstm._ridge.solution import solve_again
    from sklstm._sequences import Sequences
    from sklstm._training.loop import Samples

    layout = ParameterLayout(table.shape[1], (1,), 1, window_norm="last", linear_skip=n_steps)
    network = Network(layout, "float64", resolve_num_threads(None))
    sequences = Sequences.from_windows(table, n_steps).take(np.arange(n_steps - 1, len(table)))
    samples = Samples(sequences, y[:, np.newaxis], np.ones(len(y)))
    return solve_again(network, samples, samples.targets, PENALTY).weights[0]


def memory(name):
    """Return a number of /proc/self/status, in bytes (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(name)).split()[1])


def measure(kind, case):
    """Print seconds, the peak of memory in bytes beyond what there was before, and some coefficients."""
    n_steps = CASES[case][0]
    table, y = draw(*CASES[case])
    solve = {"sklearn": of_sklearn, "sklstm": of_sklstm}[kind]
    solve(table[: n_steps + 50], y[:51], n_steps)  # imports, threads
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = memory("VmRSS")
    begin = perf_counter()
    coefficients = solve(table, y, n_steps)
    seconds = perf_counter() - begin
    peak = memory("VmHWM") - before
    print(json.dumps({"seconds": seconds, "bytes": peak, "coefficients": coefficients.tolist()}))


def main():
    """Measure both, in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        measure(*options.one)
        return
    for case, sizes in CASES.items():
        found = {"sklearn": [], "sklstm": []}
        for _ in range(options.repeats):
            for kind, results in found.items():
                command = [sys.executable, __file__, "--one", kind, case]
                results.append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
        report(case, sizes, *found.values())


def report(case, sizes, theirs, ours):
    """Print a line."""
    seconds = [median(one["seconds"] for one in results) for results in (theirs, ours)]
    peaks = [median(one["bytes"] for one in results) / 1e6 for results in (theirs, ours)]
    coefficients = [np.array(results[0]["coefficients"]) for results in (theirs, ours)]
    difference = np.abs(coefficients[1] - coefficients[0]).max() / np.abs(coefficients[0]).max()
    print(
        f"{case} {sizes}: sklearn {seconds[0]:.2f} s, {peaks[0]:.0f} MB; sklstm {seconds[1]:.3f} s, {peaks[1]:.1f} MB: "
        f"{seconds[0] / seconds[1]:.0f} times as fast, {peaks[1] / peaks[0]:.1%} of the memory; coefficients differ "
        f"by {difference:.1e}"
    )


if __name__ == "__main__":
    main()

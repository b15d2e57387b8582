"""A million rows one by one through a learner: the time of a step, and whether the memory grows.

    python tests/reliability/long_stream.py [--rows 1000000] [--limit 1.0]

Each row is predicted, then its truth comes; the network is updated every 1,000 rows, and the detector looks at each
loss. Resident memory is read every 5,000 rows, once a tenth of the rows is through: from there on it must not grow by
more than so many MB. It also ends with an error if a prediction is not finite. Times are CPU times of the thread, which
other programs hardly change, and those of the wall, as `metrics` of the learner has them.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from sklstm import DeepLSTMRegressor
from sklstm.online import OnlineLearner

CHUNK, COLUMNS = 5_000, 4
PAGE = 4096


def resident():
    """Return the bytes of this process that are in memory, now or at most (where the system does not say)."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * PAGE
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def rows_of(k):
    """Return the rows of a chunk and their truths, by its number."""
    rng = np.random.default_rng([1, k])
    x = rng.standard_normal((CHUNK, COLUMNS))
    return x, x[:, 0] - 0.5 * x[:, 1] + 0.1 * rng.standard_normal(CHUNK)


def main():
    """Run the rows; print times and memory."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--limit", type=float, default=1.0, help="MB that the memory may grow by")
    options = parser.parse_args()
    model = DeepLSTMRegressor(16, sequence_length=8, max_iter=3, early_stopping=False, random_state=0, n_jobs=1)
    learner = OnlineLearner(model, update_every=1000, buffer_size=2000, refit=None, random_state=0)
    learner.fit(*(part[:1000] for part in rows_of(0)))
    n_chunks = options.rows // CHUNK
    # Made before the first reading, and written to, so that they are in memory.
    cpu = np.ones(n_chunks * CHUNK, np.float32)
    memory, begin = [], time.perf_counter()
    for k in range(n_chunks):
        x, y = rows_of(k + 1)
        for i, truth in enumerate(y.tolist()):
            used = time.thread_time()
            prediction = learner.predict_one(x[i])
            cpu[k * CHUNK + i] = time.thread_time() - used
            if not np.isfinite(prediction):
                raise SystemExit(f"row {k * CHUNK + i}: the prediction is {prediction}")
            learner.learn_one(x[i], truth)
        if k >= n_chunks // 10:
            memory.append(resident())
        if k % max(1, n_chunks // 20) == 0:
            print(f"{(k + 1) * CHUNK} rows, {resident() / 1e6:.2f} MB, {time.perf_counter() - begin:.0f} s", flush=True)
    found = learner.metrics()
    p50, p99 = 1e6 * np.quantile(cpu, (0.5, 0.99))
    print(f"step, CPU: median {p50:.1f} us, 99th percentile {p99:.1f} us")
    for name in ("step", "learn", "update", "drift_check"):
        p50, p99 = (1e6 * found[f"{name}_p{q}"] for q in (50, 99))
        print(f"metrics, {name}: median {p50:.1f} us, 99th percentile {p99:.1f} us, {found[f'{name}_count']} times")
    print(f"rows {found['rows']}, updates {found['updates']}, drifts {found['drifts']}, loss {found['loss']:.4f}")
    grown, swing = (memory[-1] - memory[0]) / 1e6, (max(memory) - memory[0]) / 1e6
    print(f"memory: {memory[0] / 1e6:.2f} MB at first, {grown:+.2f} MB at the end, {swing:+.2f} MB at most")
    if swing > options.limit:
        raise SystemExit(f"the memory has grown by {swing:.2f} MB, more than {options.limit} MB")


if __name__ == "__main__":
    main()

"""Predict a table larger than the memory that is allowed: speed beside `predict` in memory, peak memory, equal bits.

    python tests/reliability/large_table.py [--gigabytes 2] [--columns 20] [--row-group-rows 1000000] [--repeats 3]

A table of random numbers, with groups and times, is written to a temporary folder. `python -m sklstm predict` and
`predict` of the same model on the same rows in memory take turns; the second has read the table before its clock
starts, the clock of the first runs from the start of the process to its end. The answers are compared bit by bit, and
the peak resident memory of the command is what the system counted. It fails above --most-megabytes, or below
--least-share of the speed.
"""

import argparse
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import pyarrow as pa
from pyarrow import parquet

BLOCK_ROWS = 100_000


def names_of(n_columns):
    """Return the names of the columns that the model reads."""
    return [f"x{k}" for k in range(n_columns)]


def write_table(path, n_bytes, n_columns, row_group_rows):
    """Write a table of about so many bytes; random numbers are not compressed."""
    rng, schema = np.random.default_rng(0), None
    held, n_rows = [], 0
    with open(path, "wb") as file:
        writer = None
        while writer is None or file.tell() < n_bytes:
            rows = np.arange(n_rows, n_rows + BLOCK_ROWS)
            columns = {"series": (rows // 777_777).astype(str), "time": (60 * rows).astype("M8[s]")}
            columns |= {name: rng.random(BLOCK_ROWS) for name in names_of(n_columns)}
            held.append(pa.table(columns))
            n_rows += BLOCK_ROWS
            schema = schema or held[0].schema
            writer = writer or parquet.ParquetWriter(file, schema, use_dictionary=["series"])
            if len(held) * BLOCK_ROWS >= row_group_rows:
                writer.write_table(pa.concat_tables(held), row_group_size=len(held) * BLOCK_ROWS)
                held = []
        if held:
            writer.write_table(pa.concat_tables(held), row_group_size=len(held) * BLOCK_ROWS)
        writer.close()
    return n_rows


def write_model(path, table, options):
    """Fit a network to the first rows and save it."""
    from sklstm import DeepLSTMRegressor, save_model

    first = next(parquet.ParquetFile(table).iter_batches(20_000))
    X = first.select(names_of(options.columns)).to_pandas()
    model = DeepLSTMRegressor(options.hidden_size, sequence_length=options.sequence_length, max_iter=1, random_state=0)
    save_model(model.fit(X, X["x0"]), path)


def predict_in_memory(model, table, columns, out, asked, told):
    """Hold the table, and for each request tell how many seconds `predict` takes."""
    import warnings

    from sklstm import load_model

    warnings.filterwarnings("ignore", message="X does not have valid feature names")
    file = parquet.ParquetFile(table, pre_buffer=False)
    X, groups, row = np.empty((file.metadata.num_rows, columns)), [], 0
    for batch in file.iter_batches(BLOCK_ROWS):
        X[row : row + len(batch)] = np.column_stack([batch.column(name).to_numpy() for name in names_of(columns)])
        groups.append(batch.column("series").to_numpy(zero_copy_only=False).astype(np.int64))
        row += len(batch)
    model, groups = load_model(model), np.concatenate(groups)
    for _ in iter(asked.get, None):
        begin = perf_counter(), process_time()
        answers = model.predict(X, groups=groups)
        told.put((perf_counter() - begin[0], process_time() - begin[1]))
    np.save(out, answers)


def run_command(arguments):
    """Run the command, and return its seconds, those of all its threads, and its peak resident memory in MB."""
    begin = perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "sklstm", "predict", *map(str, arguments)])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"the command ended with {os.waitstatus_to_exitcode(status)}")
    return perf_counter() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def count_differences(out, expected):
    """Return how many answers differ in any bit."""
    answers, row, n_other = np.load(expected, mmap_mode="r"), 0, 0
    for batch in parquet.ParquetFile(out).iter_batches(BLOCK_ROWS, columns=["prediction"]):
        found = batch.column("prediction").to_numpy()
        n_other += int((found.view(np.int64) != answers[row : row + len(found)].view(np.int64)).sum())
        row += len(found)
    return n_other + abs(len(answers) - row)


def main():
    """Measure and compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--row-group-rows", type=int, default=1_000_000)
    parser.add_argument("--hidden-size", type=int, default=64)
    parser.add_argument("--sequence-length", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--most-megabytes", type=float, default=500)
    parser.add_argument("--least-share", type=float, default=0.8)
    parser.add_argument("--options", nargs="*", default=[], help="further options of the command, without dashes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        table, model, out, expected = (folder / name for name in ("table.parquet", "model", "out.parquet", "a.npy"))
        context = multiprocessing.get_context("spawn")
        # This process stays small: what the system counts for a child begins with the memory of its parent.
        with context.Pool(1) as pool:
            sizes = (options.gigabytes * 1e9, options.columns, options.row_group_rows)
            n_rows = pool.apply(write_table, (table, *sizes))
            pool.apply(write_model, (model, table, options))
        print(f"{n_rows:,} rows, {table.stat().st_size / 1e9:.2f} GB", flush=True)
        asked, told = context.Queue(), context.Queue()
        arguments = (model, table, options.columns, expected, asked, told)
        child = context.Process(target=predict_in_memory, args=arguments)
        child.start()
        shares, peaks = [], []
        command = [model, table, out, "--group", "series", "--time", "time", "--quiet"]
        command += [f"--{option}" if k % 2 == 0 else option for k, option in enumerate(options.options)]
        for _ in range(options.repeats):
            asked.put(True)
            seconds, cpu_seconds = told.get()
            own, own_cpu, peak = run_command(command)
            shares.append(seconds / own)
            peaks.append(peak)
            print(
                f"in memory {seconds:.1f} s ({n_rows / seconds:,.0f} rows/s), command {own:.1f} s, "
                f"{100 * shares[-1]:.1f} % of the speed, peak {peak:.0f} MB; seconds of all threads {cpu_seconds:.1f} "
                f"and {own_cpu:.1f} ({100 * cpu_seconds / own_cpu:.1f} %)",
                flush=True,
            )
        asked.put(None)
        child.join()
        n_other = count_differences(out, expected)
    share = statistics.median(shares)
    print(f"median {100 * share:.1f} % of the speed, peak {max(peaks):.0f} MB, {n_other} answers differ")
    raise SystemExit(n_other > 0 or max(peaks) > options.most_megabytes or share < options.least_share)


if __name__ == "__main__":
    main()

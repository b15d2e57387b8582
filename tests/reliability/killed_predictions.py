"""Kill `sklstm predict` at random moments, go on with --resume, and compare the bytes with those of one run.

    PYTHONPATH=tests python tests/reliability/killed_predictions.py [--kills 50] [--seed 0]

Each run is killed (SIGKILL, SIGTERM in turns) after a random time, from the start of the process to its usual end, so
that imports, batches and the writing of the table are all hit. It is gone on with until it ends by itself; then the
next begins anew. No output may be there before the end, none may differ in any byte, and no file may stay beside it.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from batch_case import model, table

from sklstm import save_model

KINDS = ("regressor", "stateful", "carried", "pipeline")


def begin(command):
    """Start the command."""
    return subprocess.Popen([sys.executable, "-m", "sklstm", *command], stderr=subprocess.PIPE, text=True)


def main():
    """Kill, resume and compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, n_kills, n_resumed, failures = random.Random(options.seed), 0, 0, []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        table(20).to_parquet(folder / "table.parquet", row_group_size=900)
        out = folder / "out.parquet"
        for kind in KINDS:
            save_model(model(kind), folder / kind)
        while n_kills < options.kills:
            kind = KINDS[n_kills % len(KINDS)]
            command = ["predict", folder / kind, folder / "table.parquet", out, "--group", "series", "--time", "time"]
            command = [str(one) for one in [*command, "--batch-rows", 25, "--quiet", "--resume"]]
            start = time.perf_counter()
            begin(command).communicate()
            seconds, expected = time.perf_counter() - start, out.read_bytes()
            out.unlink()
            while not out.exists():
                process = begin(command)
                try:
                    told = process.communicate(timeout=rng.uniform(0, 1.2 * seconds))[1]
                except subprocess.TimeoutExpired:
                    process.send_signal((signal.SIGKILL, signal.SIGTERM)[n_kills % 2])
                    told, n_kills = process.communicate()[1], n_kills + 1
                n_resumed += (folder / "out.parquet.partial").exists()
                if process.returncode not in (0, -9, -15, 143):
                    failures.append(f"{kind}: exit code {process.returncode}: {told}")
                    break
            if not out.exists() or out.read_bytes() != expected:
                failures.append(f"{kind}: other bytes after {n_kills} kills")
            left = sorted(path.name for path in folder.glob("out.parquet.*"))
            if left:
                failures.append(f"{kind}: left behind {left}")
            out.unlink(missing_ok=True)
    print(f"{n_kills} kills, {n_resumed} of them left rows that were gone on with, {len(failures)} failures")
    print(*failures, sep="\n")
    raise SystemExit(bool(failures))


if __name__ == "__main__":
    main()

"""Run what takes minutes and is no part of the suite: `make reliability` (doc/studies/reliability.md has the figures).

    python tests/reliability/run.py [NAME ...] [--whole] [--list]

One script runs at a time; the exit code of each tells whether its bounds held. Those that run the suite take some cases
of each test function, or they would need hours; `--whole` takes all.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
# The name of a script of this folder: what it tests, and its arguments. `make reliability` runs all of them, those that
# measure times first.
ROWS = {
    "interrupts": ("Ctrl-C at 200 random moments", []),
    "oversubscription": ("a grid search by two processes of two threads", []),
    "long_stream": ("a million rows one by one: time of a step, memory", []),
    "large_table": ("a table of 2 GB through the command line: memory, speed, bits", []),
    "processes": ("fork, spawn and forkserver after a fit with threads", []),
    "killed_workers": ("workers of shared fits killed, and Ctrl-C, at 100 random moments", []),
    "bad_input_counts": ("every message of the table of bad input", []),
    "mutated_model_files": ("10,000 changed model files", []),
    "concurrent_predictions": ("8 threads, 10,000 predictions each", []),
    "concurrent_fits": ("4 threads that train at once", []),
    "one_hash": ("300 sets of options, 1 to 8 threads", []),
    "killed_predictions": ("predictions of the command line, killed at 50 random moments", []),
    "killed_learner": ("kill -9 at 50 random moments of an online run with refits", ["--kills", "50"]),
    "properties": ("500 drawn examples of each property, against the reference", []),
    "every_float32": ("sigmoid, tanh and exp at all 2^32 numbers", []),
    "thread_sanitizer": ("threads under ThreadSanitizer", []),
    "line_coverage": ("lines and branches of the Python code that the suite runs", []),
    "address_sanitizer": ("tests and 300 estimators under AddressSanitizer and UBSan", []),
    "versions": ("the suite on the oldest versions, and on Python 3.12 and 3.13", []),
}
# How many cases of each test function without `--whole`.
CASES = {"line_coverage": 3, "address_sanitizer": 6, "versions": 3}


def main():
    """Run the chosen rows, and print a table of what came of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--whole", action="store_true", help="all cases of the suite, which takes hours")
    parser.add_argument("--list", action="store_true", help="print the names")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in ROWS]
    if unknown:
        parser.error(f"{', '.join(unknown)}: not among {', '.join(ROWS)}")
    if options.list:
        print(*(f"{name:24} {what}" for name, (what, _) in ROWS.items()), sep="\n")
        return
    paths = [str(HERE), str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    results = []
    for name in options.names or ROWS:
        what, arguments = ROWS[name]
        if name in CASES and not options.whole:
            arguments = [*arguments, "--cases", str(CASES[name])]
        print(f"\n{name}: {what}", flush=True)
        begin = time.perf_counter()
        done = subprocess.run([sys.executable, str(HERE / f"{name}.py"), *arguments], env=environment, check=False)
        results.append((name, done.returncode, time.perf_counter() - begin))
    print()
    for name, code, seconds in results:
        print(f"{name:24} {'ok' if code == 0 else f'FAILED ({code})':12} {seconds:6.0f} s")
    raise SystemExit(any(code for _, code, _ in results))


if __name__ == "__main__":
    main()

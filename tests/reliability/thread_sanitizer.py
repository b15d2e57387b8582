"""Ask and train from several threads with ThreadSanitizer built into all extensions: no report, and no suppressions.

    PYTHONPATH=tests python tests/reliability/thread_sanitizer.py [--folder FOLDER] [--count 10000]

What is watched: every read and write of the compiled part of the package (pool, kernels of the best instruction set,
layers, optimizers, streams), and every lock, thread, allocation and copy of memory of the process, Python's and
NumPy's too. The loops of CPython and NumPy themselves are not compiled anew: a race between two of their own lines
would not be seen here.
"""

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path

from sanitized import build, compile_library, run, runtime

from sklstm._kernels import ISA, REDUCED_ISA

FLAGS = "-fsanitize=thread"
SETTINGS = {"TSAN_OPTIONS": "halt_on_error=0:exitcode=66:second_deadlock_stack=1", "PYTHONMALLOC": "pymalloc"}
REPORT = r"WARNING: ThreadSanitizer|ERROR: ThreadSanitizer"
# Two threads that add to one number: it must be reported. Each waits for the other in C, by relaxed atomics, which
# order nothing: had the first ended before the second began, Python's lock would lie between them, and be no race.
RACE = """
int n, here;
void add(int times) {
    __atomic_add_fetch(&here, 1, __ATOMIC_RELAXED);
    while (__atomic_load_n(&here, __ATOMIC_RELAXED) < 2) ;
    for (int i = 0; i < times; i++) n += 1;
}
"""
CONTROL = """
import ctypes, threading
library = ctypes.CDLL("./race.so")
threads = [threading.Thread(target=library.add, args=(1000000,)) for _ in range(2)]
[one.start() for one in threads], [one.join() for one in threads]
"""


def main():
    """Print what each part said."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--count", type=int, default=10_000)
    options = parser.parse_args()
    library, failures, reports = runtime("libtsan.so"), 0, 0
    jobs = {
        "8 threads ask": ["tests/reliability/concurrent_predictions.py", "--count", str(options.count)],
        "4 threads train": ["tests/reliability/concurrent_fits.py"],
        "random estimators": ["tests/reliability/one_hash.py", "--count", "40", "--first", "2000"],
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder, begin = options.folder or Path(temporary), time.perf_counter()
        build(folder, FLAGS, {ISA, REDUCED_ISA})
        print(f"built in {time.perf_counter() - begin:.0f} s", flush=True)
        compile_library(folder, "race", RACE, FLAGS)
        watched = partial(run, folder, [library], SETTINGS, report=REPORT, fixed_addresses=True)
        _, seen, said = watched(["-c", CONTROL])
        print(f"a race on purpose: {'seen' if seen else 'NOT SEEN ' + said}", flush=True)
        failures += not seen
        for name, arguments in jobs.items():
            begin = time.perf_counter()
            ended_well, n_reports, said = watched(arguments)
            last = [line for line in said.splitlines() if line.strip()][-1]
            print(f"{name}: {n_reports} reports, {time.perf_counter() - begin:.0f} s; {last}", flush=True)
            failures, reports = failures + (not ended_well), reports + n_reports
            if not ended_well:
                print(said[-6000:])
    print(f"{reports} reports, {failures} parts failed")
    raise SystemExit(bool(failures or reports))


if __name__ == "__main__":
    main()

"""Run tests of kernels and networks, and random estimators, with AddressSanitizer and UBSan built into all extensions.

    PYTHONPATH=tests python tests/reliability/address_sanitizer.py [--folder FOLDER] [--count 300] [--cases N]

The copy is built in a temporary folder, or in FOLDER, which is kept. Leaks are not looked for: CPython itself has some
at its exit. The first report ends the program it is in. `--cases 8` runs eight cases of each test function.
"""

import argparse
import tempfile
import time
from pathlib import Path

from sanitized import build, compile_library, run, runtime

from sklstm._kernels import ISA, REDUCED_ISA

FLAGS = "-fsanitize=address,undefined -fno-sanitize-recover=all"
SETTINGS = {
    "ASAN_OPTIONS": "detect_leaks=0:halt_on_error=1:allocator_may_return_null=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
}
REPORT = r"ERROR: AddressSanitizer|runtime error:"
# A number behind the end of an array, and a shift by the width of a number: both must be reported.
FAULTS = """
#include <stdlib.h>
int behind(int n) { int *x = malloc(n * sizeof *x); x[0] = 1; int y = x[n]; free(x); return y; }
int shifted(int n) { return 1 << n; }
"""
CONTROL = "import ctypes; library = ctypes.CDLL('./faults.so'); library.{}({})"
# Tests of one instruction set: the best of this machine, which alone is built.
OTHERS = "not baseline and not x86_v3"
PYTEST = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--maxfail=10", "-n", "2", "-m", "not every_isa"]
# Compiled anew by the tests themselves, without Python, or at the mercy of a clock; memory is another allocator's here.
LEFT_OUT = ["kernels/test_pool_stress.py", "kernels/test_reduced_products.py", "kernels/test_integer_tiles.py"]
LEFT_OUT += ["network/test_signals.py", "kernels/test_isa.py"]
IGNORED = [f"--ignore=tests/{one}" for one in LEFT_OUT]
WITHOUT = "ctrl_c and not memmap and not keeps_no_memory"
CALLS = ["tests/test_streaming.py", "tests/test_streaming_states.py", "tests/test_promises.py", "tests/quantization"]
CALLS += ["tests/training", "tests/online/test_row_updates.py"]
JOBS = {
    "tests/kernels": [*PYTEST, "-k", f"{OTHERS} and not signal", *IGNORED, "tests/kernels"],
    "tests/network": [*PYTEST, "-k", f"{OTHERS} and not costs_little", *IGNORED, "tests/network"],
    "streams, promises and training": [*PYTEST, "-k", f"{OTHERS} and not {WITHOUT}", *CALLS],
}


def main():
    """Print what each part said."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--cases", type=int, help="most cases of each test function (default: all)")
    options = parser.parse_args()
    libraries = [runtime("libasan.so"), runtime("libubsan.so")]
    thinned = [] if options.cases is None else ["-p", "fewer_cases"]
    settings = {**SETTINGS, **({"FEWER_CASES": str(options.cases)} if thinned else {})}
    jobs = {
        **{name: [*arguments, *thinned] for name, arguments in JOBS.items()},
        "random estimators": ["tests/reliability/one_hash.py", "--count", str(options.count), "--first", "1000"],
    }
    failures, reports = 0, 0
    with tempfile.TemporaryDirectory() as temporary:
        folder, begin = options.folder or Path(temporary), time.perf_counter()
        build(folder, FLAGS, {ISA, REDUCED_ISA})
        print(f"built in {time.perf_counter() - begin:.0f} s", flush=True)
        compile_library(folder, "faults", FAULTS, FLAGS)
        for call in (("behind", 5), ("shifted", 40)):
            _, seen, said = run(folder, libraries, settings, ["-c", CONTROL.format(*call)], report=REPORT)
            print(f"a fault on purpose ({call[0]}): {'seen' if seen else 'NOT SEEN ' + said}", flush=True)
            failures += not seen
        for name, arguments in jobs.items():
            begin = time.perf_counter()
            ended_well, n_reports, said = run(folder, libraries, settings, arguments, report=REPORT)
            last = [line for line in said.splitlines() if line.strip()][-1]
            print(f"{name}: {n_reports} reports, {time.perf_counter() - begin:.0f} s; {last}", flush=True)
            failures, reports = failures + (not ended_well), reports + n_reports
            if not ended_well:
                print(said[-6000:])
    print(f"{reports} reports, {failures} parts failed")
    raise SystemExit(bool(failures or reports))


if __name__ == "__main__":
    main()

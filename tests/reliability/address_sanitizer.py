"""Run tests of kernels and networks, and random estimators, with AddressSanitizer and UBSan built into all extensions.

    PYTHONPATH=tests python tests/reliability/address_sanitizer.py [--folder FOLDER] [--count 300]

The copy is built in a temporary folder, or in FOLDER, which is kept. Leaks are not looked for: CPython itself has some
at its exit. The first report ends the program it is in.
"""

import argparse
import tempfile
import time
from pathlib import Path

from sanitized import build, run, runtime

from sklstm._kernels import available_isas

FLAGS = "-fsanitize=address,undefined -fno-sanitize-recover=all"
SETTINGS = {
    "ASAN_OPTIONS": "detect_leaks=0:halt_on_error=1:allocator_may_return_null=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
}
REPORT = r"ERROR: AddressSanitizer|runtime error:"
PYTEST = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-x", "-n", "2"]
# Compiled anew by the tests themselves, without Python, or at the mercy of a clock.
LEFT_OUT = ["kernels/test_pool_stress.py", "kernels/test_reduced_products.py", "kernels/test_integer_tiles.py"]
LEFT_OUT += ["network/test_signals.py", "kernels/test_isa.py"]
JOBS = {
    "tests/kernels": [*PYTEST, *(f"--ignore=tests/{one}" for one in LEFT_OUT), "tests/kernels"],
    "tests/network": [*PYTEST, *(f"--ignore=tests/{one}" for one in LEFT_OUT), "tests/network"],
    "streams and promises": [*PYTEST, "-k", "not ctrl_c and not resident and not memmap", "tests/test_streaming.py",
                             "tests/test_streaming_states.py", "tests/test_promises.py", "tests/quantization"],
}  # fmt: skip


def main():
    """Print what each part said."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--count", type=int, default=300)
    options = parser.parse_args()
    libraries = [runtime("libasan.so"), runtime("libubsan.so")]
    jobs = {
        **JOBS,
        "random estimators": ["tests/reliability/one_hash.py", "--count", str(options.count), "--first", "1000"],
    }
    failures, reports = 0, 0
    with tempfile.TemporaryDirectory() as temporary:
        folder, begin = options.folder or Path(temporary), time.perf_counter()
        build(folder, FLAGS, {*available_isas(), *available_isas("reduced")})
        print(f"built in {time.perf_counter() - begin:.0f} s", flush=True)
        for name, arguments in jobs.items():
            begin = time.perf_counter()
            ended_well, n_reports, said = run(folder, libraries, SETTINGS, arguments, report=REPORT)
            last = [line for line in said.splitlines() if line.strip()][-1]
            print(f"{name}: {n_reports} reports, {time.perf_counter() - begin:.0f} s; {last}", flush=True)
            failures, reports = failures + (not ended_well), reports + n_reports
            if not ended_well:
                print(said[-6000:])
    print(f"{reports} reports, {failures} of {len(jobs)} parts failed")
    raise SystemExit(bool(failures or reports))


if __name__ == "__main__":
    main()

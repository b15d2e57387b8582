"""Measure which lines and branches of the Python code the suite runs: at least 95 % of both together.

    python tests/reliability/line_coverage.py [--workers 2] [--cases N] [--json FILE] [-- PYTEST ARGUMENTS]

The environment needs pytest-cov, and the packages of the extra `reliability` for tests that are skipped without them.
Left out are tests that run no Python code of the package (types), those of the reference alone, and tests/reliability
itself. Child processes are measured too: pyproject.toml says how. What fails here is listed, but decides nothing: tests
of speed and memory may fail under measurement. Compiled modules are not counted. `--cases 3` runs three cases of each
test function: a lower bound, in a third of the time.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from fewer_cases import fewer

TREE = Path(__file__).resolve().parents[2]
LEAST = 95.0
WITHOUT = ("typing", "reference", "reliability", "benchmarks")


def measure(report, options, arguments, data):
    """Run the suite under measurement; return what pytest said, line by line.

    A child that outlives the suite writes its data late: into the folder of `data`, not into the tree.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", str(options.workers)]
    command += ["--cov", "--cov-branch", f"--cov-report=json:{report}"]
    command += arguments or ["tests", *(f"--ignore=tests/{name}" for name in WITHOUT)]
    said = []
    plugin, environment = fewer(options.cases, {"COVERAGE_FILE": str(data), **os.environ})
    with subprocess.Popen([*command, *plugin], cwd=TREE, env=environment, stdout=subprocess.PIPE, text=True) as run:
        for line in run.stdout:
            said.append(line.rstrip())
            if re.match(r"(FAILED|ERROR) ", line):
                print(line.rstrip(), flush=True)
    return said


def ranges(numbers):
    """Return line numbers as text, neighbours joined."""
    parts, begin = [], None
    for k, number in enumerate(numbers):
        begin = number if begin is None else begin
        if k + 1 == len(numbers) or numbers[k + 1] > number + 1:
            parts.append(str(begin) if begin == number else f"{begin}-{number}")
            begin = None
    return " ".join(parts)


def show(found):
    """Print the files with the most that is not run, and the totals."""
    files = []
    for name, one in found["files"].items():
        summary, lines = one["summary"], one["missing_lines"]
        # A branch into a line that never runs is told by the line.
        jumps = [f"{a}->{'end' if b < 0 else b}" for a, b in one["missing_branches"] if b not in lines]
        files.append((summary["missing_lines"] + summary["missing_branches"], name, summary, ranges(lines), jumps))
    for missing, name, summary, lines, jumps in sorted(files, reverse=True):
        if missing:
            where = " ".join(filter(None, [lines, *jumps]))
            print(f"{name.partition('sklstm/')[2] or name:42} {summary['percent_covered']:5.1f} %  {where}")
    totals = found["totals"]
    print(
        f"lines {totals['covered_lines']} of {totals['num_statements']}, branches {totals['covered_branches']} of "
        f"{totals['num_branches']}, together {totals['percent_covered']:.2f} %"
    )
    return totals["percent_covered"]


def main():
    """Measure and print."""
    given = sys.argv[1:]
    end = given.index("--") if "--" in given else len(given)
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--cases", type=int, help="most cases of each test function (default: all)")
    parser.add_argument("--json", type=Path, help="where the report of coverage is kept")
    options = parser.parse_args(given[:end])
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        report = (options.json or Path(folder) / "coverage.json").resolve()
        said = measure(report, options, given[end + 1 :], Path(folder) / "data")
        if not report.exists():
            raise SystemExit("\n".join(said[-20:]))
        print(said[-1])
        share = show(json.loads(report.read_text()))
    raise SystemExit(f"below {LEAST:g} %" if share < LEAST else 0)


if __name__ == "__main__":
    main()

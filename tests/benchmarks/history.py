"""Show how the figures of doc/performance.json moved: ``python history.py [--rows NAME ...] [--all]``.

Every run that was committed is read from the history of git. A row is shown with its time, its share of the peak of
that run, and the time of each peer over ours, once for each run that measured it anew. Runs of different machines
stand below each other: compare shares of the peak and ratios there, which were taken in turns within one run, not
seconds. Without ``--all`` only rows are shown whose share of the peak ever fell by more than a tenth.
"""

import argparse
import json
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

PATH = "doc/performance.json"
TREE = Path(__file__).resolve().parents[2]
FELL = 0.9  # a share of the peak below so much of the one before


class Figure(NamedTuple):
    """One row of one run."""

    commit: str
    date: str
    cpu: str
    seconds: float
    of_peak: float | None
    ratios: tuple[tuple[str, float], ...]

    def shown(self):
        """Return it as a line."""
        share = "" if self.of_peak is None else f"{100 * self.of_peak:4.0f} % of peak"
        ratios = ", ".join(f"{side} {ratio:.2f}" for side, ratio in self.ratios)
        return f"  {self.commit} {self.date} {self.cpu:24} {self.seconds:10.3g} s {share:14} {ratios}".rstrip()


def git(*arguments):
    """Return what git says in the tree."""
    return subprocess.run(["git", *arguments], cwd=TREE, capture_output=True, text=True, check=True).stdout


def committed_runs():
    """Yield commit and content of each version of the file, the oldest first."""
    for line in reversed(git("log", "--format=%h", "--", PATH).splitlines()):
        yield line, json.loads(git("show", f"{line}:{PATH}"))


def figures_of(commit, run):
    """Return the figures of a run by (row, threads): those of all tables, of which each has its own machine."""
    found = {}
    for table in (run, run.get("cells") or {}, run.get("reduced") or {}):
        machine = table.get("machine", {})
        for row in table.get("rows", []):
            threads = {result["threads"] for result in row["results"]}
            for count in sorted(threads):
                sides = [result for result in row["results"] if result["threads"] == count]
                own = next((side for side in sides if side["side"] == "sklstm" and "seconds" in side), None)
                if own is None:
                    continue
                ratios = tuple((side["side"], side["ratio"]["median"]) for side in sides if "ratio" in side)
                found[row["name"], count] = Figure(
                    commit, machine.get("date", ""), machine.get("cpu", ""), own["seconds"]["median"],
                    own.get("of_peak"), ratios,
                )  # fmt: skip
    return found


def histories(runs):
    """Return the figures of each (row, threads) in time; a row that a run did not measure anew is there once."""
    found = {}
    for commit, run in runs:
        for key, figure in figures_of(commit, run).items():
            before = found.setdefault(key, [])
            if not before or before[-1].seconds != figure.seconds:
                before.append(figure)
    return found


def fell(figures):
    """Return whether the share of the peak ever fell by more than a tenth from one run to the next."""
    shares = [figure.of_peak for figure in figures if figure.of_peak]
    return any(later < FELL * earlier for earlier, later in pairwise(shares))


def main():
    """Print the histories."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", nargs="*", help="names of rows, as `bench.py --list` has them")
    parser.add_argument("--all", action="store_true", help="also rows whose share of the peak never fell")
    options = parser.parse_args()
    for (row, threads), figures in histories(committed_runs()).items():
        if row in options.rows if options.rows else options.all or fell(figures):
            print(f"{row}, {threads} thread{'s' * (threads > 1)}")
            print("\n".join(figure.shown() for figure in figures))


if __name__ == "__main__":
    main()

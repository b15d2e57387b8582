"""Measure sklstm beside its peers: ``python bench.py [--quick] [--tables NAME ...] [--rows NAME ...] [--write]``.

All sides of a row run in turn in one process. Four tables are printed, "jobs", "cells", "reduced" (bf16 and integers;
where the CPU lacks their instructions its rows say so) and "online" (models that learn row by row); ``--write`` also
puts them into ``doc/performance.md`` and all figures into ``doc/performance.json``. ``--emulated`` runs the third all
the same, to see that it runs.
"""

import argparse
import os
import sys
from pathlib import Path

DOC = Path(__file__).resolve().parents[2] / "doc"
TABLES = ("jobs", "cells", "reduced", "online")
# What others may have exported: an old kernel set for OpenBLAS, oneDNN or PyTorch, or their numbers of threads.
VARIABLES = ("OPENBLAS_", "OMP_", "GOMP_", "KMP_", "MKL_", "DNNL_", "ONEDNN_", "ATEN_", "ORT_")


def clean_environment():
    """Drop variables that change how fast a side is; before any of the libraries is imported."""
    for name in [name for name in os.environ if name.startswith(VARIABLES)]:
        del os.environ[name]


def build_sides(row, thread_counts):
    """Return the sides of a row, our own first for each number of threads, and notes on those that are missing."""
    from ours import Missing

    sides, notes = [], []
    for n_threads in thread_counts:
        for label, make in {"sklstm": row.ours, **row.peers}.items():
            try:
                side = make(row.job, n_threads)
            except Missing as reason:
                if label == "sklstm":
                    return [], [f"skipped: {reason}"]
                notes.append(f"without {label}: {reason}")
                continue
            except ImportError as error:
                notes.append(f"without {label}: {error.name} is not installed")
                continue
            side.label, side.threads = label, n_threads
            sides.append(side)
    return sides, sorted(set(notes))


def check_answers(row, sides):
    """Make sure that all sides did the same work."""
    import numpy as np

    for side in sides:
        if side.first is None or sides[0].first is None:
            continue
        if not np.allclose(side.first, sides[0].first, rtol=row.tolerance, atol=row.tolerance):
            raise SystemExit(f"{row.name}: {side.label} answers {side.first}, {sides[0].label} {sides[0].first}")


def measure(row, thread_counts, seconds, min_turns, clock):
    """Return what is reported of one row."""
    from timing import CLOCKS, interleave, ratio_summary, side_summary

    counts = [n for n in thread_counts if row.threads is None or n in row.threads]
    sides, notes = build_sides(row, counts)
    for side in sides:
        side.timer = CLOCKS[clock]
    if sides:
        interleave(sides, seconds, min_turns)
        check_answers(row, sides)
    ours = {side.threads: side for side in sides if side.label == "sklstm"}
    results = []
    for side in sides:
        result = {"side": side.label, "threads": side.threads, "seconds": side_summary(side), "rate": side.rate}
        if side.flop is not None:
            result["flop"] = side.flop
        if side.error is not None:
            result["error"] = side.error()
        if side.label != "sklstm":
            result["ratio"] = ratio_summary(side, ours[side.threads])
        elif side.threads > 1 and 1 in ours:
            result["speed_up"] = ratio_summary(ours[1], side)
        results.append(result)
    return {"name": row.name, "title": row.title, "flop": row.flop, "notes": notes, "results": results}


def count_bytes(row, thread_counts):
    """Return what is reported of a row whose sides return a number of bytes."""
    results = []
    for n_threads in thread_counts:
        own, *others = [
            {"side": label, "threads": n_threads, "bytes": side(row.job, n_threads)}
            for label, side in {"sklstm": row.ours, **row.peers}.items()
        ]
        for other in others:
            other["ratio"] = {"median": other["bytes"] / own["bytes"]}
        results += [own, *others]
    return {"name": row.name, "title": row.title, "flop": None, "notes": [], "results": results}


def report_of(row, options):
    """Measure a row, if this machine has what it needs; return what is reported of it."""
    from peak import has_reduced_instructions
    from report import absent

    if row.reduced and not (options.emulated or has_reduced_instructions()):
        return absent(row.name, row.title)
    if row.in_bytes:
        return count_bytes(row, options.threads)
    return measure(row, options.threads, options.seconds, options.min_turns, options.clock)


def run(rows, options):
    """Measure the rows; return the report as plain data."""
    import machine
    from peak import REDUCED_RATES, Peak
    from report import add_peak, judge

    facts = machine.describe()
    counts = [n for n in options.threads if any(n in (row.threads or [n]) for row in rows)]
    rates = ["fma", *(REDUCED_RATES if any(row.reduced for row in rows) else [])]
    peaks = {rate: Peak(facts["isa"], counts, options.clock, rate) for rate in rates}
    measured = []
    for peak in peaks.values():
        peak.sample()
    for row in rows:
        print(row.name, "...", file=sys.stderr, flush=True)
        measured.append(report_of(row, options))
        # Between the rows too: the clock of the machine may drift.
        for peak in peaks.values():
            peak.sample()
    peaks = {rate: peak.summaries() for rate, peak in peaks.items()}
    for row, result in zip(rows, measured, strict=True):
        add_peak(result, peaks)
        judge(result, row.targets, row.products_decide)
    report = {"quick": options.quick, "clock": options.clock, "machine": facts, "peak_gflops": peaks.pop("fma")}
    return {**report, "instruction_peaks": peaks, "rows": measured}


def parse(arguments=None):
    """Read the command line."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="0.2 seconds a side; for a look, not for figures")
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES)
    parser.add_argument("--rows", nargs="+", metavar="NAME", help="only these rows")
    parser.add_argument("--list", action="store_true", help="print the names of the rows and stop")
    parser.add_argument("--seconds", type=float, help="how long each side of a row runs (default 3)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2] if cores > 1 else [1], metavar="N")
    parser.add_argument("--cpu-time", action="store_true", help="CPU time of one thread, where the machine is busy")
    parser.add_argument(
        "--emulated", action="store_true", help="rows of reduced numbers without the instructions, one turn: no figures"
    )
    parser.add_argument("--write", action="store_true", help="write doc/performance.json and .md")
    options = parser.parse_args(arguments)
    options.seconds = options.seconds or (0.2 if options.quick else 3.0)
    options.min_turns = 2 if options.quick else 7
    if options.emulated:
        options.tables, options.seconds, options.min_turns, options.quick = ["reduced"], 0.0, 1, True
    options.clock = "cpu" if options.cpu_time else "wall"
    if options.cpu_time:
        options.threads = [1]
    if options.write and options.emulated:
        parser.error("--emulated says nothing of speed: its figures are not written")
    if options.write and options.rows:
        parser.error("--write wants all rows: figures of different runs do not belong in one table")
    return options


def main():
    """Run the benchmark."""
    options = parse()
    clean_environment()
    from live import live_rows
    from reduced import reduced_rows
    from report import as_markdown, merged, splice
    from rows import cell_rows, job_rows

    rows_of = {"jobs": job_rows, "cells": cell_rows, "reduced": reduced_rows, "online": live_rows}
    tables = {table: rows_of[table]() for table in options.tables}
    names = [row.name for rows in tables.values() for row in rows]
    if options.list:
        print(*names, sep="\n")
        return
    if unknown := set(options.rows or ()) - set(names):
        raise SystemExit(f"no such row: {', '.join(sorted(unknown))}; --list has the names")
    for name, rows in tables.items():
        chosen = [row for row in rows if options.rows is None or row.name in options.rows]
        if not chosen:
            continue
        result = run(chosen, options)
        text = as_markdown(result)
        print(text, flush=True)
        if options.write:
            figures, page = DOC / "performance.json", DOC / "performance.md"
            written = figures.read_text() if figures.exists() else "{}"
            figures.write_text(merged(written, result, None if name == "jobs" else name))
            page.write_text(splice(page.read_text(), text, "bench" if name == "jobs" else name))


if __name__ == "__main__":
    main()

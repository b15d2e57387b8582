"""Hold each kernel against the limits of the machine: ``python roofline.py [--quick] [--rows NAME ...] [--write]``.

Kernels, peaks of instructions, bandwidths and latencies are measured in turn in one process, on one thread. One table
is printed; ``--write`` also puts it into ``doc/performance.md`` and the figures into ``doc/performance.json``, beside
those of ``bench.py``. Kernels of reduced numbers are measured where the CPU has their instructions, and with
``--emulated``.
"""

import argparse
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from peak import REDUCED_RATES, Peak, has_reduced_instructions
from report import ABSENT, INSTRUCTIONS, NO_VALUE, ROOFLINE, digits, header, merged, splice, spread
from timing import interleave, side_summary

DOC = Path(__file__).resolve().parents[2] / "doc"
LEVELS = ("L1", "L2", "L3", "DRAM")
CACHES = {"L1": 32 << 10, "L2": 1 << 20, "L3": 32 << 20}  # where the system does not tell
DRAM_BYTES = 256 << 20
ROUNDS = 10
# From this share of the time on a limit counts as what bounds a kernel; others so close to it are named too.
BOUND_FROM, CLOSE = 0.7, 0.1
LOADED = "L1 loads"  # L1 as a limit
VECTOR = "vector of units"  # what a cell works on


def cache_sizes():
    """Return the bytes of each level of data cache that the first core sees."""
    sizes = dict(CACHES)
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        if kind != "Instruction" and f"L{level}" in sizes and size.endswith("K"):
            sizes[f"L{level}"] = int(size[:-1]) << 10
    return sizes


def level_of(n_bytes, caches):
    """Return the nearest level that still holds what was used so many bytes ago."""
    return next((level for level, size in caches.items() if n_bytes <= size), "DRAM")


class Limits:
    """The sides that measure the machine, in the units of the kernels."""

    def __init__(self, library, caches):
        from roofline_library import ITEM, CSide, carve

        lanes = library.lanes
        # Buffers well inside their level, but well beyond the one before.
        sizes = {"L1": caches["L1"] // 2, "L2": caches["L2"] // 4, "L3": caches["L3"] // 4, "DRAM": DRAM_BYTES}
        # On a boundary of cache lines: loads across it take twice the time.
        buffer, small, out, chain = carve(None, (DRAM_BYTES // ITEM,), (1024,), (1024,), (3 * lanes,))
        buffer[:], small[:] = 1.0, np.linspace(1.0, 2.0, 1024)
        # One, a factor and a summand of 1/2: the FMA of the chain gives one again.
        chain[:] = np.repeat([1.0, 0.5, 0.5], lanes)
        self._units, self.sides = {}, {}
        for level, size in sizes.items():
            n = size // ITEM // (8 * lanes) * (8 * lanes)
            self._add(CSide(library, "read", (n, buffer, out), f"read {level}"), ITEM * n)
            self._add(CSide(library, "update", (n, buffer), f"update {level}"), 2 * ITEM * n)
        self._add(CSide(library, "fma_chain", (chain,), "fma"), 1)
        self._add(CSide(library, "addition_chain", (np.zeros_like(chain),), "addition"), 1)
        self._add(CSide(library, "divisions", (1024, small, out), "division"), 1024 / lanes)
        self._add(CSide(library, "roots", (1024, small, out), "root"), 1024 / lanes)

    def _add(self, side, unit):
        self.sides[side.label], self._units[side.label] = side, unit

    def seconds(self):
        """Return the median seconds of one byte or one vector operation of each kind."""
        return {name: side_summary(side)["median"] / self._units[name] for name, side in self.sides.items()}

    def summaries(self):
        """Return GB/s of the buffers and nanoseconds of the operations, with smallest and largest."""
        result = {}
        for name, side in self.sides.items():
            times, unit = side_summary(side), self._units[name]
            if name.startswith(("read", "update")):
                rates = {key: 1e-9 * unit / times[key] for key in ("median", "min", "max")}
                result[name] = {"median": rates["median"], "min": rates["max"], "max": rates["min"], "unit": "GB/s"}
            else:
                result[name] = {key: 1e9 * times[key] / unit for key in ("median", "min", "max")} | {"unit": "ns"}
        return result


def moved(kernel, caches, lanes):
    """Return the bytes that a pass loads from each level; beyond L1, what is written back counts twice."""
    totals = {"L1": 4.0 * lanes * kernel.loads}
    for n_bytes, distance, written in kernel.moves:
        level = level_of(distance, caches)
        if level != "L1":  # what is in L1 was counted as vectors
            totals[level] = totals.get(level, 0.0) + n_bytes * (2 if written else 1)
    return {level: totals[level] for level in LEVELS if level in totals}


def floors(kernel, caches, lanes, costs, peak):
    """Return the seconds that each limit alone would need for a pass."""
    times = {LOADED: 4.0 * lanes * kernel.loads * costs["read L1"]}
    for n_bytes, distance, written in kernel.moves:
        level = level_of(distance, caches)
        if level != "L1":
            cost = 2 * costs[f"update {level}"] if written else costs[f"read {level}"]
            times[level] = times.get(level, 0.0) + n_bytes * cost
    busy = kernel.busy
    if peak is not None:
        # A multiplication takes the same unit as an FMA, whose rate counts two operations for each number.
        operations = 2 * lanes * kernel.format.numbers * kernel.multiplications
        unit = "FMA" if kernel.format.rate == "fma" else INSTRUCTIONS[kernel.format.rate][0]
        times[f"{unit} units"] = 1e-9 * operations / peak["median"]
    # In L1 what a pass over a buffer waits for are its stores.
    times["stores"] = 8.0 * lanes * kernel.stores * costs["update L1"]
    times["FMA latency"] = busy.get("fma", 0) * costs["fma"]
    times["latency of additions"] = busy.get("addition", 0) * costs["addition"]
    times["divider"] = sum(busy.get(name, 0) * costs[name] for name in ("division", "root"))
    return dict(sorted(times.items(), key=lambda item: -item[1]))


def bound_of(shares):
    """Return what bounds a kernel, given the share of its time that each limit alone would need, largest first."""
    best = max(shares.values())
    if best < BOUND_FROM:
        return "none alone"
    return " and ".join(name for name, share in shares.items() if share >= max(BOUND_FROM, best - CLOSE))


def describe(kernel, caches, lanes, costs, peak):
    """Return what is reported of one kernel."""
    times = side_summary(kernel.side)
    limits = floors(kernel, caches, lanes, costs, peak)
    shares = {name: seconds / times["median"] for name, seconds in limits.items() if seconds > 0}
    n_bytes = moved(kernel, caches, lanes)
    result = {"name": kernel.name, "title": kernel.title, "seconds": times, "work": kernel.work, "flop": kernel.flop}
    result |= {
        "rate": kernel.format.rate,
        "lanes": lanes,
        "bytes": n_bytes,
        "flop_per_byte": None,
        "gflops": None,
        "of_peak": None,
    }
    result |= {"shares": shares, "bound": bound_of(shares), "unit": kernel.unit}
    result["gbytes"] = {level: 1e-9 * size / times["median"] for level, size in n_bytes.items()}
    if kernel.flop is not None:
        result["gflops"] = 1e-9 * kernel.flop / times["median"]
        result["flop_per_byte"] = {level: kernel.flop / size for level, size in n_bytes.items()}
        result["of_peak"] = None if peak is None else result["gflops"] / peak["median"]
    return result


def run(options):
    """Measure the chosen kernels and the machine; return the report as plain data."""
    import machine
    from roofline_kernels import check
    from roofline_library import Library

    facts = machine.describe()
    facts["versions"] = {name: facts["versions"][name] for name in ("Python", "sklstm", "numpy")}
    library, caches = Library(facts["isa"]), cache_sizes()
    check(library)
    kernels, missing = choose(library, options)
    limits = Limits(library, caches)
    peaks = {rate: Peak(facts["isa"], [1], rate=rate) for rate in ("fma", *REDUCED_RATES)}
    # The peaks have their turns too, before the limits and before the kernels: the clock of the machine may drift.
    peak_sides = [SimpleNamespace(warm_up=lambda: None, turn=peak.sample) for peak in peaks.values()]
    sides = [*peak_sides, *limits.sides.values(), *peak_sides, *(kernel.side for kernel, _ in kernels)]
    for number in range(2 if options.quick else ROUNDS):
        print(f"round {number + 1}", "...", file=sys.stderr, flush=True)
        interleave(sides, options.seconds / ROUNDS, 1)
    rates, costs = {rate: peak.summaries() for rate, peak in peaks.items()}, limits.seconds()
    rows = [describe(kernel, caches, lanes, costs, rates[kernel.format.rate][1]) for kernel, lanes in kernels]
    rows += [{"name": kernel.name, "title": kernel.title, "absent": ABSENT} for kernel, _ in missing]
    report = {"quick": options.quick, "machine": facts, "peak_gflops": rates.pop("fma"), "instruction_peaks": rates}
    report |= {"caches": caches, "lanes": library.lanes, "tile_rows": library.tile_rows}
    return report | {"limits": limits.summaries(), "rows": rows}


def choose(library, options):
    """Return the chosen kernels that can be measured here and those that cannot, with the lanes of their vectors."""
    from roofline_kernels import all_kernels
    from roofline_library import Library
    from roofline_reduced import check_reduced, reduced_kernels

    from sklstm._kernels import REDUCED_ISA

    reduced = Library(REDUCED_ISA, reduced=True)
    check_reduced(reduced)
    kernels = [(kernel, library.lanes) for kernel in all_kernels(library)]
    others = [(kernel, reduced.lanes) for kernel in reduced_kernels(reduced)]
    names = {kernel.name for kernel, _ in kernels + others}
    if unknown := set(options.rows or ()) - names:
        raise SystemExit(f"no such row: {', '.join(sorted(unknown))}; --list has the names")
    measured = kernels + (others if options.emulated or has_reduced_instructions() else [])
    missing = [pair for pair in others if pair not in measured]
    return [[pair for pair in pairs if pair[0].name in (options.rows or names)] for pairs in (measured, missing)]


def _per_level(values, unit=""):
    return ", ".join(f"{level} {digits(value)}{unit}" for level, value in values.items()) if values else NO_VALUE


def _work(row):
    """Return the time of a pass; of kernels that take vectors of units, that of one vector and one unit."""
    per = row["seconds"]["median"] / row["work"]
    if per >= 1e-6:
        return spread(row["seconds"])
    low, high = (digits(1e9 * row["seconds"][key] / row["work"]) for key in ("min", "max"))
    text = f"{digits(1e9 * per)} ns per {row['unit']} ({low} to {high})"
    return f"{text}, {digits(1e9 * per / row['lanes'])} ns per unit" if row["unit"] == VECTOR else text


def as_markdown(report):
    """Return the table with what has to be known to read it."""
    limits, caches = report["limits"], report["caches"]
    sizes = ", ".join(f"{name} {size >> 10:,} KB" for name, size in caches.items())
    lines = [
        *header(report),
        f"Vectors of {report['lanes']} numbers, tiles of {report['tile_rows']} rows; {sizes}.",
        "",
    ]
    lines += [f"| one core | {' | '.join(LEVELS)} |", "|" + "---|" * (1 + len(LEVELS))]
    for kind, text in (("read", "reads, GB/s"), ("update", "reads and writes back, GB/s of both together")):
        found = [limits[f"{kind} {level}"] for level in LEVELS]
        cells = (f"{digits(v['median'])} ({digits(v['min'])} to {digits(v['max'])})" for v in found)
        lines.append(f"| {text} | {' | '.join(cells)} |")
    words = {"fma": "an FMA after another", "addition": "an addition after another", "division": "a division"}
    words["root"] = "a square root"
    spent = ", ".join(f"{text} {limits[name]['median']:.2f} ns" for name, text in words.items())
    lines += ["", f"A vector through {spent}.", ""]
    columns = ["kernel", "FLOP per byte", "time", "GB/s", "GFLOP/s", "of peak", "share of each limit", "bound by"]
    lines += [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for row in report["rows"]:
        if "absent" in row:
            lines.append(f"| {' | '.join([row['title'], *[NO_VALUE] * (len(columns) - 2), row['absent']])} |")
            continue
        largest = list(row["shares"].items())[:3]
        cells = [row["title"], _per_level(row["flop_per_byte"]), _work(row), _per_level(row["gbytes"])]
        cells += [NO_VALUE if row["gflops"] is None else digits(row["gflops"])]
        cells += [NO_VALUE if row["of_peak"] is None else f"{100 * row['of_peak']:.0f} %"]
        cells += [", ".join(f"{name} {100 * share:.0f} %" for name, share in largest), row["bound"]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def parse(arguments=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="two rounds of ten; for a look, not for figures")
    parser.add_argument("--rows", nargs="+", metavar="NAME", help="only these kernels")
    parser.add_argument("--list", action="store_true", help="print the names of the rows and stop")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each kernel runs (default 2)")
    parser.add_argument("--emulated", action="store_true", help="kernels of reduced numbers without the instructions")
    parser.add_argument("--write", action="store_true", help="write doc/performance.json and .md")
    options = parser.parse_args(arguments)
    if options.write and options.emulated:
        parser.error("--emulated says nothing of speed: its figures are not written")
    if options.write and options.rows:
        parser.error("--write wants all rows: figures of different runs do not belong in one table")
    return options


def main():
    """Measure, print and write."""
    options = parse()
    if options.list:
        from roofline_library import Library

        from sklstm._kernels import ISA

        print(*(kernel.name for pairs in choose(Library(ISA), options) for kernel, _ in pairs), sep="\n")
        return
    result = run(options)
    table = as_markdown(result)
    print(table)
    if options.write:
        figures, page = DOC / "performance.json", DOC / "performance.md"
        figures.write_text(merged(figures.read_text() if figures.exists() else "{}", result, ROOFLINE))
        page.write_text(splice(page.read_text(), table, ROOFLINE))


if __name__ == "__main__":
    main()

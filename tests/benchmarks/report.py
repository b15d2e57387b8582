"""The figures as JSON and as a table in Markdown. Knows nothing of how they were measured."""

import json

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
# Entries of the JSON and markers of the page beside those of the main table; roofline.py writes the first.
ROOFLINE, CELLS, REDUCED, ONLINE = "roofline", "cells", "reduced", "online"
NO_VALUE = "–"
ABSENT = "no bf16 here"  # of a row whose instructions the CPU lacks
AT_MOST = {"seconds", "error", "memory"}  # kinds of targets that are upper bounds
UNITS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6}
# Names from peak.py with the instruction and the unit of their rate.
INSTRUCTIONS = {"bf16": ("VDPBF16PS", "GFLOP/s"), "int8": ("VPDPBUSD", "Gop/s"), "int16": ("VPDPWSSD", "Gop/s")}


def _result(row, label, n_threads):
    """Return one side's result of a row, None where it is missing."""
    found = [r for r in row["results"] if r["side"] == label and r["threads"] == n_threads]
    return found[0] if found else None


def absent(name, title):
    """Return a row that this machine cannot measure."""
    return {"name": name, "title": title, "flop": None, "notes": [ABSENT], "results": [], "targets": []}


def add_peak(row, peaks):
    """Add to each result of a row the share of its instruction's rate on as many threads; `peaks`: rates by name."""
    for result in row["results"]:
        peak = peaks.get(result.get("rate", "fma"), {}).get(result["threads"])
        flop = result.get("flop", row["flop"])
        if flop is not None and peak is not None:
            result["of_peak"] = flop / result["seconds"]["median"] / (1e9 * peak["median"])


def judge(row, targets, products_decide=False):
    """Add to a row how each target compares with what was measured.

    Where the products decide, a ratio that was missed also tells the largest that the peak of our instruction allows.
    """
    row["targets"] = []
    for target in targets:
        for ours in [r for r in row["results"] if r["side"] == "sklstm"]:
            n_threads = ours["threads"]
            if target.threads not in {None, n_threads}:
                continue
            value = _value(row, target, ours)
            if value is not None:
                met = value <= target.bound if target.kind in AT_MOST else value >= target.bound
                entry = {"kind": target.kind, "peer": target.peer, "threads": n_threads, "bound": target.bound}
                row["targets"].append({**entry, "value": value, "met": met})
                if products_decide and target.kind == "ratio" and not met and "of_peak" in ours:
                    # At its peak our side would take this share of its time.
                    row["targets"][-1] |= {"at_most": value / ours["of_peak"], "rate": ours.get("rate", "fma")}


def _value(row, target, ours):
    if target.kind in {"ratio", "memory"}:
        peer = _result(row, target.peer, ours["threads"])
        ratio = None if peer is None else peer["ratio"]["median"]
        return 1 / ratio if target.kind == "memory" and ratio else ratio
    if target.kind == "error":
        return ours.get("error")
    if target.kind == "seconds":
        return ours["seconds"]["median"]
    if target.kind == "peak":
        return ours.get("of_peak")
    return ours["speed_up"]["median"] if "speed_up" in ours else None


def as_json(report):
    """Return the whole report, floats with six digits."""

    def rounded(value):
        if isinstance(value, dict):
            return {str(key): rounded(entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [rounded(entry) for entry in value]
        return float(f"{value:.6g}") if isinstance(value, float) else value

    return json.dumps(rounded(report), indent=1, ensure_ascii=False) + "\n"


def duration(seconds):
    """Return a time with three digits and its unit.

    >>> duration(0.00436)
    '4.36 ms'
    """
    unit = _unit(seconds)
    return f"{digits(seconds / UNITS[unit])} {unit}"


def _unit(seconds):
    return next((unit for unit, scale in UNITS.items() if seconds >= scale), "µs")


def digits(value):
    """Return a number with three digits where it has so many."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def amount(result):
    """Return the time of a result, or its bytes."""
    return f"{digits(result['bytes'] / 1e6)} MB" if "bytes" in result else spread(result["seconds"])


def _ratio_text(ratio):
    text = f"**{ratio['median']:.2f}**"
    return f"{text} ({ratio['low']:.2f} to {ratio['high']:.2f})" if "low" in ratio else text


def spread(numbers):
    """Return "median (min to max)" with the unit of the median."""
    scale = UNITS[_unit(numbers["median"])]
    return f"{duration(numbers['median'])} ({digits(numbers['min'] / scale)} to {digits(numbers['max'] / scale)})"


def _share(result):
    return NO_VALUE if result is None or "of_peak" not in result else f"{100 * result['of_peak']:.0f} %"


def _target_text(target):
    sign = "≤" if target["kind"] in AT_MOST else "≥"
    name = {"seconds": "", "peak": "of peak", "error": "error of h"}.get(target["kind"], target["kind"])
    value = ""
    if target["kind"] == "seconds":
        bound = duration(target["bound"])
    elif target["kind"] == "peak":
        bound = f"{100 * target['bound']:.0f} %"
    else:
        bound = f"{target['bound']:g}"
        value = f"{target['value']:.2f}" if target["kind"] in {"speed-up", "memory"} else ""
        value = f"{target['value']:.1e}" if target["kind"] == "error" else value
    verdict = "met" if target["met"] else "**missed**"
    if "at_most" in target:
        rate = target.get("rate", "fma")
        verdict += f" (the {'FMA' if rate == 'fma' else rate} peak allows {target['at_most']:.2f})"
    return " ".join(part for part in (name, value, sign, bound, verdict) if part)


def _lines_of(row):
    """Return the lines of one row: one for each number of threads and peer."""
    lines = []
    for n_threads in sorted({result["threads"] for result in row["results"]}):
        ours = _result(row, "sklstm", n_threads)
        peers = [r for r in row["results"] if r["threads"] == n_threads and r["side"] != "sklstm"]
        for i, peer in enumerate(peers or [None]):
            # What does not concern a peer stands in the first line.
            wanted = {peer and peer["side"]} | ({None} if i == 0 else set())
            targets = [t for t in row["targets"] if t["threads"] == n_threads and t["peer"] in wanted]
            cells = [row["title"], str(n_threads), amount(ours), _share(ours)]
            if peer is None:
                cells += [NO_VALUE] * 4
            else:
                cells += [peer["side"], amount(peer), _share(peer), _ratio_text(peer["ratio"])]
            lines.append([*cells, "; ".join(_target_text(t) for t in targets) or NO_VALUE])
    return lines or [[row["title"], *[NO_VALUE] * 7, "; ".join(row["notes"])]]


def is_quiet(peak):
    """Return whether the FMA rate hardly ever fell below its best during a run."""
    return peak is None or sum(rate < 0.93 * peak["max"] for rate in peak["samples"]) * 10 <= len(peak["samples"])


def _peak_text(peaks, unit="GFLOP/s"):
    return ", ".join(
        f"{p['median']:.1f} {unit} on {n} thread{'s' if int(n) > 1 else ''} ({p['min']:.1f} to {p['max']:.1f})"
        for n, p in peaks.items()
        if p is not None
    )


def header(report):
    """Return the sentences above the table."""
    machine, versions = report["machine"], report["machine"]["versions"]
    packages = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    lines = ["**A quick run: these figures are rough.**", ""] if report["quick"] else []
    if not all(is_quiet(peak) for peak in report["peak_gflops"].values()):
        lines += ["**The machine was not quiet: its FMA rate fell during the run.**", ""]
    if report.get("clock") == "cpu":
        lines += ["Times are CPU time of one thread: other work ran beside it, and shared the caches.", ""]
    lines += [
        f"{machine['date']}, {machine['cpu']}, {machine['cores']} cores, {machine['system']}; kernels of sklstm: "
        f"`{machine['isa']}`; compiler: {machine['compiler'] or 'unknown'}; {packages}.",
        f"FMA peak in this run: {_peak_text(report['peak_gflops']) or 'unknown'}.",
    ]
    others = {
        rate: _peak_text(peaks, INSTRUCTIONS[rate][1]) for rate, peaks in report.get("instruction_peaks", {}).items()
    }
    lines += [f"{INSTRUCTIONS[rate][0]} ({rate}): {text}." for rate, text in others.items() if text]
    return lines


def as_markdown(report):
    """Return the table with what has to be known to read it."""
    columns = ["job", "threads", "sklstm", "of peak", "peer", "peer's time", "of peak", "ratio", "targets"]
    lines = [*header(report), "", f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for row in report["rows"]:
        lines += [f"| {' | '.join(cells)} |" for cells in _lines_of(row)]
    notes = [f"{row['title']}: {note}." for row in report["rows"] if row["results"] for note in row["notes"]]
    return "\n".join([*lines, *([""] if notes else []), *notes])


def splice(page, block, name="bench"):
    """Return a page with the block between its two markers."""
    opening, closing = (mark.replace("bench", name) for mark in (BEGIN, END))
    before, begin, rest = page.partition(opening)
    _, end, after = rest.partition(closing)
    if not begin or not end:
        raise ValueError(f"The page has no {opening} ... {closing} to write between.")
    return f"{before}{opening}\n{block}\n{closing}{after}"


def merged(written, report, entry=None):
    """Return the JSON of a report; given an entry, all that was written before with the report as that entry.

    The entries stay, whoever writes.
    """
    before = json.loads(written)
    if entry is not None:
        return as_json({**before, entry: report})
    return as_json({**report, **{key: before[key] for key in [ROOFLINE, CELLS, REDUCED, ONLINE] if key in before}})

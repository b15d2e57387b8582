"""The table of the benchmark; needs none of the peers."""

import json
from types import SimpleNamespace

import pytest
from benchmarks import report


def seconds(median):
    return {"median": median, "min": 0.9 * median, "max": 1.5 * median, "n": 7}


def ratio(median):
    return {"median": median, "low": median - 0.1, "high": median + 0.1}


def target(kind, bound, peer=None, threads=None):
    return SimpleNamespace(kind=kind, bound=bound, peer=peer, threads=threads)


@pytest.fixture
def result():
    row = {
        "name": "step",
        "title": "step",
        "flop": 1e9,
        "notes": [],
        "results": [
            {"side": "sklstm", "threads": 1, "seconds": seconds(0.02)},
            {"side": "PyTorch", "threads": 1, "seconds": seconds(0.05), "ratio": ratio(2.5)},
            {"side": "sklstm", "threads": 2, "seconds": seconds(0.0125), "speed_up": ratio(1.6)},
            {"side": "PyTorch", "threads": 2, "seconds": seconds(0.025), "ratio": ratio(2.0)},
        ],
    }
    peaks = {n: {"median": 100.0 * n, "min": 95.0 * n, "max": 101.0 * n, "samples": [100.0 * n] * 10} for n in (1, 2)}
    report.add_peak(row, {"fma": peaks})
    report.judge(row, [target("ratio", 2.25, "PyTorch"), target("speed-up", 1.5), target("peak", 0.6, threads=1)])
    skipped = {"name": "b", "title": "other", "flop": None, "notes": ["skipped: why"], "results": [], "targets": []}
    machine = {"date": "2000-01-02", "cpu": "a CPU", "cores": 2, "isa": "baseline", "system": "Linux", "compiler": None}
    machine["versions"] = {"Python": "3.11", "torch": None}
    return {"quick": False, "machine": machine, "peak_gflops": peaks, "rows": [row, skipped]}


def test_shares_of_peak_count_threads(result):
    shares = [entry["of_peak"] for entry in result["rows"][0]["results"]]
    assert shares == pytest.approx([0.5, 0.2, 0.4, 0.2])


def test_targets(result):
    found = {(t["kind"], t["threads"]): t["met"] for t in result["rows"][0]["targets"]}
    # A speed-up needs two numbers of threads, a share of peak was asked for one thread.
    assert found == {("ratio", 1): True, ("ratio", 2): False, ("speed-up", 2): True, ("peak", 1): False}


def test_seconds_are_an_upper_bound(result):
    row = result["rows"][0]
    report.judge(row, [target("seconds", 0.015)])
    assert [t["met"] for t in row["targets"]] == [False, True]


def test_table(result):
    first, second, skipped = report.as_markdown(result).splitlines()[-3:]
    assert first == (
        "| step | 1 | 20.0 ms (18.0 to 30.0) | 50 % | PyTorch | 50.0 ms (45.0 to 75.0) | 20 % | **2.50** (2.40 to 2.60)"
        " | ratio ≥ 2.25 met; of peak ≥ 60 % **missed** |"
    )
    assert second.endswith("| ratio ≥ 2.25 **missed**; speed-up 1.60 ≥ 1.5 met |")
    assert skipped.endswith("| skipped: why |")
    assert skipped.count("|") == first.count("|") == second.count("|")


def test_a_missed_ratio_tells_what_the_peak_allows(result):
    """The peer's 25 ms of work for two threads at 20 % of peak: nobody does it in less than 5."""
    row = result["rows"][0]
    report.judge(row, [target("ratio", 2.25, "PyTorch")], products_decide=True)
    assert [t.get("at_most") for t in row["targets"]] == [None, pytest.approx(5.0)]
    assert "ratio ≥ 2.25 **missed** (the FMA peak allows 5.00)" in report.as_markdown(result)


def test_a_peer_that_does_other_work_has_its_own_flop(result):
    """The peer's 50 ms are 40 % of peak for twice the work; ours cannot take less than 10 ms."""
    row = result["rows"][0]
    row["results"][1]["flop"] = 2e9
    report.add_peak(row, {"fma": result["peak_gflops"]})
    assert [entry["of_peak"] for entry in row["results"]] == pytest.approx([0.5, 0.4, 0.4, 0.2])
    report.judge(row, [target("ratio", 2.75, "PyTorch", threads=1)], products_decide=True)
    assert [t["at_most"] for t in row["targets"]] == [pytest.approx(5.0)]


def test_cpu_time_is_reported(result):
    assert "CPU time" not in report.as_markdown(result)
    assert "CPU time of one thread" in report.as_markdown({**result, "clock": "cpu"})


def test_unknown_peak(result):
    row = result["rows"][0]
    for entry in row["results"]:
        del entry["of_peak"]
    result["peak_gflops"] = {1: None, 2: None}
    report.add_peak(row, {"fma": result["peak_gflops"]})
    report.judge(row, [target("peak", 0.6)])
    assert row["targets"] == []
    assert "FMA peak in this run: unknown." in report.as_markdown(result)


def test_busy_machine_is_reported(result):
    assert "not quiet" not in report.as_markdown(result)
    result["peak_gflops"][1]["samples"][:2] = [50.0, 60.0]
    assert "not quiet" in report.as_markdown(result)


def test_json_keeps_everything(result):
    read = json.loads(report.as_json(result))
    assert read["rows"][0]["results"][3]["ratio"]["median"] == 2.0
    assert read["peak_gflops"]["2"]["median"] == 200.0


@pytest.mark.parametrize(
    ("value", "text"), [(2.5, "2.50 s"), (0.00436, "4.36 ms"), (0.123, "123 ms"), (3e-6, "3.00 µs"), (5e-8, "0.05 µs")]
)
def test_duration(value, text):
    assert report.duration(value) == text


def test_splice_replaces_what_is_between_the_markers():
    page = f"a\n{report.BEGIN}\nold\n{report.END}\nb\n"
    once = report.splice(page, "new")
    assert once == f"a\n{report.BEGIN}\nnew\n{report.END}\nb\n"
    assert report.splice(once, "new") == once


def test_splice_wants_both_markers():
    with pytest.raises(ValueError, match="no <!-- bench: begin -->"):
        report.splice(f"a {report.BEGIN} b", "new")


def test_splice_knows_other_markers():
    page = f"{report.BEGIN}\nold\n{report.END}\n<!-- roofline: begin -->\n<!-- roofline: end -->"
    expected = page.replace("<!-- roofline: begin -->", "<!-- roofline: begin -->\nnew")
    assert report.splice(page, "new", "roofline") == expected


def test_each_script_keeps_what_the_other_wrote(result):
    first = report.merged("{}", {"rows": [1]}, report.ROOFLINE)
    assert json.loads(first) == {"roofline": {"rows": [1]}}
    both = report.merged(first, result)
    assert json.loads(both) == {**json.loads(report.as_json(result)), "roofline": {"rows": [1]}}
    # What the main script no longer reports goes, and nothing but the entry is replaced by the other.
    assert json.loads(report.merged(both, {"quick": True})) == {"quick": True, "roofline": {"rows": [1]}}
    again = report.merged(both, {"rows": [2]}, report.ROOFLINE)
    assert json.loads(again) == {**json.loads(both), "roofline": {"rows": [2]}}

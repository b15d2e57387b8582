"""The table of reduced numbers: what is counted and said, and what is left out without the instructions."""

import importlib
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from benchmarks import report

FOLDER = Path(__file__).parent
PEAKS = {"fma": {1: {"median": 100.0}, 2: {"median": 190.0}}, "bf16": {1: {"median": 200.0}, 2: {"median": 400.0}}}


@pytest.fixture(scope="module")
def modules():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        yield SimpleNamespace(
            **{name: importlib.import_module(name) for name in ("bench", "jobs", "peak", "reduced", "rows")}
        )


def timed(median, low=0.9, high=1.5):
    return {"median": median, "min": low * median, "max": high * median, "n": 7}


@pytest.fixture
def row():
    """A step in bf16 at half of its peak, beside one in float32 at 80 % of the other."""
    own = {"side": "sklstm", "threads": 1, "seconds": timed(0.01), "rate": "bf16", "error": 2e-3}
    peer = {"side": "our float32", "threads": 1, "seconds": timed(0.0125), "rate": "fma"}
    peer["ratio"] = {"median": 1.25, "low": 1.2, "high": 1.3}
    return {"name": "step", "title": "step", "flop": 1e9, "notes": [], "results": [own, peer]}


def target(kind, bound, peer=None, threads=None):
    return SimpleNamespace(kind=kind, bound=bound, peer=peer, threads=threads)


def test_shares_are_of_the_peak_of_each_side(row):
    report.add_peak(row, PEAKS)
    assert [result["of_peak"] for result in row["results"]] == pytest.approx([0.5, 0.8])


def test_an_unknown_peak_gives_no_share(row):
    report.add_peak(row, {"fma": PEAKS["fma"], "bf16": {1: None, 2: None}})
    assert ["of_peak" in result for result in row["results"]] == [False, True]
    report.judge(row, [target("ratio", 1.75, "our float32")], products_decide=True)
    assert "at_most" not in row["targets"][0]


def test_a_missed_ratio_tells_what_our_own_peak_allows(row):
    """1e9 operations take 5 ms at 200 Gop/s: against 12.5 ms no more than 2.5."""
    report.add_peak(row, PEAKS)
    report.judge(row, [target("ratio", 1.75, "our float32")], products_decide=True)
    assert row["targets"][0]["at_most"] == pytest.approx(2.5)
    assert report._target_text(row["targets"][0]) == "ratio ≥ 1.75 **missed** (the bf16 peak allows 2.50)"


def test_error_is_an_upper_bound(row):
    report.judge(row, [target("error", 1e-3), target("error", 2e-3)])
    assert [report._target_text(t) for t in row["targets"]] == [
        "error of h 2.0e-03 ≤ 0.001 **missed**",
        "error of h 2.0e-03 ≤ 0.002 met",
    ]


def test_memory_is_ours_beside_the_peers(modules):
    sizes = {"sklstm": 60e6, "our float32": 80e6}
    sides = {label: (lambda job, n_threads, label=label: sizes[label] * n_threads) for label in sizes}
    aims = (target("memory", 0.7, "our float32"), target("memory", 0.75, "our float32"))
    row = modules.rows.Row("m", "memory", None, sides.pop("sklstm"), peers=sides, targets=aims, in_bytes=True)
    counted = modules.bench.count_bytes(row, [1, 2])
    report.add_peak(counted, PEAKS)
    report.judge(counted, row.targets)
    assert [(t["threads"], t["value"], t["met"]) for t in counted["targets"]] == [
        (n, pytest.approx(0.75), met) for met in (False, True) for n in (1, 2)
    ]
    first, second = (" | ".join(cells) for cells in report._lines_of(counted))
    assert first == (
        "memory | 1 | 60.0 MB | – | our float32 | 80.0 MB | – | **1.33** | "
        "memory 0.75 ≤ 0.7 **missed**; memory 0.75 ≤ 0.75 met"
    )
    assert "| 120 MB |" in second


def test_bytes_of_a_step_of_training(modules):
    """Pairs of bf16 take half the room; the optimizer has two moments, the two halves of a batch a slot each."""
    job = modules.jobs.Training(modules.jobs.Shape(1, 64, 8), 32, 16, 16)
    parts = {}
    for dtype in ("float32", "bfloat16"):
        bound = modules.reduced.ours._Bound(job, 1, dtype)
        bound.epoch()
        parts[dtype] = bound.n_bytes()
        assert parts[dtype]["moments"] == parts[dtype]["gradient"] == 2 * parts[dtype]["weights"]
    matrices = 4 * 4 * 64 * (8 + 64)
    assert parts["float32"]["rounded weights"] == 0
    assert parts["bfloat16"]["rounded weights"] == matrices // 2
    assert parts["bfloat16"]["workspace"] < parts["float32"]["workspace"]
    call = modules.reduced.memory("call", job, 1)
    assert call == parts["bfloat16"]["workspace"] + parts["bfloat16"]["rounded weights"]
    assert modules.reduced.memory("whole", job, 1) == sum(parts["bfloat16"].values())


def options(**changes):
    return SimpleNamespace(
        **{"emulated": False, "threads": [1], "seconds": 0.0, "min_turns": 1, "clock": "wall", **changes}
    )


def test_without_the_instructions_a_row_says_so(modules, monkeypatch):
    def never(job, n_threads):
        raise AssertionError("a side was run")

    monkeypatch.setattr(modules.peak, "has_reduced_instructions", lambda: False)
    row = modules.rows.Row("a", "title of a", None, never, reduced=True)
    found = modules.bench.report_of(row, options())
    assert found["results"] == []
    assert report._lines_of(found) == [["title of a", *["–"] * 7, "no bf16 here"]]
    with pytest.raises(AssertionError, match="a side was run"):
        modules.bench.report_of(row, options(emulated=True))
    monkeypatch.setattr(modules.peak, "has_reduced_instructions", lambda: True)
    with pytest.raises(AssertionError, match="a side was run"):
        modules.bench.report_of(row, options())


def test_nothing_of_another_machine_stays(row):
    before = report.merged("{}", {"rows": [row]}, report.REDUCED)
    after = report.merged(before, {"rows": [report.absent("step", "step")]}, report.REDUCED)
    assert "0.01" in before
    assert "0.01" not in after
    page = "<!-- reduced: begin -->\n12.3 ms\n<!-- reduced: end -->"
    assert "12.3" not in report.splice(page, "no bf16 here", report.REDUCED)


def test_emulated_figures_are_not_written(modules, capsys):
    with pytest.raises(SystemExit):
        modules.bench.parse(["--emulated", "--write"])
    assert "its figures are not written" in capsys.readouterr().err
    assert modules.bench.parse(["--emulated"]).tables == ["reduced"]


def test_rows(modules):
    """Every row of speed needs the instructions, those of memory do not; targets name sides that exist."""
    rows = modules.reduced.reduced_rows()
    assert len({row.name for row in rows}) == len(rows)
    assert [row.name for row in rows if not row.reduced] == ["memory-call", "memory-whole"]
    for row in rows:
        assert {t.peer for t in row.targets} <= {None, *row.peers}
        assert {t.kind for t in row.targets} <= {"ratio", "seconds", "speed-up", "error", "memory"}


def test_relative_error(modules):
    assert modules.reduced.relative_error(np.array([3.0, 4.5]), np.array([3.0, 4.0])) == pytest.approx(0.1)


def test_header_names_the_instructions():
    machine = {"date": "2000-01-02", "cpu": "a CPU", "cores": 2, "isa": "x86_v4", "system": "Linux", "compiler": None}
    numbers = {"median": 231.0, "min": 229.0, "max": 232.0}
    facts = {"quick": False, "machine": machine | {"versions": {}}, "peak_gflops": {1: None}}
    lines = report.header({**facts, "instruction_peaks": {"bf16": {1: numbers}, "int8": {1: None}}})
    assert lines[-1] == "VDPBF16PS (bf16): 231.0 GFLOP/s on 1 thread (229.0 to 232.0)."
    assert not any("VPDPBUSD" in line for line in lines)


def test_peak_loops_hold_what_they_count(modules):
    """Twelve instructions a round; each multiplies 16 words of 2 or 4 numbers."""
    if (cc := modules.peak.compiler()) is None:
        pytest.skip("no C compiler")
    source = FOLDER / "instruction_peak.c"
    flags = ["-O2", *modules.peak.FLAGS["x86_v4"], "-S", "-o", "-"]
    done = subprocess.run([cc, *flags, str(source)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("the compiler does not know this instruction set")
    assert [done.stdout.count(name) for name in ("vdpbf16ps ", "vpdpwssd ", "vpdpbusd ")] == [12, 12, 12]
    pairs = {
        line.split('"')[1]: int(line.split(",")[2])
        for line in source.read_text().splitlines()
        if line.startswith("RATE(")
    }
    assert pairs == {"vdpbf16ps": 16 * 2, "vpdpwssd": 16 * 2, "vpdpbusd": 16 * 4}


def test_words_hold_the_numbers_of_a_sum(modules):
    """The first of a pair lies in the lower bits; pairs lie along k, a last number alone is joined with zero."""
    reduced = importlib.import_module("roofline_reduced")
    one, two, three = reduced.bf16_bits(np.float32([1.0, 2.0, 3.0])).tolist()
    assert (one, two, three) == (0x3F80, 0x4000, 0x4040)
    numbers = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]], np.float32)
    bits = reduced.bf16_bits(numbers)
    assert reduced.words_along_k(bits).view(np.uint32).tolist() == [[two << 16 | one, three], [two << 16 | three, one]]
    assert reduced.words_of_rows(bits).view(np.uint32).tolist() == [
        [three << 16 | one, two << 16 | two, one << 16 | three]
    ]
    assert reduced.bf16_values(bits).tolist() == numbers.tolist()
    # 1 + 2^-8 lies between two numbers of bf16: the even one is taken.
    assert reduced.bf16_bits(np.float32([1 + 2**-8, 1 + 3 * 2**-8])).tolist() == [0x3F80, 0x3F82]


def test_operations_do_not_depend_on_the_format(modules):
    """A product of K = 114 by 256 columns of 32 rows, whatever its words hold; loads and instructions become fewer."""
    kernels, library = (importlib.import_module(f"roofline_{name}") for name in ("kernels", "library"))
    fake = SimpleNamespace(lanes=16, tile_rows=6, tiles=lambda vecs, rows: -(-rows // 6))
    rng = np.random.default_rng(0)
    for form in (library.REALS, library.BF16):
        chunk, row = kernels.sum_products(fake, rng, "64", "1x64", 50, 64, form)
        assert chunk.flop == 32 * row.flop == 2.0 * 32 * 114 * 256
        assert chunk.flop == 2 * 16 * form.numbers * chunk.multiplications
        product = kernels.product(fake, rng, 64, 4, "t, k", form)
        assert product.flop == 2.0 * 32 * 256 * 64 == 32 * form.numbers * product.multiplications
        outer = kernels.outer(fake, rng, "64", "1x64", 114, 64, form)
        assert outer.flop == 2.0 * 128 * 114 * 256 == 32 * form.numbers * outer.multiplications
    reduced = importlib.import_module("roofline_reduced")
    for form, numbers in ((reduced.INT16, 2), (reduced.INT8, 4)):
        layer = reduced.integer_products(fake, rng, form, 32)
        assert layer.flop == 2.0 * 32 * 1024 * 2048 == 32 * numbers * layer.multiplications

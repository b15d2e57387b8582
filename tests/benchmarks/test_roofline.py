"""What the roofline makes of its measurements, and whether its loops fit the kernels; nothing is timed."""

import importlib
import subprocess
import sysconfig
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]
REALS, PAIRS = SimpleNamespace(numbers=1, rate="fma"), SimpleNamespace(numbers=2, rate="bf16")
CACHES = {"L1": 100, "L2": 1000, "L3": 10_000}
# Seconds of a byte or a vector operation. A vector has 8 lanes, so 32 bytes.
COSTS = {"read L1": 1.0, "update L1": 1.0, "read L2": 2.0, "update L2": 3.0, "read DRAM": 9.0, "fma": 5.0, "root": 7.0}
COSTS |= {"addition": 0.0, "division": 11.0}


@pytest.fixture(scope="module")
def roofline():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent)
        yield importlib.import_module("roofline")


@pytest.mark.parametrize("reduced", [0, 1])
@pytest.mark.skipif(not (ROOT / "sklstm/_kernels/isa").is_dir(), reason="wants the source of the package")
def test_the_loops_fit_the_kernels(roofline, reduced):
    """The headers change and roofline.c calls them, but only `make bench` runs it."""
    library = importlib.import_module("roofline_library")
    if (cc := library.compiler()) is None:
        pytest.skip("no C compiler")
    includes = [f"-I{ROOT / 'sklstm' / '_kernels'}", f"-I{sysconfig.get_path('include')}"]
    flags = [
        "-std=c11",
        "-fsyntax-only",
        "-Wno-psabi",
        "-DSKLSTM_REAL_IS_FLOAT=1",
        f"-DSKLSTM_REDUCED={reduced}",
        *includes,
    ]
    done = subprocess.run([cc, *flags, str(library.SOURCE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def kernel(**changes):
    counts = {"moves": [], "loads": 0, "stores": 0, "multiplications": 0, "busy": {}, "format": REALS}
    about = {"name": "k", "title": "kernel", "flop": 1e3, "unit": "pass", "work": 1}
    side = SimpleNamespace(turns=[[100.0, 200.0, 300.0]])
    return SimpleNamespace(**{**counts, **about, "side": side, **changes})


@pytest.mark.parametrize(("n_bytes", "level"), [(0, "L1"), (100, "L1"), (101, "L2"), (10_000, "L3"), (10_001, "DRAM")])
def test_level_of(roofline, n_bytes, level):
    assert roofline.level_of(n_bytes, CACHES) == level


def test_bytes_by_level(roofline):
    moves = [(5, 100, False), (7, 500, False), (11, 600, True), (13, 50_000, True)]
    found = roofline.moved(kernel(moves=moves, loads=3), CACHES, 8)
    assert found == {"L1": 3 * 32, "L2": 7 + 2 * 11, "DRAM": 26}


def test_floors(roofline):
    moves = [(7, 500, False), (11, 600, True), (13, 50_000, False)]
    busy = {"fma": 2, "root": 3, "division": 1}
    work = kernel(moves=moves, loads=1, stores=1, multiplications=1, busy=busy)
    found = roofline.floors(work, CACHES, 8, COSTS, {"median": 16e-9})
    assert found.pop("latency of additions") == 0
    assert found == {
        "DRAM": 13 * 9.0,
        "L2": 7 * 2.0 + 2 * 11 * 3.0,
        "stores": 64.0,
        "divider": 32.0,
        "L1 loads": 32.0,
        "FMA latency": 10.0,
        "FMA units": 1.0,
    }
    assert list(found.values()) == sorted(found.values(), reverse=True)


@pytest.mark.parametrize(
    ("shares", "bound"),
    [
        ({"a": 0.95, "b": 0.8}, "a"),
        ({"a": 0.95, "b": 0.9}, "a and b"),
        ({"a": 0.72, "b": 0.65}, "a"),
        ({"a": 0.6, "b": 0.6}, "none alone"),
    ],
)
def test_bound(roofline, shares, bound):
    assert roofline.bound_of(shares) == bound


def test_row(roofline):
    work = kernel(multiplications=180, loads=2, flop=2880.0)
    row = roofline.describe(work, CACHES, 8, COSTS, {"median": 16e-9})
    assert row["gflops"] == pytest.approx(14.4e-9)
    assert row["of_peak"] == pytest.approx(0.9)
    assert row["flop_per_byte"] == {"L1": 45.0}
    assert row["bound"] == "FMA units"
    # Without a compiler that knows the instruction set there is no peak.
    assert roofline.describe(work, CACHES, 8, COSTS, None)["of_peak"] is None


def test_products_of_pairs_are_held_against_their_own_instruction(roofline):
    """100 instructions of 8 words of 2 numbers: 3,200 operations, 200 seconds at 16 a second."""
    work = kernel(multiplications=100, flop=3200.0, loads=1, format=PAIRS)
    row = roofline.describe(work, CACHES, 8, COSTS, {"median": 16e-9})
    assert row["rate"] == "bf16"
    assert row["of_peak"] == pytest.approx(1.0)
    assert row["shares"]["VDPBF16PS units"] == pytest.approx(1.0)
    assert row["bound"] == "VDPBF16PS units"


def test_a_kernel_without_its_instruction_says_so(roofline):
    report = report_of([{"name": "k", "title": "kernel in bf16", "absent": "no bf16 here"}], roofline)
    last = roofline.as_markdown(report).splitlines()[-1]
    assert last == f"| kernel in bf16 |{' – |' * 6} no bf16 here |"


def test_emulated_kernels_are_not_written(roofline, capsys):
    with pytest.raises(SystemExit):
        roofline.parse(["--emulated", "--write"])
    assert "its figures are not written" in capsys.readouterr().err


def report_of(rows, roofline):
    numbers = {"median": 2.0, "min": 1.0, "max": 3.0}
    machine = {"date": "2000-01-02", "cpu": "a CPU", "cores": 2, "isa": "baseline", "system": "Linux", "compiler": None}
    names = [f"{kind} {level}" for kind in ("read", "update") for level in roofline.LEVELS]
    names += ["fma", "addition", "division", "root"]
    report = {"quick": False, "machine": machine | {"versions": {}}, "peak_gflops": {1: None}, "lanes": 4}
    return report | {"tile_rows": 3, "caches": CACHES, "limits": dict.fromkeys(names, numbers), "rows": rows}


def test_table(roofline):
    rows = [roofline.describe(kernel(loads=4, work=1e12, **c), CACHES, 8, COSTS, None) for c in ({}, {"flop": None})]
    first, second = roofline.as_markdown(report_of(rows, roofline)).splitlines()[-2:]
    time = "0.20 ns per pass (0.10 to 0.30)"
    assert first == f"| kernel | L1 7.81 | {time} | L1 0.00 | 0.00 | – | L1 loads 64 % | none alone |"
    assert second == f"| kernel | – | {time} | L1 0.00 | – | – | L1 loads 64 % | none alone |"

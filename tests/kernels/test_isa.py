"""The choice of an instruction set, and what its variants owe to each other."""

import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from network.stack_runner import StackRunner
from numpy.testing import assert_allclose, assert_array_equal

import sklstm
from sklstm import _kernels
from sklstm._kernels import ALL_ISAS, ISA, available_isas, kernel_table

PACKAGE = Path(sklstm.__file__).parent


def run_python(code, root=PACKAGE.parent, **variables):
    """Run code in a fresh interpreter that imports the package from `root`."""
    environ = {k: v for k, v in os.environ.items() if k != "SKLSTM_MAX_ISA"}
    environ["PYTHONPATH"] = str(root)
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        env=environ | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def kernels_only(tmp_path_factory):
    """A copy of the kernels without the estimators: quick to import, and free to break."""
    root = tmp_path_factory.mktemp("copy")
    (root / "sklstm").mkdir()
    (root / "sklstm" / "__init__.py").touch()
    ignore = shutil.ignore_patterns("__pycache__", "*.c", "*.h", "*.py[xi]", "*.px[di]", "isa")
    shutil.copytree(PACKAGE / "_kernels", root / "sklstm" / "_kernels", ignore=ignore)
    return root


PRINT_ISA = "from sklstm._kernels import ISA, REDUCED_ISA; print(ISA, REDUCED_ISA)"


@pytest.mark.parametrize("limit", [None, "", *ALL_ISAS])
def test_environment_lowers_the_instruction_set(kernels_only, limit):
    """Lower, equal, or above what the machine can run: then it changes nothing."""
    run = run_python(PRINT_ISA, kernels_only, **{} if limit is None else {"SKLSTM_MAX_ISA": limit})
    allowed = ALL_ISAS[: ALL_ISAS.index(limit) + 1] if limit else ALL_ISAS
    expected = " ".join([isa for isa in available_isas(dtype) if isa in allowed][-1] for dtype in ("f32", "reduced"))
    assert (run.returncode, run.stdout.strip(), run.stderr) == (0, expected, "")


@pytest.mark.parametrize("limit", ["avx2", "X86_V3", "baseline ", "none"])
def test_unknown_instruction_set(kernels_only, limit):
    run = run_python(PRINT_ISA, kernels_only, SKLSTM_MAX_ISA=limit)
    assert run.returncode == 1
    message = f"ImportError: SKLSTM_MAX_ISA={limit!r} is not one of {', '.join(ALL_ISAS)}."
    assert run.stderr.strip().splitlines()[-1] == message


@pytest.mark.parametrize("supported", [ALL_ISAS[:n] for n in range(1, 6)])
@pytest.mark.parametrize("limit", [None, *ALL_ISAS])
@pytest.mark.parametrize("dtype", ["f32", "reduced"])
def test_choice_on_other_machines(monkeypatch, dtype, limit, supported):
    """The best variant that is built for the dtype, that the machine runs, and that the limit allows."""
    monkeypatch.setattr(_kernels, "supported_isas", lambda: list(supported))
    without = {"f32": {"x86_v4_vnni", "x86_v4_bf16"}, "reduced": {"x86_v4"}}[dtype]
    allowed = supported if limit is None else supported[: ALL_ISAS.index(limit) + 1]
    assert _kernels._choose_isa(limit, dtype) == [isa for isa in allowed if isa not in without][-1]


@pytest.mark.skipif(
    platform.machine() not in {"x86_64", "AMD64"} or not os.path.exists("/proc/cpuinfo"),
    reason="compares with what Linux says of an x86_64 CPU",
)
def test_available_isas_against_linux():
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    flags = set(next(line for line in lines if line.startswith("flags")).split(":")[1].split())
    expected = ["baseline"]
    if {"avx2", "fma", "bmi1", "bmi2", "f16c", "abm", "movbe", "xsave"} <= flags:
        expected.append("x86_v3")
        if {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"} <= flags:
            expected.append("x86_v4")
    assert available_isas() == tuple(expected)
    reduced = [isa for isa in expected if isa != "x86_v4"]
    if "x86_v4" in expected and "avx512_vnni" in flags:
        reduced.append("x86_v4_vnni")
        if "avx512_bf16" in flags:
            reduced.append("x86_v4_bf16")
    assert available_isas("reduced") == tuple(reduced)


def test_no_variant_is_loaded_before_it_is_needed(kernels_only):
    """Initialising a module compiled for another CPU is an illegal instruction, not an exception."""
    code = """
import sys
def variants():
    return sorted(name.split(".")[-1] for name in sys.modules if "._isa_" in name)
import sklstm._kernels
from sklstm._kernels.core import _pointwise
from sklstm._kernels.network import _stack
from sklstm._kernels.optim import _updates
print(variants())
_stack.lanes_of("float32")
print(variants())
_stack.lanes_of("float64")
print(variants())
"""
    run = run_python(code, kernels_only, SKLSTM_MAX_ISA="baseline")
    expected = ["[]", "['_isa_baseline_f32']", "['_isa_baseline_f32', '_isa_baseline_f64']"]
    assert run.stdout.splitlines() == expected, run.stderr


def test_missing_variant_is_an_error(kernels_only, tmp_path):
    """Never a silent fall back to a slower one."""
    shutil.copytree(kernels_only, tmp_path, dirs_exist_ok=True)
    (missing,) = (tmp_path / "sklstm" / "_kernels").glob(f"_isa_{ISA}_f32.*")
    missing.unlink()
    code = "from sklstm._kernels.network._stack import lanes_of; lanes_of('{}')"
    run = run_python(code.format("float32"), tmp_path, SKLSTM_MAX_ISA=ISA)
    assert run.returncode == 1
    expected = f"ModuleNotFoundError: No module named 'sklstm._kernels._isa_{ISA}_f32'"
    assert run.stderr.strip().splitlines()[-1] == expected
    assert run_python(code.format("float64"), tmp_path, SKLSTM_MAX_ISA=ISA).returncode == 0


def draw(rng, *shape, scale=1.0):
    return np.round(rng.uniform(-scale, scale, shape) * 2.0**16) / 2.0**16


def make_runner(isa, dtype, n_samples=24, n_steps=16, input_size=48, hidden_size=64):
    rng = np.random.default_rng(17)
    h, d = hidden_size, input_size
    parameters = {
        "weight_ih_l0": draw(rng, 4 * h, d, scale=0.3),
        "weight_hh_l0": draw(rng, 4 * h, h, scale=0.3),
        "bias_l0": draw(rng, 4 * h),
        "weight_out": draw(rng, 1, h),
        "bias_out": draw(rng, 1),
    }
    sequences = list(draw(rng, n_samples, n_steps, d))
    return StackRunner(parameters, sequences, dtype=dtype, isa=isa)


def run_both(runner):
    n = len(runner.starts)
    y = np.linspace(-1.0, 1.0, n)
    result = runner.forward_backward("squared", y, np.ones(n), scale=1.0 / n)
    return {"forward": runner.forward()["z"], "loss": result["loss"], **result["parameters"]}


# Of the largest number of an array: 16 steps of rounding in 24 bits, or in 53.
ROUNDING = {"float32": 2e-6, "float64": 5e-15}


@pytest.mark.parametrize("dtype", ROUNDING)
def test_variants_agree_to_rounding(dtype):
    found = [run_both(make_runner(isa, dtype)) for isa in available_isas()]
    for other in found[1:]:
        for name, value in found[0].items():
            limit = ROUNDING[dtype] * np.abs(value).max()
            assert_allclose(other[name], value, rtol=0.0, atol=limit, err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_default_is_the_chosen_variant(dtype):
    named, default = (run_both(make_runner(isa, dtype)) for isa in (ISA, None))
    for name, value in named.items():
        assert_array_equal(default[name], value)
    key = {"float32": "f32", "float64": "f64"}[dtype]
    assert kernel_table(key) is not kernel_table(key, "baseline") or ISA == "baseline"


def median_ratio(slow, fast, n_rounds=21):
    """How many times slower: interleaved, so that another program's load meets both."""
    ratios = []
    for _ in range(n_rounds):
        times = [time.perf_counter()]
        for function in (slow, fast):
            function()
            times.append(time.perf_counter())
        ratios.append((times[1] - times[0]) / (times[2] - times[1]))
    return np.median(ratios)


@pytest.mark.parametrize("isa", available_isas()[1:])
@pytest.mark.parametrize("part", ["forward", "forward_backward"])
def test_wider_vectors_are_faster(part, isa):
    """Twice the width and joined products make four times the work of the baseline in the same time.

    What spills, or is not vectorised, gives the right numbers at the baseline's speed. That shows even
    on a loaded machine: half of the gain is asked for, once in several trials.
    """
    runners = [make_runner(name, "float32", n_steps=32) for name in ("baseline", isa)]
    n = len(runners[0].starts)
    calls = {
        "forward": lambda runner: runner.forward(),
        "forward_backward": lambda runner: runner.forward_backward(
            "squared", np.zeros(n), np.ones(n), want_inputs=False
        ),
    }
    slow, fast = (lambda runner=runner: calls[part](runner) for runner in runners)
    ratios = []
    for _ in range(10):
        ratios.append(median_ratio(slow, fast))
        if ratios[-1] >= 2.0:
            return
    pytest.fail(f"{isa} is only {max(ratios):.2f} times as fast as the baseline")

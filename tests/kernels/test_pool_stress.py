"""The C code of the pool without Python: compiled here, run alone and under ThreadSanitizer."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SOURCES = HERE.parents[1] / "sklstm" / "_kernels" / "core"
COMPILER = os.environ.get("CC", "").split() or [shutil.which("gcc") or shutil.which("cc")]

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="without pthreads the pool runs inline"),
    pytest.mark.skipif(COMPILER[0] is None, reason="this machine has no C compiler"),
    pytest.mark.skipif(not (SOURCES / "pool.c").exists(), reason="the C sources are not here"),
]

FUTEX = ()
CONDITION = ("-DSKLSTM_POOL_NO_FUTEX",)
INLINE = ("-DSKLSTM_POOL_INLINE",)
SANITIZER = ("-fsanitize=thread", "-g")


def compile_and_link(target, sources, flags):
    command = [*COMPILER, "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread", *flags]
    command += [f"-I{SOURCES}", *map(str, sources), "-o", str(target)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def sanitizer(tmp_path_factory):
    """Flags of ThreadSanitizer, or a skip where its runtime cannot work."""
    folder = tmp_path_factory.mktemp("sanitizer")
    empty = folder / "empty.c"
    empty.write_text("int main(void) { return 0; }\n")
    build = compile_and_link(folder / "empty", [empty], SANITIZER)
    if build.returncode != 0:
        pytest.skip("the compiler has no ThreadSanitizer")
    run = subprocess.run([folder / "empty"], capture_output=True, text=True, check=False)
    if run.returncode != 0:
        pytest.skip(f"ThreadSanitizer cannot run on this kernel: {run.stderr[:200]}")
    return SANITIZER


def stress(tmp_path, flags, *runs):
    program = tmp_path / "pool_stress"
    build = compile_and_link(program, [HERE / "pool_stress.c", SOURCES / "pool.c"], flags)
    assert build.returncode == 0, build.stderr
    for mode, count in runs:
        run = subprocess.run([program, mode, str(count)], capture_output=True, text=True, timeout=90, check=False)
        assert (run.returncode, run.stdout, run.stderr) == (0, f"{mode}: ok\n", "")


@pytest.mark.parametrize("flags", [FUTEX, CONDITION], ids=["futex", "condition"])
def test_stress(tmp_path, flags):
    stress(tmp_path, flags, ("calls", 3000), ("float", 1), ("fork", 100))


@pytest.mark.parametrize("flags", [FUTEX, CONDITION], ids=["futex", "condition"])
def test_stress_under_thread_sanitizer(tmp_path, sanitizer, flags):
    stress(tmp_path, (*flags, *sanitizer), ("calls", 1000), ("float", 1))


def test_the_flag_of_a_signal_watch_under_thread_sanitizer(tmp_path, sanitizer):
    stress(tmp_path, sanitizer, ("stop", 300))


def test_build_without_threads(tmp_path):
    stress(tmp_path, INLINE, ("calls", 300))

"""The machine's rates of fused multiply-adds and of the instructions for reduced numbers: small loops in C."""

import ctypes
import os
import shutil
import subprocess
import sysconfig
import tempfile
import threading
from pathlib import Path

from timing import summary

FOLDER = Path(__file__).parent
# Instruction of each rate: its name and the file of its loop, NAME_rate.
RATES = {
    "fma": ("FMA", "fma_peak.c"),
    "bf16": ("VDPBF16PS", "instruction_peak.c"),
    "int16": ("VPDPWSSD", "instruction_peak.c"),
    "int8": ("VPDPBUSD", "instruction_peak.c"),
}
REDUCED_RATES = ("bf16", "int8", "int16")
# The set that the kernels in use were compiled for, so that their yardstick is of the same width.
FLAGS = {"x86_v4": ["-march=x86-64-v4"], "x86_v3": ["-march=x86-64-v3"], "baseline": []}
SAMPLE_SECONDS = 0.02


def compiler():
    """Return the command of the C compiler that builds the package, None where there is none."""
    return shutil.which((os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0])


class Peak:
    """Samples of a rate on one and on more threads at once.

    Where there is no compiler, or it does not know the instruction set, the rate stays unknown; so do those of reduced
    numbers where the CPU has no such instructions.
    """

    def __init__(self, isa, thread_counts, clock="wall", rate="fma"):
        self.samples = {n_threads: [] for n_threads in thread_counts}
        known = rate == "fma" or has_reduced_instructions()
        self._rate, self._of_thread = _load(isa, rate) if known else None, int(clock == "cpu")

    def sample(self):
        """Measure a few times more with each number of threads."""
        if self._rate is None:
            return
        for n_threads, rates in self.samples.items():
            rates += [self._sample(n_threads) for _ in range(3)]

    def _sample(self, n_threads):
        rates, barrier = [], threading.Barrier(n_threads)

        def run():
            barrier.wait()
            rates.append(self._rate(SAMPLE_SECONDS, self._of_thread))

        threads = [threading.Thread(target=run) for _ in range(n_threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(rates)

    def summaries(self):
        """Return GFLOP/s or Gop/s for each number of threads, with all samples; None where it is unknown."""
        return {n: {**summary(rates), "samples": rates} if rates else None for n, rates in self.samples.items()}


def has_reduced_instructions():
    """Return whether the kernels in use have the instructions for bf16, int8 and int16."""
    from sklstm._kernels import has_fast_bfloat16

    return has_fast_bfloat16()


def _load(isa, rate):
    cc = compiler()
    if cc is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "peak.so"
        flags = ["-O2", "-ffp-contract=fast", "-shared", "-fPIC", *FLAGS.get(isa, [])]
        if subprocess.run([cc, *flags, str(FOLDER / RATES[rate][1]), "-o", str(library)], check=False).returncode != 0:
            return None
        # Once it is loaded the file may go.
        loaded = ctypes.CDLL(str(library))
    function = getattr(loaded, f"{rate}_rate")
    function.argtypes, function.restype = [ctypes.c_double, ctypes.c_int], ctypes.c_double
    return function

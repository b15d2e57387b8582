"""The machine's rate of fused multiply-adds, measured by a small loop in C."""

import ctypes
import os
import shutil
import subprocess
import sysconfig
import tempfile
import threading
from pathlib import Path

from timing import summary

SOURCE = Path(__file__).with_name("fma_peak.c")
# The set that the kernels in use were compiled for, so that their yardstick is of the same width.
FLAGS = {"x86_v4": ["-march=x86-64-v4"], "x86_v3": ["-march=x86-64-v3"], "baseline": []}
SAMPLE_SECONDS = 0.02


def compiler():
    """Return the command of the C compiler that builds the package, None where there is none."""
    return shutil.which((os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0])


class Peak:
    """Samples of the FMA rate on one and on more threads at once.

    Where there is no compiler, or it does not know the instruction set, the rate stays unknown.
    """

    def __init__(self, isa, thread_counts, clock="wall"):
        self.samples = {n_threads: [] for n_threads in thread_counts}
        self._rate, self._of_thread = _load(isa), int(clock == "cpu")

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
        """Return GFLOP/s for each number of threads, None where it is unknown, and all samples in their order."""
        return {n: {**summary(rates), "samples": rates} if rates else None for n, rates in self.samples.items()}


def _load(isa):
    cc = compiler()
    if cc is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "fma_peak.so"
        flags = ["-O2", "-ffp-contract=fast", "-shared", "-fPIC", *FLAGS.get(isa, [])]
        if subprocess.run([cc, *flags, str(SOURCE), "-o", str(library)], check=False).returncode != 0:
            return None
        # Once it is loaded the file may go.
        loaded = ctypes.CDLL(str(library))
    rate = loaded.fma_rate
    rate.argtypes, rate.restype = [ctypes.c_double, ctypes.c_int], ctypes.c_double
    return rate

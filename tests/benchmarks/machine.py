"""Where a benchmark ran: the machine, the compiler, the versions."""

import importlib.metadata
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from peak import compiler

PACKAGES = ["numpy", "scikit-learn", "torch", "skorch", "onnxruntime", "river", "deep-river"]


def cpu_model():
    """Return what the system calls the CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def n_cores():
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def describe():
    """Return all of it as a dict."""
    import sklstm
    from sklstm._kernels import ISA

    cc = compiler()
    version = cc and subprocess.run([cc, "--version"], capture_output=True, text=True, check=False).stdout
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": cpu_model(),
        "cores": n_cores(),
        "isa": ISA,
        "system": platform.system(),
        "compiler": version.splitlines()[0] if version else None,
        "versions": {
            "Python": platform.python_version(),
            "sklstm": sklstm.__version__,
            **{package: _version(package) for package in PACKAGES},
        },
    }

"""From an architecture to the kernels that run it."""

from sklstm._kernels.network._stack import Stack, lanes_of
from sklstm._network.memory_plan import Plan


def build_stack(architecture, dtype="float32", isa=None, **scaling):
    """Return the stack of an architecture.

    Parameters
    ----------
    architecture : Architecture
    dtype : "float32", "float64" or "bfloat16", default="float32"
    isa : str or None, default=None
        Instruction-set variant of the kernels; None for the one in use.
    **scaling
        ``input_mean`` and ``input_scale`` of `Stack`.

    Returns
    -------
    Stack
    """
    plan = Plan(architecture, lanes_of(dtype, isa), 2 if dtype == "bfloat16" else 1)
    return Stack(plan, dtype, isa, **scaling)

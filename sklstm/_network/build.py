"""From an architecture to the kernels that run it."""

from sklstm._kernels.network._stack import Stack, lanes_of
from sklstm._network.memory_plan import Plan


def build_stack(architecture, dtype="float32", isa=None, integers=None, **scaling):
    """Return the stack of an architecture.

    Parameters
    ----------
    architecture : Architecture
    dtype : "float32", "float64" or "bfloat16", default="float32"
    isa : str or None, default=None
        Instruction-set variant of the kernels; None for the one in use.
    integers : IntegerLayout or None, default=None
        With it, the kernels of reduced number formats.
    **scaling
        ``input_mean`` and ``input_scale`` of `Stack`.

    Returns
    -------
    Stack
    """
    numbers_of_word = 2 if dtype == "bfloat16" else 1
    plan = Plan(architecture, lanes_of(dtype, isa, integers is not None), numbers_of_word, integers)
    return Stack(plan, dtype, isa, **scaling)

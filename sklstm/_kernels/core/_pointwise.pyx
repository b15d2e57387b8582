"""The functions of the cells over an array: what the tests measure in units in the last place."""

from sklstm._kernels._table cimport KernelTable

include "buffers.pxi"

# In the order of array_functions in isa/functions.h.
FUNCTIONS = (
    "sigmoid", "tanh", "exp", "log", "softplus", "sine", "cosine", "root", "silu", "silu_slope", "softsign",
    "softsign_slope",
)


def evaluate(name, x, isa=None, reduced=False):
    """Return a function, by its name, of a contiguous float array; `reduced`: that of the reduced number formats."""
    cdef char code = code_of(x.dtype)
    cdef const KernelTable *kernels = open_table(code, isa, reduced)
    cdef Py_ssize_t function = FUNCTIONS.index(name)
    cdef unsigned int mode
    out = np.empty_like(x)
    mode = kernels.enter()
    kernels.array_functions[function](x.size, data_of(x, code, x.size), data_of(out, code, x.size, True))
    kernels.leave(mode)
    return out


def sigmoid(x, isa=None):
    """Return 1 / (1 + exp(-x)) of a contiguous float array."""
    return evaluate("sigmoid", x, isa)


def tanh(x, isa=None):
    """Return the hyperbolic tangent of a contiguous float array."""
    return evaluate("tanh", x, isa)

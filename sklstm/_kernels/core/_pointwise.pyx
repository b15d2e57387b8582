"""The activations as functions of an array: what the tests measure in units in the last place."""

from sklstm._kernels._table cimport KernelTable

include "buffers.pxi"


def sigmoid(x, isa=None):
    """Return 1 / (1 + exp(-x)) of a contiguous float array."""
    cdef char code = code_of(x.dtype)
    cdef const KernelTable *kernels = open_table(code, isa)
    out = np.empty_like(x)
    kernels.sigmoid(x.size, data_of(x, code, x.size), data_of(out, code, x.size, True))
    return out


def tanh(x, isa=None):
    """Return the hyperbolic tangent of a contiguous float array."""
    cdef char code = code_of(x.dtype)
    cdef const KernelTable *kernels = open_table(code, isa)
    out = np.empty_like(x)
    kernels.tanh(x.size, data_of(x, code, x.size), data_of(out, code, x.size, True))
    return out

"""The activations as functions of an array: what the tests measure in units in the last place."""

from sklstm._kernels._table cimport KernelTable

include "_door.pxi"


def sigmoid(x, isa=None):
    """Return 1 / (1 + exp(-x)) of a contiguous float array."""
    cdef const KernelTable *kernels = open_table(x.dtype, isa)
    out = np.empty_like(x)
    kernels.sigmoid(x.size, data_of(x, x.dtype, x.size), data_of(out, x.dtype, x.size, True))
    return out


def tanh(x, isa=None):
    """Return the hyperbolic tangent of a contiguous float array."""
    cdef const KernelTable *kernels = open_table(x.dtype, isa)
    out = np.empty_like(x)
    kernels.tanh(x.size, data_of(x, x.dtype, x.size), data_of(out, x.dtype, x.size, True))
    return out

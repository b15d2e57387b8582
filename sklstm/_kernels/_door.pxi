# What every door needs: the table of kernels, and the address of an array after a check.

from cpython.pycapsule cimport PyCapsule_GetPointer

import numpy as np

from sklstm._kernels import kernel_table


cdef const KernelTable *open_table(dtype, isa) except NULL:
    return <const KernelTable *> PyCapsule_GetPointer(
        kernel_table({"float32": "f32", "float64": "f64"}[np.dtype(dtype).name], isa), "sklstm kernel table")


cdef char *data_of(array, dtype, Py_ssize_t size, bint writable=False) except? NULL:
    """The address of a C-contiguous array after checking what C cannot check. None gives NULL."""
    if array is None:
        return NULL
    if array.dtype != dtype or array.size < size or not array.flags.c_contiguous or not array.flags.aligned:
        raise ValueError(f"expected a contiguous {np.dtype(dtype)} array of {size}, got {array.dtype}, {array.shape}")
    if writable and not array.flags.writeable:
        raise ValueError("expected an array that can be written to")
    return <char *> <Py_ssize_t> array.ctypes.data

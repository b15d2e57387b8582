# Used by every module above the kernels: their table, and the address of an array after a check.

from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS,
    PyBUF_FORMAT,
    PyBUF_WRITABLE,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.pycapsule cimport PyCapsule_GetPointer

import numpy as np

from sklstm._kernels import kernel_table

# One-letter codes of dtypes, as the buffer protocol and np.dtype.char write them.
cdef char FLOAT32 = c"f", FLOAT64 = c"d", UINT8 = c"B", UINT32 = c"I", INT64 = c"q", INTP = c"n"

# The tables in use, for float, double and reduced numbers: looking one up by name costs as much as a small step.
cdef const KernelTable *tables_in_use[3]
tables_in_use[0] = tables_in_use[1] = tables_in_use[2] = NULL


cdef inline char code_of(dtype) except 0:
    """The code of the numbers of a network: bfloat16 is a format of products, its parameters are float32."""
    code = "f" if dtype == "bfloat16" else np.dtype(dtype).char
    if code not in "fd":
        raise ValueError(f"expected float32, float64 or bfloat16, got {dtype}")
    return ord(code)


cdef inline const KernelTable *open_table(char code, isa, bint reduced=False) except NULL:
    cdef int place = 2 if reduced else code == FLOAT64
    cdef const KernelTable *table = tables_in_use[place]
    if isa is not None or table == NULL:
        table = <const KernelTable *> PyCapsule_GetPointer(
            kernel_table(("f32", "f64", "reduced")[place], isa), "sklstm kernel table")
        if isa is None:
            tables_in_use[place] = table
    return table


cdef bint has_code(const Py_buffer *view, char code) noexcept:
    cdef char found = view.format[0]
    cdef Py_ssize_t size
    if view.format[1] != 0:
        return False
    # Integers by their size: the letters differ between systems (np.uint32 is "L" where a C long has 4 bytes).
    if code == INT64 or code == INTP:
        size = 8 if code == INT64 else sizeof(Py_ssize_t)
        return view.itemsize == size and found in (c"i", c"l", c"q", c"n")
    if code == UINT32:
        return view.itemsize == 4 and found in (c"I", c"L")
    return found == code


# Through the buffer protocol: `array.ctypes.data` costs 1 us, and a training step needs a dozen addresses.
cdef char *data_of(array, char code, Py_ssize_t size, bint writable=False) except? NULL:
    """The address of a C-contiguous array after a check of its type and size; NULL for None."""
    cdef Py_buffer view
    cdef bint right
    if array is None:
        return NULL
    PyObject_GetBuffer(array, &view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | (PyBUF_WRITABLE if writable else 0))
    right = has_code(&view, code) and view.len >= size * view.itemsize and <size_t> view.buf % view.itemsize == 0
    PyBuffer_Release(&view)
    if not right:
        name = "intp" if code == INTP else np.dtype(chr(code)).name
        raise ValueError(f"expected a contiguous {name} array of {size}, got {array.dtype}, {array.shape}")
    return <char *> view.buf

from sklstm._kernels._calls cimport OuterProducts


cdef class FactoredGradient:
    cdef OuterProducts products
    cdef Py_ssize_t n_most       # parts that there is room for
    cdef char *numbers           # the factors
    cdef object memory
    cdef readonly object vector  # the gradient but for these parts
    cdef char code
    cdef void begin(self, char *gradient) noexcept
    cdef void sort(self) noexcept

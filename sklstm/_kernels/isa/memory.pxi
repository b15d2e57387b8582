# Cutting a workspace into arrays of numbers.

cdef inline Py_ssize_t whole(Py_ssize_t n, Py_ssize_t step) noexcept nogil:
    return (n + step - 1) // step * step


cdef inline real *numbers(char **cursor, Py_ssize_t n) noexcept nogil:
    """The next n numbers of a workspace, on a 64-byte boundary."""
    cdef char *begin = cursor[0]
    cursor[0] = begin + whole(n * <Py_ssize_t> sizeof(real), 64)
    return <real *> begin


cdef inline Py_ssize_t odd_lines(Py_ssize_t n) noexcept nogil:
    """Room for n numbers in an odd number of cache lines, so that rows spread over all sets of the cache."""
    return ((n * <Py_ssize_t> sizeof(real) + 63) // 64 | 1) * 64 // <Py_ssize_t> sizeof(real)

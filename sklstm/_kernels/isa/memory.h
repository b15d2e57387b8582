/* Sizes, and cutting a workspace into arrays of numbers. */

SKLSTM_INLINE Py_ssize_t smaller(Py_ssize_t a, Py_ssize_t b) { return a < b ? a : b; }

SKLSTM_INLINE Py_ssize_t round_up(Py_ssize_t n, Py_ssize_t step) { return (n + step - 1) / step * step; }

/* The next n numbers of a workspace, on a 64-byte boundary. */
SKLSTM_INLINE real *take_numbers(char **cursor, Py_ssize_t n) {
    char *begin = *cursor;
    *cursor = begin + round_up(n * (Py_ssize_t)sizeof(real), 64);
    return (real *)begin;
}

/* Room for n numbers in an odd number of cache lines, so that rows spread over all sets of the cache. */
SKLSTM_INLINE Py_ssize_t odd_lines(Py_ssize_t n) {
    return (round_up(n * (Py_ssize_t)sizeof(real), 64) / 64 | 1) * 64 / (Py_ssize_t)sizeof(real);
}

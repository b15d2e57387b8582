/* Sizes, and cutting a workspace into arrays of numbers. */

#include "../core/workspace.h"

SKLSTM_INLINE Py_ssize_t smaller(Py_ssize_t a, Py_ssize_t b) { return a < b ? a : b; }

/* The next n numbers of a workspace, on a 64-byte boundary. */
SKLSTM_INLINE real *take_numbers(char **cursor, Py_ssize_t n) {
    return (real *)take_bytes(cursor, n * (Py_ssize_t)sizeof(real));
}

SKLSTM_INLINE Py_ssize_t odd_lines(Py_ssize_t n) { return odd_cache_lines(n, sizeof(real)); }

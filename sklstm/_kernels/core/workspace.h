/* Cutting a block of memory into arrays. Included by the kernels (isa/memory.h) and by the Cython modules around them. */
#ifndef SKLSTM_WORKSPACE_H
#define SKLSTM_WORKSPACE_H

#include <Python.h> /* Py_ssize_t */

/* The next multiple of step. */
static inline Py_ssize_t round_up(Py_ssize_t n, Py_ssize_t step) { return (n + step - 1) / step * step; }

/* The next n_bytes of a block, on a 64-byte boundary. */
static inline char *take_bytes(char **cursor, Py_ssize_t n_bytes) {
    char *begin = *cursor;
    *cursor = begin + round_up(n_bytes, 64);
    return begin;
}

/* Room for n numbers in an odd number of cache lines, so that rows spread over all sets of the cache. */
static inline Py_ssize_t odd_cache_lines(Py_ssize_t n, Py_ssize_t item_size) {
    return (round_up(n * item_size, 64) / 64 | 1) * 64 / item_size;
}

#endif

/* Stores that go past the cache. */
#ifndef SKLSTM_STREAMING_H
#define SKLSTM_STREAMING_H

#include <Python.h> /* Py_ssize_t */
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#  include <emmintrin.h>
/* memcpy to memory that is not read soon: its lines are written without being read first. */
static inline void copy_past_cache(void *out, const void *source, Py_ssize_t n_bytes) {
    char *to = (char *)out;
    const char *from = (const char *)source;
    Py_ssize_t head = (Py_ssize_t)(-(uintptr_t)to & 15), k;
    if (head > n_bytes) head = n_bytes;
    memcpy(to, from, (size_t)head);
    for (k = head; k + 16 <= n_bytes; k += 16)
        _mm_stream_si128((__m128i *)(void *)(to + k), _mm_loadu_si128((const __m128i *)(const void *)(from + k)));
    memcpy(to + k, from + k, (size_t)(n_bytes - k));
    _mm_sfence(); /* before another thread reads it */
}
#else
static inline void copy_past_cache(void *out, const void *source, Py_ssize_t n_bytes) {
    memcpy(out, source, (size_t)n_bytes);
}
#endif

#endif

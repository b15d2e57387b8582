/* Sums of squares in double: of each vector in eight interleaved sums, and in a ninth for what is behind the last whole eight. The
 * order is part of the result's definition. A vector may come in pieces, all but the last of whole eights. Four vectors at once have
 * enough independent additions to hide their latency. */

enum { VECTORS_AT_ONCE = 4, SUMS_OF_SQUARES = 9 };

#if defined(__GNUC__)
typedef double eight_doubles __attribute__((vector_size(8 * sizeof(double))));
typedef real eight_reals __attribute__((vector_size(8 * sizeof(real))));

SKLSTM_INLINE eight_doubles add_eight(eight_doubles sums, const real *x) {
    eight_reals numbers;
    memcpy(&numbers, x, sizeof numbers);
    const eight_doubles wide = __builtin_convertvector(numbers, eight_doubles);
    return sums + wide * wide;
}
#else
typedef struct { double of[8]; } eight_doubles;

SKLSTM_INLINE eight_doubles add_eight(eight_doubles sums, const real *x) {
    for (int j = 0; j < 8; j++) sums.of[j] += (double)x[j] * (double)x[j];
    return sums;
}
#endif

SKLSTM_INLINE void add_squares_of(const int n_vectors, Py_ssize_t n, const void *const *vectors, double *sums) {
    eight_doubles partial[VECTORS_AT_ONCE];
    for (int v = 0; v < n_vectors; v++) memcpy(partial + v, sums + v * SUMS_OF_SQUARES, sizeof *partial);
    Py_ssize_t i = 0;
    for (; i + 8 <= n; i += 8)
#pragma GCC unroll 4
        for (int v = 0; v < n_vectors; v++) partial[v] = add_eight(partial[v], (const real *)vectors[v] + i);
    for (int v = 0; v < n_vectors; v++) {
        const real *x = (const real *)vectors[v];
        memcpy(sums + v * SUMS_OF_SQUARES, partial + v, sizeof *partial);
        for (Py_ssize_t j = i; j < n; j++) sums[v * SUMS_OF_SQUARES + 8] += (double)x[j] * (double)x[j];
    }
}

/* sums (n_vectors, 9) += the squares of up to VECTORS_AT_ONCE vectors of n numbers. */
static void add_squares(Py_ssize_t n, int n_vectors, const void *const *vectors, double *sums) {
    switch (n_vectors) { /* constants, or the sums live in memory */
    case 4: add_squares_of(4, n, vectors, sums); break;
    case 3: add_squares_of(3, n, vectors, sums); break;
    case 2: add_squares_of(2, n, vectors, sums); break;
    default: add_squares_of(1, n, vectors, sums);
    }
}

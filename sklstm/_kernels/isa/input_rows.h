/* Rows of a table, float or double, standardised: out = (x - mean) * inverse, in double, rounded once to `real`.
 *
 * The conversions between float and double dominate: with whole registers of doubles, without splitting registers of floats,
 * this is a third faster than the compiled plain loop.
 */
#define SKLSTM_STANDARDISE(name, row, wide_load)                                                                      \
    SKLSTM_INLINE void name(Py_ssize_t n, const row *restrict x, const double *restrict mean,                         \
                            const double *restrict inverse, real *restrict out) {                                     \
        Py_ssize_t i = 0;                                                                                             \
        SKLSTM_STANDARDISE_WIDE(wide_load)                                                                            \
        for (; i < n; i++) out[i] = (real)(((double)x[i] - mean[i]) * inverse[i]);                                    \
    }

#if defined(__GNUC__) && defined(__AVX512F__) && SKLSTM_VEC_BYTES == 64
#  if SKLSTM_REAL_IS_FLOAT
#    define SKLSTM_STORE_DOUBLES(p, d) _mm256_storeu_ps(p, _mm512_cvtpd_ps(d))
#  else
#    define SKLSTM_STORE_DOUBLES(p, d) _mm512_storeu_pd(p, d)
#  endif
#  define SKLSTM_LOAD_FLOATS(p) _mm512_cvtps_pd(_mm256_loadu_ps(p))
#  define SKLSTM_LOAD_DOUBLES(p) _mm512_loadu_pd(p)
#  define SKLSTM_STANDARDISE_WIDE(wide_load)                                                                          \
        for (; i + 8 <= n; i += 8) {                                                                                  \
            __m512d d = _mm512_sub_pd(wide_load(x + i), _mm512_loadu_pd(mean + i));                                   \
            SKLSTM_STORE_DOUBLES(out + i, _mm512_mul_pd(d, _mm512_loadu_pd(inverse + i)));                            \
        }
#else
#  define SKLSTM_STANDARDISE_WIDE(wide_load)
#endif

SKLSTM_STANDARDISE(standardise_floats, float, SKLSTM_LOAD_FLOATS)
SKLSTM_STANDARDISE(standardise_doubles, double, SKLSTM_LOAD_DOUBLES)

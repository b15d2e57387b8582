/* Compares an activation with libm in double precision, for every float32 (every_float32.py compiles and calls this).
 *
 * A block of consecutive numbers goes through each instruction set; the exact values are computed once. Bit patterns come in the
 * order of their values, so that a result that falls while x grows is seen. Compiled without infinities and NaN in the arithmetic
 * of this file, for speed: it makes none, and looks for those of the kernels in their bits.
 */
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define BLOCK 2048

typedef void (*array_function)(long n, const float *x, float *out);

typedef struct Found {
    double ulp;          /* the largest error, in units of the last place of the exact value */
    double largest_fall; /* of neighbours of which the larger has the smaller result, in the same units */
    double n_falls;
    double n_nan;     /* numbers whose result is NaN, or NaN whose result is a number */
    float at, fall_at; /* where */
    float low, high;  /* the range of the results */
    float last;       /* the result of the last number */
} Found;

enum { SIGMOID, TANH, EXP };

/* Series where their next term is below 2^-54 of the value; libm elsewhere. */
static double exact(int which, double x) {
    const double size = fabs(x);
    if (which == SIGMOID) return size < 0x1p-18 ? 0.5 + 0.25 * x : x > 40.0 ? 1.0 : 1.0 / (1.0 + exp(-x));
    if (which == TANH) return size < 0x1p-14 ? x - x * x * x / 3.0 : size > 20.0 ? copysign(1.0, x) : tanh(x);
    return size < 0x1p-18 ? 1.0 + x * (1.0 + 0.5 * x) : exp(x);
}

/* One over the distance of float32 at y; below the normal numbers over that of the least. */
static double inverse_spacing(double y) {
    const float rounded = fabsf((float)y);
    uint32_t bits;
    if (rounded < FLT_MIN) return 0x1p149;
    memcpy(&bits, &rounded, sizeof bits);
    return ldexp(1.0, 23 + 127 - (int)(bits >> 23));
}

static float number(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static int is_nan(float y) {
    uint32_t bits;
    memcpy(&bits, &y, sizeof bits);
    return (bits & 0x7fffffffu) > 0x7f800000u;
}

static void look(Found *found, int size, const float *x, const double *expected, const double *measure,
                 const double *inverse, const float *y) {
    double worst = 0.0, fall = 0.0;
    float low = y[0], high = y[0], before[BLOCK];
    int n_falls = 0, n_nan = 0;
    before[0] = found->last;
    memcpy(before + 1, y, (size_t)(size - 1) * sizeof *y);
    for (int i = 0; i < size; i++) {
        const double error = fabs((double)y[i] - expected[i]) * measure[i], d = ((double)before[i] - (double)y[i]) * inverse[i];
        worst = error > worst ? error : worst;
        fall = d > fall ? d : fall;
    }
    for (int i = 0; i < size; i++) {
        low = y[i] < low ? y[i] : low;
        high = y[i] > high ? y[i] : high;
        n_falls += y[i] < before[i];
        n_nan += is_nan(y[i]);
    }
    if (worst > found->ulp) {
        found->ulp = worst;
        for (int i = 0; i < size; i++)
            if (fabs((double)y[i] - expected[i]) * measure[i] == worst) found->at = x[i];
    }
    if (fall > found->largest_fall) {
        found->largest_fall = fall;
        for (int i = 0; i < size; i++)
            if (((double)before[i] - (double)y[i]) * inverse[i] == fall) found->fall_at = x[i];
    }
    found->n_falls += n_falls;
    found->n_nan += n_nan;
    found->low = low < found->low ? low : found->low;
    found->high = high > found->high ? high : found->high;
    found->last = y[size - 1];
}

/* Bit patterns first, first + step, ..., n of them, none of a NaN; x in [low, high] is measured. */
void sweep(int which, uint32_t first, int step, uint64_t n, float low, float high, int n_functions,
           const array_function *functions, Found *found) {
    float x[BLOCK], y[BLOCK];
    double expected[BLOCK], measure[BLOCK], inverse[BLOCK];
    for (uint64_t begin = 0; begin < n; begin += BLOCK) {
        const int size = n - begin < BLOCK ? (int)(n - begin) : BLOCK;
        for (int i = 0; i < size; i++) {
            x[i] = number(first + (uint32_t)step * (uint32_t)(begin + (uint64_t)i));
            /* Beyond its range a function stands still, and so does what it is compared with. */
            const double inside = x[i] < low ? low : x[i] > high ? high : x[i];
            expected[i] = exact(which, inside);
            inverse[i] = inverse_spacing(expected[i]);
            measure[i] = x[i] >= low && x[i] <= high ? inverse[i] : 0.0;
        }
        for (int k = 0; k < n_functions; k++) {
            functions[k](size, x, y);
            look(found + k, size, x, expected, measure, inverse, y);
        }
    }
}

/* All NaN from a bit pattern on, n of them: how many results are numbers. */
void sweep_nan(uint32_t first, int step, uint64_t n, int n_functions, const array_function *functions, Found *found) {
    float x[BLOCK], y[BLOCK];
    for (uint64_t begin = 0; begin < n; begin += BLOCK) {
        const int size = n - begin < BLOCK ? (int)(n - begin) : BLOCK;
        for (int i = 0; i < size; i++) x[i] = number(first + (uint32_t)step * (uint32_t)(begin + (uint64_t)i));
        for (int k = 0; k < n_functions; k++) {
            functions[k](size, x, y);
            for (int i = 0; i < size; i++) found[k].n_nan += !is_nan(y[i]);
        }
    }
}

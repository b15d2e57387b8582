/* Compares an activation with libm in double precision, for every float32 (every_float32.py compiles and calls this).
 *
 * A block of consecutive numbers goes through each instruction set; the exact values are computed once. The numbers of a range
 * [first, last] of bit patterns come in the order of their values, so that a result that falls while x grows is seen.
 */
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define BLOCK 4096

typedef void (*array_function)(long n, const float *x, float *out);

typedef struct Found {
    double ulp;         /* the largest error, in units of the last place of the exact value */
    float at;           /* where */
    double n_falls;     /* neighbours of which the larger has the smaller result */
    double largest_fall; /* in the same units */
    float fall_at;
    double n_not_nan; /* NaN whose result is a number */
    double n_nan;     /* numbers whose result is NaN */
    float low, high;  /* the range of the results */
    float last;       /* the result of the last number */
} Found;

static double exact(int which, double x) {
    if (which == 0) return 1.0 / (1.0 + exp(-x));
    if (which == 1) return tanh(x);
    return exp(x);
}

/* The distance of float32 at |y|; below the normal numbers that of the least. */
static double spacing(double y) {
    int exponent;
    const float rounded = (float)fabs(y);
    if (rounded < FLT_MIN) return 0x1p-149;
    frexp(rounded > FLT_MAX ? (double)FLT_MAX : (double)rounded, &exponent);
    return ldexp(1.0, exponent - 24);
}

static float number(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void look(Found *found, float x, double expected, double unit, float y, int is_measured) {
    if (isnan(x)) {
        found->n_not_nan += !isnan(y);
        return;
    }
    if (isnan(y)) {
        found->n_nan += 1;
        return;
    }
    if (y < found->low) found->low = y;
    if (y > found->high) found->high = y;
    if (y < found->last) {
        const double fall = ((double)found->last - (double)y) / unit;
        found->n_falls += 1;
        if (fall > found->largest_fall) found->largest_fall = fall, found->fall_at = x;
    }
    found->last = y;
    if (is_measured) {
        const double error = fabs((double)y - expected) / unit;
        if (error > found->ulp) found->ulp = error, found->at = x;
    }
}

/* `which`: 0 sigmoid, 1 tanh, 2 exp. Bit patterns first, first + step, ..., n of them; x in [low, high] is measured. */
void sweep(int which, uint32_t first, int step, uint64_t n, float low, float high, int n_functions, array_function *functions,
           Found *found) {
    float x[BLOCK], y[BLOCK];
    static _Thread_local double expected[BLOCK], unit[BLOCK];
    for (uint64_t begin = 0; begin < n; begin += BLOCK) {
        const int size = n - begin < BLOCK ? (int)(n - begin) : BLOCK;
        for (int i = 0; i < size; i++) {
            x[i] = number(first + (uint32_t)step * (uint32_t)(begin + (uint64_t)i));
            if (isnan(x[i])) continue;
            expected[i] = exact(which, x[i]);
            unit[i] = spacing(expected[i]);
        }
        for (int k = 0; k < n_functions; k++) {
            functions[k](size, x, y);
            for (int i = 0; i < size; i++) look(found + k, x[i], expected[i], unit[i], y[i], x[i] >= low && x[i] <= high);
        }
    }
}

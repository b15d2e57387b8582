#ifndef SKLSTM_UPDATE_STEP_H
#define SKLSTM_UPDATE_STEP_H

#include <Python.h> /* Py_ssize_t */

/* One step of an optimizer over a stretch of a vector. What is after the step may be written to where it was before. */
typedef struct {
    Py_ssize_t n;
    const void *gradient;
    const void *x, *first, *second; /* before; first: mean of the gradients, velocity, or the point z of the schedule-free
                                       rule; second: mean square of the gradients */
    void *next_x, *next_first, *next_second; /* after */
    int streams;                    /* write past the caches: what is after starts on 64 bytes, and no other memory is shared */
    double gradient_scale, learning_rate, decay, beta1, beta2, epsilon, correction1, correction2;
    double mixing;                  /* share of the newest point in the schedule-free mean */
} UpdateStep;

/* A part of a gradient that is an outer product: from number `begin` of the vector on n_k rows of `width` numbers a[k] d[j]. */
typedef struct {
    Py_ssize_t begin, n_k, width;
    const void *a, *d;
} OuterProduct;

/* Parts that a backward pass leaves as their factors, instead of writing the products. */
typedef struct {
    OuterProduct *parts;
    Py_ssize_t n;
    char *numbers;                  /* where the next factors go */
    const void *gradient;           /* the vector that the parts are left out of */
} OuterProducts;

#endif

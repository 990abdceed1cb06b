/* tests/sweep.h -- kernels over all small sizes, their operands beside guard pages. */
#ifndef CLIPC_TESTS_SWEEP_H
#define CLIPC_TESTS_SWEEP_H

#include "base/rng.h"
#include "guard.h"
#include "levels.h"

enum { SWEEP_MOST = 67 }; /* beyond four vectors of 16, and prime */

typedef struct sweep {
    const kernels *k;
    guard g;
    rng r;
} sweep;

/* check for each n of 1 to 67, on both sides of operands; `state` of an EACH_LEVEL. */
void sweep_lengths(void **state, void (*check)(sweep *s, size_t n));
/* For each C of 1 to 67 with some N, and each N with some C. */
void sweep_rows(void **state, void (*check)(sweep *s, size_t N, size_t C));

/* An operand of n numbers within 1.75 of `mean`: of variance 1. */
float *sweep_around(sweep *s, size_t n, float mean);
float *sweep_floats(sweep *s, size_t n); /* around 0 */
/* Its copy. */
float *sweep_copy(sweep *s, const float *x, size_t n);

/* An activation in double, and its slope by central differences. */
double act_double(double x, act f);
double act_slope(double x, act f);

#endif

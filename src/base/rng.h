/* base/rng.h -- random numbers with explicit state: xoshiro256** (Blackman and Vigna
 * 2018, arXiv:1805.01407), seeded by splitmix64.  Integer arithmetic throughout, so a
 * seed gives the same numbers everywhere; the state is plain data and goes into
 * checkpoints as it is. */
#ifndef CLIPC_BASE_RNG_H
#define CLIPC_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

typedef struct rng {
    uint64_t s[4];
} rng;

/* Different `stream`s of one seed are independent: one for each purpose or sample, so
 * that what one worker draws never depends on another. */
rng rng_seed(uint64_t seed, uint64_t stream);

uint64_t rng_u64(rng *r);
/* Uniform in [0, n); n > 0. */
uint64_t rng_below(rng *r, uint64_t n);
/* Uniform in [0, 1), 24 random bits. */
float rng_uniform(rng *r);
/* Standard normal (Box-Muller). */
float rng_normal(rng *r);
/* x[0..n) = mean + std * normal. */
void rng_fill_normal(rng *r, float *x, size_t n, float mean, float std);
/* x[0..n) uniform in [lo, hi). */
void rng_fill_uniform(rng *r, float *x, size_t n, float lo, float hi);

#endif

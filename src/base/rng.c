#include "base/rng.h"

#include <math.h>

static uint64_t splitmix(uint64_t *x)
{
    uint64_t z = (*x += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

rng rng_seed(uint64_t seed, uint64_t stream)
{
    rng r;
    uint64_t x = seed;
    uint64_t y = stream ^ splitmix(&x);

    for (int i = 0; i < 4; i++) r.s[i] = splitmix(&y);
    return r;
}

uint64_t rng_u64(rng *r)
{
    uint64_t *s = r->s;
    const uint64_t out = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return out;
}

uint64_t rng_below(rng *r, uint64_t n)
{
    /* Numbers below 2^64 mod n are drawn again: without this small results are favoured.
     */
    const uint64_t floor = (0 - n) % n;
    uint64_t x;

    do x = rng_u64(r);
    while (x < floor);
    return x % n;
}

float rng_uniform(rng *r)
{
    return (float)(rng_u64(r) >> 40) * 0x1p-24f;
}

float rng_normal(rng *r)
{
    const double u =
        1.0 - (double)(rng_u64(r) >> 11) * 0x1p-53; /* (0, 1]: log is finite */
    const double v = (double)(rng_u64(r) >> 11) * 0x1p-53;

    return (float)(sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v));
}

void rng_fill_normal(rng *r, float *x, size_t n, float mean, float std)
{
    for (size_t i = 0; i < n; i++) x[i] = mean + std * rng_normal(r);
}

void rng_fill_uniform(rng *r, float *x, size_t n, float lo, float hi)
{
    for (size_t i = 0; i < n; i++) x[i] = lo + (hi - lo) * rng_uniform(r);
}

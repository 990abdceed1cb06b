#include "base/permute.h"

permutation permute_make(rng *r, uint64_t n)
{
    permutation p = {.n = n, .half = 1};

    while (p.half < 32 && (uint64_t)1 << 2 * p.half < n) p.half++;
    for (int i = 0; i < PERMUTE_ROUNDS; i++) p.keys[i] = rng_u64(r);
    return p;
}

/* splitmix64's finish. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint64_t feistel(const permutation *p, uint64_t x)
{
    const uint64_t mask = ((uint64_t)1 << p->half) - 1;
    uint64_t left = x >> p->half, right = x & mask;

    for (int i = 0; i < PERMUTE_ROUNDS; i++) {
        const uint64_t next = left ^ (mix(right + p->keys[i]) & mask);
        left = right, right = next;
    }
    return left << p->half | right;
}

uint64_t permute_at(const permutation *p, uint64_t i)
{
    do i = feistel(p, i);
    while (i >= p->n);
    return i;
}

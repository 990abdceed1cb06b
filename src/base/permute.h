/* base/permute.h -- the numbers below n in a random order, of which any place can be
 * asked for by itself: nothing is kept but eight keys.  A balanced Feistel network on the
 * fewest bits, an even number, that hold n - 1; what it makes of a number that is n or
 * more goes through it again (Black and Rogaway, "Ciphers with arbitrary finite domains",
 * 2002). */
#ifndef CLIPC_BASE_PERMUTE_H
#define CLIPC_BASE_PERMUTE_H

#include "base/rng.h"

enum { PERMUTE_ROUNDS = 8 };

typedef struct permutation {
    uint64_t n, keys[PERMUTE_ROUNDS];
    unsigned half; /* bits of either half */
} permutation;

/* Of n >= 1 numbers, by what r gives. */
permutation permute_make(rng *r, uint64_t n);
/* What stands at place i < n. */
uint64_t permute_at(const permutation *p, uint64_t i);

#endif

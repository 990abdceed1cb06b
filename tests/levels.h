/* tests/levels.h -- a test once for each instruction set, which CLIPC_ISA names meanwhile
 * as a user would: skipped, and counted so, where the CPU lacks it. */
#ifndef CLIPC_TESTS_LEVELS_H
#define CLIPC_TESTS_LEVELS_H

#include "tensor/kernels.h"

#define LEVEL_TEST(f, isa)                           \
    {                                                \
#f "_" #isa, f, level_begin, level_end, #isa \
    }
/* In a table of tests. */
#define EACH_LEVEL(f)                                               \
    LEVEL_TEST(f, ref), LEVEL_TEST(f, avx2), LEVEL_TEST(f, avx512), \
        LEVEL_TEST(f, avx512vnni)
/* The same of what has narrow kernels. */
#define EACH_NARROW_LEVEL(f) LEVEL_TEST(f, avx512vnni)

int level_begin(void **state);
int level_end(void **state);

/* The first thing such a test does: its kernels, or skip(). */
const kernels *level_kernels(void **state);

#endif

/* base/sizes.h -- small arithmetic of sizes. */
#ifndef CLIPC_BASE_SIZES_H
#define CLIPC_BASE_SIZES_H

#include <stddef.h>

static inline size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* a / b, rounded up; a + b does not overflow. */
static inline size_t div_up(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

#endif

/* base/ckd.h -- checked size arithmetic, after C23's <stdckdint.h>.
 *
 * Each returns true on overflow, in which case *out is not to be used.  Every product and
 * sum of numbers that came out of a file goes through these before it reaches malloc. */
#ifndef CLIPC_BASE_CKD_H
#define CLIPC_BASE_CKD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool ckd_mul_size(size_t *out, size_t a, size_t b)
{
    return __builtin_mul_overflow(a, b, out);
}

static inline bool ckd_add_size(size_t *out, size_t a, size_t b)
{
    return __builtin_add_overflow(a, b, out);
}

static inline bool ckd_mul_u64(uint64_t *out, uint64_t a, uint64_t b)
{
    return __builtin_mul_overflow(a, b, out);
}

static inline bool ckd_add_u64(uint64_t *out, uint64_t a, uint64_t b)
{
    return __builtin_add_overflow(a, b, out);
}

#endif

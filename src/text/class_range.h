/* text/class_range.h -- a table that gives each code point a small number. */
#ifndef CLIPC_TEXT_CLASS_RANGE_H
#define CLIPC_TEXT_CLASS_RANGE_H

#include <stddef.h>
#include <stdint.h>

/* Sorted; each goes up to the next one, and the first begins at 0. */
typedef struct class_range {
    uint32_t first;
    uint8_t class;
} class_range;

static inline unsigned class_of(const class_range *r, size_t n, int32_t c)
{
    size_t lo = 0;

    while (n > 1) {
        const size_t half = n / 2;
        if (r[lo + half].first <= (uint32_t)c) lo += half, n -= half;
        else n = half;
    }
    return r[lo].class;
}

#endif

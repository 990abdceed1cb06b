/* text/runes.h -- a growing array of code points, and UTF-8. */
#ifndef CLIPC_TEXT_RUNES_H
#define CLIPC_TEXT_RUNES_H

#include <stdbool.h>
#include <utf8proc.h>

#include "base/buf.h"

typedef utf8proc_int32_t rune;

typedef struct runes {
    rune *v; /* NULL while unallocated */
    size_t n, cap;
} runes;

void runes_free(runes *r);

/* Room for `more` further ones. */
int runes_reserve(runes *r, size_t more, clipc_err *err);
int runes_add(runes *r, const rune *v, size_t n, clipc_err *err);
int runes_put(runes *r, rune c, clipc_err *err);
/* out = a copy. */
int runes_copy(runes *out, const runes *in, clipc_err *err);
bool runes_equal(const runes *a, const runes *b);

/* The code point at s and the bytes that it takes: 0 if they are no UTF-8. */
static inline size_t utf8_next(rune *c, const char *s, size_t len)
{
    const utf8proc_ssize_t n =
        utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)len, c);
    return n > 0 ? (size_t)n : 0;
}

/* Appends one code point as UTF-8. */
int utf8_put(buf *out, rune c, clipc_err *err);
/* Appends all of them. */
int runes_to_utf8(buf *out, const runes *r, clipc_err *err);
/* Appends the code points of a text, which is UTF-8 of len bytes. */
int runes_from_utf8(runes *out, const char *s, size_t len, clipc_err *err);

#endif

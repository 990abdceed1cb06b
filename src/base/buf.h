/* base/buf.h -- a growing array of bytes, always followed by a NUL that `len` does not
 * count, so that it can be used as a C string. */
#ifndef CLIPC_BASE_BUF_H
#define CLIPC_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct buf {
    char *data; /* NULL while empty and unallocated */
    size_t len; /* bytes in use */
    size_t cap; /* bytes allocated */
} buf;

void buf_free(buf *b);

/* Room for `more` further bytes beside the NUL; CLIPC_ERR_MEMORY otherwise, b unchanged.
 */
int buf_reserve(buf *b, size_t more, clipc_err *err);
int buf_add(buf *b, const void *data, size_t len, clipc_err *err);
int buf_puts(buf *b, const char *s, clipc_err *err);
int buf_printf(buf *b, clipc_err *err, const char *fmt, ...) ATTR_PRINTF(3, 4);

/* Empties it and keeps the memory. */
void buf_clear(buf *b);

#endif

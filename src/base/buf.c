#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ckd.h"

void buf_free(buf *b)
{
    if (!b) return;
    free(b->data);
    *b = (buf){0};
}

void buf_clear(buf *b)
{
    b->len = 0;
    if (b->data) b->data[0] = '\0';
}

int buf_reserve(buf *b, size_t more, clipc_err *err)
{
    size_t need;

    if (ckd_add_size(&need, b->len, more) || ckd_add_size(&need, need, 1))
        return clipc_fail_memory(err, "buffer", more);
    if (need <= b->cap) return CLIPC_OK;

    size_t cap = b->cap < 64 ? 64 : b->cap;
    while (cap < need) cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    char *data = realloc(b->data, cap);
    if (!data) return clipc_fail_memory(err, "buffer", cap);
    b->data = data, b->cap = cap;
    b->data[b->len] = '\0';
    return CLIPC_OK;
}

int buf_add(buf *b, const void *data, size_t len, clipc_err *err)
{
    const int rc = buf_reserve(b, len, err);
    if (rc != CLIPC_OK) return rc;
    if (len) memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
    return CLIPC_OK;
}

int buf_puts(buf *b, const char *s, clipc_err *err)
{
    return buf_add(b, s, strlen(s), err);
}

int buf_printf(buf *b, clipc_err *err, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    const int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);

    int rc = n < 0 ? clipc_fail(err, CLIPC_ERR_ARG, "buffer: bad format") : CLIPC_OK;
    if (rc == CLIPC_OK) rc = buf_reserve(b, (size_t)n, err);
    if (rc == CLIPC_OK) {
        vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
    return rc;
}

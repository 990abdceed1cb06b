#include "text/runes.h"

#include <stdlib.h>
#include <string.h>

void runes_free(runes *r)
{
    free(r->v);
    *r = (runes){0};
}

int runes_reserve(runes *r, size_t more, clipc_err *err)
{
    if (more <= r->cap - r->n) return CLIPC_OK;
    const size_t cap = 2 * (r->n + more) + 64;
    rune *v = realloc(r->v, cap * sizeof *v);
    if (!v) return clipc_fail_memory(err, "text", cap * sizeof *v);
    r->v = v, r->cap = cap;
    return CLIPC_OK;
}

int runes_add(runes *r, const rune *v, size_t n, clipc_err *err)
{
    const int rc = runes_reserve(r, n, err);

    if (rc != CLIPC_OK) return rc;
    if (n) memcpy(r->v + r->n, v, n * sizeof *v);
    r->n += n;
    return CLIPC_OK;
}

int runes_put(runes *r, rune c, clipc_err *err)
{
    return runes_add(r, &c, 1, err);
}

int runes_copy(runes *out, const runes *in, clipc_err *err)
{
    out->n = 0;
    return runes_add(out, in->v, in->n, err);
}

bool runes_equal(const runes *a, const runes *b)
{
    return a->n == b->n && (!a->n || memcmp(a->v, b->v, a->n * sizeof *a->v) == 0);
}

int utf8_put(buf *out, rune c, clipc_err *err)
{
    utf8proc_uint8_t bytes[4];
    return buf_add(out, bytes, (size_t)utf8proc_encode_char(c, bytes), err);
}

int runes_to_utf8(buf *out, const runes *r, clipc_err *err)
{
    const int rc = buf_reserve(out, 4 * r->n, err);

    if (rc != CLIPC_OK) return rc;
    for (size_t i = 0; i < r->n; i++)
        out->len += (size_t)utf8proc_encode_char(r->v[i], (utf8proc_uint8_t *)out->data +
                                                              out->len);
    out->data[out->len] = '\0';
    return CLIPC_OK;
}

int runes_from_utf8(runes *out, const char *s, size_t len, clipc_err *err)
{
    const int rc = runes_reserve(out, len, err);

    if (rc != CLIPC_OK) return rc;
    for (size_t i = 0; i < len; out->n++) i += utf8_next(&out->v[out->n], s + i, len - i);
    return CLIPC_OK;
}

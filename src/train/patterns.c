#include "train/patterns.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

typedef struct expansion {
    const char *pattern;
    int (*on)(void *user, const char *path);
    void *user;
    buf path;
    size_t n, depth;
    clipc_err *err;
} expansion;

/* "first..last" in decimal, up to `end`. */
static bool read_range(size_t *first, size_t *last, int *digits, const char *p,
                       const char *end)
{
    char *stop;

    if (!isdigit((unsigned char)*p)) return false;
    *first = strtoull(p, &stop, 10);
    *digits = (int)(stop - p);
    if (*digits > 18 || strncmp(stop, "..", 2) != 0 || !isdigit((unsigned char)stop[2]))
        return false;
    p = stop + 2;
    *last = strtoull(p, &stop, 10);
    return stop == end && stop - p <= 18 && *first <= *last;
}

static int expand(expansion *e, const char *rest);

/* One of the braces' texts in their place; then what is behind them. */
static int put(expansion *e, const char *text, size_t len, const char *rest)
{
    const size_t before = e->path.len;
    int rc = buf_add(&e->path, text, len, e->err);

    if (rc != CLIPC_OK) return rc;
    if (++e->depth > PATTERN_BRACES)
        rc = clipc_fail(e->err, CLIPC_ERR_LIMIT, "%.100s: more than %d braces",
                        e->pattern, PATTERN_BRACES);
    if (rc == CLIPC_OK) rc = expand(e, rest);
    e->depth--;
    e->path.len = before;
    e->path.data[before] = '\0';
    return rc;
}

static int put_range(expansion *e, size_t first, size_t last, int digits,
                     const char *rest)
{
    char text[24];
    int rc = CLIPC_OK;

    for (size_t i = first; rc == CLIPC_OK && i <= last; i++) {
        const int len = snprintf(text, sizeof text, "%0*zu", digits, i);
        rc = put(e, text, (size_t)len, rest);
    }
    return rc;
}

static int put_list(expansion *e, const char *p, const char *end, const char *rest)
{
    int rc = CLIPC_OK;

    while (rc == CLIPC_OK) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        rc = put(e, p, (size_t)((comma ? comma : end) - p), rest);
        if (!comma) break;
        p = comma + 1;
    }
    return rc;
}

static int finish(expansion *e)
{
    if (++e->n > PATTERN_PATHS)
        return clipc_fail(e->err, CLIPC_ERR_LIMIT, "%s: more than %d paths", e->pattern,
                          PATTERN_PATHS);
    return e->on(e->user, e->path.data);
}

static int expand(expansion *e, const char *rest)
{
    const size_t before = e->path.len;
    const char *open = strchr(rest, '{'), *close = open ? strchr(open, '}') : NULL;
    size_t first, last;
    int digits, rc;

    if (!close) {
        rc = buf_puts(&e->path, rest, e->err);
        if (rc == CLIPC_OK) rc = finish(e);
    } else {
        const char *in = open + 1;
        rc = buf_add(&e->path, rest, (size_t)(open - rest), e->err);
        if (rc != CLIPC_OK) return rc;
        if (read_range(&first, &last, &digits, in, close))
            rc = put_range(e, first, last, digits, close + 1);
        else if (memchr(in, ',', (size_t)(close - in)))
            rc = put_list(e, in, close, close + 1);
        else rc = put(e, open, (size_t)(close - open) + 1, close + 1);
    }
    e->path.len = before;
    return rc;
}

int pattern_each(const char *pattern, int (*on)(void *user, const char *path), void *user,
                 clipc_err *err)
{
    expansion e = {.pattern = pattern, .on = on, .user = user, .err = err};
    const int rc = expand(&e, pattern);

    buf_free(&e.path);
    return rc;
}

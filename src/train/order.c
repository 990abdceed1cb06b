#include "train/order.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

enum { ORDER_LIMIT = 1 << 30 };

static size_t count_lines(const buf *text)
{
    size_t n = text->len && text->data[text->len - 1] != '\n';

    for (size_t i = 0; i < text->len; i++) n += text->data[i] == '\n';
    return n;
}

/* Digits and nothing else up to the line's end. */
static int read_line(size_t *index, const char **s)
{
    char *end;

    if (!isdigit((unsigned char)**s)) return CLIPC_ERR_FORMAT;
    errno = 0;
    *index = strtoull(*s, &end, 10);
    if (errno || (*end && *end != '\n')) return CLIPC_ERR_FORMAT;
    *s = end + (*end == '\n');
    return CLIPC_OK;
}

int order_read(sample_order *o, const char *path, clipc_err *err)
{
    buf text = {0};
    int rc = file_read(&text, path, ORDER_LIMIT, err);
    const size_t lines = rc == CLIPC_OK ? count_lines(&text) : 0;
    const char *s = text.data;

    *o = (sample_order){.path = strdup(path), .v = calloc(lines + 1, sizeof *o->v)};
    if (rc == CLIPC_OK && !(o->path && o->v))
        rc = clipc_fail_memory(err, path, lines * sizeof *o->v);
    if (rc == CLIPC_OK && !lines)
        rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no index of a sample in it", path);
    for (; rc == CLIPC_OK && o->n < lines; o->n++)
        if ((rc = read_line(&o->v[o->n], &s)) != CLIPC_OK)
            rc = clipc_fail(err, rc, "%s: line %zu is no index of a sample", path,
                            o->n + 1);
    buf_free(&text);
    return rc;
}

void order_free(sample_order *o)
{
    free(o->path);
    free(o->v);
    *o = (sample_order){0};
}

int order_check(const sample_order *o, size_t n_samples, clipc_err *err)
{
    for (size_t i = 0; i < o->n; i++)
        if (o->v[i] >= n_samples)
            return clipc_fail(err, CLIPC_ERR_FORMAT,
                              "%s: line %zu is %zu, the last of the samples is %zu",
                              o->path, i + 1, o->v[i], n_samples - 1);
    return CLIPC_OK;
}

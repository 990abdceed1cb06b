#include "base/csv.h"

#include <stdlib.h>
#include <string.h>

csv csv_start(span text, char separator, const char *name)
{
    const char *p = (const char *)text.data;
    const size_t mark = text.size >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;

    return (csv){.name = name,
                 .at = p + mark,
                 .end = p + text.size,
                 .separator = separator,
                 .next = 1};
}

void csv_free(csv *c)
{
    buf_free(&c->text);
    free(c->fields);
    c->fields = NULL;
}

static bool ends_line(const csv *c)
{
    return c->at == c->end || *c->at == '\n' || *c->at == '\r';
}

static void pass_line_end(csv *c)
{
    if (c->at == c->end) return;
    c->at += *c->at == '\r' && c->end - c->at > 1 && c->at[1] == '\n' ? 2 : 1;
    c->next++;
}

static int add_field(csv *c, clipc_err *err)
{
    if (c->n == c->cap) {
        const size_t cap = c->cap ? 2 * c->cap : 16;
        size_t *fields = realloc(c->fields, cap * sizeof *fields);
        if (!fields) return clipc_fail_memory(err, c->name, cap * sizeof *fields);
        c->fields = fields, c->cap = cap;
    }
    c->fields[c->n++] = c->text.len;
    return CLIPC_OK;
}

static int bad_quote(csv *c, const char *why, clipc_err *err)
{
    return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: line %zu: %s", c->name, c->line, why);
}

/* Up to the closing quote; at stands behind the opening one. */
static int read_quoted(csv *c, clipc_err *err)
{
    int rc = CLIPC_OK;

    while (rc == CLIPC_OK) {
        const char *quote = memchr(c->at, '"', (size_t)(c->end - c->at));
        if (!quote) return bad_quote(c, "a quote is not closed", err);
        const bool doubled = c->end - quote > 1 && quote[1] == '"';
        for (const char *p = c->at; p < quote; p++) c->next += *p == '\n';
        rc = buf_add(&c->text, c->at, (size_t)(quote - c->at) + doubled, err);
        c->at = quote + 1 + doubled;
        if (!doubled) break;
    }
    if (rc == CLIPC_OK && !ends_line(c) && *c->at != c->separator)
        rc = bad_quote(c, "text behind a closing quote", err);
    return rc;
}

static int read_field(csv *c, clipc_err *err)
{
    int rc = add_field(c, err);

    if (rc != CLIPC_OK) return rc;
    if (c->at < c->end && *c->at == '"') {
        c->at++;
        rc = read_quoted(c, err);
    } else {
        const char *from = c->at;
        while (!ends_line(c) && *c->at != c->separator) c->at++;
        rc = buf_add(&c->text, from, (size_t)(c->at - from), err);
    }
    return rc == CLIPC_OK ? buf_add(&c->text, "", 1, err) : rc;
}

static int read_record(csv *c, clipc_err *err)
{
    int rc = read_field(c, err);

    while (rc == CLIPC_OK && !ends_line(c)) {
        c->at++; /* the separator */
        rc = read_field(c, err);
    }
    return rc;
}

int csv_next(csv *c, clipc_err *err)
{
    c->n = 0;
    buf_clear(&c->text);
    while (c->at < c->end && ends_line(c)) pass_line_end(c);
    c->line = c->next;
    if (c->at == c->end) return CLIPC_OK;
    const char *from = c->at;
    const int rc = read_record(c, err);
    if (rc != CLIPC_OK) {
        c->at = from, c->next = c->line, c->n = 0;
        while (!ends_line(c)) c->at++;
    }
    pass_line_end(c);
    return rc;
}

const char *csv_field(const csv *c, size_t i)
{
    return c->text.data + c->fields[i];
}

size_t csv_find(const csv *c, const char *what)
{
    size_t i = 0;

    while (i < c->n && strcmp(csv_field(c, i), what) != 0) i++;
    return i;
}

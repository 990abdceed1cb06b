#define _GNU_SOURCE
#include "cli/query.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

void query_free(query *q)
{
    strings_free(&q->texts);
    free(q->v);
    *q = (query){0};
}

int query_add(query *q, float weight, const char *what, bool is_file, clipc_err *err)
{
    if (q->n == q->cap) {
        const size_t cap = q->cap ? 2 * q->cap : 8;
        clipc_index_term *v = realloc(q->v, cap * sizeof *v);
        if (!v) return clipc_fail_memory(err, "query", cap * sizeof *v);
        q->v = v, q->cap = cap;
    }
    const int rc = strings_add(&q->texts, what, strlen(what), err);
    if (rc != CLIPC_OK) return rc;
    const char *kept = q->texts.v[q->texts.n - 1];
    q->v[q->n++] = (clipc_index_term){
        .weight = weight, .text = is_file ? NULL : kept, .file = is_file ? kept : NULL};
    return CLIPC_OK;
}

/* A term that is being read. */
typedef struct reading {
    query *q;
    buf words; /* of its text so far */
    float sign, weight;
    enum { START, OPERATOR, TERM } last;
    clipc_err *err;
} reading;

static int finish_text(reading *r)
{
    int rc = CLIPC_OK;

    if (r->words.len)
        rc = query_add(r->q, r->sign * r->weight, r->words.data, false, r->err);
    buf_clear(&r->words);
    return rc;
}

/* "2:" or "0.5:" in front of a term; *what is moved behind it. */
static int take_weight(reading *r, const char **what)
{
    const char *p = *what, *colon = p + strspn(p, "0123456789.");
    char *end;

    r->weight = 1.0f;
    if (colon == p || *colon != ':') return CLIPC_OK;
    r->weight = strtof(p, &end);
    if (end != colon || !isfinite(r->weight) || !colon[1])
        return clipc_fail(r->err, CLIPC_ERR_ARG,
                          "query: \"%s\": wanted a weight, ':' and a text or picture", p);
    *what = colon + 1;
    return CLIPC_OK;
}

/* The picture that an operand names, or NULL: it is a word.  *missing: it looks like a
 * path and nothing is there. */
static const char *picture_of(const char *what, bool *missing)
{
    const bool at = what[0] == '@' && what[1];
    const char *path = at ? what + 1 : what;

    *missing = false;
    if (at && strcmp(path, "-") == 0) return path;
    if (!at && !ending_is_picture(path_ending(path))) return NULL;
    if (file_exists(path)) return path;
    *missing = at || strchr(path, '/');
    return NULL;
}

static int read_term(reading *r, const char *what)
{
    bool missing;
    int rc = CLIPC_OK;

    if (!r->words.len) rc = take_weight(r, &what);
    const char *picture = picture_of(what, &missing);
    if (rc == CLIPC_OK && missing)
        rc = clipc_fail(r->err, CLIPC_ERR_IO, "query: %s: no such picture", what);
    if (rc != CLIPC_OK) return rc;
    if (picture) {
        const float weight = r->words.len ? 1.0f : r->weight;
        rc = finish_text(r);
        return rc == CLIPC_OK ? query_add(r->q, r->sign * weight, picture, true, r->err)
                              : rc;
    }
    if (r->words.len) rc = buf_puts(&r->words, " ", r->err);
    return rc == CLIPC_OK ? buf_puts(&r->words, what, r->err) : rc;
}

static int read_operand(reading *r, const char *what)
{
    int rc;

    if (strcmp(what, "+") != 0 && strcmp(what, "-") != 0) {
        rc = read_term(r, what);
        r->last = TERM;
        return rc;
    }
    if (r->last == OPERATOR)
        return clipc_fail(r->err, CLIPC_ERR_ARG, "query: two operators in a row");
    rc = finish_text(r);
    r->sign = *what == '-' ? -1.0f : 1.0f;
    r->last = OPERATOR;
    return rc;
}

int query_parse(query *q, char *const *operands, size_t n, clipc_err *err)
{
    reading r = {.q = q, .sign = 1.0f, .weight = 1.0f, .err = err};
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < n; i++) rc = read_operand(&r, operands[i]);
    if (rc == CLIPC_OK && r.last == OPERATOR)
        rc = clipc_fail(err, CLIPC_ERR_ARG, "query: nothing behind the last '%s'",
                        operands[n - 1]);
    if (rc == CLIPC_OK) rc = finish_text(&r);
    buf_free(&r.words);
    return rc;
}

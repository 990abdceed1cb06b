#include "train/captions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"

enum { CAPTIONS = 32 };

void captions_free(captions *c)
{
    for (size_t i = 0; i < c->n; i++) free(c->v[i]);
    free(c->v);
}

int captions_add(captions *c, const char *text, size_t len, clipc_err *err)
{
    while (len &&
           (text[len - 1] == '\n' || text[len - 1] == '\r' || text[len - 1] == ' '))
        len--;
    if (!len || c->n == CAPTIONS) return CLIPC_OK;
    for (size_t i = 0; i < c->n; i++)
        if (strncmp(c->v[i], text, len) == 0 && !c->v[i][len]) return CLIPC_OK;
    if (!c->v) c->v = calloc(CAPTIONS, sizeof *c->v);
    char *copy = c->v ? strndup(text, len) : NULL;
    if (!copy) return clipc_fail_memory(err, "captions", len);
    c->v[c->n++] = copy;
    return CLIPC_OK;
}

/* A text or a whole number; whatever else people keep there is none. */
static uint64_t class_of(const json_t *v)
{
    char number[32];

    if (json_is_string(v)) return hash_text(0, json_string_value(v));
    if (!json_is_integer(v)) return 0;
    snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
    return hash_text(0, number);
}

int captions_json(captions *c, span text, const char *where, clipc_err *err)
{
    json_t *root = NULL;
    const char *first = NULL;
    int rc = json_parse(&root, (const char *)text.data, text.size, where, err);

    if (rc == CLIPC_OK) rc = json_get_string(&first, root, "caption", where, err);
    if (rc == CLIPC_OK) rc = json_get_bool(&c->tint, root, "tint", where, err);
    if (rc == CLIPC_OK) c->class = class_of(json_object_get(root, "class"));
    if (rc == CLIPC_OK && first) rc = captions_add(c, first, strlen(first), err);
    const json_t *more = json_object_get(root, "captions");
    for (size_t i = 0; rc == CLIPC_OK && i < json_array_size(more); i++) {
        const char *s = json_string_value(json_array_get(more, i));
        if (s) rc = captions_add(c, s, strlen(s), err);
    }
    json_decref(root);
    return rc;
}

int captions_txt(captions *c, span text, clipc_err *err)
{
    const char *p = (const char *)text.data, *end = p + text.size;
    int rc = CLIPC_OK;

    while (rc == CLIPC_OK && p < end) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        rc = captions_add(c, p, (size_t)((nl ? nl : end) - p), err);
        p = nl ? nl + 1 : end;
    }
    return rc;
}

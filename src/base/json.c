#include "base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

enum { JSON_LIMIT = 64 << 20 };

int json_parse(json_t **out, const char *text, size_t len, const char *where,
               clipc_err *err)
{
    json_error_t e;

    *out = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
    if (*out) return CLIPC_OK;
    return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: line %d: %s", where, e.line, e.text);
}

/* The number of "\uXXXX" at s, or -1. */
static long escaped_at(const char *s, size_t len)
{
    char digits[5] = {0};

    if (len < 6 || s[0] != '\\' || s[1] != 'u') return -1;
    memcpy(digits, s + 2, 4);
    return strspn(digits, "0123456789abcdefABCDEF") == 4 ? strtol(digits, NULL, 16) : -1;
}

/* Halves of surrogate pairs without the other become "\ufffd". */
static void mend_surrogates(char *s, size_t len)
{
    for (size_t i = 0, n; i < len; i += n) {
        const long c = escaped_at(s + i, len - i);
        n = s[i] != '\\' ? 1 : c < 0 ? 2 : 6;
        if (c < 0xd800 || c > 0xdfff) continue;
        const long next = escaped_at(s + i + 6, len - i - 6);
        if (c < 0xdc00 && next >= 0xdc00 && next <= 0xdfff) n = 12;
        else memcpy(s + i + 2, "fffd", 4);
    }
}

int json_parse_line(json_t **out, const char *line, size_t len, const char *where,
                    clipc_err *err)
{
    json_error_t e;
    buf copy = {0};
    int rc = buf_add(&copy, line, len, err);

    *out = NULL;
    if (rc != CLIPC_OK) return rc;
    mend_surrogates(copy.data, len);
    *out = json_loadb(copy.data, len, JSON_ALLOW_NUL, &e);
    buf_free(&copy);
    return *out ? CLIPC_OK : clipc_fail(err, CLIPC_ERR_FORMAT, "%s: %s", where, e.text);
}

int json_read(json_t **out, const char *path, clipc_err *err)
{
    buf b = {0};
    int rc;

    *out = NULL;
    if ((rc = file_read(&b, path, JSON_LIMIT, err)) == CLIPC_OK)
        rc = json_parse(out, b.data, b.len, path, err);
    buf_free(&b);
    return rc;
}

static json_t *find(const json_t *o, const char *key)
{
    json_t *v = o ? json_object_get(o, key) : NULL;
    return json_is_null(v) ? NULL : v;
}

static int wrong(const char *key, const char *want, const char *where, clipc_err *err)
{
    return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: \"%s\" is not %s", where, key, want);
}

int json_get_size(size_t *out, const json_t *o, const char *key, const char *where,
                  clipc_err *err)
{
    const json_t *v = find(o, key);
    if (!v) return CLIPC_OK;
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return wrong(key, "a whole number of 0 or more", where, err);
    *out = (size_t)json_integer_value(v);
    return CLIPC_OK;
}

int json_get_f64(double *out, const json_t *o, const char *key, const char *where,
                 clipc_err *err)
{
    const json_t *v = find(o, key);
    if (!v) return CLIPC_OK;
    if (!json_is_number(v) || !isfinite(json_number_value(v)))
        return wrong(key, "a number", where, err);
    *out = json_number_value(v);
    return CLIPC_OK;
}

int json_get_f32(float *out, const json_t *o, const char *key, const char *where,
                 clipc_err *err)
{
    double d = (double)*out;
    const int rc = json_get_f64(&d, o, key, where, err);
    if (rc == CLIPC_OK) *out = (float)d;
    return rc;
}

int json_get_bool(bool *out, const json_t *o, const char *key, const char *where,
                  clipc_err *err)
{
    const json_t *v = find(o, key);
    if (!v) return CLIPC_OK;
    if (!json_is_boolean(v)) return wrong(key, "true or false", where, err);
    *out = json_is_true(v);
    return CLIPC_OK;
}

int json_get_string(const char **out, const json_t *o, const char *key, const char *where,
                    clipc_err *err)
{
    const json_t *v = find(o, key);
    if (!v) return CLIPC_OK;
    if (!json_is_string(v)) return wrong(key, "a string", where, err);
    *out = json_string_value(v);
    return CLIPC_OK;
}

int json_get_choice(size_t *choice, const char *const *names, const char *wanted,
                    const json_t *o, const char *key, const char *where, clipc_err *err)
{
    const char *name = names[0];
    const int rc = json_get_string(&name, o, key, where, err);

    if (rc != CLIPC_OK) return rc;
    for (*choice = 0; names[*choice]; ++*choice)
        if (strcmp(name, names[*choice]) == 0) return CLIPC_OK;
    return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: \"%s\" is \"%.40s\", wanted %s", where,
                      key, name, wanted);
}

int json_get_floats(float *out, size_t n, const json_t *o, const char *key,
                    const char *where, clipc_err *err)
{
    const json_t *v = find(o, key);
    if (!v) return CLIPC_OK;
    bool ok = json_is_array(v) && json_array_size(v) == n;
    for (size_t i = 0; ok && i < n; i++) {
        const json_t *x = json_array_get(v, i);
        ok = json_is_number(x) && isfinite(json_number_value(x));
        if (ok) out[i] = (float)json_number_value(x);
    }
    return ok ? CLIPC_OK
              : clipc_fail(err, CLIPC_ERR_FORMAT,
                           "%s: \"%s\" is not a list of %zu numbers", where, key, n);
}

int json_check_keys(const json_t *o, const char *const *known, const char *where,
                    clipc_err *err)
{
    const char *key;
    json_t *value;

    if (o && !json_is_object(o))
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: wanted an object with \"%s\" ...",
                          where, known[0]);
    json_object_foreach((json_t *)(uintptr_t)o, key, value)
    {
        size_t i = 0;
        while (known[i] && strcmp(known[i], key) != 0) i++;
        if (!known[i])
            return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: unknown key \"%s\"", where,
                              key);
    }
    return CLIPC_OK;
}

int json_set_text(json_t *o, const char *key, const char *text, clipc_err *err)
{
    if (!text || json_object_set_new(o, key, json_string(text)) == 0) return CLIPC_OK;
    return clipc_fail(err, CLIPC_ERR_TEXT, "%s: no UTF-8", key);
}

json_t *json_text(const char *s)
{
    json_t *out = json_string(s);
    char *copy = out ? NULL : strdup(s);

    for (char *p = copy; p && *p; p++)
        if ((unsigned char)*p >= 0x80) *p = '?';
    if (copy) out = json_string(copy);
    free(copy);
    return out;
}

#include "store/glob.h"

#include <stdbool.h>
#include <string.h>

/* A byte that stands for itself, also within brackets. */
static int add_literal(buf *out, char c, clipc_err *err)
{
    const uint8_t u = (uint8_t)c;
    const bool plain =
        (u >= '0' && u <= '9') || (u >= 'A' && u <= 'Z') || (u >= 'a' && u <= 'z');

    if (u >= 0x80) return buf_printf(out, err, "%c%c", 0xc0 | u >> 6, 0x80 | (u & 0x3f));
    return buf_printf(out, err, "%s%c", plain ? "" : "\\", c);
}

/* What ends a "[:alpha:]", "[.x.]" or "[=x=]" that begins at p; NULL: it is none. */
static const char *behind_class(const char *p)
{
    const char end[3] = {p[1], ']', '\0'};
    const char *at;

    if (p[0] != '[' || !p[1] || !strchr(":.=", p[1])) return NULL;
    at = strstr(p + 2, end);
    return at ? at + 2 : NULL;
}

/* Behind the bracket that closes the one before p, NULL without one. */
static const char *behind_brackets(const char *p)
{
    if (*p == '!' || *p == '^') p++;
    for (bool first = true; *p && (first || *p != ']'); first = false) {
        const char *behind = behind_class(p);
        if (*p == '\\' && p[1]) p++;
        p = behind ? behind : p + 1;
    }
    return *p ? p + 1 : NULL;
}

/* From behind '[' up to `end`, which is behind ']'. */
static int add_brackets(buf *out, const char *p, const char *end, clipc_err *err)
{
    int rc = buf_puts(out, "[", err);

    if (*p == '!' || *p == '^') {
        p++;
        if (rc == CLIPC_OK) rc = buf_puts(out, "^", err);
    }
    const char *first = p;
    while (rc == CLIPC_OK && p < end - 1) {
        const char *behind = behind_class(p);
        const bool range = *p == '-' && p > first && p < end - 2;
        if (behind) {
            rc = buf_add(out, p, (size_t)(behind - p), err);
            p = behind;
            continue;
        }
        if (*p == '\\' && p < end - 2) p++;
        rc = range ? buf_puts(out, "-", err) : add_literal(out, *p, err);
        p++;
    }
    return rc == CLIPC_OK ? buf_puts(out, "]", err) : rc;
}

int glob_regex(buf *out, const char *glob, clipc_err *err)
{
    int rc = CLIPC_OK;

    for (const char *p = glob; rc == CLIPC_OK && *p; p++) {
        const char *end = *p == '[' ? behind_brackets(p + 1) : NULL;
        if (*p == '*') rc = buf_puts(out, ".*", err);
        else if (*p == '?') rc = buf_puts(out, ".", err);
        else if (*p == '\\' && !p[1]) rc = buf_puts(out, "$.", err); /* matches nothing */
        else if (*p == '\\') rc = add_literal(out, *++p, err);
        else if (!end) rc = add_literal(out, *p, err);
        else {
            rc = add_brackets(out, p + 1, end, err);
            p = end - 1;
        }
    }
    return rc;
}

#include "text/html.h"

#include <ctype.h>
#include <string.h>

#include "text/entities_data.h"
#include "text/mojibake_data.h"

static const unsigned short windows_1252[32] = {
    0x20ac, 0,      0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
    0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0,      0x017d, 0,
    0,      0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
    0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0,      0x017e, 0x0178};

rune html_c1(rune c)
{
    const rune known = windows_1252[c - 0x80];
    return known ? known : c;
}

/* Code points that a numeric reference may not make: they vanish. */
static bool forbidden(unsigned long c)
{
    return (c >= 0x1 && c <= 0x8) || c == 0xb || (c >= 0xe && c <= 0x1f) ||
           (c >= 0x7f && c <= 0x9f) || (c >= 0xfdd0 && c <= 0xfdef) ||
           (c & 0xfffe) == 0xfffe;
}

static int put_number(buf *out, unsigned long c, clipc_err *err)
{
    if (c == 0x0d) return utf8_put(out, 0x0d, err);
    if (c >= 0x80 && c <= 0x9f) return utf8_put(out, html_c1((rune)c), err);
    if (c == 0 || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
        return utf8_put(out, 0xfffd, err);
    return forbidden(c) ? CLIPC_OK : utf8_put(out, (rune)c, err);
}

/* "&#...;" at s: the bytes it spans, 0 if it is none. */
static size_t number_at(unsigned long *value, const char *s, size_t len)
{
    const bool hex = len > 2 && (s[2] == 'x' || s[2] == 'X');
    size_t i = hex ? 3 : 2;
    const size_t first = i;

    *value = 0;
    for (;
         i < len && (hex ? isxdigit((unsigned char)s[i]) : isdigit((unsigned char)s[i]));
         i++) {
        const int digit = isdigit((unsigned char)s[i])
                              ? s[i] - '0'
                              : tolower((unsigned char)s[i]) - 'a' + 10;
        /* Held above the largest code point, where all numbers mean the same. */
        if (*value <= 0x110000) *value = *value * (hex ? 16 : 10) + (unsigned long)digit;
    }
    if (i == first) return 0;
    return i < len && s[i] == ';' ? i + 1 : i;
}

static const entity *find(const entity *table, size_t n, const char *name, size_t len)
{
    size_t lo = 0, hi = n;

    while (lo < hi) {
        const size_t mid = (lo + hi) / 2;
        const int c = strncmp(table[mid].name, name, len);
        if (c == 0 && !table[mid].name[len]) return &table[mid];
        if (c < 0) lo = mid + 1;
        else hi = mid; /* longer names sort behind */
    }
    return NULL;
}

static const entity *entity_named(const char *name, size_t len)
{
    return find(entities, n_entities, name, len);
}

/* "&name;" at s, or the longest name without ';' that it begins with, as html.unescape:
 * names are up to 32 characters other than \t \n \f space < & # ; */
static size_t name_at(const entity **e, const char *s, size_t len)
{
    size_t n = 0, characters = 0;

    while (1 + n < len && !memchr("\t\n\f <&#;", s[1 + n], 7)) {
        const bool starts = ((unsigned char)s[1 + n] & 0xc0) != 0x80;
        if (starts && ++characters > 32) break;
        n++;
    }
    if (1 + n < len && s[1 + n] == ';' && (*e = entity_named(s + 1, n + 1))) return n + 2;
    for (; n > 1; n--)
        if ((*e = entity_named(s + 1, n))) return n + 1;
    return 0;
}

int html_unescape(buf *out, const char *text, size_t len, clipc_err *err)
{
    int rc = CLIPC_OK;

    for (size_t i = 0, n; rc == CLIPC_OK && i < len; i += n) {
        const char *s = text + i;
        const char *amp = memchr(s, '&', len - i);
        const entity *e;
        unsigned long number;

        if (amp != s) { /* up to the next one as it stands */
            n = amp ? (size_t)(amp - s) : len - i;
            rc = buf_add(out, s, n, err);
        } else if (len - i > 1 && s[1] == '#' && (n = number_at(&number, s, len - i))) {
            rc = put_number(out, number, err);
        } else if ((n = name_at(&e, s, len - i))) {
            rc = buf_puts(out, e->value, err);
        } else {
            rc = buf_add(out, s, n = 1, err);
        }
    }
    return rc;
}

/* ---- ftfy's --------------------------------------------------------------------------
 */

enum { SURE_MAX = 24 }; /* letters and digits of a name */

static bool is_alnum(rune c)
{
    return c < 0x80 && isalnum((int)c);
}

/* "&name;" or "&#number;" at v, copied to ref: its length, 0 if it is none. */
static size_t sure_at(char ref[SURE_MAX + 3], const rune *v, size_t n)
{
    const size_t first = n > 1 && v[1] == '#' ? 2 : 1;
    size_t i = first;

    while (i < n && i - first < SURE_MAX && is_alnum(v[i])) i++;
    if (i == first || i == n || v[i] != ';') return 0;
    for (size_t k = 0; k <= i; k++) ref[k] = (char)v[k];
    return i + 1;
}

/* Appends what a reference stands for; *known false: it stands for itself. */
static int resolve(bool *known, buf *out, const char *ref, size_t len, clipc_err *err)
{
    const entity *e = entity_named(ref + 1, len - 1);
    unsigned long number;

    *known = true;
    if (!e) e = find(capital_entities, n_capital_entities, ref + 1, len - 1);
    if (e) return buf_puts(out, e->value, err);
    /* ftfy leaves alone what would leave a ';', and so "&#59;". */
    *known = ref[1] == '#' && number_at(&number, ref, len) == len && number != ';';
    return *known ? put_number(out, number, err) : CLIPC_OK;
}

int html_unescape_sure(runes *text, buf *scratch, clipc_err *err)
{
    char ref[SURE_MAX + 3];
    size_t n = 0;
    int rc = CLIPC_OK;

    for (size_t i = 0, len; rc == CLIPC_OK && i < text->n; i += len) {
        bool known = false;
        buf_clear(scratch);
        len = text->v[i] == '&' ? sure_at(ref, text->v + i, text->n - i) : 0;
        if (len) rc = resolve(&known, scratch, ref, len, err);
        if (!known) {
            text->v[n++] = text->v[i];
            len = 1;
        }
        /* Never longer than the reference. */
        for (size_t k = 0; k < scratch->len; n++)
            k += utf8_next(&text->v[n], scratch->data + k, scratch->len - k);
    }
    text->n = n;
    return rc;
}

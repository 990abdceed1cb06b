#include "text/clean.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <utf8proc.h>

#include "base/file.h"
#include "text/entities_data.h"

typedef utf8proc_int32_t rune;

static int put(buf *out, rune c, clipc_err *err)
{
    utf8proc_uint8_t bytes[4];
    const utf8proc_ssize_t n = utf8proc_encode_char(c, bytes);
    return buf_add(out, bytes, (size_t)n, err);
}

static size_t next(rune *c, const char *s, size_t len)
{
    const utf8proc_ssize_t n =
        utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)len, c);
    return n > 0 ? (size_t)n : 0;
}

static int check_utf8(const char *text, size_t len, clipc_err *err)
{
    rune c;

    for (size_t i = 0, n; i < len; i += n)
        if (!(n = next(&c, text + i, len - i)))
            return clipc_fail(err, CLIPC_ERR_TEXT, "text: byte %zu is not UTF-8", i + 1);
    return CLIPC_OK;
}

/* ---- html.unescape -------------------------------------------------------------------
 */

/* What HTML5 makes of the Windows-1252 numbers 0x80..0x9f; 0 stays as it is. */
static const unsigned short windows_1252[32] = {
    0x20ac, 0,      0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
    0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0,      0x017d, 0,
    0,      0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
    0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0,      0x017e, 0x0178};

/* Code points that a numeric reference may not make: they vanish. */
static bool forbidden(unsigned long c)
{
    return (c >= 0x1 && c <= 0x8) || c == 0xb || (c >= 0xe && c <= 0x1f) ||
           (c >= 0x7f && c <= 0x9f) || (c >= 0xfdd0 && c <= 0xfdef) ||
           (c & 0xfffe) == 0xfffe;
}

static int put_number(buf *out, unsigned long c, clipc_err *err)
{
    if (c == 0x0d) return put(out, 0x0d, err);
    if (c >= 0x80 && c <= 0x9f)
        return put(out, windows_1252[c - 0x80] ? windows_1252[c - 0x80] : (rune)c, err);
    if (c == 0 || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
        return put(out, 0xfffd, err);
    return forbidden(c) ? CLIPC_OK : put(out, (rune)c, err);
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

static const entity *entity_named(const char *name, size_t len)
{
    size_t lo = 0, hi = n_entities;

    while (lo < hi) {
        const size_t mid = (lo + hi) / 2;
        const int c = strncmp(entities[mid].name, name, len);
        if (c == 0 && !entities[mid].name[len]) return &entities[mid];
        if (c < 0) lo = mid + 1;
        else hi = mid; /* longer names sort behind */
    }
    return NULL;
}

/* "&name;" at s, or the longest name without ';' that it begins with, as html.unescape:
 * names are up to 32 characters other than \t \n \f space < & # ; */
static size_t name_at(const entity **e, const char *s, size_t len)
{
    size_t n = 0, characters = 0;

    while (1 + n < len && !strchr("\t\n\f <&#;", s[1 + n])) {
        const bool starts = ((unsigned char)s[1 + n] & 0xc0) != 0x80;
        if (starts && ++characters > 32) break;
        n++;
    }
    if (1 + n < len && s[1 + n] == ';' && (*e = entity_named(s + 1, n + 1))) return n + 2;
    for (; n > 1; n--)
        if ((*e = entity_named(s + 1, n))) return n + 1;
    return 0;
}

int text_unescape(buf *out, const char *text, size_t len, clipc_err *err)
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

/* ---- white space ---------------------------------------------------------------------
 */

/* Unicode's White_Space; strip() also takes the separators 0x1c..0x1f (str.isspace). */
static bool is_space(rune c)
{
    return (c >= 0x9 && c <= 0xd) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

static bool is_strippable(rune c)
{
    return is_space(c) || (c >= 0x1c && c <= 0x1f);
}

/* The part of a text between white space at both ends. */
static span strip(const char *s, size_t len)
{
    rune c;
    size_t begin = 0, end = 0, n;

    while (begin < len && (n = next(&c, s + begin, len - begin)) && is_strippable(c))
        begin += n;
    for (size_t i = end = begin; i < len; i += n) {
        n = next(&c, s + i, len - i);
        if (!n) break;
        if (!is_strippable(c)) end = i + n;
    }
    return (span){(const uint8_t *)s + begin, end - begin};
}

static int collapse(buf *out, const char *s, size_t len, clipc_err *err)
{
    bool blank = false;
    int rc = CLIPC_OK;
    rune c;

    for (size_t i = 0, n; rc == CLIPC_OK && i < len; i += n) {
        n = next(&c, s + i, len - i);
        if (!is_space(c)) rc = buf_add(out, s + i, n, err);
        else if (!blank) rc = buf_puts(out, " ", err);
        blank = is_space(c);
    }
    return rc;
}

/* ---- lower case ----------------------------------------------------------------------
 */

/* Unicode's Cased: the letters with case, and what Other_Lowercase and Other_Uppercase
 * add beyond modifier letters, which are case-ignorable and so never asked about. */
static bool is_cased(rune c)
{
    const utf8proc_category_t k = utf8proc_category(c);
    return k == UTF8PROC_CATEGORY_LU || k == UTF8PROC_CATEGORY_LL ||
           k == UTF8PROC_CATEGORY_LT || (c >= 0x2160 && c <= 0x217f) ||
           (c >= 0x24b6 && c <= 0x24e9) || c == 0xaa || c == 0xba ||
           (c >= 0x1f130 && c <= 0x1f149) || (c >= 0x1f150 && c <= 0x1f169) ||
           (c >= 0x1f170 && c <= 0x1f189);
}

static bool is_case_ignorable(rune c)
{
    const utf8proc_category_t k = utf8proc_category(c);
    return k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_ME ||
           k == UTF8PROC_CATEGORY_CF || k == UTF8PROC_CATEGORY_LM ||
           k == UTF8PROC_CATEGORY_SK || c == '\'' || c == '.' || c == ':' || c == 0xb7 ||
           c == 0x387 || c == 0x55f || c == 0x5f4 || c == 0x2018 || c == 0x2019 ||
           c == 0x2024 || c == 0x2027 || c == 0xfe13 || c == 0xfe52 || c == 0xfe55 ||
           c == 0xff07 || c == 0xff0e || c == 0xff1a;
}

/* Unicode's Final_Sigma: a cased letter before, none after, ignorable ones skipped. */
static bool final_sigma(bool cased_before, const char *rest, size_t len)
{
    rune c;

    if (!cased_before) return false;
    for (size_t i = 0, n; i < len; i += n) {
        n = next(&c, rest + i, len - i);
        if (!is_case_ignorable(c)) return !is_cased(c);
    }
    return true;
}

int text_lower(buf *out, const char *s, size_t len, clipc_err *err)
{
    bool cased = false;
    int rc = CLIPC_OK;
    rune c;

    for (size_t i = 0, n; rc == CLIPC_OK && i < len; i += n) {
        n = next(&c, s + i, len - i);
        if (c == 0x3a3)
            rc =
                put(out, final_sigma(cased, s + i + n, len - i - n) ? 0x3c2 : 0x3c3, err);
        else if (c == 0x130) /* the one letter whose lower case is two */
            rc = buf_puts(out, "i\xcc\x87", err);
        else rc = put(out, utf8proc_tolower(c), err);
        if (!is_case_ignorable(c)) cased = is_cased(c);
    }
    return rc;
}

int text_clean(buf *out, buf *work, const char *text, clipc_err *err)
{
    const size_t len = strlen(text);
    span s;
    int rc = len > TEXT_MAX ? clipc_fail(err, CLIPC_ERR_TEXT,
                                         "text: %zu bytes, more than %d", len, TEXT_MAX)
                            : check_utf8(text, len, err);

    buf_clear(work);
    if (rc == CLIPC_OK) rc = text_unescape(work, text, len, err);
    buf_clear(out);
    if (rc == CLIPC_OK)
        rc = text_unescape(out, work->data ? work->data : "", work->len, err);
    buf_clear(work);
    s = strip(out->data ? out->data : "", out->len);
    if (rc == CLIPC_OK) rc = collapse(work, (const char *)s.data, s.size, err);
    buf_clear(out);
    s = strip(work->data ? work->data : "", work->len);
    if (rc == CLIPC_OK) rc = text_lower(out, (const char *)s.data, s.size, err);
    return rc;
}

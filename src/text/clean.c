#include "text/clean.h"

#include <stdlib.h>

#include "text/html.h"
#include "text/nfc.h"
#include "text/repair.h"

struct clean_work {
    repair_work repair;
    buf other;
};

int clean_work_new(clean_work **out, clipc_err *err)
{
    *out = calloc(1, sizeof **out);
    return *out ? CLIPC_OK : clipc_fail_memory(err, "cleaning", sizeof **out);
}

void clean_work_free(clean_work *w)
{
    if (!w) return;
    repair_work_free(&w->repair);
    buf_free(&w->other);
    free(w);
}

static int check_utf8(const char *text, size_t len, clipc_err *err)
{
    rune c;

    for (size_t i = 0, n; i < len; i += n)
        if (!(n = utf8_next(&c, text + i, len - i)))
            return clipc_fail(err, CLIPC_ERR_TEXT, "text: byte %zu is not UTF-8", i + 1);
    return CLIPC_OK;
}

/* ---- white space ---------------------------------------------------------------------
 */

/* Unicode's White_Space.  Python's strip() also takes the separators 0x1c..0x1f, which no
 * repaired text has. */
static bool is_space(rune c)
{
    return (c >= 0x9 && c <= 0xd) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

/* Appends the text with one blank for each run of white space, none at its ends. */
static int collapse(buf *out, const char *s, size_t len, clipc_err *err)
{
    bool blank = false;
    int rc = CLIPC_OK;
    rune c;

    for (size_t i = 0, n; rc == CLIPC_OK && i < len; i += n) {
        n = utf8_next(&c, s + i, len - i);
        if (is_space(c)) {
            blank = true;
            continue;
        }
        if (blank && out->len) rc = buf_puts(out, " ", err);
        blank = false;
        if (rc == CLIPC_OK) rc = buf_add(out, s + i, n, err);
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
        n = utf8_next(&c, rest + i, len - i);
        if (!is_case_ignorable(c)) return !is_cased(c);
    }
    return true;
}

/* Appends the text in lower case: str.lower, or, without context, each character by
 * itself.
 */
static int lower(buf *out, const char *s, size_t len, bool context, clipc_err *err)
{
    bool cased = false;
    int rc = CLIPC_OK;
    rune c;

    for (size_t i = 0, n; rc == CLIPC_OK && i < len; i += n) {
        n = utf8_next(&c, s + i, len - i);
        if (c == 0x3a3 && context && final_sigma(cased, s + i + n, len - i - n))
            rc = utf8_put(out, 0x3c2, err);
        else if (c == 0x130) /* the one letter whose lower case is two */
            rc = buf_puts(out, "i\xcc\x87", err);
        else rc = utf8_put(out, utf8proc_tolower(c), err);
        if (!is_case_ignorable(c)) cased = is_cased(c);
    }
    return rc;
}

/* ---- all of it -----------------------------------------------------------------------
 */

/* ASCII that no repair changes, and its white space: what captions are made of. */
static bool is_simple(const char *s, size_t len)
{
    unsigned other = 0;

    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)s[i];
        const bool space = c == '\t' || c == '\n' || c == '\f' || c == '\r';
        other |= (c < ' ' && !space) | (c >= 0x7f) | (c == '&');
    }
    return !other;
}

static int clean_simple(buf *out, const char *s, size_t len, bool upper, clipc_err *err)
{
    const int rc = buf_reserve(out, len, err);
    bool blank = false;
    size_t n = 0;

    if (rc != CLIPC_OK) return rc;
    for (size_t i = 0; i < len; i++) {
        const char c = s[i];
        if (c <= ' ') {
            blank = true;
            continue;
        }
        if (blank && n) out->data[n++] = ' ';
        blank = false;
        out->data[n++] = !upper && c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    out->len = n;
    out->data[n] = '\0';
    return CLIPC_OK;
}

/* In place: underscores are blanks, other punctuation of ASCII goes. */
static void remove_punctuation(buf *b)
{
    size_t n = 0;

    for (size_t i = 0; i < b->len; i++) {
        const char c = b->data[i] == '_' ? ' ' : b->data[i];
        const bool punctuation = (c > ' ' && c < '0') || (c > '9' && c < 'A') ||
                                 (c > 'Z' && c < 'a') || (c > 'z' && c < 0x7f);
        if (!punctuation) b->data[n++] = c;
    }
    b->len = n;
}

/* b = the other buffer's text, which becomes empty. */
static void take(buf *b, buf *other)
{
    const buf swapped = *b;

    *b = *other;
    *other = swapped;
    buf_clear(other);
}

/* Behind the repair: out is what is cleaned. */
static int clean_python(buf *out, clean_work *w, clean_rules rules, clipc_err *err)
{
    int rc = CLIPC_OK;

    for (int times = 0; rc == CLIPC_OK && times < 2; times++) {
        rc = html_unescape(&w->other, out->data, out->len, err);
        take(out, &w->other);
    }
    if (rules == CLEAN_CANONICAL) remove_punctuation(out);
    if (rc == CLIPC_OK) rc = collapse(&w->other, out->data, out->len, err);
    take(out, &w->other);
    if (rc != CLIPC_OK || rules == CLEAN_WHITESPACE) return rc;
    rc = lower(&w->other, out->data, out->len, true, err);
    take(out, &w->other);
    return rc;
}

static int clean_hf(buf *out, clean_work *w, const char *text, size_t len, clipc_err *err)
{
    runes *r = &w->repair.text;
    int rc;

    r->n = 0;
    rc = runes_from_utf8(r, text, len, err);
    if (rc == CLIPC_OK) rc = nfc_compose(r, &w->repair.next, err);
    if (rc == CLIPC_OK) rc = runes_to_utf8(out, r, err);
    if (rc == CLIPC_OK) rc = collapse(&w->other, out->data, out->len, err);
    take(out, &w->other);
    if (rc == CLIPC_OK) rc = lower(&w->other, out->data, out->len, false, err);
    take(out, &w->other);
    return rc;
}

int text_clean(buf *out, clean_work *w, const char *text, size_t len, clean_rules rules,
               clipc_err *err)
{
    int rc;

    buf_clear(out);
    buf_clear(&w->other);
    if (len > TEXT_MAX)
        return clipc_fail(err, CLIPC_ERR_TEXT, "text: %zu bytes, more than %d", len,
                          TEXT_MAX);
    if (rules != CLEAN_CANONICAL && is_simple(text, len))
        return clean_simple(out, text, len, rules == CLEAN_WHITESPACE, err);
    if ((rc = check_utf8(text, len, err)) != CLIPC_OK) return rc;
    if (rules == CLEAN_HF) return clean_hf(out, w, text, len, err);
    rc = text_repair(out, &w->repair, text, len, err);
    return rc == CLIPC_OK ? clean_python(out, w, rules, err) : rc;
}

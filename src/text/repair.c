#include "text/repair.h"

#include <string.h>

#include "text/html.h"
#include "text/mojibake_data.h"
#include "text/nfc.h"

enum {
    SEGMENT_MAX = 1000000,
    BUDGET = 1 << 26, /* characters looked at for one text: a second or two */
    ESCAPE = 0x1b
};

void repair_work_free(repair_work *w)
{
    runes_free(&w->all);
    runes_free(&w->text);
    runes_free(&w->before);
    runes_free(&w->next);
    buf_free(&w->scratch);
    mojibake_work_free(&w->mojibake);
}

static const char *ligature_of(rune c)
{
    for (size_t i = 0; i < n_ligatures && ligatures[i].code <= c; i++)
        if (ligatures[i].code == c) return ligatures[i].letters;
    return NULL;
}

/* The full- and half-width forms, and the wide blank. */
static bool has_width(rune c)
{
    return c == 0x3000 || (c >= 0xff01 && c <= 0xffef);
}

static rune plain(rune c)
{
    if (c < 0x80) return c;
    if (c == 0x2bc || (c >= 0x2018 && c <= 0x201b)) return '\'';
    if (c >= 0x201c && c <= 0x201f) return '"';
    return c == 0x2028 || c == 0x2029 ? '\n' : c;
}

/* Appends what becomes of one character. */
static int put(runes *out, rune c, clipc_err *err)
{
    const char *letters = c >= 0x80 ? ligature_of(c) : NULL;
    rune parts[4] = {c};
    size_t n = 1;

    if (c >= 0x80 && c <= 0x9f) parts[0] = html_c1(c);
    if (has_width(c)) {
        int boundary = 0;
        n = (size_t)utf8proc_decompose_char(
            c, parts, 4, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, &boundary);
    } else if (letters) {
        const size_t len = strlen(letters);
        n = 0;
        for (size_t i = 0; i < len; n++) i += utf8_next(&parts[n], letters + i, len - i);
    }
    for (size_t i = 0; i < n; i++) parts[i] = plain(parts[i]);
    return runes_add(out, parts, n, err);
}

/* Characters that become others, and line ends. */
static int map(runes *out, const runes *in, clipc_err *err)
{
    int rc = CLIPC_OK;

    out->n = 0;
    for (size_t i = 0; rc == CLIPC_OK && i < in->n; i++) {
        const rune c = in->v[i];
        if (c != '\r') rc = put(out, c, err);
        else if (i + 1 == in->n || in->v[i + 1] != '\n') rc = put(out, '\n', err);
    }
    return rc;
}

/* "ESC [ numbers letter" at v: its length, 0 if it is none. */
static size_t escape_at(const rune *v, size_t n)
{
    size_t i = 2;

    if (n < 3 || v[0] != ESCAPE || v[1] != '[') return 0;
    while (i < n && (v[i] == ';' || mojibake_is_digit(v[i]))) i++;
    return i < n && ((v[i] >= 'a' && v[i] <= 'z') || (v[i] >= 'A' && v[i] <= 'Z')) ? i + 1
                                                                                   : 0;
}

static bool is_control(rune c)
{
    return c < 0x20 ? c != '\t' && c != '\n' && c != '\f'
                    : c == 0x7f || (c >= 0x206a && c <= 0x206f) || c == 0xfeff ||
                          (c >= 0xfff9 && c <= 0xfffc);
}

static void remove_controls(runes *text)
{
    size_t n = 0;

    for (size_t i = 0; i < text->n; i++) {
        const size_t escape = escape_at(text->v + i, text->n - i);
        if (escape) i += escape - 1;
        else if (!is_control(text->v[i])) text->v[n++] = text->v[i];
    }
    text->n = n;
}

static int pass(repair_work *w, bool unescape, clipc_err *err)
{
    int rc = unescape ? html_unescape_sure(&w->text, &w->scratch, err) : CLIPC_OK;

    if (rc == CLIPC_OK) rc = mojibake_fix(&w->text, &w->mojibake, err);
    if (rc == CLIPC_OK) rc = map(&w->next, &w->text, err);
    const runes swapped = w->text;
    w->text = w->next;
    w->next = swapped;
    remove_controls(&w->text);
    return rc == CLIPC_OK ? nfc_compose(&w->text, &w->next, err) : rc;
}

static int fix_segment(repair_work *w, bool unescape, clipc_err *err)
{
    int rc;

    do {
        rc = mojibake_spend(&w->mojibake, w->text.n, err);
        if (rc == CLIPC_OK) rc = runes_copy(&w->before, &w->text, err);
        if (rc == CLIPC_OK) rc = pass(w, unescape, err);
    } while (rc == CLIPC_OK && !runes_equal(&w->before, &w->text));
    return rc;
}

int text_repair(buf *out, repair_work *w, const char *text, size_t len, clipc_err *err)
{
    bool unescape = true;
    int rc;

    w->mojibake.budget = BUDGET;
    w->all.n = 0;
    rc = runes_from_utf8(&w->all, text, len, err);
    for (size_t i = 0, n; rc == CLIPC_OK && i < w->all.n; i += n) {
        const rune *v = w->all.v + i;
        for (n = 1; n < w->all.n - i && n < SEGMENT_MAX && v[n - 1] != '\n'; n++)
            ;
        for (size_t k = 0; k < n; k++)
            if (v[k] == '<') unescape = false;
        w->text.n = 0;
        rc = runes_add(&w->text, v, n, err);
        if (rc == CLIPC_OK) rc = fix_segment(w, unescape, err);
        if (rc == CLIPC_OK) rc = runes_to_utf8(out, &w->text, err);
    }
    return rc;
}

#include "text/mojibake.h"

#include <string.h>

#include "text/html.h"
#include "text/mojibake_data.h"

enum { LATIN_1 = N_CHARMAPS, N_ENCODINGS, SUBSTITUTE = 0x1a };

void mojibake_work_free(mojibake_work *w)
{
    buf_free(&w->bytes);
    buf_free(&w->other);
}

int mojibake_spend(mojibake_work *w, size_t n, clipc_err *err)
{
    if (n > w->budget)
        return clipc_fail(err, CLIPC_ERR_TEXT,
                          "text: its repair does not end: escapes within escapes, or "
                          "encodings within encodings");
    w->budget -= n;
    return CLIPC_OK;
}

/* ---- what looks wrong ----------------------------------------------------------------
 */

static unsigned class_at(rune c)
{
    return class_of(mojibake_classes, n_mojibake_classes, c);
}

static unsigned clues(rune c)
{
    return mojibake_clues[class_at(c)];
}

bool mojibake_is_digit(rune c)
{
    return clues(c) & CLUE_DIGIT;
}

static bool is_ascii(const runes *text)
{
    for (size_t i = 0; i < text->n; i++)
        if (text->v[i] >= 0x80) return false;
    return true;
}

static bool is_bad(const runes *text)
{
    const uint64_t *begin = bad_start;
    uint64_t low = 0, high = 0;

    for (size_t i = 0; i < text->n; i++) {
        const uint64_t *fits = bad_fits[class_at(text->v[i])];
        high = (high << 1 | low >> 63 | begin[1]) & fits[1];
        low = (low << 1 | begin[0]) & fits[0];
        if ((low & bad_end[0]) | (high & bad_end[1])) return true;
        begin = bad_anywhere;
    }
    return false;
}

/* ---- 8-bit encodings -----------------------------------------------------------------
 */

static const charmap_row *charmap_find(rune c)
{
    size_t lo = 0, hi = n_charmap;

    while (lo < hi) {
        const size_t mid = (lo + hi) / 2;
        if (charmap[mid].code < c) lo = mid + 1;
        else hi = mid;
    }
    return lo < n_charmap && charmap[lo].code == c ? &charmap[lo] : NULL;
}

/* The encodings that have a character, as bits. */
static unsigned encodings_of(rune c)
{
    const unsigned sloppy = (1u << CHARMAP_SLOPPY) - 1, all = (1u << N_ENCODINGS) - 1;

    if (c < 0x80) return c == SUBSTITUTE ? all & ~sloppy : all;
    const charmap_row *row = charmap_find(c);
    return (row ? row->in : 0u) | (c < 0x100 ? 1u << LATIN_1 : 0u);
}

/* w->bytes = the text in an encoding that has all of it. */
static int encode(mojibake_work *w, const runes *text, int encoding, clipc_err *err)
{
    int rc;

    buf_clear(&w->bytes);
    if ((rc = buf_reserve(&w->bytes, text->n, err)) != CLIPC_OK) return rc;
    for (size_t i = 0; i < text->n; i++) {
        const rune c = text->v[i];
        const bool as_is = c < 0x80 || encoding == LATIN_1;
        w->bytes.data[i] = (char)(as_is ? c : charmap_find(c)->byte[encoding]);
    }
    w->bytes.len = text->n;
    return CLIPC_OK;
}

/* ---- UTF-8 that suffered -------------------------------------------------------------
 */

typedef uint8_t byte;

static bool between(byte b, byte first, byte last)
{
    return b >= first && b <= last;
}

static bool is_next(byte b)
{
    return between(b, 0x80, 0xbf);
}

/* "\xc3 " reads as a word of its own, unless what follows makes a Portuguese one. */
static bool is_a_grave(const char *s, size_t len)
{
    static const char *const not_behind[] = {" ", "quele", "quela", "quilo", "s "};

    if (len < 2 || memcmp(s, "\xc3 ", 2) != 0) return false;
    for (size_t i = 0; i < sizeof not_behind / sizeof not_behind[0]; i++) {
        const size_t n = strlen(not_behind[i]);
        if (len - 2 >= n && memcmp(s + 2, not_behind[i], n) == 0) return false;
    }
    return true;
}

/* Where in the sequence at s a blank stands for byte 0xa0; 0: nowhere. */
static size_t altered_at(const byte *s, size_t len)
{
    static const byte two[] = {0xc2, 0xc3, 0xc5, 0xce, 0xd0, 0xd9};

    if (len >= 2 && memchr(two, s[0], sizeof two) && s[1] == ' ') return 1;
    if (len >= 3 && between(s[0], 0xe0, 0xe3)) {
        /* 0x85 is too often an ellipsis of the text itself. */
        const bool first = is_next(s[1]) && s[1] != 0x85 && s[1] != 0xa0;
        const bool second = is_next(s[2]) && s[2] != 0x85 && s[2] != 0xa0;
        if (s[0] >= 0xe2 && s[1] == ' ' && second) return 1;
        if (first && s[2] == ' ') return 2;
    }
    if (len >= 4 && s[0] == 0xf0) {
        if (s[1] == ' ' && is_next(s[2]) && is_next(s[3])) return 1;
        if (is_next(s[1]) && s[2] == ' ' && is_next(s[3])) return 2;
        if (is_next(s[1]) && is_next(s[2]) && s[3] == ' ') return 3;
    }
    return 0;
}

static void swap_bufs(mojibake_work *w)
{
    const buf b = w->bytes;
    w->bytes = w->other;
    w->other = b;
}

/* Blanks that were bytes 0xa0 become them again. */
static int restore_a0(mojibake_work *w, clipc_err *err)
{
    const buf *in = &w->bytes;
    int rc = CLIPC_OK;

    buf_clear(&w->other);
    for (size_t i = 0; rc == CLIPC_OK && i < in->len; i++) {
        rc = buf_add(&w->other, in->data + i, 1, err);
        if (rc == CLIPC_OK && is_a_grave(in->data + i, in->len - i))
            rc = buf_puts(&w->other, "\xa0", err);
    }
    swap_bufs(w);
    for (size_t i = 0; i < w->bytes.len; i++) {
        const byte *s = (const byte *)w->bytes.data + i;
        const size_t at = altered_at(s, w->bytes.len - i);
        if (!at) continue;
        w->bytes.data[i + at] = (char)0xa0;
        i += s[0] < 0xe0 ? 1 : s[0] < 0xf0 ? 2 : 3;
    }
    return rc;
}

/* n bytes behind a first one, of which some were lost: at most one as '?'. */
static bool is_lossy(const byte *s, size_t n)
{
    size_t lost = 0, questions = 0;

    for (size_t i = 0; i < n; i++) {
        lost += s[i] == SUBSTITUTE || s[i] == '?';
        questions += s[i] == '?';
        if (s[i] != SUBSTITUTE && s[i] != '?' && !is_next(s[i])) return false;
    }
    return lost && questions <= 1;
}

/* Two surrogates of three bytes, the last byte of either lost. */
static bool is_lossy_pair(const byte *s)
{
    const bool lost2 = s[2] == SUBSTITUTE || s[2] == '?';
    const bool lost5 = s[5] == SUBSTITUTE || s[5] == '?';

    return s[0] == 0xed && between(s[1], 0xa0, 0xaf) && s[3] == 0xed &&
           between(s[4], 0xb0, 0xbf) && (lost2 || lost5) && (lost2 || is_next(s[2])) &&
           (lost5 || is_next(s[5]));
}

/* The bytes at s that were one character, some of them lost; 0: none were. */
static size_t lossy_at(const byte *s, size_t len)
{
    if (s[0] == SUBSTITUTE) return 1;
    if (len >= 2 && between(s[0], 0xc2, 0xdf) &&
        (s[1] == SUBSTITUTE || (s[0] <= 0xc3 && s[1] == '?')))
        return 2;
    if (len >= 6 && is_lossy_pair(s)) return 6;
    if (len >= 3 && between(s[0], 0xe0, 0xef) && is_lossy(s + 1, 2)) return 3;
    if (len >= 4 && between(s[0], 0xf0, 0xf4) && is_lossy(s + 1, 3)) return 4;
    return 0;
}

/* Characters of which bytes were lost become U+FFFD. */
static int replace_lossy(mojibake_work *w, clipc_err *err)
{
    const buf *in = &w->bytes;
    int rc = CLIPC_OK;

    buf_clear(&w->other);
    for (size_t i = 0, n; rc == CLIPC_OK && i < in->len; i += n) {
        n = lossy_at((const byte *)in->data + i, in->len - i);
        if (n) rc = buf_puts(&w->other, "\xef\xbf\xbd", err);
        else rc = buf_add(&w->other, in->data + i, n = 1, err);
    }
    swap_bufs(w);
    return rc;
}

/* Surrogates as three bytes each (CESU-8).  The reference's expression ends in '$', which
 * also fits in front of a last newline: that is then taken for the last byte. */
static bool is_cesu(const byte *s, size_t len)
{
    return len >= 6 && s[0] == 0xed && between(s[1], 0xa0, 0xaf) && is_next(s[2]) &&
           s[3] == 0xed && between(s[4], 0xb0, 0xbf) &&
           (is_next(s[5]) || (len == 6 && s[5] == '\n'));
}

/* Java's NUL, and the same newline. */
static bool is_long_nul(const byte *s, size_t len)
{
    return len >= 2 && s[0] == 0xc0 && (s[1] == 0x80 || (len == 2 && s[1] == '\n'));
}

/* out = UTF-8 of any of these kinds; false: it is none. out has room. */
static bool decode(runes *out, const byte *s, size_t len)
{
    out->n = 0;
    for (size_t i = 0, n; i < len; i += n, out->n++) {
        const byte *b = s + i;
        rune *c = &out->v[out->n];
        if (is_long_nul(b, len - i)) {
            *c = 0, n = 2;
        } else if (is_cesu(b, len - i)) {
            *c = 0x10000 + ((b[1] & 0xf) << 16 | (b[2] & 0x3f) << 10 | (b[4] & 0xf) << 6 |
                            (b[5] & 0x3f));
            n = 6;
        } else if (!(n = utf8_next(c, (const char *)b, len - i))) {
            return false;
        }
    }
    return true;
}

/* ---- one step ------------------------------------------------------------------------
 */

/* *done: the text is UTF-8 once it is written in this encoding, and out is it. */
static int read_again(bool *done, runes *out, const runes *text, int encoding,
                      mojibake_work *w, clipc_err *err)
{
    int rc = encode(w, text, encoding, err);

    /* In MacRoman a dash and a blank look like that. */
    if (rc == CLIPC_OK && encoding != CHARMAP_MACROMAN) rc = restore_a0(w, err);
    if (rc == CLIPC_OK && encoding < CHARMAP_SLOPPY) rc = replace_lossy(w, err);
    out->n = 0;
    if (rc == CLIPC_OK) rc = runes_reserve(out, w->bytes.len, err);
    if (rc == CLIPC_OK) *done = decode(out, (const byte *)w->bytes.data, w->bytes.len);
    return rc;
}

/* How many characters at v look like UTF-8 that was read as some 8-bit encoding. */
static size_t look_alike(const rune *v, size_t n)
{
    size_t i = 0;

    while (i < n) {
        const unsigned first = clues(v[i]);
        const size_t more = first & CLUE_FIRST_OF_2   ? 1
                            : first & CLUE_FIRST_OF_3 ? 2
                            : first & CLUE_FIRST_OF_4 ? 3
                                                      : 0;
        size_t k = 0;
        if (!more || n - i <= more) break;
        while (k < more && clues(v[i + 1 + k]) & CLUE_NEXT) k++;
        if (k < more) break;
        i += 1 + more;
    }
    return i;
}

/* out = the text, its parts that look like UTF-8 repaired each on its own. */
static int fix_parts(runes *out, const runes *text, mojibake_work *w, clipc_err *err)
{
    runes part = {0};
    int rc = CLIPC_OK;

    out->n = 0;
    for (size_t i = 0, n; rc == CLIPC_OK && i < text->n; i += n) {
        const bool inside = i && clues(text->v[i - 1]) & CLUE_NEXT_STRICT;
        n = inside ? 0 : look_alike(text->v + i, text->n - i);
        part.n = 0;
        rc = runes_add(&part, text->v + i, n ? n : 1, err);
        /* A part that is the whole would come here again.  Otherwise the depth is
         * logarithmic: a part is read again as half as many characters, or not at all. */
        if (rc == CLIPC_OK && n && n < text->n && is_bad(&part))
            rc = mojibake_fix(&part, w, err);
        if (rc == CLIPC_OK) rc = runes_add(out, part.v, part.n, err);
        if (!n) n = 1;
    }
    runes_free(&part);
    return rc;
}

/* out = the text after one step of repair: the same if there is none. */
static int step(runes *out, const runes *text, mojibake_work *w, clipc_err *err)
{
    static const int order[N_ENCODINGS] = {
        LATIN_1,      CHARMAP_1252, CHARMAP_1251,   CHARMAP_1250,     CHARMAP_1253,
        CHARMAP_1254, CHARMAP_1257, CHARMAP_8859_2, CHARMAP_MACROMAN, CHARMAP_CP437};
    unsigned possible = (1u << N_ENCODINGS) - 1;
    bool done = false;
    int rc = CLIPC_OK;

    for (size_t i = 0; i < text->n && possible; i++) possible &= encodings_of(text->v[i]);
    for (int i = 0; rc == CLIPC_OK && !done && i < N_ENCODINGS; i++)
        if (possible >> order[i] & 1) rc = read_again(&done, out, text, order[i], w, err);
    if (rc != CLIPC_OK || done) return rc;
    rc = fix_parts(out, text, w, err);
    if (rc != CLIPC_OK || !runes_equal(out, text)) return rc;
    for (size_t i = 0; i < out->n; i++)
        if (out->v[i] >= 0x80 && out->v[i] <= 0x9f) out->v[i] = html_c1(out->v[i]);
    return CLIPC_OK;
}

int mojibake_fix(runes *text, mojibake_work *w, clipc_err *err)
{
    runes fixed = {0};
    bool again = true;
    int rc = CLIPC_OK;

    while (rc == CLIPC_OK && again && !is_ascii(text) && is_bad(text)) {
        rc = mojibake_spend(w, text->n, err);
        if (rc == CLIPC_OK) rc = step(&fixed, text, w, err);
        again = !runes_equal(&fixed, text);
        const runes swapped = *text;
        *text = fixed;
        fixed = swapped;
    }
    runes_free(&fixed);
    return rc;
}

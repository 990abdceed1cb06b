#include "text/canonical.h"

#include <string.h>

#include "text/chars.h"
#include "text/clean.h"

/* Python's str.isspace: Unicode's White_Space and the four separators. */
static bool is_python_space(uint32_t c)
{
    return char_is_space(c) || (c >= 0x1c && c <= 0x1f);
}

/* Runs of white space become one blank, those at the ends vanish. */
static int squeeze(buf *out, const buf *in, clipc_err *err)
{
    bool blank = false;
    uint32_t c;
    int rc = CLIPC_OK;

    for (size_t i = 0, n; rc == CLIPC_OK && i < in->len; i += n) {
        n = char_next(&c, in->data + i, in->len - i);
        if (is_python_space(c)) {
            blank = out->len > 0;
            continue;
        }
        if (blank) rc = buf_puts(out, " ", err);
        if (rc == CLIPC_OK) rc = buf_add(out, in->data + i, n, err);
        blank = false;
    }
    return rc;
}

static int drop_punctuation(buf *out, const buf *in, bool underscores, clipc_err *err)
{
    int rc = buf_reserve(out, in->len, err);

    for (size_t i = 0; rc == CLIPC_OK && i < in->len; i++) {
        const char c = in->data[i];
        if (c == '_' && underscores) rc = buf_puts(out, " ", err);
        else if ((unsigned char)c >= 0x80 || !char_is_punct((unsigned char)c))
            rc = buf_add(out, &c, 1, err);
    }
    return rc;
}

static void swap(buf *a, buf *b)
{
    const buf t = *a;
    *a = *b;
    *b = t;
}

/* out = what a step makes of out, by way of work. */
#define STEP(call)                           \
    do {                                     \
        buf_clear(work);                     \
        if (rc == CLIPC_OK) rc = (call);     \
        if (rc == CLIPC_OK) swap(out, work); \
    } while (0)

int canonical_text(buf *out, buf *work, canonical_rules rules, const char *text,
                   size_t len, clipc_err *err)
{
    const bool open_clip = rules >= CANONICAL_WHITESPACE && rules <= CANONICAL_FULL;
    int rc = len > TEXT_MAX ? clipc_fail(err, CLIPC_ERR_TEXT,
                                         "text: %zu bytes, more than %d", len, TEXT_MAX)
                            : char_check(text, len, err);

    buf_clear(out);
    if (rc == CLIPC_OK) rc = buf_add(out, text, len, err);
    for (int i = 0; i < 2 && open_clip; i++)
        STEP(text_unescape(work, out->data, out->len, err));
    if (rules == CANONICAL_SIGLIP) STEP(text_lower(work, out->data, out->len, err));
    if (rules >= CANONICAL_FULL)
        STEP(drop_punctuation(work, out, rules == CANONICAL_FULL, err));
    if (rules == CANONICAL_FULL) STEP(text_lower(work, out->data, out->len, err));
    if (rules != CANONICAL_NONE) STEP(squeeze(work, out, err));
    if (rules == CANONICAL_LOWER) STEP(text_lower(work, out->data, out->len, err));
    return rc;
}

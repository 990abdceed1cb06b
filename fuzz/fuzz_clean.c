/* Any bytes as a text to clean, under all rules: what comes out is UTF-8, whatever was
 * cleaned before; and plain ASCII, which has a way of its own, comes out as it does where
 * a letter behind it sends it the long way. */
#include <stdlib.h>
#include <string.h>

#include "text/clean.h"
#include "text/runes.h"

static const char tail[] = " \xc3\xa9";

static int clean(buf *out, clean_work *w, const buf *text, int rules)
{
    const int rc = text_clean(out, w, text->data, text->len, (clean_rules)rules, NULL);
    rune c;

    for (size_t i = 0, n; rc == CLIPC_OK && i < out->len; i += n)
        if (!(n = utf8_next(&c, out->data + i, out->len - i))) abort();
    return rc;
}

/* Without references, which may make any character. */
static bool is_plain(const buf *text)
{
    for (size_t i = 0; i < text->len; i++)
        if ((unsigned char)text->data[i] >= 0x80 || text->data[i] == '&') return false;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static clean_work *used; /* one for all: it must not remember */
    buf text = {0}, out = {0}, longer = {0};

    if (!used && clean_work_new(&used, NULL) != CLIPC_OK) abort();
    if (buf_add(&text, data, size, NULL) != CLIPC_OK) abort();
    const bool plain = is_plain(&text);
    for (int rules = CLEAN_LOWER; rules <= CLEAN_HF; rules++) {
        if (clean(&out, used, &text, rules) != CLIPC_OK || !plain) continue;
        if (buf_add(&text, tail, strlen(tail), NULL) != CLIPC_OK) abort();
        if (clean(&longer, used, &text, rules) == CLIPC_OK) {
            const size_t skip = out.len ? 0 : 1; /* the blank */
            if (buf_add(&out, tail + skip, strlen(tail) - skip, NULL) != CLIPC_OK)
                abort();
            if (out.len != longer.len || memcmp(out.data, longer.data, out.len) != 0)
                abort();
        }
        text.len = size;
    }
    buf_free(&text);
    buf_free(&out);
    buf_free(&longer);
    return 0;
}

#include "text/bytelevel.h"

#include <stdbool.h>

static bool stands_for_itself(unsigned byte)
{
    return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte != 0xad);
}

/* The others follow from U+0100 on, in order. */
static unsigned letter_of(unsigned byte)
{
    if (stands_for_itself(byte)) return byte;
    if (byte <= ' ') return 0x100 + byte;
    return byte == 0xad ? 0x143 : 0x121 + byte - 0x7f;
}

int bytelevel_put(buf *out, const char *s, size_t len, clipc_err *err)
{
    int rc = buf_reserve(out, 2 * len, err);

    for (size_t i = 0; rc == CLIPC_OK && i < len; i++) {
        const unsigned c = letter_of((unsigned char)s[i]);
        if (c >= 0x80) out->data[out->len++] = (char)(0xc0 | c >> 6);
        out->data[out->len++] = (char)(c < 0x80 ? c : 0x80 | (c & 0x3f));
    }
    if (rc == CLIPC_OK) out->data[out->len] = '\0';
    return rc;
}

#include "text/chars.h"

#include <utf8proc.h>

size_t char_next(uint32_t *c, const char *s, size_t len)
{
    utf8proc_int32_t rune;
    const utf8proc_ssize_t n =
        len ? utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)len, &rune)
            : 0;

    if (n <= 0) return 0;
    *c = (uint32_t)rune;
    return (size_t)n;
}

size_t char_put(char out[4], uint32_t c)
{
    return (size_t)utf8proc_encode_char((utf8proc_int32_t)c, (utf8proc_uint8_t *)out);
}

size_t char_claimed(char first)
{
    const unsigned char b = (unsigned char)first;
    return b < 0xc0 ? 1 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : 4;
}

int char_check(const char *text, size_t len, clipc_err *err)
{
    uint32_t c;

    for (size_t i = 0, n; i < len; i += n)
        if (!(n = char_next(&c, text + i, len - i)))
            return clipc_fail(err, CLIPC_ERR_TEXT, "text: byte %zu is not UTF-8", i + 1);
    return CLIPC_OK;
}

bool char_in(const code_range *r, size_t n, uint32_t c)
{
    size_t lo = 0, hi = n;

    while (lo < hi) {
        const size_t mid = (lo + hi) / 2;
        if (c > r[mid].last) lo = mid + 1;
        else hi = mid;
    }
    return lo < n && c >= r[lo].first;
}

bool char_is_space(uint32_t c)
{
    return c == ' ' || (c >= 0x9 && c <= 0xd) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

bool char_is_punct(uint32_t c)
{
    if (c < 0x80)
        return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) ||
               (c >= 123 && c <= 126);
    return char_in(wordpiece_punct, n_wordpiece_punct, c);
}

bool char_is_numeric(uint32_t c)
{
    const utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return k == UTF8PROC_CATEGORY_ND || k == UTF8PROC_CATEGORY_NL ||
           k == UTF8PROC_CATEGORY_NO;
}

bool char_is_word(uint32_t c)
{
    const utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_ND) ||
           k == UTF8PROC_CATEGORY_NL || k == UTF8PROC_CATEGORY_PC || c == 0x200c ||
           c == 0x200d || (c >= 0x24b6 && c <= 0x24e9) ||
           (c >= 0x1f130 && c <= 0x1f149) || (c >= 0x1f150 && c <= 0x1f169) ||
           (c >= 0x1f170 && c <= 0x1f189);
}

/* With the letters of Unicode 16 and 17 that utf8proc may lack. */
uint32_t char_lower(uint32_t c)
{
    if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
    if (c == 0x1c89 || c == 0xa7cc || c == 0xa7ce || c == 0xa7d2 || c == 0xa7d4 ||
        c == 0xa7da)
        return c + 1;
    if (c == 0xa7cb) return 0x264;
    if (c == 0xa7dc) return 0x19b;
    if (c >= 0x10d50 && c <= 0x10d65) return c + 0x20;
    if (c >= 0x16ea0 && c <= 0x16eb8) return c + 0x1b;
    return (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
}

bool char_decomposes(uint32_t c)
{
    return c >= 0xc0 &&
           (c < 0x10000 || (c >= 0x1109a && c <= 0x110ab) ||
            (c >= 0x1112e && c <= 0x1134c) || (c >= 0x114bb && c <= 0x115bb) ||
            (c >= 0x1d15e && c <= 0x1d1c0) || (c >= 0x2f800 && c <= 0x2fa1d));
}

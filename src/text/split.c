#include "text/split.h"

#include <string.h>

#include "text/runes.h"
#include "text/split_data.h"

enum { GREEK_IOTA_MARK = 0x345 };

static unsigned class_at(size_t *n, const char *s, size_t len, bool caseless)
{
    const unsigned char c = (unsigned char)*s;
    rune r;

    *n = 1;
    if (c < 0x80) {
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return SPLIT_LETTER;
        if (c >= '0' && c <= '9') return SPLIT_NUMBER;
        return c == ' ' || (c >= '\t' && c <= '\r') ? SPLIT_NONE : SPLIT_OTHER;
    }
    *n = utf8_next(&r, s, len);
    if (r == GREEK_IOTA_MARK && !caseless) return SPLIT_OTHER;
    return class_of(split_classes, n_split_classes, r);
}

/* The bytes at s that are this string in lower case, but for case; 0: they are not. */
static size_t same(const char *s, size_t len, const char *lower, bool caseless)
{
    size_t i = 0;

    for (; *lower; lower++) {
        if (i == len) return 0;
        if (s[i] == *lower) {
            i++;
        } else if (caseless && *lower >= 'a' && *lower <= 'z' && s[i] == *lower - 32) {
            i++;
        } else if (caseless && *lower == 's' && len - i >= 2 &&
                   memcmp(s + i, "\xc5\xbf", 2) == 0) {
            i += 2; /* long s */
        } else {
            return 0;
        }
    }
    return i;
}

static size_t contraction(const char *s, size_t len, bool caseless)
{
    static const char *const all[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    size_t n = 0;

    for (size_t i = 0; !n && i < sizeof all / sizeof all[0]; i++)
        n = same(s, len, all[i], caseless);
    return n;
}

size_t split_piece(size_t *skip, const char *s, size_t len, const char *const *special,
                   bool caseless)
{
    size_t n = 0, next;

    for (int i = 0; special && *s == '<' && i < 2; i++)
        if ((n = same(s, len, special[i], caseless))) return n;
    if (*s == '\'' && (n = contraction(s, len, caseless))) return n;
    const unsigned class = class_at(&n, s, len, caseless);
    *skip = n;
    if (class == SPLIT_NONE) return 0;
    if (class != SPLIT_NUMBER)
        while (n < len && class_at(&next, s + n, len - n, caseless) == class) n += next;
    return n;
}

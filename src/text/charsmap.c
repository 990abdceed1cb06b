#include "text/charsmap.h"

#include <stdlib.h>
#include <string.h>

/* Rules take a few characters.  A broken trie may go round in circles. */
enum { RULE_MAX = 256 };

static uint32_t load_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

int charsmap_new(charsmap *out, const void *blob, size_t size, const char *where,
                 clipc_err *err)
{
    const uint8_t *p = blob;

    *out = (charsmap){0};
    if (size == 0) return CLIPC_OK; /* no rules */
    const size_t trie = size < 4 ? size : load_u32(p);
    if (size < 4 || trie > size - 4 || trie % 4)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: normalization rules: a trie of %zu bytes in %zu", where,
                          trie, size);
    out->n_units = trie / 4;
    out->strings_len = size - 4 - trie;
    out->units = malloc(trie + 4);
    out->strings = malloc(out->strings_len + 1);
    if (!out->units || !out->strings) {
        charsmap_free(out);
        return clipc_fail_memory(err, where, size);
    }
    for (size_t i = 0; i < out->n_units; i++) out->units[i] = load_u32(p + 4 + 4 * i);
    memcpy(out->strings, p + 4 + trie, out->strings_len);
    out->strings[out->strings_len] = '\0';
    return CLIPC_OK;
}

void charsmap_free(charsmap *m)
{
    free(m->units);
    free(m->strings);
    *m = (charsmap){0};
}

static size_t offset_of(uint32_t unit)
{
    return (size_t)(unit >> 10) << (unit >> 6 & 8);
}

size_t charsmap_match(const charsmap *m, const char *s, size_t len, bool longest,
                      const char **to)
{
    size_t at = m->n_units ? offset_of(m->units[0]) : 0, found = 0;

    if (len > RULE_MAX) len = RULE_MAX;
    for (size_t i = 0; i < len; i++) {
        const uint8_t byte = (uint8_t)s[i];
        at ^= byte;
        if (at >= m->n_units || (m->units[at] & 0x800000ff) != byte) break;
        const uint32_t unit = m->units[at];
        at ^= offset_of(unit);
        if (!(unit >> 8 & 1) || at >= m->n_units) continue;
        const size_t string = m->units[at] & 0x7fffffff;
        if (string > m->strings_len) continue;
        *to = m->strings + string;
        found = i + 1;
        if (!longest) break;
    }
    return found;
}

#include "clip/vocab_cut.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "text/chars.h"

static bool is_foreign(uint32_t c)
{
    const bool latin = c >= 0x1e00 && c < 0x2000;
    const bool symbol = c >= 0x2000 && c < 0x2c00;

    return c >= 0x400 && !latin && !symbol;
}

static bool stays(const char *token, size_t len)
{
    static const char unused[] = "[unused";
    uint32_t c;

    if (len > strlen(unused) && memcmp(token, unused, strlen(unused)) == 0) return false;
    for (size_t at = 0, n; at < len; at += n)
        if (!(n = char_next(&c, token + at, len - at)) || is_foreign(c)) return false;
    return true;
}

int vocab_cut(size_t **kept, size_t *n, buf *words, clipc_err *err)
{
    const char *line = words->data, *end = line + words->len;
    char *to = words->data;
    size_t lines = 0;

    for (const char *c = line; c < end; c++) lines += *c == '\n';
    *n = 0;
    *kept = malloc((lines + 1) * sizeof **kept);
    if (!*kept) return clipc_fail_memory(err, "vocabulary", lines);
    for (size_t i = 0; line < end; i++) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        const size_t len = (size_t)((stop ? stop : end) - line);
        const size_t whole = len + (stop != NULL);
        if (stays(line, len)) {
            (*kept)[(*n)++] = i;
            memmove(to, line, whole);
            to += whole;
        }
        line += whole;
    }
    words->len = (size_t)(to - words->data);
    *to = '\0';
    return CLIPC_OK;
}

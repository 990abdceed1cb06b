#include "image/tags.h"

#include <string.h>

enum { ASCII = 2, SHORT = 3, LONG = 4, ENTRY = 12 };

uint32_t tags_number(const uint8_t *p, size_t bytes, bool little)
{
    uint32_t v = 0;

    for (size_t i = 0; i < bytes; i++) v = v << 8 | p[little ? bytes - 1 - i : i];
    return v;
}

/* A TIFF's header: its byte order, and where the first directory is; 0: no TIFF. */
static size_t first_directory(bool *little, const uint8_t *tiff, size_t size)
{
    *little = size && tiff[0] == 'I';
    if (size < 8 || (memcmp(tiff, "II", 2) != 0 && memcmp(tiff, "MM", 2) != 0)) return 0;
    /* 42, whose bytes Pillow bears in either order. */
    if (tiff[2] + tiff[3] != 42 || (tiff[2] && tiff[3])) return 0;
    return tags_number(tiff + 4, 4, *little);
}

/* The entry of a tag in the directory at `at`, of which the last one counts; NULL. */
static const uint8_t *find_entry(const uint8_t *tiff, size_t size, size_t at, bool little,
                                 unsigned tag)
{
    const uint8_t *found = NULL;

    if (!at || size < 2 || at > size - 2) return NULL;
    const size_t n = tags_number(tiff + at, 2, little);
    for (size_t i = 0; i < n && at + 2 + (i + 1) * ENTRY <= size; i++) {
        const uint8_t *e = tiff + at + 2 + i * ENTRY;
        if (tags_number(e, 2, little) == tag) found = e;
    }
    return found;
}

/* The one whole number of an entry; 0 if it holds something else. */
static uint32_t entry_number(const uint8_t *e, bool little)
{
    const uint32_t type = tags_number(e + 2, 2, little),
                   count = tags_number(e + 4, 4, little);

    if (count != 1 || (type != SHORT && type != LONG)) return 0;
    return tags_number(e + 8, type == SHORT ? 2 : 4, little);
}

bool tiff_tag(uint32_t *value, const uint8_t *tiff, size_t size, unsigned tag)
{
    bool little;
    const size_t at = first_directory(&little, tiff, size);
    const uint8_t *e = find_entry(tiff, size, at, little, tag);

    *value = e ? entry_number(e, little) : 0;
    return e != NULL;
}

void tiff_text(char *out, size_t cap, const uint8_t *tiff, size_t size, unsigned by,
               unsigned tag)
{
    bool little;
    const size_t first = first_directory(&little, tiff, size);
    const uint8_t *way = find_entry(tiff, size, first, little, by);
    const uint8_t *e =
        way ? find_entry(tiff, size, entry_number(way, little), little, tag) : NULL;

    *out = '\0';
    if (!e || tags_number(e + 2, 2, little) != ASCII) return;
    const size_t n = tags_number(e + 4, 4, little);
    const uint8_t *text = e + 8; /* up to four bytes lie in the entry itself */
    if (n > 4) {
        const size_t at = tags_number(e + 8, 4, little);
        if (at > size || n > size - at) return;
        text = tiff + at;
    }
    const size_t len = n < cap ? n : cap - 1;
    memcpy(out, text, len);
    out[len] = '\0';
}

/* What a sensor's pixels are marked as. */
static bool is_sensor(const uint8_t *tiff, size_t size, size_t at, bool little)
{
    enum { PHOTOMETRIC = 262, CFA = 32803, LINEAR_RAW = 34892 };
    const uint8_t *e = find_entry(tiff, size, at, little, PHOTOMETRIC);
    const uint32_t kind = e ? entry_number(e, little) : 0;

    return kind == CFA || kind == LINEAR_RAW;
}

bool tiff_is_raw(const uint8_t *tiff, size_t size)
{
    enum { SUB_DIRECTORIES = 330, DNG_VERSION = 50706, MOST = 16 };
    bool little;
    const size_t first = first_directory(&little, tiff, size);
    const uint8_t *e = find_entry(tiff, size, first, little, SUB_DIRECTORIES);
    const size_t n = e ? tags_number(e + 4, 4, little) : 0;
    const size_t list = n > 1 ? tags_number(e + 8, 4, little)
                        : e   ? (size_t)(e + 8 - tiff)
                              : 0;

    if (find_entry(tiff, size, first, little, DNG_VERSION) ||
        is_sensor(tiff, size, first, little))
        return true;
    for (size_t i = 0; i < n && i < MOST && list <= size && (i + 1) * 4 <= size - list;
         i++)
        if (is_sensor(tiff, size, tags_number(tiff + list + 4 * i, 4, little), little))
            return true;
    return false;
}

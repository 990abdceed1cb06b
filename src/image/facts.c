#include "image/facts.h"

#include <stdbool.h>
#include <string.h>

#include "image/orient.h"
#include "image/raw.h"
#include "image/tags.h"

enum { EXIF_DIRECTORY = 34665, DATE_TIME_ORIGINAL = 36867 };

static uint32_t big(const uint8_t *p, size_t bytes)
{
    uint32_t v = 0;

    for (size_t i = 0; i < bytes; i++) v = v << 8 | p[i];
    return v;
}

static uint32_t little(const uint8_t *p, size_t bytes)
{
    uint32_t v = 0;

    while (bytes--) v = v << 8 | p[bytes];
    return v;
}

/* Of the frame header, any kind of it (SOF0 to SOF15 but DHT, JPG and DAC). */
static void size_of_jpeg(image_facts *f, const uint8_t *p, size_t size)
{
    for (size_t at = 2; at + 9 <= size && p[at] == 0xff;) {
        const uint8_t marker = p[at + 1];
        if (marker == 0xff) {
            at++; /* filling */
            continue;
        }
        if (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 &&
            marker != 0xcc) {
            f->height = big(p + at + 5, 2);
            f->width = big(p + at + 7, 2);
            return;
        }
        at += 2 + big(p + at + 2, 2);
    }
}

static void size_of_webp(image_facts *f, const uint8_t *p, size_t size)
{
    if (size < 30) return;
    if (memcmp(p + 12, "VP8X", 4) == 0) {
        f->width = little(p + 24, 3) + 1;
        f->height = little(p + 27, 3) + 1;
    } else if (memcmp(p + 12, "VP8L", 4) == 0) {
        const uint32_t bits = little(p + 21, 4);
        f->width = (bits & 0x3fff) + 1;
        f->height = (bits >> 14 & 0x3fff) + 1;
    } else if (memcmp(p + 12, "VP8 ", 4) == 0) {
        f->width = little(p + 26, 2) & 0x3fff;
        f->height = little(p + 28, 2) & 0x3fff;
    }
}

static void size_of_bmp(image_facts *f, const uint8_t *p, size_t size)
{
    if (size < 26) return;
    const uint32_t rows = little(p + 22, 4);
    f->width = little(p + 18, 4);
    f->height = rows >> 31 ? 0u - rows : rows; /* negative: from the top */
}

image_facts image_facts_of(const uint8_t *p, size_t size)
{
    const char *format = image_format(p, size);
    image_facts f = {0};
    size_t n = 0;

    if (!format) return f;
    if (strcmp(format, "raw") == 0) return raw_facts(p, size);
    if (strcmp(format, "jpeg") == 0) size_of_jpeg(&f, p, size);
    if (strcmp(format, "webp") == 0) size_of_webp(&f, p, size);
    if (strcmp(format, "bmp") == 0) size_of_bmp(&f, p, size);
    if (strcmp(format, "png") == 0 && size >= 24)
        f.width = big(p + 16, 4), f.height = big(p + 20, 4);
    if (strcmp(format, "gif") == 0 && size >= 10)
        f.width = little(p + 6, 2), f.height = little(p + 8, 2);
    f.orientation = orient_of_file(p, size);
    if (f.orientation >= 5) {
        const uint32_t w = f.width;
        f.width = f.height, f.height = w;
    }
    const uint8_t *exif = exif_of_file(&n, p, size);
    if (exif)
        tiff_text(f.taken, sizeof f.taken, exif, n, EXIF_DIRECTORY, DATE_TIME_ORIGINAL);
    return f;
}

#include "image/orient.h"

#include <stdlib.h>
#include <string.h>

#include "image/tags.h"

enum { ORIENTATION = 274 };

/* Bytes of a part of a file; data NULL: not there. */
typedef struct part {
    const uint8_t *data;
    size_t size;
} part;

/* ---- where EXIF and XMP lie ---- */

typedef struct notes {
    part exif, xmp;
} notes;

static bool starts(part p, const char *with, size_t n)
{
    return p.size >= n && memcmp(p.data, with, n) == 0;
}

static part behind(part p, size_t n)
{
    return (part){p.data + n, p.size - n};
}

/* The segments up to the pixels. */
static notes notes_of_jpeg(part file)
{
    static const char exif[] = "Exif\0", xmp[] = "http://ns.adobe.com/xap/1.0/";
    notes found = {0};

    for (size_t at = 2; at + 4 <= file.size && file.data[at] == 0xff;) {
        const uint8_t marker = file.data[at + 1];
        const size_t n = tags_number(file.data + at + 2, 2, false);
        if (marker == 0xff) {
            at++; /* filling */
            continue;
        }
        if (marker == 0xda || n < 2 || n > file.size - at - 2) break;
        const part body = {file.data + at + 4, n - 2};
        if (marker == 0xe1 && !found.exif.data && starts(body, exif, sizeof exif))
            found.exif = behind(body, sizeof exif);
        if (marker == 0xe1 && starts(body, xmp, sizeof xmp))
            found.xmp = behind(body, sizeof xmp);
        at += 2 + n;
    }
    return found;
}

static notes notes_of_png(part file)
{
    static const char xmp[] = "XML:com.adobe.xmp";
    notes found = {0};

    for (size_t at = 8; at + 12 <= file.size;) {
        const size_t n = tags_number(file.data + at, 4, false);
        const uint8_t *type = file.data + at + 4;
        if (n > file.size - at - 12) break;
        const part body = {type + 4, n};
        if (memcmp(type, "eXIf", 4) == 0) found.exif = body;
        if (memcmp(type, "iTXt", 4) == 0 && starts(body, xmp, sizeof xmp))
            found.xmp = body;
        at += 12 + n;
    }
    return found;
}

static notes notes_of_webp(part file)
{
    notes found = {0};

    for (size_t at = 12; at + 8 <= file.size;) {
        const uint8_t *type = file.data + at;
        const size_t n = tags_number(type + 4, 4, true);
        if (n > file.size - at - 8) break;
        const part body = {type + 8, n};
        if (memcmp(type, "EXIF", 4) == 0 && !found.exif.data) found.exif = body;
        if (memcmp(type, "XMP ", 4) == 0) found.xmp = body;
        at += 8 + n + n % 2;
    }
    return found;
}

/* tiff:Orientation="6" or <tiff:Orientation>6<; 1 without. */
static int orientation_in_xmp(part xmp)
{
    static const char key[] = "tiff:Orientation";
    const size_t len = sizeof key - 1;

    for (size_t i = 0; i + len + 3 <= xmp.size; i++) {
        const uint8_t *p = xmp.data + i;
        if (memcmp(p, key, len) != 0) continue;
        p += len;
        p += *p == '>' ? 1 : memcmp(p, "=\"", 2) == 0 ? 2 : 0;
        if (p[-1] != 'n' && *p >= '0' && *p <= '9') return *p - '0';
    }
    return 1;
}

static notes notes_of_file(part file)
{
    notes n = {0};

    if (starts(file, "\xff\xd8\xff", 3)) n = notes_of_jpeg(file);
    if (starts(file, "\x89PNG\r\n\x1a\n", 8)) n = notes_of_png(file);
    if (starts(file, "RIFF", 4) && file.size >= 12) n = notes_of_webp(file);
    /* Some writers put JPEG's mark into the other formats, too. */
    while (n.exif.data && starts(n.exif, "Exif\0", 6)) n.exif = behind(n.exif, 6);
    return n;
}

const uint8_t *exif_of_file(size_t *exif_size, const uint8_t *data, size_t size)
{
    const notes n = notes_of_file((part){data, size});

    *exif_size = n.exif.size;
    return n.exif.data;
}

int orient_of_file(const uint8_t *data, size_t size)
{
    const notes n = notes_of_file((part){data, size});
    uint32_t value;

    if (n.exif.data && tiff_tag(&value, n.exif.data, n.exif.size, ORIENTATION))
        return value <= 8 ? (int)value : 1;
    return orientation_in_xmp(n.xmp);
}

/* ---- turning ---- */

int image_orient(image *im, int orientation, const char *name, clipc_err *err)
{
    const bool swap = orientation >= 5;
    const bool mirror_x = orientation == 2 || orientation == 3 || orientation > 6;
    const bool mirror_y =
        orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    const size_t c = image_channels(im->mode);
    const image from = *im;
    image to;

    if (orientation < 2 || orientation > 8) return CLIPC_OK;
    const int rc =
        image_alloc(&to, swap ? im->h : im->w, swap ? im->w : im->h, im->mode, name, err);
    if (rc != CLIPC_OK) return rc;
    for (size_t y = 0; y < to.h; y++)
        for (size_t x = 0; x < to.w; x++) {
            size_t u = swap ? y : x, v = swap ? x : y;
            if (mirror_x) u = from.w - 1 - u;
            if (mirror_y) v = from.h - 1 - v;
            memcpy(to.px + (y * to.w + x) * c, from.px + (v * from.w + u) * c, c);
        }
    im->px = to.px, im->w = to.w, im->h = to.h;
    const double spill_x = mirror_x ? -from.spill_x : from.spill_x;
    const double spill_y = mirror_y ? -from.spill_y : from.spill_y;
    im->spill_x = swap ? spill_y : spill_x;
    im->spill_y = swap ? spill_x : spill_y;
    free(from.px);
    return CLIPC_OK;
}

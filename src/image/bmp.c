/* Windows bitmaps as Pillow's BmpImagePlugin opens them: uncompressed, with bit fields,
 * run lengths of 4 and 8 bits; grey ramps as L or 1. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "image/image.h"

typedef struct bmp {
    const uint8_t *data;
    size_t size;
    const char *name;
    clipc_err *err;
    size_t w, h, bits, colors, padding; /* padding: bytes of a palette's entry */
    size_t pixels_at;
    bool top_down;
    uint32_t compression, mask[4];
    image_mode mode;
    char order[5]; /* of the channels of 24 and 32 bits; X is passed over */
} bmp;

enum { BMP_RAW, BMP_RLE8, BMP_RLE4, BMP_BITFIELDS };

static uint32_t u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

static uint32_t u16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static int bad(const bmp *b, const char *why)
{
    return clipc_fail(b->err, CLIPC_ERR_FORMAT, "%s: damaged BMP: %s", b->name, why);
}

static int lacking(const bmp *b, const char *what, size_t n)
{
    return clipc_fail(b->err, CLIPC_ERR_FEATURE, "%s: a BMP of %s %zu is not supported",
                      b->name, what, n);
}

/* Fills the header's numbers; *at becomes where the palette begins. */
static int read_header(bmp *b, size_t *at)
{
    const uint8_t *h = b->data + 14;
    const size_t size = b->size >= 18 ? u32(h) : 0;

    if (size != 12 && size != 40 && size != 52 && size != 56 && size != 64 &&
        size != 108 && size != 124)
        return bad(b, "no header of a known size");
    *at = 14 + size;
    if (b->size < *at) return bad(b, "file is truncated");
    b->pixels_at = u32(b->data + 10);
    if (size == 12) {
        b->w = u16(h + 4), b->h = u16(h + 6), b->bits = u16(h + 10);
        b->padding = 3;
    } else {
        b->top_down = h[11] == 0xff;
        b->w = u32(h + 4);
        b->h = b->top_down ? (uint32_t)-u32(h + 8) : u32(h + 8);
        b->bits = u16(h + 14), b->compression = u32(h + 16), b->colors = u32(h + 32);
        b->padding = 4;
    }
    if (b->compression == BMP_BITFIELDS) {
        const size_t masks = size >= 56 ? 4 : 3;
        if (size < 52) *at += 12; /* behind the header */
        if (b->size < 54 + 4 * masks) return bad(b, "file is truncated");
        for (size_t i = 0; i < masks; i++) b->mask[i] = u32(h + 40 + 4 * i);
    }
    if (!b->colors) b->colors = b->bits < 32 ? (size_t)1 << b->bits : 0;
    if (b->pixels_at == 14 + size && b->bits <= 8) b->pixels_at += b->padding * b->colors;
    if (!b->pixels_at) b->pixels_at = *at + (b->bits <= 8 ? b->padding * b->colors : 0);
    return CLIPC_OK;
}

/* The layouts of bit fields that Pillow knows. */
static const struct {
    size_t bits;
    uint32_t mask[4];
    const char *order;
} layouts[] = {
    {32, {0xff0000, 0xff00, 0xff, 0}, "BGRX"},
    {32, {0xff000000, 0xff0000, 0xff00, 0}, "XBGR"},
    {32, {0xff000000, 0xff00, 0xff, 0}, "BGXR"},
    {32, {0xff000000, 0xff0000, 0xff00, 0xff}, "ABGR"},
    {32, {0xff, 0xff00, 0xff0000, 0xff000000}, "RGBA"},
    {32, {0xff0000, 0xff00, 0xff, 0xff000000}, "BGRA"},
    {32, {0xff000000, 0xff00, 0xff, 0xff0000}, "BGAR"},
    {32, {0, 0, 0, 0}, "BGRA"},
    {24, {0xff0000, 0xff00, 0xff, 0}, "BGR"},
    {16, {0xf800, 0x7e0, 0x1f, 0}, "565"},
    {16, {0x7c00, 0x3e0, 0x1f, 0}, "555"},
};

static int choose_order(bmp *b)
{
    b->mode = b->bits <= 8 ? IMAGE_P : IMAGE_RGB;
    if (b->bits != 1 && b->bits != 4 && b->bits != 8 && b->bits != 16 && b->bits != 24 &&
        b->bits != 32)
        return lacking(b, "bits", b->bits);
    if (b->compression > BMP_BITFIELDS) return lacking(b, "compression", b->compression);
    strcpy(b->order, b->bits == 16 ? "555" : b->bits == 24 ? "BGR" : "BGRX");
    if (b->compression != BMP_BITFIELDS) return CLIPC_OK;
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
        const size_t masks = b->bits == 32 ? 4 : 3;
        if (layouts[i].bits != b->bits ||
            memcmp(layouts[i].mask, b->mask, masks * sizeof *b->mask) != 0)
            continue;
        strcpy(b->order, layouts[i].order);
        if (strchr(b->order, 'A')) b->mode = IMAGE_RGBA;
        return CLIPC_OK;
    }
    return clipc_fail(b->err, CLIPC_ERR_FEATURE,
                      "%s: a BMP with such bit fields is not supported", b->name);
}

/* A ramp of grey makes the picture L, or 1 if it is black and white. */
static int read_palette(bmp *b, image *out, size_t at)
{
    bool grey = true;

    if (b->colors < 1 || b->colors > 65536) return lacking(b, "colours", b->colors);
    for (size_t i = 0; i < b->colors; i++) {
        const size_t p = at + i * b->padding;
        const size_t want = b->colors == 2 ? 255 * i : i;
        const bool there = p + 3 <= b->size;
        const uint8_t *bgr = b->data + p;
        grey = grey && there && bgr[0] == want && bgr[1] == want && bgr[2] == want;
        if (!there || i >= 256) continue;
        for (size_t c = 0; c < 3; c++) out->palette[i][c] = bgr[2 - c];
        out->palette[i][3] = 255;
    }
    if (grey) b->mode = b->colors <= 2 ? IMAGE_1 : IMAGE_L;
    else if (b->colors > 256) return lacking(b, "colours", b->colors);
    return CLIPC_OK;
}

/* One row of the file as bytes of the mode. */
static void unpack_row(uint8_t *to, const uint8_t *from, const bmp *b)
{
    const size_t step = b->bits / 8, channels = image_channels(b->mode);
    /* Pillow unpacks by the mode: a grey ramp's rows are bytes, a black and white
     * picture's bits, whatever the file's depth. */
    const size_t bits = b->mode == IMAGE_1 ? 1 : b->mode == IMAGE_L ? 8 : b->bits;

    for (size_t x = 0; x < b->w; x++, to += channels) {
        const uint32_t v = b->bits == 16 ? u16(from + 2 * x) : 0;
        if (bits <= 8) {
            const unsigned n = from[x * bits / 8] >> (8 - bits - x * bits % 8);
            *to = (uint8_t)(n & ((1u << bits) - 1));
            if (b->mode == IMAGE_1) *to = *to ? 255 : 0;
        } else if (b->bits == 16) {
            const bool six = b->order[1] == '6';
            const uint32_t green = v >> 5 & (six ? 63 : 31);
            to[0] = (uint8_t)((v >> (six ? 11 : 10) & 31) * 255 / 31);
            to[1] = (uint8_t)(green * 255 / (six ? 63 : 31));
            to[2] = (uint8_t)((v & 31) * 255 / 31);
        } else {
            for (size_t i = 0; i < step; i++) {
                const char *place = strchr("RGBA", b->order[i]);
                if (b->order[i] != 'X') to[place - "RGBA"] = from[x * step + i];
            }
        }
    }
}

static int read_raw(const bmp *b, image *out)
{
    const size_t stride = (b->w * b->bits + 31) / 32 * 4;
    const size_t bits = b->mode == IMAGE_1 ? 1 : b->mode == IMAGE_L ? 8 : b->bits;
    const size_t row = (b->w * bits + 7) / 8, c = image_channels(b->mode);

    if (row > stride) return bad(b, "a grey ramp of less than 8 bits");
    if (b->pixels_at > b->size || row > b->size - b->pixels_at ||
        (b->h - 1) > (b->size - b->pixels_at - row) / stride)
        return bad(b, "file is truncated");
    for (size_t y = 0; y < b->h; y++)
        unpack_row(out->px + (b->top_down ? y : b->h - 1 - y) * b->w * c,
                   b->data + b->pixels_at + y * stride, b);
    return CLIPC_OK;
}

/* What run lengths write to: rows one after the other, `n` of them so far. */
typedef struct runs {
    uint8_t *to;
    size_t n, all, w, x;
    bool nibbles;
} runs;

static void put_pixels(runs *r, const uint8_t *from, size_t n, bool repeat)
{
    for (size_t i = 0; i < n && r->n < r->all; i++) {
        const uint8_t byte = from[repeat ? 0 : r->nibbles ? i / 2 : i];
        r->to[r->n++] = !r->nibbles ? byte : i % 2 ? byte & 15 : byte >> 4;
    }
}

static void put_zeros(runs *r, size_t n)
{
    if (n > r->all - r->n) n = r->all - r->n;
    memset(r->to + r->n, 0, n);
    r->n += n;
}

/* A count of zero and `kind`: *at is behind them.  Returns false at the end. */
static bool escape(runs *r, const bmp *b, size_t *at, uint8_t kind)
{
    if (kind == 0) { /* end of the row */
        if (r->n % r->w) put_zeros(r, r->w - r->n % r->w);
        r->x = 0;
        return true;
    }
    if (kind == 1) return false;
    if (kind == 2) { /* a step to the right and up */
        if (b->size - *at < 2) return false;
        put_zeros(r, b->data[*at] + b->data[*at + 1] * r->w);
        *at += 2;
        r->x = r->n % r->w;
        return true;
    }
    const size_t n = r->all - r->n < kind ? r->all - r->n : kind;
    const size_t bytes = r->nibbles ? (n + 1) / 2 : n;
    if (bytes > b->size - *at) return false;
    put_pixels(r, b->data + *at, n, false);
    r->x += kind;
    *at += bytes;
    *at += *at % 2;
    return *at <= b->size;
}

static int read_runs(const bmp *b, image *out)
{
    runs r = {.all = b->w * b->h, .w = b->w, .nibbles = b->compression == BMP_RLE4};
    size_t at = b->pixels_at;

    if (b->mode == IMAGE_1 || b->bits > 8) return bad(b, "run lengths of such a picture");
    r.to = malloc(r.all);
    if (!r.to) return clipc_fail_memory(b->err, b->name, r.all);
    while (r.n < r.all && at <= b->size && b->size - at >= 2) {
        const uint8_t count = b->data[at], value = b->data[at + 1];
        at += 2;
        if (!count) {
            if (!escape(&r, b, &at, value)) break;
            continue;
        }
        const size_t left = r.x < r.w ? r.w - r.x : 0, n = count < left ? count : left;
        put_pixels(&r, &value, n, true);
        r.x += n;
    }
    for (size_t y = 0; r.n == r.all && y < b->h; y++)
        memcpy(out->px + (b->top_down ? y : b->h - 1 - y) * b->w, r.to + y * b->w, b->w);
    free(r.to);
    return r.n == r.all ? CLIPC_OK : bad(b, "file is truncated");
}

int bmp_decode(image *out, const uint8_t *data, size_t size, const char *name,
               double max_megapixels, clipc_err *err)
{
    bmp b = {.data = data, .size = size, .name = name, .err = err};
    image head = {0};
    size_t palette_at = 0;
    int rc = read_header(&b, &palette_at);

    if (rc == CLIPC_OK) rc = image_check_size(b.w, b.h, max_megapixels, name, err);
    if (rc == CLIPC_OK) rc = choose_order(&b);
    if (rc == CLIPC_OK && b.mode == IMAGE_P) rc = read_palette(&b, &head, palette_at);
    if (rc == CLIPC_OK) rc = image_alloc(out, b.w, b.h, b.mode, name, err);
    if (rc != CLIPC_OK) return rc;
    memcpy(out->palette, head.palette, sizeof out->palette);
    rc = b.compression == BMP_RLE8 || b.compression == BMP_RLE4 ? read_runs(&b, out)
                                                                : read_raw(&b, out);
    if (rc != CLIPC_OK) image_free(out);
    return rc;
}

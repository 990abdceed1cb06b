/* Portable bitmaps, greymaps and pixmaps (P1 to P6) as Pillow's PpmImagePlugin opens
 * them: values scaled to 255, greys of more than 8 bits to 65535 in mode I; also its own
 * extensions and the grey kind of PFM. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "image/image.h"

typedef struct pnm {
    const uint8_t *data;
    size_t size, at;
    const char *name;
    clipc_err *err;
    size_t w, h, max;
    image_mode mode;
    bool plain, little; /* numbers in digits; of PFM: the lowest byte first */
} pnm;

static int bad(const pnm *p, const char *why)
{
    return clipc_fail(p->err, CLIPC_ERR_FORMAT, "%s: damaged PNM: %s", p->name, why);
}

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Past a comment, the end of its line included. */
static void skip_comment(pnm *p)
{
    while (p->at < p->size && p->data[p->at] != '\n' && p->data[p->at] != '\r') p->at++;
    if (p->at < p->size) p->at++;
}

/* The next number; a comment may even stand in the middle of it.  With `header` the white
 * space behind it is consumed: one character. */
static int read_number(pnm *p, size_t *out, bool header)
{
    size_t digits = 0;

    *out = 0;
    while (p->at < p->size) {
        const uint8_t c = p->data[p->at];
        if (c == '#') {
            skip_comment(p);
            continue;
        }
        if (is_space(c)) {
            if (digits && !header) break;
            p->at++;
            if (digits) break;
            continue;
        }
        if (c < '0' || c > '9' || digits == 10) return bad(p, "not a number");
        *out = *out * 10 + (c - '0');
        digits++, p->at++;
    }
    return digits ? CLIPC_OK : bad(p, "file is truncated");
}

/* The mark ends with white space or after six characters. */
static int read_kind(pnm *p)
{
    static const struct {
        const char *mark;
        image_mode mode;
    } kinds[] = {{"P1", IMAGE_1},        {"P2", IMAGE_L},       {"P3", IMAGE_RGB},
                 {"P4", IMAGE_1},        {"P5", IMAGE_L},       {"P6", IMAGE_RGB},
                 {"Pf", IMAGE_F},        {"PyP", IMAGE_P},      {"PyRGBA", IMAGE_RGBA},
                 {"PyCMYK", IMAGE_CMYK}, {"P0CMYK", IMAGE_CMYK}};
    char mark[8] = "";

    for (; p->at < 6 && p->at < p->size && !is_space(p->data[p->at]); p->at++)
        mark[p->at] = (char)p->data[p->at];
    if (p->at < 6) p->at++;
    p->plain = mark[1] >= '1' && mark[1] <= '3';
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(mark, kinds[i].mark) == 0) return p->mode = kinds[i].mode, CLIPC_OK;
    return bad(p, "an unknown kind");
}

/* PFM's scale, whose sign tells the order of bytes; Pillow leaves the values alone. */
static int read_scale(pnm *p)
{
    bool any = false;

    while (p->at < p->size && is_space(p->data[p->at])) p->at++;
    p->little = p->at < p->size && p->data[p->at] == '-';
    for (; p->at < p->size && !is_space(p->data[p->at]); p->at++) {
        const char c = (char)p->data[p->at];
        if (!c || !strchr("+-.0123456789eE", c))
            return bad(p, "a scale that is no number");
        any |= c >= '1' && c <= '9';
    }
    p->at++;
    return any ? CLIPC_OK : bad(p, "a scale of zero");
}

static int read_header(pnm *p)
{
    int rc = read_kind(p);

    if (rc == CLIPC_OK) rc = read_number(p, &p->w, true);
    if (rc == CLIPC_OK) rc = read_number(p, &p->h, true);
    if (rc != CLIPC_OK || p->mode == IMAGE_1) return rc;
    if (p->mode == IMAGE_F) return read_scale(p);
    rc = read_number(p, &p->max, true);
    if (rc == CLIPC_OK && (p->max < 1 || p->max > 65535))
        rc = bad(p, "a largest value that is not 1 to 65535");
    if (p->max > 255 && p->mode == IMAGE_L) p->mode = IMAGE_I;
    return rc;
}

/* Stores value i, scaled as Python's round(value / max * most), halves to even. */
static void put(const pnm *p, uint8_t *px, size_t i, size_t value)
{
    const double most = p->mode == IMAGE_I ? 65535.0 : 255.0;
    const double scaled = nearbyint((double)value / (double)p->max * most);
    const int32_t v = (int32_t)(scaled < most ? scaled : most);

    if (p->mode == IMAGE_I) memcpy(px + 4 * i, &v, sizeof v);
    else px[i] = (uint8_t)v;
}

/* Digits 0 and 1, white space between them or none; 1 is black. */
static int read_plain_bits(pnm *p, uint8_t *px)
{
    for (size_t i = 0; i < p->w * p->h;) {
        if (p->at >= p->size) return bad(p, "file is truncated");
        const uint8_t c = p->data[p->at];
        if (c == '#') {
            skip_comment(p);
            continue;
        }
        p->at++;
        if (is_space(c)) continue;
        if (c != '0' && c != '1') return bad(p, "not a bit");
        px[i++] = c == '0' ? 255 : 0;
    }
    return CLIPC_OK;
}

static int read_bits(pnm *p, uint8_t *px)
{
    const size_t row = (p->w + 7) / 8;

    if (p->at > p->size || (p->size - p->at) / row < p->h)
        return bad(p, "file is truncated");
    for (size_t y = 0; y < p->h; y++)
        for (size_t x = 0; x < p->w; x++)
            *px++ = p->data[p->at + y * row + x / 8] >> (7 - x % 8) & 1 ? 0 : 255;
    return CLIPC_OK;
}

/* Rows from the bottom up. */
static int read_floats(pnm *p, uint8_t *px)
{
    const uint16_t one = 1;
    const bool swap = p->little != *(const uint8_t *)&one;

    if (p->at > p->size || (p->size - p->at) / 4 / p->w < p->h)
        return bad(p, "file is truncated");
    for (size_t y = 0; y < p->h; y++) {
        const uint8_t *from = p->data + p->at + (p->h - 1 - y) * p->w * 4;
        for (size_t i = 0; i < p->w * 4; i++) *px++ = from[swap ? i ^ 3 : i];
    }
    return CLIPC_OK;
}

static int read_values(pnm *p, uint8_t *px)
{
    const size_t bands = p->mode == IMAGE_I ? 1 : image_channels(p->mode);
    const size_t n = p->w * p->h * bands, bytes = p->max > 255 ? 2 : 1;

    if (p->plain) {
        for (size_t i = 0; i < n; i++) {
            size_t value;
            const int rc = read_number(p, &value, false);
            if (rc != CLIPC_OK) return rc;
            if (value > p->max) return bad(p, "a value above the largest");
            put(p, px, i, value);
        }
        return CLIPC_OK;
    }
    if (p->at > p->size || (p->size - p->at) / bytes < n)
        return bad(p, "file is truncated");
    for (size_t i = 0; i < n; i++) {
        const uint8_t *v = p->data + p->at + i * bytes;
        put(p, px, i, bytes == 1 ? v[0] : (size_t)v[0] << 8 | v[1]);
    }
    return CLIPC_OK;
}

int pnm_decode(image *out, const uint8_t *data, size_t size, const char *name,
               double max_megapixels, clipc_err *err)
{
    pnm p = {.data = data, .size = size, .name = name, .err = err};
    int rc = read_header(&p);

    if (rc == CLIPC_OK) rc = image_check_size(p.w, p.h, max_megapixels, name, err);
    if (rc == CLIPC_OK) rc = image_alloc(out, p.w, p.h, p.mode, name, err);
    if (rc != CLIPC_OK) return rc;
    rc = p.mode == IMAGE_F   ? read_floats(&p, out->px)
         : p.mode != IMAGE_1 ? read_values(&p, out->px)
         : p.plain           ? read_plain_bits(&p, out->px)
                             : read_bits(&p, out->px);
    if (rc != CLIPC_OK) image_free(out);
    return rc;
}

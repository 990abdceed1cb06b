#include "image/preprocess.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "image/lab.h"
#include "image/orient.h"

preprocess_cfg preprocess_default(size_t h, size_t w)
{
    return (preprocess_cfg){.h = h,
                            .w = w,
                            .interpolation = FILTER_BICUBIC,
                            .mean = {0.48145466f, 0.4578275f, 0.40821073f},
                            .std = {0.26862954f, 0.26130258f, 0.27577711f}};
}

static void cmyk_to_rgb(uint8_t *rgb, const uint8_t *cmyk)
{
    const unsigned white = 255u - cmyk[3];

    for (size_t i = 0; i < 3; i++) {
        const unsigned t = cmyk[i] * white + 128;
        rgb[i] = (uint8_t)(white - (((t >> 8) + t) >> 8));
    }
}

/* Numbers are clipped, not scaled; NaN is black. */
static uint8_t clip_wide(const uint8_t *px, image_mode mode)
{
    const double v = mode == IMAGE_I16B ? px[0] << 8 | px[1] : wide_get(px, mode);

    return (uint8_t)(v >= 255.0 ? 255.0 : v > 0.0 ? v : 0.0);
}

/* In Pillow's 6-bit fixed point, whose tables are truncated and whose sums are floored.
 */
static void ycbcr_to_rgb(uint8_t *rgb, const uint8_t *px)
{
    const double cb = 64.0 * (px[1] - 128), cr = 64.0 * (px[2] - 128);
    const int add[] = {(int)(1.402 * cr + 0.5),
                       (int)(-0.34414 * cb + 0.5) + (int)(-0.71414 * cr + 0.5),
                       (int)(1.772 * cb + 0.5)};

    for (size_t i = 0; i < 3; i++) {
        const int v = px[0] + (add[i] >> 6);
        rgb[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
}

void pixels_to_rgb(uint8_t *rgb, const uint8_t *px, size_t n, const image *im)
{
    const size_t c = image_channels(im->mode);

    for (size_t i = 0; i < n; i++, rgb += 3, px += c) {
        switch (im->mode) {
        case IMAGE_1: memset(rgb, px[0] ? 255 : 0, 3); break;
        case IMAGE_L:
        case IMAGE_LA: memset(rgb, px[0], 3); break;
        case IMAGE_P:
        case IMAGE_PA: memcpy(rgb, im->palette[px[0]], 3); break;
        case IMAGE_YCBCR: ycbcr_to_rgb(rgb, px); break;
        case IMAGE_LAB: lab_to_rgb(rgb, px); break;
        case IMAGE_RGB:
        case IMAGE_RGBA: memcpy(rgb, px, 3); break;
        case IMAGE_CMYK: cmyk_to_rgb(rgb, px); break;
        case IMAGE_I16:
        case IMAGE_I16B:
        case IMAGE_I:
        case IMAGE_F: memset(rgb, clip_wide(px, im->mode), 3); break;
        }
    }
}

/* Python's round(x / 2) of a difference: halves go to the even neighbour. */
static size_t half_to_even(size_t d)
{
    return d % 2 == 0 ? d / 2 : (d / 2) % 2 == 0 ? d / 2 : d / 2 + 1;
}

static size_t crop_offset(size_t d, const preprocess_cfg *cfg)
{
    return cfg->rgb_first ? d / 2 : half_to_even(d);
}

/* Of a target that is no square open_clip resizes by its own class, with its default of
 * bicubic whatever the config says. */
static bool covers_rectangle(const preprocess_cfg *cfg)
{
    return cfg->resize == RESIZE_SHORTEST && cfg->h != cfg->w;
}

/* Sides of the whole picture when resized. */
static void resized(size_t *w, size_t *h, const image *im, const preprocess_cfg *cfg)
{
    const double iw = image_side(im->w, im->spill_x), ih = image_side(im->h, im->spill_y);
    const double rw = iw / (double)cfg->w, rh = ih / (double)cfg->h;
    const double ratio = (cfg->resize == RESIZE_LONGEST) == (rw > rh) ? rw : rh;

    *w = cfg->w, *h = cfg->h;
    if (cfg->resize == RESIZE_SQUASH) return;
    if (cfg->resize == RESIZE_LONGEST || covers_rectangle(cfg)) {
        *w = (size_t)rint(iw / ratio), *h = (size_t)rint(ih / ratio);
        /* Pillow refuses sides of 0. */
        if (!*w) *w = 1;
        if (!*h) *h = 1;
    } else if (iw < ih) {
        /* int(size * long / short): the product first, then Python's true division,
         * truncated. */
        *h = (size_t)((double)cfg->h * ih / iw);
    } else {
        *w = (size_t)((double)cfg->w * iw / ih);
    }
}

static void fill_ground(uint8_t *crop, const image *im, const preprocess_cfg *cfg)
{
    uint8_t px[4];

    memset(px, cfg->fill, sizeof px);
    if (image_is_wide(im->mode)) wide_put(px, im->mode, cfg->fill);
    for (size_t i = 0; i < cfg->h * cfg->w; i++) pixels_to_rgb(crop + 3 * i, px, 1, im);
}

static int crop_of(uint8_t *crop, resize_work *work, const image *im,
                   const preprocess_cfg *cfg, clipc_err *err)
{
    const filter f = covers_rectangle(cfg) ? FILTER_BICUBIC : cfg->interpolation;
    const size_t c = image_channels(im->mode);
    /* Pillow loses the palette of PA, but not of P, when it resizes: all is black. */
    const image no_palette = {.mode = IMAGE_PA};
    const image *colors = im;
    size_t w, h;
    int rc;

    resized(&w, &h, im, cfg);
    if (im->mode == IMAGE_PA && (w != im->w || h != im->h)) colors = &no_palette;
    const size_t cw = w < cfg->w ? w : cfg->w, ch = h < cfg->h ? h : cfg->h;
    rc = resize_grow((void **)(void *)&work->out, &work->cap_out, ch * cw * c, err);
    if (rc == CLIPC_OK)
        rc = resize_crop(work->out, work, im, w, h, crop_offset(w - cw, cfg),
                         crop_offset(h - ch, cfg), cw, ch, f, err);
    if (rc != CLIPC_OK) return rc;
    if (cw < cfg->w || ch < cfg->h) fill_ground(crop, colors, cfg);
    crop += ((cfg->h - ch) / 2 * cfg->w + (cfg->w - cw) / 2) * 3;
    for (size_t y = 0; y < ch; y++, crop += 3 * cfg->w)
        pixels_to_rgb(crop, work->out + y * cw * c, cw, colors);
    return CLIPC_OK;
}

/* ---- RGB on white ---- */

static bool is_transparent(const image *im)
{
    return im->mode == IMAGE_RGBA || im->mode == IMAGE_LA || im->mode == IMAGE_PA ||
           im->has_key || (im->mode == IMAGE_P && im->palette_alpha);
}

static unsigned alpha_of(const image *im, const uint8_t *px, const uint8_t *rgb)
{
    switch (im->mode) {
    case IMAGE_P: return im->palette[px[0]][3];
    case IMAGE_RGBA: return px[3];
    case IMAGE_LA:
    case IMAGE_PA: return px[1];
    default: return memcmp(rgb, im->key, 3) == 0 ? 0 : 255;
    }
}

/* Pillow's alpha_composite over opaque white: weights of 7 bits more than a byte's. */
static uint8_t over_white(unsigned c, unsigned a)
{
    const unsigned w = a * 128, t = c * w + 255 * (255 * 128 - w) + (128 << 7);

    return a ? (uint8_t)(((((t >> 8) + t) >> 8) >> 7)) : 255;
}

/* rgb [h,w,3] as transformers' convert_to_rgb makes it. */
static void rgb_on_white(uint8_t *rgb, const image *im)
{
    const size_t n = im->w * im->h, c = image_channels(im->mode);

    pixels_to_rgb(rgb, im->px, n, im);
    for (size_t i = 0; is_transparent(im) && i < n; i++) {
        const unsigned a = alpha_of(im, im->px + i * c, rgb + 3 * i);
        for (size_t ch = 0; ch < 3; ch++)
            rgb[3 * i + ch] = over_white(rgb[3 * i + ch], a);
    }
}

int preprocess_u8(uint8_t *crop, resize_work *work, const image *im,
                  const preprocess_cfg *cfg, clipc_err *err)
{
    image rgb;
    int rc;

    if (!cfg->rgb_first || (im->mode == IMAGE_RGB && !im->has_key))
        return crop_of(crop, work, im, cfg, err);
    rc = image_alloc(&rgb, im->w, im->h, IMAGE_RGB, "picture", err);
    if (rc != CLIPC_OK) return rc;
    rgb.spill_x = im->spill_x, rgb.spill_y = im->spill_y;
    rgb_on_white(rgb.px, im);
    rc = crop_of(crop, work, &rgb, cfg, err);
    image_free(&rgb);
    return rc;
}

/* docs/pixels.md has what others cost and how far they move the vectors. */
enum { FAST_MARGIN = 2 };

int picture_open(image *out, const void *data, size_t size, const char *name,
                 const open_cfg *open, size_t side, clipc_err *err)
{
    int rc = image_decode_fast(out, data, size, name, open->fast ? FAST_MARGIN * side : 0,
                               open->max_megapixels, err);

    if (rc == CLIPC_OK && open->auto_orient &&
        (rc = image_orient(out, orient_of_file(data, size), name, err)) != CLIPC_OK)
        image_free(out);
    return rc;
}

int preprocess_file(uint8_t *crop, resize_work *work, const void *data, size_t size,
                    const char *name, const open_cfg *open, const preprocess_cfg *cfg,
                    clipc_err *err)
{
    image im = {0};
    int rc =
        picture_open(&im, data, size, name, open, cfg->h > cfg->w ? cfg->h : cfg->w, err);

    if (rc == CLIPC_OK) rc = preprocess_u8(crop, work, &im, cfg, err);
    image_free(&im);
    return rc;
}

void preprocess_normalize(float *chw, const uint8_t *crop, const preprocess_cfg *cfg)
{
    const size_t n = cfg->h * cfg->w;

    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < n; i++)
            *chw++ = ((float)crop[3 * i + c] / 255.0f - cfg->mean[c]) / cfg->std[c];
}

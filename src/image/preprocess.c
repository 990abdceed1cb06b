#include "image/preprocess.h"

#include <string.h>

preprocess_cfg preprocess_default(size_t size)
{
    return (preprocess_cfg){.size = size,
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

/* Whole numbers are clipped, not scaled. */
static uint8_t clip_wide(const uint8_t *px, image_mode mode)
{
    int32_t v = 0;
    uint16_t u;

    if (mode == IMAGE_I) memcpy(&v, px, sizeof v);
    else memcpy(&u, px, sizeof u), v = u;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

void pixels_to_rgb(uint8_t *rgb, const uint8_t *px, size_t n, const image *im)
{
    const size_t c = image_channels(im->mode);

    for (size_t i = 0; i < n; i++, rgb += 3, px += c) {
        switch (im->mode) {
        case IMAGE_1:
        case IMAGE_L:
        case IMAGE_LA: memset(rgb, px[0], 3); break;
        case IMAGE_P: memcpy(rgb, im->palette[px[0]], 3); break;
        case IMAGE_RGB:
        case IMAGE_RGBA: memcpy(rgb, px, 3); break;
        case IMAGE_CMYK: cmyk_to_rgb(rgb, px); break;
        case IMAGE_I16:
        case IMAGE_I: memset(rgb, clip_wide(px, im->mode), 3); break;
        }
    }
}

/* Python's round(x / 2) of a difference: halves go to the even neighbour. */
static size_t half_to_even(size_t d)
{
    return d % 2 == 0 ? d / 2 : (d / 2) % 2 == 0 ? d / 2 : d / 2 + 1;
}

int preprocess_u8(uint8_t *crop, resize_work *work, const image *im,
                  const preprocess_cfg *cfg, clipc_err *err)
{
    const size_t S = cfg->size, c = image_channels(im->mode);
    size_t w = S, h = S;
    int rc;

    /* int(size * long / short): the product first, then Python's true division,
     * truncated. */
    if (im->w < im->h) h = (size_t)((double)(S * im->h) / (double)im->w);
    else w = (size_t)((double)(S * im->w) / (double)im->h);
    rc = resize_grow((void **)(void *)&work->out, &work->cap_out, S * S * c, err);
    if (rc == CLIPC_OK)
        rc = resize_crop(work->out, work, im, w, h, half_to_even(w - S),
                         half_to_even(h - S), S, S, cfg->interpolation, err);
    if (rc == CLIPC_OK) pixels_to_rgb(crop, work->out, S * S, im);
    return rc;
}

void preprocess_normalize(float *chw, const uint8_t *crop, const preprocess_cfg *cfg)
{
    const size_t n = cfg->size * cfg->size;

    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < n; i++)
            *chw++ = ((float)crop[3 * i + c] / 255.0f - cfg->mean[c]) / cfg->std[c];
}

#include "image/shrink.h"

#include <math.h>
#include <string.h>

#include "base/sizes.h"

bool image_has_alpha(const image *im)
{
    return im->mode == IMAGE_RGBA || im->mode == IMAGE_LA || im->mode == IMAGE_PA ||
           (im->mode == IMAGE_P && im->palette_alpha);
}

static uint8_t alpha_of(const uint8_t *px, const image *im)
{
    if (im->mode == IMAGE_P) return im->palette[px[0]][3];
    return px[image_channels(im->mode) - 1];
}

/* All modes in one or the other. */
static int convert(image *out, const image *im, clipc_err *err)
{
    const bool alpha = image_has_alpha(im);
    const size_t n = im->w * im->h, c = image_channels(im->mode);
    const int rc =
        image_alloc(out, im->w, im->h, alpha ? IMAGE_RGBA : IMAGE_RGB, "picture", err);

    if (rc != CLIPC_OK) return rc;
    if (!alpha) pixels_to_rgb(out->px, im->px, n, im);
    for (size_t i = 0; alpha && i < n; i++) {
        pixels_to_rgb(out->px + 4 * i, im->px + c * i, 1, im);
        out->px[4 * i + 3] = alpha_of(im->px + c * i, im);
    }
    return CLIPC_OK;
}

int shrink(image *out, resize_work *work, const image *im, size_t side, clipc_err *err)
{
    const size_t longer = max_size(im->w, im->h);
    image whole;
    int rc = convert(&whole, im, err);

    if (rc != CLIPC_OK) return rc;
    if (!side || longer <= side) return *out = whole, CLIPC_OK;
    const size_t w = max_size(1, (im->w * side + longer / 2) / longer);
    const size_t h = max_size(1, (im->h * side + longer / 2) / longer);
    rc = image_alloc(out, w, h, whole.mode, "picture", err);
    if (rc == CLIPC_OK)
        rc = resize_crop(out->px, work, &whole, w, h, 0, 0, w, h, FILTER_BICUBIC, err);
    image_free(&whole);
    if (rc != CLIPC_OK) image_free(out);
    return rc;
}

void shrink_on_white(image *im)
{
    if (im->mode != IMAGE_RGBA) return;
    for (size_t i = 0; i < im->w * im->h; i++) {
        const unsigned alpha = im->px[4 * i + 3];
        for (size_t c = 0; c < 3; c++)
            im->px[3 * i + c] =
                (uint8_t)((im->px[4 * i + c] * alpha + 255 * (255 - alpha) + 127) / 255);
    }
    im->mode = IMAGE_RGB;
}

int shrink_picture(image *out, resize_work *work, const void *data, size_t size,
                   const char *name, const open_cfg *open, size_t side, clipc_err *err)
{
    image im = {0};
    int rc = picture_open(&im, data, size, name, open, side, err);

    if (rc == CLIPC_OK) rc = shrink(out, work, &im, side, err);
    if (rc == CLIPC_OK) shrink_on_white(out);
    image_free(&im);
    return rc;
}

int shrink_jpeg(buf *out, resize_work *work, const void *data, size_t size,
                const char *name, const open_cfg *open, size_t side, clipc_err *err)
{
    enum { QUALITY = 80 };
    image small = {0};
    int rc = shrink_picture(&small, work, data, size, name, open, side, err);

    if (rc == CLIPC_OK) rc = jpeg_encode(out, small.px, small.w, small.h, QUALITY, err);
    image_free(&small);
    return rc;
}

/* Which of n pixels cell i of THUMB is the mean of. */
static void cell(size_t *from, size_t *to, size_t i, size_t n)
{
    const double scale = (double)n / THUMB, half = 0.5 * (scale > 1.0 ? scale : 1.0);
    const double middle = ((double)i + 0.5) * scale;

    *from = (size_t)fmax(0.0, floor(middle - half + 0.5));
    *to = min_size(n, (size_t)(middle + half + 0.5));
}

void shrink_thumb(uint8_t thumb[THUMB * THUMB], const image *rgb)
{
    for (size_t i = 0; i < THUMB * THUMB; i++) {
        size_t x0, x1, y0, y1;
        double sum = 0.0;
        cell(&x0, &x1, i % THUMB, rgb->w);
        cell(&y0, &y1, i / THUMB, rgb->h);
        for (size_t y = y0; y < y1; y++)
            for (size_t x = x0; x < x1; x++) {
                const uint8_t *p = rgb->px + 3 * (y * rgb->w + x);
                sum += 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
            }
        thumb[i] = (uint8_t)(sum / (double)((x1 - x0) * (y1 - y0)) + 0.5);
    }
}

double shrink_distance(const uint8_t *a, const uint8_t *b)
{
    int sum = 0;

    for (size_t i = 0; i < THUMB * THUMB; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sqrt((double)sum / (THUMB * THUMB));
}

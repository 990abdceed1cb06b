#include "image/image.h"

#include <stdlib.h>
#include <string.h>

#include "base/ckd.h"

size_t image_channels(image_mode mode)
{
    static const size_t channels[] = {[IMAGE_1] = 1,    [IMAGE_L] = 1,   [IMAGE_LA] = 2,
                                      [IMAGE_P] = 1,    [IMAGE_RGB] = 3, [IMAGE_RGBA] = 4,
                                      [IMAGE_CMYK] = 4, [IMAGE_I16] = 2, [IMAGE_I] = 4};
    return channels[mode];
}

void image_free(image *im)
{
    if (!im) return;
    free(im->px);
    im->px = NULL;
    im->w = im->h = 0;
}

int image_alloc(image *im, size_t w, size_t h, image_mode mode, const char *name,
                clipc_err *err)
{
    size_t bytes;

    *im = (image){.w = w, .h = h, .mode = mode};
    if (ckd_mul_size(&bytes, w, h) || ckd_mul_size(&bytes, bytes, image_channels(mode)))
        return clipc_fail(err, CLIPC_ERR_LIMIT, "%s: %zu x %zu pixels", name, w, h);
    im->px = malloc(bytes ? bytes : 1);
    return im->px ? CLIPC_OK : clipc_fail_memory(err, name, bytes);
}

int image_check_size(size_t w, size_t h, double max_megapixels, const char *name,
                     clipc_err *err)
{
    if (w == 0 || h == 0)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: %zu x %zu pixels", name, w, h);
    if ((double)w * (double)h > max_megapixels * 1e6)
        return clipc_fail(err, CLIPC_ERR_LIMIT,
                          "%s: %zu x %zu is more than %g megapixels (--max-megapixels)",
                          name, w, h, max_megapixels);
    return CLIPC_OK;
}

int image_decode(image *out, const void *data, size_t size, const char *name,
                 double max_megapixels, clipc_err *err)
{
    const uint8_t *p = data;

    *out = (image){0};
    if (size == 0) return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: empty file", name);
    if (size >= 3 && memcmp(p, "\xff\xd8\xff", 3) == 0)
        return jpeg_decode(out, p, size, name, max_megapixels, err);
    if (size >= 8 && memcmp(p, "\x89PNG\r\n\x1a\n", 8) == 0)
        return png_decode(out, p, size, name, max_megapixels, err);
    if (size >= 12 && memcmp(p, "RIFF", 4) == 0 && memcmp(p + 8, "WEBP", 4) == 0)
        return webp_decode(out, p, size, name, max_megapixels, err);
    if (size >= 6 && memcmp(p, "GIF8", 4) == 0)
        return gif_decode(out, p, size, name, max_megapixels, err);
    if (size >= 2 && memcmp(p, "BM", 2) == 0)
        return bmp_decode(out, p, size, name, max_megapixels, err);
    if (size >= 2 && p[0] == 'P' && p[1] >= '1' && p[1] <= '6')
        return pnm_decode(out, p, size, name, max_megapixels, err);
    return clipc_fail(err, CLIPC_ERR_FORMAT,
                      "%s: not a JPEG, PNG, WebP, GIF, BMP or PNM picture", name);
}

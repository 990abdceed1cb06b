#define _DEFAULT_SOURCE /* madvise */
#include "image/image.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/ckd.h"
#include "image/tags.h"

size_t image_channels(image_mode mode)
{
    static const size_t channels[] = {
        [IMAGE_1] = 1,     [IMAGE_L] = 1,   [IMAGE_LA] = 2,   [IMAGE_P] = 1,
        [IMAGE_PA] = 2,    [IMAGE_RGB] = 3, [IMAGE_RGBA] = 4, [IMAGE_CMYK] = 4,
        [IMAGE_YCBCR] = 3, [IMAGE_LAB] = 3, [IMAGE_I16] = 2,  [IMAGE_I16B] = 2,
        [IMAGE_I] = 4,     [IMAGE_F] = 4};
    return channels[mode];
}

bool image_is_wide(image_mode mode)
{
    return mode == IMAGE_I16 || mode == IMAGE_I16B || mode == IMAGE_I || mode == IMAGE_F;
}

double image_side(size_t pixels, double spill)
{
    return (double)pixels - fabs(spill);
}

void image_free(image *im)
{
    if (!im) return;
    free(im->px);
    im->px = NULL;
    im->w = im->h = 0;
}

/* Memory of a large picture comes in huge pages, where the system has them: touching 36
 * MB for the first time in small ones takes half as long as decoding a JPEG into it. */
static void *take_memory(size_t bytes)
{
    enum { PAGE = 2 << 20, LARGE = 4 * PAGE };

    if (bytes < LARGE || bytes > SIZE_MAX - PAGE) return malloc(bytes ? bytes : 1);
    bytes = (bytes + PAGE - 1) / PAGE * PAGE;
    void *p = aligned_alloc(PAGE, bytes);
    if (p) madvise(p, bytes, MADV_HUGEPAGE);
    return p;
}

int image_alloc(image *im, size_t w, size_t h, image_mode mode, const char *name,
                clipc_err *err)
{
    size_t bytes;

    *im = (image){.w = w, .h = h, .mode = mode};
    if (ckd_mul_size(&bytes, w, h) || ckd_mul_size(&bytes, bytes, image_channels(mode)))
        return clipc_fail(err, CLIPC_ERR_LIMIT, "%s: %zu x %zu pixels", name, w, h);
    im->px = take_memory(bytes);
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

int image_lacks(const char *name, const char *format, const char *library, clipc_err *err)
{
    return clipc_fail(err, CLIPC_ERR_FEATURE,
                      "%s: %s needs %s, which this clipc was "
                      "built without",
                      name, format, library);
}

typedef int decoder(image *out, const uint8_t *data, size_t size, const char *name,
                    double max_megapixels, clipc_err *err);
typedef int fast_decoder(image *out, const uint8_t *data, size_t size, const char *name,
                         size_t enough, double max_megapixels, clipc_err *err);

/* Bytes at a place, by which a format is known, and one of the decoders. */
typedef struct format {
    size_t at, n;
    const char *bytes;
    decoder *decode;
    fast_decoder *fast;
    const char *name;
} format;

static const format formats[] = {
    {0, 3, "\xff\xd8\xff", NULL, jpeg_decode, "jpeg"},
    {0, 8, "\x89PNG\r\n\x1a\n", png_decode, NULL, "png"},
    {8, 4, "WEBP", webp_decode, NULL, "webp"},
    {0, 4, "GIF8", gif_decode, NULL, "gif"},
    {0, 2, "BM", bmp_decode, NULL, "bmp"},
    {0, 10, "II*\0\x10\0\0\0CR", NULL, raw_decode, "raw"}, /* Canon's CR2 */
    {0, 4, "II*\0", tiff_decode, NULL, "tiff"},
    {0, 4, "MM\0*", tiff_decode, NULL, "tiff"},
    {0, 4, "II+\0", tiff_decode, NULL, "tiff"},
    {0, 4, "MM\0+", tiff_decode, NULL, "tiff"},
    {0, 2, "\xff\x0a", jxl_decode, NULL, "jxl"},
    {0, 12, "\0\0\0\x0cJXL \r\n\x87\n", jxl_decode, NULL, "jxl"},
    {4, 6, "ftyphe", heif_decode, NULL, "heif"},
    {4, 7, "ftypmif", heif_decode, NULL, "heif"},
    {4, 7, "ftypmsf", heif_decode, NULL, "heif"},
    {4, 7, "ftypavi", heif_decode, NULL, "heif"},
    {4, 7, "ftypcrx", NULL, raw_decode, "raw"},          /* CR3 */
    {6, 8, "HEAPCCDR", NULL, raw_decode, "raw"},         /* CRW */
    {0, 15, "FUJIFILMCCD-RAW", NULL, raw_decode, "raw"}, /* RAF */
    {0, 4, "IIRO", NULL, raw_decode, "raw"},             /* Olympus' ORF */
    {0, 4, "IIRS", NULL, raw_decode, "raw"},
    {0, 4, "MMOR", NULL, raw_decode, "raw"},
    {0, 4, "IIU\0", NULL, raw_decode, "raw"}, /* Panasonic's RW2 */
    {0, 4, "\0MRM", NULL, raw_decode, "raw"}, /* Minolta */
    {0, 4, "FOVb", NULL, raw_decode, "raw"},  /* Sigma's X3F */
};

/* PNM's is too short to stand in the table.  Most cameras write a TIFF, whose own picture
 * is smaller than the preview, and of which libtiff cannot read the sensor's. */
static const format *format_of(const uint8_t *p, size_t size)
{
    static const format pnm = {.decode = pnm_decode, .name = "pnm"};
    static const format raw = {.fast = raw_decode, .name = "raw"};

    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (size >= formats[i].at + formats[i].n &&
            memcmp(p + formats[i].at, formats[i].bytes, formats[i].n) == 0)
            return formats[i].decode == tiff_decode && tiff_is_raw(p, size) ? &raw
                                                                            : &formats[i];
    return size >= 2 && p[0] == 'P' && strchr("0123456fy", p[1]) ? &pnm : NULL;
}

const char *image_format(const void *data, size_t size)
{
    const format *f = format_of(data, size);
    return f ? f->name : NULL;
}

int image_decode(image *out, const void *data, size_t size, const char *name,
                 double max_megapixels, clipc_err *err)
{
    return image_decode_fast(out, data, size, name, 0, max_megapixels, err);
}

int image_decode_fast(image *out, const void *data, size_t size, const char *name,
                      size_t enough, double max_megapixels, clipc_err *err)
{
    const format *f = format_of(data, size);

    *out = (image){0};
    if (size == 0) return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: empty file", name);
    if (!f)
        return clipc_fail(
            err, CLIPC_ERR_FORMAT,
            "%s: not a JPEG, PNG, WebP, GIF, BMP, PNM, TIFF, HEIF, AVIF, JPEG XL "
            "or RAW picture",
            name);
    return f->fast ? f->fast(out, data, size, name, enough, max_megapixels, err)
                   : f->decode(out, data, size, name, max_megapixels, err);
}

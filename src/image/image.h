/* image/image.h -- a decoded picture, in the mode that Pillow would open it in, since
 * OpenAI's preprocessing resizes before it converts to RGB and treats modes differently.
 */
#ifndef CLIPC_IMAGE_IMAGE_H
#define CLIPC_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef enum image_mode {
    IMAGE_1,  /* black and white, stored as 0 and 255 */
    IMAGE_L,  /* grey */
    IMAGE_LA, /* grey, alpha */
    IMAGE_P,  /* indices into palette */
    IMAGE_PA, /* the same, and alpha of each pixel */
    IMAGE_RGB,
    IMAGE_RGBA,  /* straight alpha */
    IMAGE_CMYK,  /* 255 is full ink */
    IMAGE_YCBCR, /* JPEG's */
    IMAGE_LAB,   /* 8 bits; a and b plus 128 */
    IMAGE_I16,   /* grey of 16 bits, uint16_t */
    IMAGE_I16B,  /* the same, the high byte first on any machine */
    IMAGE_I,     /* whole numbers, int32_t */
    IMAGE_F      /* float */
} image_mode;

typedef struct image {
    uint8_t *px; /* h rows of w pixels of image_channels bytes, in the machine's order;
                    malloc'd */
    size_t w, h;
    image_mode mode;
    uint8_t palette[256][4]; /* IMAGE_P, PA: RGB and alpha */
    int palette_alpha;       /* IMAGE_P: some entry is transparent */
    int has_key;             /* pixels that become this RGB are transparent */
    uint8_t key[3];
    /* How much of the last column or row, or if negative of the first, is not the
     * picture's: one decoded at an eighth of its size has up to 7/8 of a pixel too many.
     */
    double spill_x, spill_y;
} image;

/* Bytes of a pixel. */
size_t image_channels(image_mode mode);
/* Pixels are numbers of more than 8 bits. */
bool image_is_wide(image_mode mode);
/* Of w or h pixels, with what spills over, what is the picture's. */
double image_side(size_t pixels, double spill);
void image_free(image *im);

/* w*h pixels of a mode, checked; im is overwritten.  Pixels are not set. */
int image_alloc(image *im, size_t w, size_t h, image_mode mode, const char *name,
                clipc_err *err);

/* Decodes a JPEG, PNG, WebP, GIF, BMP, PNM or TIFF file (recognised by content; its first
 * picture) exactly as Pillow with libjpeg-turbo does, HEIF, AVIF and JPEG XL as libheif
 * and libjxl do, a camera's RAW photograph by the JPEG preview in it, which libraw finds.
 * Larger than max_megapixels, told by the header before pixels are allocated:
 * CLIPC_ERR_LIMIT.  Truncated or damaged: CLIPC_ERR_FORMAT.  A library that is not there:
 * CLIPC_ERR_FEATURE or CLIPC_ERR_IO.  `name` is for messages.  Free with image_free. */
int image_decode(image *out, const void *data, size_t size, const char *name,
                 double max_megapixels, clipc_err *err);

/* The same, but a JPEG, a preview too, comes at a half, a quarter or an eighth of its
 * size, the smallest of which no side has less than `enough` pixels: of each block of 8 x
 * 8 only the lower frequencies are transformed, which saves half the time or more. enough
 * 0: as it is. */
int image_decode_fast(image *out, const void *data, size_t size, const char *name,
                      size_t enough, double max_megapixels, clipc_err *err);

/* What a file's first bytes say that it is: "jpeg", "png", .. "raw"; NULL: none of them.
 */
const char *image_format(const void *data, size_t size);

/* The decoders behind it, and what they share. */
int jpeg_decode(image *out, const uint8_t *data, size_t size, const char *name,
                size_t enough, double max_megapixels, clipc_err *err);
int raw_decode(image *out, const uint8_t *data, size_t size, const char *name,
               size_t enough, double max_megapixels, clipc_err *err);
int png_decode(image *out, const uint8_t *data, size_t size, const char *name,
               double max_megapixels, clipc_err *err);
int webp_decode(image *out, const uint8_t *data, size_t size, const char *name,
                double max_megapixels, clipc_err *err);
int gif_decode(image *out, const uint8_t *data, size_t size, const char *name,
               double max_megapixels, clipc_err *err);
int bmp_decode(image *out, const uint8_t *data, size_t size, const char *name,
               double max_megapixels, clipc_err *err);
int pnm_decode(image *out, const uint8_t *data, size_t size, const char *name,
               double max_megapixels, clipc_err *err);
int tiff_decode(image *out, const uint8_t *data, size_t size, const char *name,
                double max_megapixels, clipc_err *err);
int heif_decode(image *out, const uint8_t *data, size_t size, const char *name,
                double max_megapixels, clipc_err *err);
int jxl_decode(image *out, const uint8_t *data, size_t size, const char *name,
               double max_megapixels, clipc_err *err);
int image_check_size(size_t w, size_t h, double max_megapixels, const char *name,
                     clipc_err *err);

/* "NAME: FORMAT needs LIBRARY, ..": what a build without it says. */
int image_lacks(const char *name, const char *format, const char *library,
                clipc_err *err);

/* JPEG bytes of w x h RGB pixels, appended to out: pass a zeroed buf.  quality 1 to 100,
 * colours at half the resolution as libjpeg's default has it. */
struct buf;
int jpeg_encode(struct buf *out, const uint8_t *px, size_t w, size_t h, int quality,
                clipc_err *err);
/* PNG bytes of w x h pixels with 1, 3 or 4 channels, appended to out: pass a zeroed buf.
 */
int png_encode(struct buf *out, const uint8_t *px, size_t w, size_t h, size_t channels,
               clipc_err *err);

#endif

#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "image/image.h"

/* libpng's callbacks: the source bytes, and the way back out of an error. */
typedef struct png_io {
    const uint8_t *data;
    size_t size, at;
    buf *out;
    png_bytep *rows; /* here, since an error jumps past every local variable */
    char msg[120];
} png_io;

static void on_error(png_structp png, png_const_charp msg)
{
    png_io *io = png_get_error_ptr(png);

    strncpy(io->msg, msg, sizeof io->msg - 1);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp msg)
{
    (void)png, (void)msg;
}

static void read_bytes(png_structp png, png_bytep to, png_size_t n)
{
    png_io *io = png_get_io_ptr(png);

    if (n > io->size - io->at) png_error(png, "file is truncated");
    memcpy(to, io->data + io->at, n);
    io->at += n;
}

/* Asks libpng for the pixels that Pillow's mode would hold, and returns that. */
static image_mode set_mode(png_structp png, png_infop info)
{
    const int depth = png_get_bit_depth(png, info), type = png_get_color_type(png, info);

    image_mode mode = IMAGE_RGB;

    switch (type) {
    case PNG_COLOR_TYPE_GRAY:
        if (depth == 16) {
            const uint16_t one = 1;
            if (*(const uint8_t *)&one) png_set_swap(png);
            return IMAGE_I16;
        }
        mode = depth == 1 ? IMAGE_1 : IMAGE_L;
        png_set_expand_gray_1_2_4_to_8(png);
        break;
    case PNG_COLOR_TYPE_PALETTE:
        mode = IMAGE_P;
        png_set_packing(png);
        break;
    case PNG_COLOR_TYPE_GRAY_ALPHA:
        mode = depth == 16 ? IMAGE_RGBA : IMAGE_LA;
        if (depth == 16) png_set_gray_to_rgb(png);
        break;
    case PNG_COLOR_TYPE_RGB_ALPHA: mode = IMAGE_RGBA; break;
    default: break;
    }
    if (depth == 16) png_set_strip_16(png); /* the high byte */
    return mode;
}

static void get_palette(png_structp png, png_infop info, image *im)
{
    png_colorp colors;
    png_bytep alpha = NULL;
    int n = 0, n_alpha = 0;

    png_get_PLTE(png, info, &colors, &n);
    png_get_tRNS(png, info, &alpha, &n_alpha, NULL);
    for (int i = 0; i < n && i < 256; i++) {
        const uint8_t a = alpha && i < n_alpha ? alpha[i] : 255;
        im->palette_alpha |= a != 255;
        memcpy(im->palette[i], &colors[i], 3);
        im->palette[i][3] = a;
    }
}

/* The colour that tRNS makes transparent: as Pillow takes it, which of 16 bits compares
 * the low ones, and does not scale 2 and 4 bits as it scales pixels. */
static void get_key(png_structp png, png_infop info, image *im)
{
    png_color_16p key = NULL;

    if (!png_get_tRNS(png, info, NULL, NULL, &key) || !key) return;
    im->has_key = 1;
    if (im->mode == IMAGE_RGB) {
        im->key[0] = (uint8_t)key->red;
        im->key[1] = (uint8_t)key->green;
        im->key[2] = (uint8_t)key->blue;
    } else {
        memset(im->key, im->mode == IMAGE_1 && key->gray ? 255 : (uint8_t)key->gray, 3);
    }
}

static int read_png(png_structp png, png_infop info, image *out, png_io *io,
                    const char *name, double max_megapixels, clipc_err *err)
{
    int rc;

    png_read_info(png, info);
    const size_t w = png_get_image_width(png, info), h = png_get_image_height(png, info);
    if ((rc = image_check_size(w, h, max_megapixels, name, err)) != CLIPC_OK) return rc;
    const image_mode mode = set_mode(png, info);
    if ((rc = image_alloc(out, w, h, mode, name, err)) != CLIPC_OK) return rc;
    if (mode == IMAGE_P) get_palette(png, info, out);
    else get_key(png, info, out); /* only what converts first looks at it */
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
    const size_t stride = w * image_channels(mode);
    if (png_get_rowbytes(png, info) != stride)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: PNG rows of unexpected size", name);
    io->rows = malloc(h * sizeof *io->rows);
    if (!io->rows) return clipc_fail_memory(err, name, h * sizeof *io->rows);
    for (size_t y = 0; y < h; y++) io->rows[y] = out->px + y * stride;
    png_read_image(png, io->rows);
    png_read_end(png, NULL);
    return CLIPC_OK;
}

int png_decode(image *out, const uint8_t *data, size_t size, const char *name,
               double max_megapixels, clipc_err *err)
{
    png_io io = {.data = data, .size = size};
    png_structp png =
        png_create_read_struct(PNG_LIBPNG_VER_STRING, &io, on_error, on_warning);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    volatile int rc = CLIPC_OK;

    if (!info) {
        png_destroy_read_struct(&png, NULL, NULL);
        return clipc_fail_memory(err, name, 0);
    }
    png_set_user_limits(png, 0x7fffffff, 0x7fffffff); /* image_check_size decides */
    png_set_read_fn(png, &io, read_bytes);
    if (setjmp(png_jmpbuf(png))) {
        rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s: damaged PNG: %s", name, io.msg);
    } else {
        rc = read_png(png, info, out, &io, name, max_megapixels, err);
    }
    png_destroy_read_struct(&png, &info, NULL);
    free(io.rows);
    if (rc != CLIPC_OK) image_free(out);
    return rc;
}

/* ---- writing
 * --------------------------------------------------------------------------- */

static void write_bytes(png_structp png, png_bytep from, png_size_t n)
{
    png_io *io = png_get_io_ptr(png);

    if (buf_add(io->out, from, n, NULL) != CLIPC_OK) png_error(png, "out of memory");
}

static void flush(png_structp png)
{
    (void)png;
}

int png_encode(struct buf *out, const uint8_t *px, size_t w, size_t h, size_t channels,
               clipc_err *err)
{
    png_io io = {.out = out};
    png_structp png =
        png_create_write_struct(PNG_LIBPNG_VER_STRING, &io, on_error, on_warning);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    const int type = channels == 1   ? PNG_COLOR_TYPE_GRAY
                     : channels == 3 ? PNG_COLOR_TYPE_RGB
                                     : PNG_COLOR_TYPE_RGB_ALPHA;
    int rc = CLIPC_OK;

    if (!info) {
        png_destroy_write_struct(&png, NULL);
        return clipc_fail_memory(err, "PNG", 0);
    }
    png_set_write_fn(png, &io, write_bytes, flush);
    if (setjmp(png_jmpbuf(png))) {
        rc = clipc_fail(err, CLIPC_ERR_MEMORY, "PNG: %s", io.msg);
    } else {
        png_set_IHDR(png, info, (png_uint_32)w, (png_uint_32)h, 8, type,
                     PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                     PNG_FILTER_TYPE_DEFAULT);
        png_write_info(png, info);
        for (size_t y = 0; y < h; y++) png_write_row(png, px + y * w * channels);
        png_write_end(png, info);
    }
    png_destroy_write_struct(&png, &info);
    return rc;
}

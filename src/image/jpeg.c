#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

/* jerror.h wants jpeglib.h before it. */
#include <jerror.h>

#include "base/buf.h"
#include "image/image.h"

/* libjpeg reports through callbacks; this one jumps back to the only function that set
 * it. */
typedef struct jpeg_errors {
    struct jpeg_error_mgr base;
    jmp_buf back;
    char msg[JMSG_LENGTH_MAX];
} jpeg_errors;

static void on_error(j_common_ptr c)
{
    jpeg_errors *e = (jpeg_errors *)(void *)c->err;

    c->err->format_message(c, e->msg);
    longjmp(e->back, 1);
}

/* Warnings: Pillow raises for a file that ends early, and bears the rest. */
static void on_message(j_common_ptr c, int level)
{
    if (level < 0 && c->err->msg_code == JWRN_JPEG_EOF) on_error(c);
}

static image_mode mode_of(struct jpeg_decompress_struct *d)
{
    switch (d->jpeg_color_space) {
    case JCS_GRAYSCALE: d->out_color_space = JCS_GRAYSCALE; return IMAGE_L;
    case JCS_CMYK:
    case JCS_YCCK: d->out_color_space = JCS_CMYK; return IMAGE_CMYK;
    default: d->out_color_space = JCS_RGB; return IMAGE_RGB;
    }
}

/* Of libjpeg's scales n/8 those that it has vector code for: 3/8 takes longer than 4/8.
 */
static void scale_to(struct jpeg_decompress_struct *d, size_t enough)
{
    const size_t side =
        d->image_width < d->image_height ? d->image_width : d->image_height;

    d->scale_num = 1;
    d->scale_denom = 8;
    /* libjpeg rounds sides up. */
    while (d->scale_denom > 1 && (side + d->scale_denom - 1) / d->scale_denom < enough)
        d->scale_denom /= 2;
}

int jpeg_decode(image *out, const uint8_t *data, size_t size, const char *name,
                size_t enough, double max_megapixels, clipc_err *err)
{
    struct jpeg_decompress_struct d;
    jpeg_errors e;
    volatile int rc = CLIPC_OK;

    d.err = jpeg_std_error(&e.base);
    e.base.error_exit = on_error;
    e.base.emit_message = on_message;
    if (setjmp(e.back)) {
        jpeg_destroy_decompress(&d);
        image_free(out);
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: damaged JPEG: %s", name, e.msg);
    }
    jpeg_create_decompress(&d);
    jpeg_mem_src(&d, data, size);
    jpeg_read_header(&d, TRUE);
    const image_mode mode = mode_of(&d);
    rc = image_check_size(d.image_width, d.image_height, max_megapixels, name, err);
    if (enough) scale_to(&d, enough);
    jpeg_calc_output_dimensions(&d);
    if (rc == CLIPC_OK)
        rc = image_alloc(out, d.output_width, d.output_height, mode, name, err);
    if (rc == CLIPC_OK) {
        out->spill_x = d.output_width - (double)d.image_width / d.scale_denom;
        out->spill_y = d.output_height - (double)d.image_height / d.scale_denom;
        jpeg_start_decompress(&d);
        const size_t row = out->w * image_channels(mode);
        while (d.output_scanline < d.output_height) {
            JSAMPROW line = out->px + d.output_scanline * row;
            jpeg_read_scanlines(&d, &line, 1);
        }
        jpeg_finish_decompress(&d);
        /* Taken as inverted with or without Adobe's marker, as Pillow does. */
        for (size_t i = 0; mode == IMAGE_CMYK && i < row * out->h; i++)
            out->px[i] = (uint8_t)(255 - out->px[i]);
    }
    jpeg_destroy_decompress(&d);
    return rc;
}

int jpeg_encode(struct buf *out, const uint8_t *px, size_t w, size_t h, int quality,
                clipc_err *err)
{
    struct jpeg_compress_struct c;
    jpeg_errors e;
    unsigned char *bytes = NULL;
    unsigned long size = 0;

    c.err = jpeg_std_error(&e.base);
    e.base.error_exit = on_error;
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &bytes, &size);
    if (setjmp(e.back)) {
        jpeg_destroy_compress(&c); /* its destination frees nothing */
        return clipc_fail(err, CLIPC_ERR_MEMORY, "JPEG: %s", e.msg);
    }
    c.image_width = (JDIMENSION)w;
    c.image_height = (JDIMENSION)h;
    c.input_components = 3;
    c.in_color_space = JCS_RGB;
    jpeg_set_defaults(&c);
    jpeg_set_quality(&c, quality, TRUE);
    c.optimize_coding = TRUE;
    jpeg_start_compress(&c, TRUE);
    while (c.next_scanline < c.image_height) {
        JSAMPROW row = (JSAMPROW)(uintptr_t)(px + (size_t)c.next_scanline * w * 3);
        jpeg_write_scanlines(&c, &row, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    const int rc = buf_add(out, bytes, size, err);
    free(bytes);
    return rc;
}

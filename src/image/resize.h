/* image/resize.h -- Pillow's resampling (python-pillow src/libImaging/Resample.c):
 * weights in 22-bit fixed point, along rows, then along columns or (13.0, tall pictures)
 * the other way, rounded to 8 bits between.  Pictures of wider numbers (I;16, I, F) are
 * summed in double and rounded to their own kind. */
#ifndef CLIPC_IMAGE_RESIZE_H
#define CLIPC_IMAGE_RESIZE_H

#include "image/image.h"
#include "tensor/kernels.h"

typedef enum filter { FILTER_NEAREST, FILTER_BILINEAR, FILTER_BICUBIC } filter;

/* Buffers that grow and are kept: one thread's. */
typedef struct resize_work {
    const kernels *k; /* picked when first needed */
    double *weights;
    int32_t *fixed_x, *fixed_y;
    size_t *bounds_x, *bounds_y;
    uint8_t *rows, *end, *premultiplied, *out;
    double *exact_x, *exact_y; /* for wide pixels */
    size_t cap_weights, cap_fixed_x, cap_fixed_y, cap_bounds_x, cap_bounds_y, cap_rows,
        cap_premultiplied, cap_out, cap_exact_x, cap_exact_y, cap_end;
} resize_work;

void resize_work_free(resize_work *w);

/* A pixel of a mode that image_is_wide.  I16B counts as in the machine's order: Pillow 13
 * resizes it so, though it converts it right. */
double wide_get(const uint8_t *px, image_mode mode);
void wide_put(uint8_t *px, image_mode mode, double number);

/* Makes *p at least `bytes` large, its contents lost.  For the buffers above. */
int resize_grow(void **p, size_t *cap, size_t bytes, clipc_err *err);

/* Resizes `im` to w x h as Image.resize does for its mode (P and 1 by nearest neighbour,
 * alpha premultiplied for the passage), and gives only the part [x0, x0+cw) x [y0, y0+ch)
 * of the result.  out [ch,cw,channels] */
int resize_crop(uint8_t *out, resize_work *work, const image *im, size_t w, size_t h,
                size_t x0, size_t y0, size_t cw, size_t ch, filter f, clipc_err *err);

#endif

/* image/adjust.h -- colours and sharpness of RGB pixels, in place, as torchvision's
 * functional operations make them of Pillow pictures.  Colours are exact to Pillow's
 * ImageEnhance and HSV; the blur is within a level of torchvision's, which sums in
 * another order.  px [n,3] or [h,w,3]. */
#ifndef CLIPC_IMAGE_ADJUST_H
#define CLIPC_IMAGE_ADJUST_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct resize_work;

/* factor 0: black, grey of the mean lightness, grey; 1: as it is; more: beyond. */
void adjust_brightness(uint8_t *px, size_t n, float factor);
void adjust_contrast(uint8_t *px, size_t n, float factor);
void adjust_saturation(uint8_t *px, size_t n, float factor);
/* factor -0.5 to 0.5, of the circle of hues. */
void adjust_hue(uint8_t *px, size_t n, float factor);

/* Gaussian of 2 * radius + 1 pixels, reflected at the edges; radius < w and h.  `work`
 * lends its `out`. */
int adjust_blur(uint8_t *px, size_t w, size_t h, size_t radius, float sigma,
                struct resize_work *work, clipc_err *err);

#endif

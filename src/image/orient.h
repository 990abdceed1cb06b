/* image/orient.h -- which way up a picture is: EXIF's Orientation (tag 274, 1 to 8), and
 * turning by it as Pillow's ImageOps.exif_transpose does. */
#ifndef CLIPC_IMAGE_ORIENT_H
#define CLIPC_IMAGE_ORIENT_H

#include <stdbool.h>

#include "image/image.h"

/* The EXIF of a JPEG, PNG or WebP file; NULL without. */
const uint8_t *exif_of_file(size_t *exif_size, const uint8_t *data, size_t size);

/* The orientation that EXIF, or else XMP, of a JPEG, PNG or WebP file tells; 1 without.
 * TIFF, HEIF, AVIF, JPEG XL and RAW are upright when decoded. */
int orient_of_file(const uint8_t *data, size_t size);

/* Turns im upright; an orientation other than 2 to 8 leaves it. */
int image_orient(image *im, int orientation, const char *name, clipc_err *err);

#endif

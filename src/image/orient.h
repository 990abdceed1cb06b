/* image/orient.h -- which way up a picture is: EXIF's Orientation (tag 274, 1 to 8), and
 * turning by it as Pillow's ImageOps.exif_transpose does. */
#ifndef CLIPC_IMAGE_ORIENT_H
#define CLIPC_IMAGE_ORIENT_H

#include <stdbool.h>

#include "image/image.h"

/* The whole number of a tag (SHORT or LONG, one value) in the first directory of a TIFF,
 * which is what EXIF is, too.  False: not there, or no such number (*value is then 0). */
bool tiff_tag(uint32_t *value, const uint8_t *tiff, size_t size, unsigned tag);

/* The text of a tag in the directory that the first one's tag `by` leads to (EXIF's own:
 * 34665), cut at cap with its NUL; "" if it is not there. */
void tiff_text(char *out, size_t cap, const uint8_t *tiff, size_t size, unsigned by,
               unsigned tag);

/* The EXIF of a JPEG, PNG or WebP file; NULL without. */
const uint8_t *exif_of_file(size_t *exif_size, const uint8_t *data, size_t size);

/* The orientation that EXIF, or else XMP, of a JPEG, PNG or WebP file tells; 1 without.
 * TIFF, HEIF, AVIF and JPEG XL are upright when decoded. */
int orient_of_file(const uint8_t *data, size_t size);

/* Turns im upright; an orientation other than 2 to 8 leaves it. */
int image_orient(image *im, int orientation, const char *name, clipc_err *err);

#endif

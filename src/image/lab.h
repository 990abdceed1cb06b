/* image/lab.h -- CIELAB of D50 to sRGB as Little CMS 2 does it for Pillow: a table of 33
 * steps a side in 16 bits, tetrahedra between. */
#ifndef CLIPC_IMAGE_LAB_H
#define CLIPC_IMAGE_LAB_H

#include <stdint.h>

/* rgb [3] of lab [3]: L 0 to 255, a and b plus 128. */
void lab_to_rgb(uint8_t *rgb, const uint8_t *lab);

#endif

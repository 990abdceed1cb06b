/* image/raw.h -- a camera's RAW photograph, of which clipc sees the preview. */
#ifndef CLIPC_IMAGE_RAW_H
#define CLIPC_IMAGE_RAW_H

#include "image/facts.h"

/* Sides of the photograph, upright, and when it was taken; zeroes where libraw is missing
 * or makes nothing of the file. */
image_facts raw_facts(const uint8_t *data, size_t size);

#endif

/* image/facts.h -- what a picture's file tells of it without being decoded. */
#ifndef CLIPC_IMAGE_FACTS_H
#define CLIPC_IMAGE_FACTS_H

#include <stddef.h>
#include <stdint.h>

typedef struct image_facts {
    uint32_t width,
        height;      /* pixels, turned as EXIF says; 0: this format does not tell */
    int orientation; /* EXIF's, 1 to 8 */
    char taken[20];  /* EXIF's DateTimeOriginal, "2024:05:31 18:03:59"; or "" */
} image_facts;

/* Sizes of JPEG, PNG, WebP, GIF, BMP and RAW; dates of JPEG, PNG, WebP and RAW. */
image_facts image_facts_of(const uint8_t *data, size_t size);

#endif

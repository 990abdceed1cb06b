/* image/tags.h -- the directories of a TIFF file, which is what EXIF is, too. */
#ifndef CLIPC_IMAGE_TAGS_H
#define CLIPC_IMAGE_TAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A number of up to 4 bytes. */
uint32_t tags_number(const uint8_t *p, size_t bytes, bool little);

/* The whole number of a tag (SHORT or LONG, one value) in the first directory.  False:
 * not there, or no such number (*value is then 0). */
bool tiff_tag(uint32_t *value, const uint8_t *tiff, size_t size, unsigned tag);

/* The text of a tag in the directory that the first one's tag `by` leads to (EXIF's own:
 * 34665), cut at cap with its NUL; "" if it is not there. */
void tiff_text(char *out, size_t cap, const uint8_t *tiff, size_t size, unsigned by,
               unsigned tag);

/* The TIFF is a camera's RAW photograph: a DNG, or pixels lie under a colour filter (or
 * did) in the first directory or one that it names below itself. */
bool tiff_is_raw(const uint8_t *tiff, size_t size);

#endif

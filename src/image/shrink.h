/* image/shrink.h -- pictures made small: for shards, for contact sheets, for comparing.
 */
#ifndef CLIPC_IMAGE_SHRINK_H
#define CLIPC_IMAGE_SHRINK_H

#include "base/buf.h"
#include "image/preprocess.h"

enum { THUMB = 16 };

/* Whether any pixel may be transparent. */
bool image_has_alpha(const image *im);

/* `im` as RGB, or RGBA if it has alpha, its longer side at most `side` (bicubic as Pillow
 * has it; 0: as it is).  Free with image_free. */
int shrink(image *out, resize_work *work, const image *im, size_t side, clipc_err *err);

/* RGBA becomes RGB, with white where it is transparent. */
void shrink_on_white(image *im);

/* The picture in a file's bytes at that size for people to look at: RGB, on white.  name
 * is for messages. */
int shrink_picture(image *out, resize_work *work, const void *data, size_t size,
                   const char *name, const open_cfg *open, size_t side, clipc_err *err);
/* The same as a JPEG, appended to out. */
int shrink_jpeg(buf *out, resize_work *work, const void *data, size_t size,
                const char *name, const open_cfg *open, size_t side, clipc_err *err);

/* 16 x 16 grey levels of an RGB picture, each the mean of those pixels whose middle falls
 * into it (Pillow's box filter). */
void shrink_thumb(uint8_t thumb[THUMB * THUMB], const image *rgb);
/* Root of the mean square difference of two of them, in levels. */
double shrink_distance(const uint8_t *a, const uint8_t *b);

#endif

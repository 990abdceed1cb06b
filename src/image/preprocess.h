/* image/preprocess.h -- from a decoded picture to what the image tower sees, as OpenAI's
 * and open_clip's evaluation transform (torchvision): Resize (short side to S) ->
 * CenterCrop(S) -> convert("RGB") -> / 255 -> (x - mean) / std.  EXIF orientation is not
 * applied. */
#ifndef CLIPC_IMAGE_PREPROCESS_H
#define CLIPC_IMAGE_PREPROCESS_H

#include "image/resize.h"

typedef struct preprocess_cfg {
    size_t size;           /* S */
    filter interpolation;  /* FILTER_BICUBIC */
    float mean[3], std[3]; /* of RGB in 0..1 */
} preprocess_cfg;

/* OpenAI's constants. */
preprocess_cfg preprocess_default(size_t size);

/* crop [S,S,3] */
int preprocess_u8(uint8_t *crop, resize_work *work, const image *im,
                  const preprocess_cfg *cfg, clipc_err *err);

/* chw [3,S,S] = (crop / 255 - mean) / std, in float32 as ToTensor and Normalize do it. */
void preprocess_normalize(float *chw, const uint8_t *crop, const preprocess_cfg *cfg);

/* rgb [n,3] = pixels of `im`'s mode, converted as Image.convert("RGB") does. */
void pixels_to_rgb(uint8_t *rgb, const uint8_t *px, size_t n, const image *im);

#endif

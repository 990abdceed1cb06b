/* image/preprocess.h -- from a decoded picture to what the image tower sees, as
 * open_clip's evaluation transform (open_clip/transform.py, on torchvision and Pillow):
 * resize and crop or pad to H x W -> convert("RGB") -> / 255 -> (x - mean) / std.
 * RESIZE_SHORTEST with a square is OpenAI's.  transformers' processors (CLIP's and
 * SigLIP's with Pillow) convert first, transparency on white, and crop half a pixel
 * elsewhere.  EXIF orientation is not applied unless asked for. */
#ifndef CLIPC_IMAGE_PREPROCESS_H
#define CLIPC_IMAGE_PREPROCESS_H

#include <stdbool.h>

#include "image/resize.h"

/* How a picture comes to H x W pixels. */
typedef enum resize_mode {
    RESIZE_SHORTEST, /* until it covers them; the middle is kept */
    RESIZE_LONGEST,  /* until it fits in; `fill` around it */
    RESIZE_SQUASH    /* to them, whatever its proportions */
} resize_mode;

typedef struct preprocess_cfg {
    size_t h, w;
    resize_mode resize;
    uint8_t fill;          /* in every channel that the picture has before convert */
    filter interpolation;  /* FILTER_BICUBIC */
    bool rgb_first;        /* as transformers does */
    float mean[3], std[3]; /* of RGB in 0..1 */
} preprocess_cfg;

/* OpenAI's constants. */
preprocess_cfg preprocess_default(size_t h, size_t w);

/* crop [h,w,3] */
int preprocess_u8(uint8_t *crop, resize_work *work, const image *im,
                  const preprocess_cfg *cfg, clipc_err *err);

/* How a file becomes a picture. */
typedef struct open_cfg {
    double max_megapixels;
    bool auto_orient; /* as EXIF or XMP says */
    bool fast;        /* image_decode_fast, to no less than twice the sides wanted */
} open_cfg;

/* The picture in a file's bytes, which shall become one of `side` pixels; name is for
 * messages.  Free with image_free. */
int picture_open(image *out, const void *data, size_t size, const char *name,
                 const open_cfg *open, size_t side, clipc_err *err);

/* crop [h,w,3] of the picture in a file's bytes; name is for messages. */
int preprocess_file(uint8_t *crop, resize_work *work, const void *data, size_t size,
                    const char *name, const open_cfg *open, const preprocess_cfg *cfg,
                    clipc_err *err);

/* chw [3,h,w] = (crop / 255 - mean) / std, in float32 as ToTensor and Normalize do it. */
void preprocess_normalize(float *chw, const uint8_t *crop, const preprocess_cfg *cfg);

/* rgb [n,3] = pixels of `im`'s mode, converted as Image.convert("RGB") does. */
void pixels_to_rgb(uint8_t *rgb, const uint8_t *px, size_t n, const image *im);

#endif

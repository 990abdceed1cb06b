/* image/augment.h -- random views of a training picture.
 *
 * Pictures with alpha are drawings: put on a ground of some colour, turned, scaled and
 * moved (one affine map, bilinear).  Opaque pictures are photographs: random resized
 * crop.  Both, each at times: mirrored; colours changed (torchvision's ColorJitter); made
 * grey; blurred; parts of them erased (timm's RandomErasing).  All randomness comes from
 * the caller's rng, in a fixed order, so a seed gives the same view on every machine and
 * thread; what is never done draws nothing. */
#ifndef CLIPC_IMAGE_AUGMENT_H
#define CLIPC_IMAGE_AUGMENT_H

#include <stdbool.h>

#include "base/rng.h"
#include "image/resize.h"

typedef struct augment_cfg {
    float ground[4]; /* .45 .15 .30 .10: chances of white, grey, any colour, black */
    float rotate;    /* 12: degrees either way */
    float scale[2];  /* .7 1.35: of a drawing */
    float shift;     /* .1: of the picture's side, either way */
    float crop[2];   /* .9 1: part of a photograph's area */
    float ratio[2];  /* 3/4 4/3: of the crop's sides */
    float flip;      /* .5: chance */
    float grey;      /* .15: chance */
    /* As in open_clip's aug_cfg and timm's: */
    float jitter[4];     /* 0: how far brightness, contrast, saturation, hue may go */
    float jitter_chance; /* 1 */
    float erase_chance;  /* 0 */
    size_t erase_count;  /* 1: at most so many rectangles */
    float blur;          /* 0: chance */
    float blur_sigma[2]; /* .1 2: pixels; the kernel is a tenth of the side */
} augment_cfg;

augment_cfg augment_default(void);

/* out [S,S,3].  tint: a monochrome drawing, to be given a colour that stands out from its
 * ground. */
int augment(uint8_t *out, resize_work *work, const image *im, const augment_cfg *cfg,
            bool tint, size_t S, rng *r, clipc_err *err);

/* chw [3,S,S], normalized: at times rectangles become noise of a standard normal. */
void augment_erase(float *chw, const augment_cfg *cfg, size_t S, rng *r);

#endif

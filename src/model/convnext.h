/* model/convnext.h -- ConvNeXt (arXiv:2201.03545) as timm and open_clip build it: 4x4
 * patches, four stages of blocks between which the picture is halved, the mean of the
 * pixels, layer norm, a projection.  Inference only.
 *
 *   block: x += gamma * fc2(act(fc1(norm(conv_dw x))))     conv_dw: depthwise, 7x7 */
#ifndef CLIPC_MODEL_CONVNEXT_H
#define CLIPC_MODEL_CONVNEXT_H

#include "model/tower.h"
#include "nn/conv.h"
#include "nn/dwconv.h"

enum { CONVNEXT_STAGES = 4 };

typedef struct convnext_block {
    float *dw_w, *dw_b;                   /* [C,1,7,7], [C] */
    float *norm_w, *norm_b;               /* [C] */
    float *fc1_w, *fc1_b, *fc2_w, *fc2_b; /* [F,C], [F], [C,F], [C] */
    float *gamma;                         /* [C] */
} convnext_block;

typedef struct convnext_stage {
    size_t C, F;
    /* What halves the picture in front of the blocks; none in the first stage. */
    float *norm_w, *norm_b, *conv_w, *conv_b;
    conv_shape conv;
    dwconv_shape dw;
    convnext_block *blocks; /* [n] */
    size_t n;
} convnext_stage;

typedef struct convnext_ends {
    float *stem_w, *stem_b, *stem_norm_w, *stem_norm_b;
    float *norm_w, *norm_b;
    float *fc1_w, *fc1_b; /* [2E,C]: of an MLP that projects */
    float *out_w, *out_b; /* [E,C] or [E,2E]; the bias may be NULL */
} convnext_ends;

typedef struct convnext {
    image_cfg cfg;
    conv_shape stem;
    convnext_ends ends;
    convnext_stage stages[CONVNEXT_STAGES];
    convnext_block *blocks; /* of all stages */
} convnext;

#endif

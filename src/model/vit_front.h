/* model/vit_front.h -- convolutions in front of a ViT's blocks instead of its one
 * convolution of patches (timm hybrid_embed.py), from pixels to tokens of C channels:
 *
 *   FRONT_MCI (MobileCLIP-B, arXiv:2311.17049; timm vision_transformer_hybrid.py
 *   ConvStem):
 *       gelu(bn(conv 4x4 s4)), gelu(bn(conv 2x2 s2)), conv 2x2 s2
 *   FRONT_VITAMIN (arXiv:2404.02132; timm vitamin.py MbConvStages):
 *       gelu(ln(conv 3x3 s2)), conv 3x3; two stages of inverted bottlenecks,
 *           y = shortcut(x) + conv3_1x1(gelu(conv2_kxk(gelu(conv1_1x1(ln(x)))))),
 *       conv2_kxk depthwise 3x3, the first of a stage with stride 2: its shortcut is an
 *       average and, where the channels change, a 1x1 convolution; ln, conv 3x3 s2
 *
 * Inference only. */
#ifndef CLIPC_MODEL_VIT_FRONT_H
#define CLIPC_MODEL_VIT_FRONT_H

#include "model/tower.h"
#include "nn/convbn.h"
#include "nn/dwconv.h"

enum { FRONT_STRIDE = 16, FRONT_CONVS = 3, FRONT_STAGES = 2 };

/* An inverted bottleneck, I channels widened to M, then O. */
typedef struct mbconv {
    float *norm_w, *norm_b;     /* [I] */
    float *expand_w, *expand_b; /* [M,I,1,1], [M] */
    float *deep_w, *deep_b;     /* [M,1,3,3], [M] */
    float *reduce_w, *reduce_b; /* [O,M,1,1], [O] */
    float *short_w, *short_b;   /* [O,I,1,1], [O]; NULL where I = O */
    size_t I, O;
    dwconv_shape deep; /* of M channels */
} mbconv;

typedef struct front {
    conv_shape s[FRONT_CONVS];   /* what is not in the stages */
    convbn mci[FRONT_CONVS - 1]; /* MCI's first two */
    float *conv1_w, *conv1_b;    /* ViTamin's first two, and the norm between */
    float *norm1_w, *norm1_b;    /* [stem] */
    float *conv2_w, *conv2_b;
    float *norm_w, *norm_b; /* ViTamin, before the last convolution */
    float *last_w, *last_b;
    mbconv *blocks; /* ViTamin: [n] */
    size_t n;
} front;

/* Of a config whose front is not FRONT_PATCHES. */
int front_check(const image_cfg *c, clipc_err *err);
int front_make(front *f, const image_cfg *c, clipc_err *err);
void front_free(front *f);
int front_params(front *f, param_list *l, const image_cfg *c, clipc_err *err);

/* What one picture needs: pictures take turns. */
typedef struct front_acts {
    float *x[2]; /* the stages' inputs and outputs by turns */
    float *norm; /* a block's input, normalised; its average */
    float *wide; /* [H,W,M] */
    float *deep; /* [Ho,Wo,M] */
    float *work; /* dwconv_work */
    bn_acts bn;
} front_acts;

void front_acts_take(front_acts *a, arena *mem, const front *f);

/* tokens [B*g*g,C] = of pixels [B,3,S,S], g = S / FRONT_STRIDE. */
void front_fwd(exec *e, float *tokens, const front *f, front_acts *a, const float *pixels,
               const image_cfg *c, weight_form form, size_t B);

#endif

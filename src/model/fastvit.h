/* model/fastvit.h -- FastViT (arXiv:2303.14189) as MobileCLIP has it (arXiv:2311.17049,
 * arXiv:2508.20691; timm fastvit.py, fastvit_mci*), with the branches of training folded
 * away (clip/fold.h).  Inference only.
 *
 *   stem:   gelu(conv 3x3 s2), gelu(depthwise 3x3 s2), gelu(1x1)
 *   stage:  but the first: depthwise 7x7 s2 from C/m to C channels, maybe squeeze and
 *           excitation, gelu; gelu(1x1).  With attention: depthwise 7x7 for positions
 *   block:  x = depthwise 3x3 of x, or x += proj(attention(norm x)), heads of 32;
 *           x += fc2(gelu(fc1(depthwise 7x7 of x)))
 *   end:    depthwise 3x3 to 2C channels, squeeze and excitation, gelu, mean of the
 *           pixels, linear
 *
 * The last convolution of a RepMixer, all layer scales and the batch norms are folded
 * into the weights; the layer norm in front of attention, where there is one instead, is
 * not. */
#ifndef CLIPC_MODEL_FASTVIT_H
#define CLIPC_MODEL_FASTVIT_H

#include "model/tower.h"
#include "nn/conv.h"
#include "nn/dwconv.h"
#include "nn/squeeze.h"

/* Weight and bias of a convolution or a linear layer, or of a norm. */
typedef struct fastvit_pair {
    float *w, *b;
} fastvit_pair;

typedef struct fastvit_block {
    fastvit_pair mix;             /* [C,1,3,3]: instead of attention */
    fastvit_pair norm, qkv, proj; /* [C], [3C,C], [C,C]; without a norm qkv has a bias */
    fastvit_pair wide;            /* [C,1,7,7] */
    fastvit_pair fc1, fc2;        /* [F,C,1,1], [C,F,1,1] */
} fastvit_block;

typedef struct fastvit_stage {
    size_t C, F;
    size_t I;           /* channels that come in */
    size_t R;           /* inside squeeze and excitation; 0: none */
    bool attention;     /* with positions in front of the blocks */
    dwconv_shape down;  /* 7x7, stride 2; none in the first stage */
    dwconv_shape mix;   /* 3x3 */
    dwconv_shape wide;  /* 7x7 */
    fastvit_pair enter; /* [C,1,7,7] */
    squeeze squeeze;
    fastvit_pair point; /* [C,C,1,1] */
    fastvit_pair pos;   /* [C,1,7,7] */
    fastvit_block *blocks;
    size_t n;
} fastvit_stage;

typedef struct fastvit_ends {
    fastvit_pair stem, deep, point; /* [C,3,3,3], [C,1,3,3], [C,C,1,1] */
    fastvit_pair last;              /* [2C,1,3,3] */
    fastvit_pair head;              /* [E,2C] */
} fastvit_ends;

typedef struct fastvit {
    image_cfg cfg;
    conv_shape stem;
    dwconv_shape deep, last;
    size_t last_R; /* inside the last squeeze and excitation */
    fastvit_ends ends;
    squeeze squeeze;
    fastvit_stage stages[IMAGE_STAGES];
    size_t n_stages;
    fastvit_block *blocks; /* of all stages */
} fastvit;

#endif

/* model/vit.h -- CLIP's Vision Transformer (openai/CLIP clip/model.py VisionTransformer).
 *
 *   patches [P, 3*p*p] -> conv1 (no bias) -> [P,C]; class_embedding in front;
 *   + positional_embedding; ln_pre; blocks; ln_post of token 0; @ proj [C,E]
 *
 * and its relatives in open_clip and timm: pooling by average or by learned queries, no
 * class token, projections with bias or none, rotary positions (image_cfg in tower.h),
 * convolutions instead of conv1 (vit_front.h).
 *
 * Reached through vit_ops of model/tower.h. */
#ifndef CLIPC_MODEL_VIT_H
#define CLIPC_MODEL_VIT_H

#include "model/vit_front.h"
#include "nn/block.h"

typedef struct vit_stem {
    float *class_embedding;       /* [C] */
    float *positional_embedding;  /* [T,C], T = P + 1; without the token's [P,C]; NULL */
    float *conv1_w, *conv1_b;     /* [C,3,p,p]: a linear layer on patches; [C] */
    float *ln_pre_w, *ln_pre_b;   /* [C] */
    float *ln_post_w, *ln_post_b; /* [C]; [E] behind CoCa's pooler */
    float *proj, *proj_b;         /* [C,E], or [E,C] and [E] */
} vit_stem;

typedef struct vit {
    image_cfg cfg;
    size_t rows, cols, T; /* of patches; tokens */
    vit_stem stem;
    front front;   /* instead of conv1 */
    block *blocks; /* [layers] */
    pooler pool;
    float *rope; /* [T,D/2,2] as in block_cfg; NULL: none */
} vit;

#endif

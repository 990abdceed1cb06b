/* model/bert.h -- BERT's encoder as a text tower (arXiv:1810.04805), with RoBERTa's,
 * XLM-RoBERTa's and DistilBERT's differences, under open_clip's HFTextEncoder,
 * sentence-transformers' multilingual CLIP and M-CLIP:
 *
 *   x = LN(word + position + type)
 *   layers: x = LN(x + attention(x));  x = LN(x + fc2(gelu(fc1(x))))
 *   mean of the text's rows, or its first row (through tanh(pooler)); projection
 *
 * Padding is no part of a text: its rows are left out, and RoBERTa's positions count
 * without them.  Inference only.  Reached through bert_ops of model/tower.h. */
#ifndef CLIPC_MODEL_BERT_H
#define CLIPC_MODEL_BERT_H

#include "model/tower.h"

typedef struct bert_layer {
    float *qkv_w, *qkv_b;   /* [3C,C], [3C] */
    float *out_w, *out_b;   /* [C,C], [C] */
    float *ln_1_w, *ln_1_b; /* [C] */
    float *fc_w, *fc_b;     /* [F,C], [F] */
    float *proj_w, *proj_b; /* [C,F], [C] */
    float *ln_2_w, *ln_2_b; /* [C] */
} bert_layer;

typedef struct bert_stem {
    float *words, *positions, *types; /* [V,C], [P,C], [types,C] or NULL */
    float *ln_w, *ln_b;               /* [C] */
    float *pooler_w, *pooler_b;       /* [C,C], [C] or NULL */
    float *proj_w, *proj_b;           /* [E,C], [E], or NULL */
    float *mlp_1, *mlp_2;             /* [M,C], [E,M], or NULL */
} bert_stem;

typedef struct bert {
    text_cfg cfg;
    bert_stem stem;
    bert_layer *layers;
} bert;

#endif

/* model/textnet.h -- CLIP's text Transformer (openai/CLIP clip/model.py encode_text).
 *
 *   token_embedding + positional_embedding -> causal blocks -> ln_final of the row where
 * the text ends -> @ text_projection [C,E]
 *
 * Texts are not padded: under the causal mask nothing after the end token can reach it,
 * so a text's rows are its own tokens and no more (nn/seqs.h).  The end is the first
 * largest id of the text, as in the reference.
 *
 * Its relatives in open_clip (text_cfg in tower.h) pool elsewhere, see all tokens,
 * padding included (SigLIP), or carry a class token behind the padding (CoCa).  Each
 * computes the rows that its features depend on. */
#ifndef CLIPC_MODEL_TEXTNET_H
#define CLIPC_MODEL_TEXTNET_H

#include "model/tower.h"
#include "nn/block.h"

typedef struct text_stem {
    float *positional_embedding;    /* [context_length,C] */
    float *cls;                     /* [C] */
    float *text_projection;         /* [C,E], or [E,C] as a linear layer */
    float *projection_b;            /* [E] */
    float *token_embedding;         /* [V,C] */
    float *ln_final_w, *ln_final_b; /* [C] */
} text_stem;

typedef struct textnet {
    text_cfg cfg;
    text_stem stem;
    block *blocks; /* [layers] */
} textnet;

/* The position that the features of a row of ids come from: context_length for the class
 * token behind them. */
size_t textnet_pooled(const text_cfg *c, const int32_t *ids);

#endif

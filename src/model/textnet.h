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

typedef struct textnet_acts textnet_acts;

/* As in tower.h; parameters have open_clip's names. */
int textnet_make(textnet **out, const text_cfg *cfg, clipc_err *err);
void textnet_destroy(textnet *t);
int textnet_params(textnet *t, param_list *l, clipc_err *err);
void textnet_init(textnet *t, rng *r);
size_t textnet_scratch(const textnet *t);

/* Memory for up to B texts of together up to `rows` tokens. */
int textnet_acts_make(textnet_acts **out, const textnet *t, size_t B, size_t rows,
                      tower_mode mode, clipc_err *err);
void textnet_acts_destroy(textnet_acts *a);

/* The position of a text's features for pools by id: of the first largest id, or of the
 * first eos_id (0 if there is none). */
size_t textnet_end(const text_cfg *cfg, const int32_t *ids);

/* out [B,E], not normalised.  ids [B,context_length], each below vocab_size (asserted).
 */
void textnet_fwd(exec *e, const textnet *t, textnet_acts *a, float *out,
                 const int32_t *ids, size_t B);
void textnet_bwd(exec *e, const textnet *t, textnet *grads, textnet_acts *a,
                 const float *dout, size_t B);

#endif

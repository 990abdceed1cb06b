/* nn/attnpool.h -- the attention pool of CLIP's ResNets (openai/CLIP clip/model.py
 * AttentionPool2d).  The P pixels of a picture and, before them, their mean become
 * T = P + 1 tokens; positions are added; multi-head attention with the mean as the only
 * query gives one row, projected to E:
 *
 *   t = [mean(x); x] + positional_embedding
 *   out = c_proj(attention(q_proj(t[0]), k_proj(t), v_proj(t)))
 */
#ifndef CLIPC_NN_ATTNPOOL_H
#define CLIPC_NN_ATTNPOOL_H

#include "base/arena.h"
#include "base/rng.h"
#include "nn/onequery.h"
#include "nn/param.h"

typedef struct attnpool {
    float *pos;       /* [T,C] */
    float *q_w, *q_b; /* [C,C], [C] */
    float *k_w, *k_b;
    float *v_w, *v_b;
    float *c_w, *c_b; /* [E,C], [E] */
} attnpool;

typedef struct attnpool_cfg {
    size_t T, C, H, E;
    weight_form form; /* of the linear weights */
} attnpool_cfg;

int attnpool_params(attnpool *l, param_list *list, const char *prefix,
                    const attnpool_cfg *cfg, clipc_err *err);
/* OpenAI's: weights normal with std C^-1/2, biases 0. */
void attnpool_init(attnpool *l, const attnpool_cfg *cfg, rng *r);

typedef struct attnpool_acts {
    float *t;   /* [B*T,C] tokens */
    float *q;   /* [B,C] */
    float *ctx; /* [B,C] before c_proj */
    /* packed weights */
    float *k, *v; /* [B*T,C] */
    float *p;     /* [B,H,T] probabilities */
    /* plain ones */
    onequery_acts one;
    size_t *start; /* [B+1] */
    /* training: gradients */
    float *dt;   /* [B*T,C] */
    float *dctx; /* [B,C] */
} attnpool_acts;

void attnpool_acts_take(attnpool_acts *a, arena *mem, const attnpool_cfg *cfg, size_t B,
                        bool train);

/* out [B,E] from x [B,P,C]. */
void attnpool_fwd(exec *e, float *out, const float *x, const attnpool *l,
                  attnpool_acts *a, const attnpool_cfg *cfg, size_t B);

/* dx [B,P,C] = the gradient, given dout [B,E] and what forward left in a. */
void attnpool_bwd(exec *e, float *dx, const float *dout, const attnpool *l,
                  attnpool *grad, attnpool_acts *a, const attnpool_cfg *cfg, size_t B);

#endif

/* nn/pooler.h -- attention pooling by learned queries over the tokens of a picture:
 *
 *   CoCa (arXiv:2205.01917, open_clip AttentionalPooler):
 *       out = attention(ln_q(query), ln_k(x))
 *   SigLIP (arXiv:2303.15343, the MAP head of arXiv:2106.04560; timm AttentionPoolLatent,
 *   transformers SiglipMultiheadAttentionPoolingHead):
 *       y = attention(latent, x);  out = y + mlp(norm(y))
 *
 * attention is torch.nn.MultiheadAttention with its own projections.  Inference only. */
#ifndef CLIPC_NN_POOLER_H
#define CLIPC_NN_POOLER_H

#include "base/arena.h"
#include "nn/param.h"

typedef enum pooler_form {
    POOLER_COCA,  /* query [Q,E]; in_proj_weight if E = C, else three */
    POOLER_SIGLIP /* latent [1,1,C], in_proj_weight, norm, mlp */
} pooler_form;

typedef struct pooler {
    float *query;                         /* [Q,E] */
    float *ln_q_w, *ln_q_b;               /* [E] */
    float *ln_k_w, *ln_k_b;               /* [C] */
    float *in_w, *in_b;                   /* [3E,E], [3E] */
    float *q_w, *k_w, *v_w;               /* [E,E], [E,C], [E,C] instead of in_w */
    float *out_w, *out_b;                 /* [E,E], [E] */
    float *norm_w, *norm_b;               /* [E] */
    float *fc_w, *fc_b, *proj_w, *proj_b; /* [F,E], [F], [E,F], [E] */
} pooler;

typedef struct pooler_cfg {
    pooler_form form;
    size_t C, E, H, Q, F; /* of the tokens; of the output; heads; queries; of the MLP */
    act act;
    float eps;
} pooler_cfg;

int pooler_params(pooler *p, param_list *l, const char *prefix, const pooler_cfg *cfg,
                  clipc_err *err);

typedef struct pooler_acts {
    float *x;     /* [B*T,C] the normalised tokens */
    float *query; /* [Q,E] the normalised queries */
    float *q;     /* [Q,E] */
    float *k, *v; /* [B*T,E] */
    float *p;     /* [B,H,T] */
    float *ctx;   /* [B*Q,E] */
    float *fc;    /* [B*Q,F] */
} pooler_acts;

void pooler_acts_take(pooler_acts *a, arena *mem, const pooler_cfg *cfg, size_t B,
                      size_t T);

/* out [B*n,E] from x [B*T,C] for the queries q0..q0+n. */
void pooler_fwd(exec *e, float *out, const float *x, const pooler *p, pooler_acts *a,
                const pooler_cfg *cfg, size_t B, size_t T, size_t q0, size_t n);

#endif

/* nn/onequery.h -- attention of one query a sequence, with plain weights: training.  No
 * token needs a key or a value of its own.  With head h's rows of the weights,
 *
 *   q_h . (W_k,h t + b_k,h) = (q_h W_k,h) . t + what is the same for every t
 *   sum_t p_t (W_v,h t + b_v,h) = W_v,h (sum_t p_t t) + b_v,h
 *
 * so that the weights multiply B rows and not all tokens.  The keys' bias, which softmax
 * does not see, is no part of it and has no gradient. */
#ifndef CLIPC_NN_ONEQUERY_H
#define CLIPC_NN_ONEQUERY_H

#include "base/arena.h"
#include "nn/seqs.h"
#include "tensor/exec.h"

/* Or their gradients. */
typedef struct onequery_weights {
    float *k_w, *v_w; /* [C,C] */
    float *v_b;       /* [C] */
} onequery_weights;

/* What forward takes (q) and leaves; in training, its gradients. */
typedef struct onequery_acts {
    float *q, *dq;      /* [B,C] */
    float *asked;       /* [B,H,C] q_h W_k,h */
    float *mixed, *dmx; /* [B,H,C] sum_t p_t t; its gradient, then that of asked */
    float *p, *dp;      /* [H,T] of each sequence */
} onequery_acts;

/* For up to N rows in B sequences. */
void onequery_acts_take(onequery_acts *a, arena *mem, size_t N, size_t B, size_t C,
                        size_t H, bool train);

/* ctx [B,C] from the tokens t [rows,C] and the queries a->q. */
void onequery_fwd(exec *e, float *ctx, const onequery_acts *a, const float *t,
                  const onequery_weights *w, const seqs *s, size_t C, size_t H);

/* dt [rows,C] and a->dq = the gradients; those of the weights are added to `grad`. */
void onequery_bwd(exec *e, float *dt, const onequery_weights *grad,
                  const onequery_acts *a, const float *dctx, const float *t,
                  const onequery_weights *w, const seqs *s, size_t C, size_t H);

#endif

/* nn/attention.h -- multi-head self-attention between the projections (Vaswani et al.
 * 2017, arXiv:1706.03762):  out = softmax(q k^T / sqrt(D) + mask) v  for each head.
 *
 *   qkv  [rows,3C]  q, k and v of all heads side by side, as torch's in_proj gives them
 *   out  [rows,C]   C = H * D
 *   p    the probabilities, saved for backward: for sequence b and head h a [T,T] matrix
 * at H * sum of T^2 of the sequences before b, + h T^2; NULL at inference causal: token t
 * sees tokens 0..t only (CLIP's text tower). */
#ifndef CLIPC_NN_ATTENTION_H
#define CLIPC_NN_ATTENTION_H

#include <stdbool.h>

#include "nn/seqs.h"
#include "tensor/gemm.h"

/* Floats of `p` for B sequences of T tokens. */
size_t attention_saved(size_t B, size_t T, size_t H);
/* Floats of exec scratch (layer_floats) for sequences of up to T tokens. */
size_t attention_scratch(size_t T);

void attention_fwd(exec *e, float *out, float *p, const float *qkv, const seqs *s,
                   size_t C, size_t H, bool causal);

/* dqkv [rows,3C] = the gradient (overwritten), given dout [rows,C] and p. */
void attention_bwd(exec *e, float *dqkv, const float *dout, const float *p,
                   const float *qkv, const seqs *s, size_t C, size_t H, bool causal);

#endif

/* nn/queries.h -- attention of some tokens only, at inference: of the one that is pooled,
 * in the last layer; of those of a text that the text before it does not begin with.
 *
 * A sequence's tokens have their keys and values in rows of kv, in any order; its
 * queries, the last of its tokens, have rows of their own:
 *
 *   out = softmax(q k^T / sqrt(D)) v,  query i of n sees the first len - n + i + 1 tokens
 */
#ifndef CLIPC_NN_QUERIES_H
#define CLIPC_NN_QUERIES_H

#include "nn/seqs.h"
#include "tensor/gemm.h"

/* q and out [queries,C] with row strides q_ld and C; k and v with row stride kv_ld.  The
 * exec's scratch holds attention_scratch. */
void queries_fwd(exec *e, float *out, const float *q, size_t q_ld, const float *k,
                 const float *v, size_t kv_ld, const queries *s, size_t C, size_t H);

#endif

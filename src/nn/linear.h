/* nn/linear.h -- y = x W^T + b, torch.nn.Linear.  N rows, K inputs, O outputs.
 *
 * W is [O,K] row-major, or packed (gemm_pack of W^T), as `form` says.  The backward pass
 * needs the plain form. */
#ifndef CLIPC_NN_LINEAR_H
#define CLIPC_NN_LINEAR_H

#include "tensor/gemm.h"

/* y [N,O] = act(x W^T + b), or += with o.accumulate; x [N,K] with row stride K.  `o` as
 * gemm.h says. */
void linear_fwd(exec *e, float *y, const float *x, const float *w, weight_form form,
                size_t N, size_t K, size_t O, gemm_opts o);

/* Outputs [first, first + n) alone: y [N,n], o's vectors too; first a multiple of 32. */
void linear_fwd_part(exec *e, float *y, const float *x, const float *w, weight_form form,
                     size_t N, size_t K, size_t O, size_t first, size_t n, gemm_opts o);

/* dx [N,K] = dy W (NULL: not wanted);  dw [O,K] += dy^T x;  db [O] += column sums of dy
 * (NULL: no bias). */
void linear_bwd(exec *e, float *dx, float *dw, float *db, const float *dy, const float *x,
                const float *w, size_t N, size_t K, size_t O);

#endif

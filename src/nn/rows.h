/* nn/rows.h -- row-wise and element-wise layers spread over threads: the kernels of
 * tensor/kernels.h do the work, in pieces whose cut depends on the sizes alone. */
#ifndef CLIPC_NN_ROWS_H
#define CLIPC_NN_ROWS_H

#include "tensor/exec.h"

/* LayerNorm over the last axis (arXiv:1607.06450) with torch's biased variance:
 *   y[n,c] = (x[n,c] - mean[n]) * rstd[n] * w[c] + b[c]
 * x, y [N,C] (y may be x at inference); mean, rstd [N] saved for backward, NULL at
 * inference. */
void rows_layernorm_fwd(exec *e, float *y, float *mean, float *rstd, const float *x,
                        const float *w, const float *b, size_t N, size_t C, float eps);

/* dx, dw, db += the gradients, given dy and what forward saved.  part: scratch of
 * rows_parts(N) * 2 * C floats. */
void rows_layernorm_bwd(exec *e, float *dx, float *dw, float *db, float *part,
                        const float *dy, const float *x, const float *w,
                        const float *mean, const float *rstd, size_t N, size_t C);

/* Into how many pieces N rows are cut for sums. */
size_t rows_parts(size_t N);

/* y [C] = the mean of x's N rows. */
void rows_mean(exec *e, float *y, const float *x, size_t N, size_t C);

/* sum[c] += sum over n of x[n,c]; spread over columns, each added from first row to last.
 */
void rows_sum(exec *e, float *sum, const float *x, size_t N, size_t C);

/* y = f(x), n elements; y may be x. */
void rows_act_fwd(exec *e, float *y, const float *x, size_t n, act f);
/* dx = dy * f'(x), n elements; dx may be dy. */
void rows_act_bwd(exec *e, float *dx, const float *dy, const float *x, size_t n, act f);

/* y += x, n elements. */
void rows_add(exec *e, float *y, const float *x, size_t n);
/* y *= x, n elements. */
void rows_mul(exec *e, float *y, const float *x, size_t n);

/* y[n] = x[n] / |x[n]|, rows of C; norm [N] saved (NULL: not wanted).  A row of zeros
 * stays zero.  y may be x. */
void rows_normalize_fwd(exec *e, float *y, float *norm, const float *x, size_t N,
                        size_t C);

/* dx = (dy - y (y . dy)) / norm, given the unit rows y; dx may be dy. */
void rows_normalize_bwd(exec *e, float *dx, const float *dy, const float *y,
                        const float *norm, size_t N, size_t C);

#endif

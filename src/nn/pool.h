/* nn/pool.h -- average pooling, channels-last: 2x2 with stride 2 (torch.nn.AvgPool2d(2)).
 * Of an odd number of rows or columns the last is left out, as torch does.
 *
 *   y [B,H/2,W/2,C]    x [B,H,W,C] */
#ifndef CLIPC_NN_POOL_H
#define CLIPC_NN_POOL_H

#include <stdbool.h>

#include "tensor/exec.h"

void pool_fwd(exec *e, float *y, const float *x, size_t B, size_t H, size_t W, size_t C);

/* dx = the gradient, or += it. */
void pool_bwd(exec *e, float *dx, const float *dy, size_t B, size_t H, size_t W, size_t C,
              bool add);

/* 3x3 with stride 2, the first window's middle on the first pixel; what of a window lies
 * outside does not count (torch.nn.AvgPool2d(3, 2, 1, count_include_pad=False)).
 * Inference only.
 *
 *   y [B,(H+1)/2,(W+1)/2,C]    x [B,H,W,C] */
void pool3_fwd(exec *e, float *y, const float *x, size_t B, size_t H, size_t W, size_t C);

#endif

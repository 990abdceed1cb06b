/* nn/dwconv.h -- depthwise 2-d convolutions (torch.nn.Conv2d with groups = channels),
 * channels-last:
 *
 *   y[b,oy,ox,c] =
 *       f(bias[c] + sum over ky, kx of w[c,ky,kx] * x[b, oy*s+ky-p, ox*s+kx-p, c])
 *
 * The kernel takes the weights in blocks of channels (kernels.dw_row); `work` holds them.
 */
#ifndef CLIPC_NN_DWCONV_H
#define CLIPC_NN_DWCONV_H

#include "tensor/exec.h"

typedef struct dwconv_shape {
    size_t C, k, stride;
    size_t pad_y, pad_x; /* zeros above and left of the input */
    size_t H, W;         /* the input's rows and columns */
    size_t Ho, Wo;       /* the output's */
} dwconv_shape;

enum { DWCONV_K_MAX = 15 };

/* k odd, up to DWCONV_K_MAX.  Padding as torch's k/2 on each side, and as conv_shape_same
 * has it. */
dwconv_shape dwconv_shape_of(size_t C, size_t k, size_t stride, size_t H, size_t W);
dwconv_shape dwconv_shape_same(size_t C, size_t k, size_t stride, size_t H, size_t W);

/* Floats of `work`; of dwconv_bwd for batches of B. */
size_t dwconv_work(const dwconv_shape *s);
size_t dwconv_bwd_work(const dwconv_shape *s, size_t B);

/* Where a convolution has m outputs for each input channel (groups = inputs), each input
 * is given m times in front of one of m*C channels: y [m*n] = x [n], each number m times.
 */
void dwconv_widen(exec *e, float *y, const float *x, size_t n, size_t m);

/* y [B,Ho,Wo,C] from x [B,H,W,C]; w [C,1,k,k] as torch has it, each channel's times
 * scale [C] unless that is NULL (batch norm at inference); bias [C] or NULL. */
void dwconv_fwd(exec *e, float *y, const float *x, const float *w, const float *scale,
                const float *bias, float *work, const dwconv_shape *s, size_t B, act f);

/* Of a forward without bias and activation: dx [B,H,W,C] = the gradient, dw [C,1,k,k] +=
 * it, given dy [B,Ho,Wo,C]. */
void dwconv_bwd(exec *e, float *dx, float *dw, float *work, const float *dy,
                const float *x, const float *w, const dwconv_shape *s, size_t B);

#endif

/* nn/conv.h -- 2-d convolutions (torch.nn.Conv2d; a bias goes into gemm_opts) as matrix
 * products:
 *
 *   y[b,oy,ox,o] = sum over ky, kx, i of w[o,i,ky,kx] * x[b, oy*s+ky-p, ox*s+kx-p, i]
 *
 * Activations are channels-last, [B,H,W,C]: rows of C.  A convolution is then
 * y [B*Ho*Wo,O] = patches [B*Ho*Wo, k*k*I] times weights, where the patches are gathered
 * straight into the panels of the product (mat.panel in tensor/gemm.h) and never stand in
 * memory as a whole.  Within a patch the order is (ky,kx,i), so that gathering copies
 * runs of I numbers; weights stay in torch's [O,I,k,k] and are reordered when packed. */
#ifndef CLIPC_NN_CONV_H
#define CLIPC_NN_CONV_H

#include <stdbool.h>

#include "tensor/gemm.h"

typedef struct conv_shape {
    size_t I, O;         /* channels in and out */
    size_t k;            /* side of the kernel */
    size_t stride;       /* of the output over the input */
    size_t pad_y, pad_x; /* zeros above and left of the input */
    size_t H, W;         /* the input's rows and columns */
    size_t Ho, Wo;       /* the output's */
    bool planes;         /* the input is [B,I,H,W] instead: the pixels of a picture */
} conv_shape;

/* torch's: as many zeros on each side, k/2 where k is odd, none where it is even. */
conv_shape conv_shape_of(size_t I, size_t O, size_t k, size_t stride, size_t H, size_t W);
/* TensorFlow's "SAME": ceil(H / stride) rows, and the smaller half of the zeros that this
 * lacks in front, as columns. */
conv_shape conv_shape_same(size_t I, size_t O, size_t k, size_t stride, size_t H,
                           size_t W);

/* The zeros in front of n rows or columns. */
static inline size_t same_pad(size_t n, size_t k, size_t stride)
{
    const size_t wanted = (n - 1) / stride * stride + k;
    return wanted > n ? (wanted - n) / 2 : 0;
}

/* Columns of the matrix of patches. */
static inline size_t conv_depth(const conv_shape *s)
{
    return s->k * s->k * s->I;
}

/* Packs w [O,I,taps] for gemm_packed with N = O, K = taps*I. */
void conv_pack(const kernels *k, void *packed, weight_form form, const float *w, size_t O,
               size_t I, size_t taps);

/* w [O,I,taps] back from its packed form. */
void conv_unpack(const kernels *k, float *w, const void *packed, weight_form form,
                 size_t O, size_t I, size_t taps);

/* y [B*Ho*Wo,O] from x [B,H,W,I].  w is [O,I,k,k] or packed. */
void conv_fwd(exec *e, float *y, const float *x, const float *w, weight_form form,
              const conv_shape *s, size_t B, gemm_opts o);

/* Floats of `work` for conv_bwd. */
size_t conv_work(const conv_shape *s, size_t B);

/* dx = (+=, if add_dx) the gradient, for stride 1 only (NULL: not wanted);
 * dw [O,I,k,k] += the gradient.  Uses winograd_scratch. */
void conv_bwd(exec *e, float *dx, bool add_dx, float *dw, float *work, const float *dy,
              const float *x, const float *w, const conv_shape *s, size_t B);

#endif

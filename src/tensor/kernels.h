/* tensor/kernels.h -- the table of kernels: one for the plain loops that define "correct"
 * (ref.c), one for AVX2 with FMA, one for AVX-512, one for AVX-512 with
 * BF16 and VNNI.  Chosen once, when an exec is made;
 * nothing above tensor/ knows which.
 *
 * Element-wise kernels are written once as plain loops (ops_body.h) and compiled for each
 * instruction set; sums run over a fixed number of interleaved lanes, so the compiler may
 * vectorise them and every instruction set adds in the same order.  The matrix kernels
 * are written by hand.  All arrays are float32, dense unless a stride is named, and need
 * no alignment. */
#ifndef CLIPC_TENSOR_KERNELS_H
#define CLIPC_TENSOR_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef enum act {
    ACT_NONE,
    ACT_QUICK_GELU,
    ACT_GELU,
    ACT_GELU_TANH,
    ACT_RELU,
    ACT_RELU6,  /* x between 0 and 6 */
    ACT_SILU,   /* x sigmoid(x) */
    ACT_SIGMOID /* forward only */
} act;

/* One AdamW step's numbers; see kernels.adamw. */
typedef struct adamw_step {
    float lr, beta1, beta2, eps, weight_decay;
    float c1, c2; /* bias corrections 1 - beta^t */
    float gscale; /* 1, or the clipping factor */
} adamw_step;

/* How the bytes of one axis are filtered: output i from `count` inputs that begin at
 * `first`, by weights of BYTE_SHIFT bits behind the point.  |w| summed over an output is
 * below 2^23, so that the sums fit 32 bits.  Zeros follow an output's weights; taps is a
 * multiple of BYTE_STEP. */
typedef struct byte_filter {
    size_t n, taps;         /* outputs; numbers in weights for each */
    const size_t *bounds;   /* [n][2]: first, count */
    const int32_t *weights; /* [n][taps] */
} byte_filter;

/* A row of a depthwise convolution, k x k taps: output ox is the window that begins at
 * column ox*stride - pad; what lies beside the W columns counts as zero. */
typedef struct dw_shape {
    size_t k, stride, pad;
    size_t spread;   /* dw_row: input columns stand so far apart, zeros between them (the
                        gradient of a convolution of that stride); 1: side by side */
    size_t W, Wo, C; /* columns of the input and of the output; channels */
} dw_shape;

/* The transforms of F(2x2,3x3), nn/winograd.h: a matrix X of from x from numbers becomes
 * T X T^t of to x to. */
typedef enum winograd_step {
    WINOGRAD_X,  /* 4 to 4: B^t, of the input */
    WINOGRAD_W,  /* 3 to 4: G, of the weights */
    WINOGRAD_Y,  /* 4 to 2: A^t, to the output */
    WINOGRAD_DY, /* 2 to 4: A, of the output's gradient */
    WINOGRAD_DW, /* 4 to 3: G^t, to the weights' gradient */
    WINOGRAD_STEPS
} winograd_step;

enum { BYTE_STEP = 16, BYTE_SHIFT = 22, KERNELS_DW_BLOCK = 64 };

typedef struct narrow_kernels narrow_kernels;

typedef struct kernels {
    const char *name;             /* "ref", "avx2", "avx512", "avx512vnni" */
    const narrow_kernels *narrow; /* tensor/narrow.h; NULL: float32 alone */

    /* -- matrix product: see gemm.h, the only caller -- */
    size_t mr, nr; /* rows and columns of a register tile; nr divides 32 */
    /* c[m,n] (+)= a * b for one tile of m <= mr rows and n <= nr columns, kc deep.
     *   a  [kc][m]  packed panel   b  columns of a packed panel [kc][32]
     *   c  row stride ldc; read only if add
     * Meanwhile `step` bytes from `ahead` on are fetched for each of kc. */
    void (*tile)(float *c, size_t ldc, const float *a, const float *b, size_t m, size_t n,
                 size_t kc, int add, const char *ahead, size_t step);

    /* -- element-wise; n elements -- */
    void (*add)(float *y, const float *x, size_t n);            /* y += x */
    void (*axpy)(float *y, float a, const float *x, size_t n);  /* y += a x */
    void (*scale)(float *y, float a, size_t n);                 /* y *= a */
    void (*mul)(float *y, const float *x, size_t n);            /* y *= x */
    void (*act_fwd)(float *y, const float *x, size_t n, act f); /* y = f(x); y may be x */
    void (*act_bwd)(float *dx, const float *dy, const float *x, size_t n,
                    act f); /* dx = dy f'(x); may alias */
    double (*dot)(const float *x, const float *y, size_t n); /* lanes added in double */
    float (*max_abs)(const float *x, size_t n);              /* NaN if any is NaN */

    /* -- rows: x [N,C] -- */
    /* y = (x - mean) * rstd * w + b; mean, rstd [N] out, NULL at inference; y may be x */
    void (*layernorm_fwd)(float *y, float *mean, float *rstd, const float *x,
                          const float *w, const float *b, size_t N, size_t C, float eps);
    /* dx += ..., dw += ..., db += ... */
    void (*layernorm_bwd)(float *dx, float *dw, float *db, const float *dy,
                          const float *x, const float *w, const float *mean,
                          const float *rstd, size_t N, size_t C);
    /* row[0..C) = softmax(scale * row), the maximum subtracted first; row stride ld */
    void (*softmax_fwd)(float *x, size_t ld, size_t N, size_t C, float scale);
    /* ds = scale * p * (dp - sum(dp * p)), in place of dp; row strides ld_p, ld_dp */
    void (*softmax_bwd)(float *dp, size_t ld_dp, const float *p, size_t ld_p, size_t N,
                        size_t C, float scale);
    /* y[n,c] += b[c] */
    void (*bias_add)(float *y, const float *b, size_t N, size_t C);
    /* y[n,c] += a[c] * x[n,c] */
    void (*col_axpy)(float *y, const float *a, const float *x, size_t N, size_t C);
    /* sum[c] += sum over n of x[n,c] */
    void (*col_sum)(float *sum, const float *x, size_t N, size_t C);
    /* For batch norm over channels-last x [N,C], accumulated in double, out [C]:
     *   sum[c] += sum_n x[n,c]          sum2[c] += sum_n x[n,c]^2 */
    void (*col_moments)(double *sum, double *sum2, const float *x, size_t N, size_t C);
    /* y[n,c] = f(x[n,c] * a[c] + b[c] (+ r[n,c] unless r is NULL)), rows ld apart; y may
     * be x or r */
    void (*affine)(float *y, const float *x, size_t ld, const float *a, const float *b,
                   const float *r, size_t N, size_t C, act f);
    /* sum[c] += sum_n g[n,c];  dot[c] += sum_n g[n,c] * (z[n,c] - mean[c]), in double */
    void (*col_dots)(double *sum, double *dot, const float *g, const float *z,
                     const float *mean, size_t N, size_t C);
    /* dz[n,c] = a[c] * (g[n,c] - avg[c] - (z[n,c] - mean[c]) * slope[c]); dz may be g */
    void (*norm_bwd)(float *dz, const float *g, const float *z, const float *a,
                     const float *avg, const float *mean, const float *slope, size_t N,
                     size_t C);

    /* -- images, channels-last -- */
    /* y[j,c] = (x0[2j,c] + x0[2j+1,c] + x1[2j,c] + x1[2j+1,c]) / 4: a row of Wo pixels
     * from two */
    void (*pool2)(float *y, const float *x0, const float *x1, size_t Wo, size_t C);
    /* The other way: dx0 and dx1 get (+=, if add) dy / 4 */
    void (*unpool2)(float *dx0, float *dx1, const float *dy, size_t Wo, size_t C,
                    int add);
    /* y[ox,c] = f(b[c] + sum over ky, kx of rows[ky][ox*stride - pad + kx, c] *
     * w[ky,kx,c]).  rows[ky] is NULL for a row of zeros, b for no bias.  w is cut into
     * blocks of KERNELS_DW_BLOCK channels (the last has the rest), each [k,k,block]. */
    void (*dw_row)(float *y, const float *b, const float *const *rows, const float *w,
                   const dw_shape *s, act f);
    /* dw[ky,kx,c] += sum over ox of rows[ky][ox*stride - pad + kx, c] * dy[ox,c]; dw in
     * such blocks */
    void (*dw_row_bwd)(float *dw, const float *const *rows, const float *dy,
                       const dw_shape *s);
    /* Element (i,j) of n matrices is x[i*from + j][0..n), and y likewise. */
    void (*winograd[WINOGRAD_STEPS])(float *const *y, const float *const *x, size_t n);
    /* dst[k*stride + i] = rows[i][k], i < m, k < n: gathers a panel for tile */
    void (*gather)(float *dst, size_t stride, const float *const *rows, size_t m,
                   size_t n);
    /* dst[k*stride + i] = src[k*ld + i], i < m <= 32, k < n, in order of k: the panel of
     * an operand that lies the panel's way */
    void (*copy_rows)(float *dst, size_t stride, const float *src, size_t ld, size_t m,
                      size_t n);

    /* -- pictures of bytes: whole-number sums, the same on every instruction set -- */
    /* y[r,i,ch] = sum over k < count of x[r*stride + (first + k)*c + ch] * w[i,k],
     * rounded to a byte, for r < rows, i < f->n, ch < c, c 1 to 4.  Of x, BYTE_STEP bytes
     * behind the last row are read as well. */
    void (*byte_rows)(uint8_t *y, const uint8_t *x, size_t stride, size_t rows, size_t c,
                      const byte_filter *f);
    /* y[i] = sum over k < count of x[k*stride + i] * w[k], rounded to a byte; i < n */
    void (*byte_columns)(uint8_t *y, const uint8_t *x, size_t stride, const int32_t *w,
                         size_t count, size_t n);

    /* -- conversions; y and x do not overlap -- */
    /* Panels of weights as gemm.h packs them, to y [kc][32]; those of bytes, 128
     * less, times scale[32] */
    void (*bf16_panel)(float *y, const uint32_t *pairs, size_t kc);
    void (*i8_panel)(float *y, const uint32_t *quads, const float *scale, size_t kc);
    void (*f16_to_f32)(float *y, const uint16_t *x, size_t n);
    void (*bf16_to_f32)(float *y, const uint16_t *x, size_t n);
    void (*f32_to_f16)(uint16_t *y, const float *x, size_t n); /* round to nearest even */
    void (*f32_to_bf16)(uint16_t *y, const float *x,
                        size_t n); /* round to nearest even */

    void (*i8_to_f32)(float *y, const int8_t *x, size_t n);

    /* -- rows that stay as they are stored: y[i] = sum over c of rows[i][c] * q[c], i <
     * n, c < C, in float32; rows of float32, of halves, of bytes (int8_t) -- */
    void (*dots_f32)(float *y, const void *const *rows, const float *q, size_t n,
                     size_t C);
    void (*dots_f16)(float *y, const void *const *rows, const float *q, size_t n,
                     size_t C);
    void (*dots_i8)(float *y, const void *const *rows, const float *q, size_t n,
                    size_t C);

    /* -- AdamW (Loshchilov and Hutter, arXiv:1711.05101), torch's order of operations:
     *   w *= 1 - lr*wd;  m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2
     *   w -= lr / c1 * m / (sqrt(v)/sqrt(c2) + eps),  c1 = 1-b1^t, c2 = 1-b2^t
     * g is multiplied by gscale first (clipping). */
    void (*adamw)(float *w, float *m, float *v, const float *g, size_t n,
                  const adamw_step *s);
} kernels;

/* The table for this machine.  The environment variable CLIPC_ISA (ref, avx2, avx512,
 * avx512vnni) chooses another; CLIPC_ERR_ARG for an unknown name or one this CPU cannot
 * run. */
int kernels_pick(const kernels **out, clipc_err *err);

/* By name; NULL if unknown or not runnable here.  For tests. */
const kernels *kernels_named(const char *name);

#endif

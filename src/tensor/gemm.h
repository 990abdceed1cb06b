/* tensor/gemm.h -- matrix products: C[M,N] (+)= A[M,K] B[K,N], float32.
 *
 * A and B are given by strides, so transposes and views cost nothing to describe: element
 * (i,j) of a mat stands at p[i*rs + j*cs].  C has unit column stride and row stride ldc.
 * Blocks of both operands are packed into panels that the register tile of kernels.h
 * reads in order; edges are tiles of fewer rows or columns.  After the last block of K
 * the epilogue runs on the tile while it is in the cache.
 *
 * The result does not depend on the number of threads: a tile is computed by one thread,
 * in one order of K. */
#ifndef CLIPC_TENSOR_GEMM_H
#define CLIPC_TENSOR_GEMM_H

#include <stdbool.h>

#include "tensor/exec.h"

/* How weights that stay are held.  Packed forms: for each block of K and panel of 32
 * columns [kc][32] numbers (block_sizes.h), N filled up to a multiple of 32 with zeros;
 * the same for every instruction set, so that files can hold them.  Of BF16 two and of I8
 * four numbers of a column stand side by side, [kc/2][32][2] and [kc/4][32][4], zeros
 * behind the last, as processors multiply them.  I8 has one float32 scale for each
 * (filled-up) column in front: symmetric, largest magnitude 127, held as q + 128. */
typedef enum weight_form {
    WEIGHTS_PLAIN, /* [N,K] float32 as checkpoints have them: training */
    WEIGHTS_F32,
    WEIGHTS_F16,
    WEIGHTS_BF16,
    WEIGHTS_I8
} weight_form;

typedef struct mat {
    const float *p;
    size_t rs, cs;
    /* Unless NULL, the elements are not at p: a convolution's patches, never written out
     * as a whole.  Called from any thread, writes a panel:
     *   dst[k*stride + i] = element (i0+i, k0+k), i < m, k < kc
     * where for the left operand i is the row and k the column, for the right operand i
     * the column and k the row. */
    void (*panel)(const kernels *k, float *dst, const void *from, size_t i0, size_t m,
                  size_t k0, size_t kc, size_t stride);
    const void *from;
} mat;

/* Row-major [rows,cols] with row stride ld, and its transpose. */
static inline mat mat_of(const float *p, size_t ld)
{
    return (mat){.p = p, .rs = ld, .cs = 1};
}
static inline mat mat_t(const float *p, size_t ld)
{
    return (mat){.p = p, .rs = 1, .cs = ld};
}

/* Zeroed: plain C = A B. */
typedef struct gemm_opts {
    bool accumulate;    /* C += instead of C = */
    const float *scale; /* [N], multiplies each row before the bias (then not NULL) is
                           added: batch norm at inference; NULL for none */
    const float *bias;  /* [N], added to each row; NULL for none */
    const float *add;   /* with scale: [M,N], row stride ldc, added too; NULL for none */
    act f;              /* applied last */
    float *pre; /* with f: where the values before f go, row stride ldc; NULL: nowhere */
} gemm_opts;

void gemm(exec *x, float *C, size_t ldc, mat A, mat B, size_t M, size_t N, size_t K,
          gemm_opts o);

/* Weights that stay: pack once, use often.  `packed` holds gemm_packed_bytes. */
size_t gemm_packed_bytes(weight_form form, size_t N, size_t K);
void gemm_pack(const kernels *k, void *packed, weight_form form, mat B, size_t N,
               size_t K);
/* w [N,K] = the weights again, as far as the form kept them (B was their transpose). */
void gemm_unpack(const kernels *k, float *w, const void *packed, weight_form form,
                 size_t N, size_t K);
/* Weights are made panel by panel what the exec's precision multiplies in. */
void gemm_packed(exec *x, float *C, size_t ldc, mat A, const void *packed,
                 weight_form form, size_t M, size_t N, size_t K, gemm_opts o);

/* Columns [n0, n0 + n) of it, of which C and o's vectors hold no others; n0 a multiple of
 * 32. */
void gemm_packed_part(exec *x, float *C, size_t ldc, mat A, const void *packed,
                      weight_form form, size_t M, size_t N, size_t n0, size_t n, size_t K,
                      gemm_opts o);

/* Row k of 32 columns, panel j of them, of what gemm_pack packed as WEIGHTS_F32. */
const float *gemm_packed_row(const float *packed, size_t N, size_t K, size_t j, size_t k);

/* By the calling thread alone, from inside an exec_each: for the many small products of
 * attention.  `thread` is the caller's; uses that thread's gemm part of the scratch. */
void gemm_serial(exec *x, size_t thread, float *C, size_t ldc, mat A, mat B, size_t M,
                 size_t N, size_t K, gemm_opts o);

/* The same of B packed as WEIGHTS_F32, for M of at most GEMM_ROWS. */
void gemm_packed_serial(exec *x, size_t thread, float *C, size_t ldc, mat A,
                        const float *packed, size_t M, size_t N, size_t K);

#endif

/* tensor/narrow.h -- the matrix product in less than float32, where the processor is
 * faster so: bf16 pairs, or whole numbers with a scale for each row and each column of a
 * block.  Sums are float32, or whole numbers of 32 bits within a block.
 *
 * Panels hold groups of k side by side in 32 bits, from the low ones up: [kc/2][m] pairs
 * of 16 bits or [kc/4][m] quads of bytes.  Behind an uneven kc stand zeros.  Where a
 * panel of float32 is made narrow, y may be x. */
#ifndef CLIPC_TENSOR_NARROW_H
#define CLIPC_TENSOR_NARROW_H

#include <stdint.h>

#include "tensor/exec.h"

struct narrow_kernels {
    /* -- bf16, in pairs; NULL where float32 is as fast -- */
    /* A panel of m columns of float32, or m <= 16 rows of kc. */
    void (*pairs)(uint32_t *y, const float *x, size_t kc, size_t m);
    void (*pairs_of_rows)(uint32_t *y, const float *const *rows, size_t m, size_t kc);
    /* As kernels.tile, over pairs. */
    void (*tile_bf16)(float *c, size_t ldc, const uint32_t *a, const uint32_t *b,
                      size_t m, size_t n, size_t kc, int add, const char *ahead,
                      size_t step);

    /* -- int8: x = scale * q, q whole, scale [m] = the largest |x| / the largest q, and
     * exact sums of products.  q is from -127 to 127, held in quads, or of more bits
     * where those are as fast, in pairs. -- */
    /* The left operand, of signed numbers; with quads also their sums [m] times -128,
     * which take away what the right operand's 128 adds.  Of rows, y has room for m * kc
     * numbers, as a panel has. */
    void (*left_i8)(uint32_t *y, float *scale, int32_t *sum, const float *x, size_t kc,
                    size_t m);
    void (*left_rows_i8)(uint32_t *y, float *scale, int32_t *sum,
                         const float *const *rows, size_t m, size_t kc); /* m <= 16 */
    /* A panel of 32 columns of weights.  Quads hold q + 128, unsigned. */
    void (*right_i8)(uint32_t *y, float *scale, const float *x, size_t kc);
    /* The same of weights that are such quads; returns y, or x as it is. */
    const uint32_t *(*right_of_i8)(uint32_t *y, const uint32_t *x, size_t kc);
    void (*tile_i8)(float *c, size_t ldc, const uint32_t *a, const float *a_scale,
                    const int32_t *a_sum, const uint32_t *b, const float *b_scale,
                    size_t m, size_t n, size_t kc, int add, const char *ahead,
                    size_t step);
};

/* What is computed where `asked` is: float32 if a table has nothing faster. */
static inline compute narrow_precision(const kernels *k, compute asked)
{
    const narrow_kernels *w = k->narrow;
    return !w || (asked == PRECISION_BF16 && !w->tile_bf16) ? PRECISION_F32 : asked;
}

#endif

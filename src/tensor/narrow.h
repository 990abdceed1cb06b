/* tensor/narrow.h -- the matrix product in less than float32, where the processor is
 * faster so: bf16 pairs, or bytes with a scale for each row and each column of a block.
 * Sums are float32, or whole numbers of 32 bits within a block.
 *
 * Panels hold groups of k side by side: pairs [kc/2][m] of bf16, the even k in the low
 * half; quads [kc/4][m] of bytes, from the low one up.  Behind an uneven kc stand zeros.
 * Where a panel of float32 is made narrow, y may be x. */
#ifndef CLIPC_TENSOR_NARROW_H
#define CLIPC_TENSOR_NARROW_H

#include <stddef.h>
#include <stdint.h>

struct narrow_kernels {
    /* -- bf16: of a panel of m columns of float32, or of m <= 16 rows of kc -- */
    void (*pairs)(uint32_t *y, const float *x, size_t kc, size_t m);
    void (*pairs_of_rows)(uint32_t *y, const float *const *rows, size_t m, size_t kc);
    /* As kernels.tile, over pairs. */
    void (*tile_bf16)(float *c, size_t ldc, const uint32_t *a, const uint32_t *b,
                      size_t m, size_t n, size_t kc, int add, const char *ahead,
                      size_t step);

    /* -- int8: x = scale * q, q from -127 to 127, scale [m] = the largest |x| / 127 -- */
    /* q + 128, unsigned: the left operand. */
    void (*quads_left)(uint32_t *y, float *scale, const float *x, size_t kc, size_t m);
    void (*quads_of_rows)(uint32_t *y, float *scale, const float *const *rows, size_t m,
                          size_t kc); /* m <= 16 */
    /* q, signed: a panel of 32 columns of weights, and their sums times -128, which take
     * away what the left operand's 128 adds. */
    void (*quads_right)(uint32_t *y, float *scale, int32_t *sum, const float *x,
                        size_t kc);
    /* Those sums of quads. */
    void (*quads_sums)(int32_t *sum, const uint32_t *x, size_t kc);
    void (*tile_i8)(float *c, size_t ldc, const uint32_t *a, const float *a_scale,
                    const uint32_t *b, const float *b_scale, const int32_t *b_sum,
                    size_t m, size_t n, size_t kc, int add, const char *ahead,
                    size_t step);
};

#endif

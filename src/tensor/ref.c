/* tensor/ref.c -- the kernels as plain loops for the machine's baseline: what "correct"
 * means, and what runs where nothing faster does. */
#include "tensor/isa.h"
#define OPS_VECTOR 4
#include "tensor/ops_body.h"

enum { REF_MR = 4, REF_NR = 16, PANEL = 32 };

static void tile(float *c, size_t ldc, const float *a, const float *b, size_t m, size_t n,
                 size_t kc, int add, const char *ahead, size_t step)
{
    (void)ahead, (void)step;
    for (size_t i = 0; i < m; i++) {
        float sum[REF_NR] = {0};
        for (size_t k = 0; k < kc; k++)
            for (size_t j = 0; j < REF_NR; j++) sum[j] += a[k * m + i] * b[k * PANEL + j];
        for (size_t j = 0; j < n; j++)
            c[i * ldc + j] = sum[j] + (add ? c[i * ldc + j] : 0.0f);
    }
}

static void byte_rows(uint8_t *y, const uint8_t *x, size_t stride, size_t rows, size_t c,
                      const byte_filter *f)
{
    for (size_t r = 0; r < rows; r++, x += stride)
        for (size_t i = 0; i < f->n; i++)
            for (size_t ch = 0; ch < c; ch++) {
                const uint8_t *px = x + f->bounds[2 * i] * c + ch;
                int32_t sum = 0;
                for (size_t k = 0; k < f->bounds[2 * i + 1]; k++)
                    sum += px[k * c] * f->weights[i * f->taps + k];
                *y++ = byte_of(sum);
            }
}

const kernels kernels_ref = {.name = "ref",
                             .mr = REF_MR,
                             .nr = REF_NR,
                             .tile = tile,
                             .byte_rows = byte_rows,
                             .gather = op_gather,
                             .copy_rows = op_copy_rows,
                             OPS_BODY_MEMBERS};

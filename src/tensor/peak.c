#include "tensor/peak.h"

#include "base/clock.h"
#include "tensor/block_sizes.h"
#include "tensor/narrow.h"

enum { ROUNDS = 9, CALLS = 64 };
#define ROUND_SECONDS 0.01

/* Zeros are as fast as other numbers. */
typedef struct panels {
    float a[GEMM_MR_MAX * GEMM_KC], b[GEMM_NR * GEMM_KC], c[GEMM_MR_MAX * GEMM_NR];
    float scale[GEMM_NR];
    int32_t sum[GEMM_NR];
} panels;

static void tiles(const kernels *k, compute precision, panels *p)
{
    const uint32_t *a = (const uint32_t *)p->a, *b = (const uint32_t *)p->b;
    const char *ahead = (const char *)p->b;

    for (int i = 0; i < CALLS; i++) {
        if (precision == PRECISION_F32)
            k->tile(p->c, k->nr, p->a, p->b, k->mr, k->nr, GEMM_KC, 0, ahead, 0);
        else if (precision == PRECISION_BF16)
            k->narrow->tile_bf16(p->c, k->nr, a, b, k->mr, k->nr, GEMM_KC, 0, ahead, 0);
        else
            k->narrow->tile_i8(p->c, k->nr, a, p->scale, p->sum, b, p->scale, k->mr,
                               k->nr, GEMM_KC, 0, ahead, 0);
    }
}

double kernels_peak(const kernels *k, compute precision)
{
    const double each = 2.0 * CALLS * GEMM_KC * (double)(k->mr * k->nr);
    panels p = {{0}, {0}, {0}, {0}, {0}};
    double best = 0.0;

    if (narrow_precision(k, precision) != precision) return 0.0;
    for (int round = 0; round < ROUNDS; round++) {
        const double begin = clock_now();
        double done = 0.0, seconds;
        do {
            tiles(k, precision, &p);
            done += each;
        } while ((seconds = clock_now() - begin) < ROUND_SECONDS);
        if (done / seconds > best) best = done / seconds;
    }
    return best;
}

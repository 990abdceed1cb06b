/* tensor/avx2.c -- AVX2 with FMA: tiles of up to 6 rows by 16 columns.  12 accumulators,
 * two registers for a row of B, one for the broadcast of A: 15 of 16. */
#include "tensor/isa.h"

#if defined(__x86_64__)
#include <immintrin.h>

ISA_BEGIN("avx2,fma,f16c")
#define OPS_VECTOR 8
#include "tensor/ops_body.h"

enum { MR = 6, NR = 16, PANEL = 32 };

/* M is a constant in every use, so that the loops over rows unroll and the accumulators
 * stay in registers. */
ATTR_INLINE void tile_m(float *c, size_t ldc, const float *a, const float *b,
                        const size_t M, size_t n, size_t kc, int add, const char *ahead,
                        size_t step)
{
    __m256 acc[MR][2];

#pragma GCC unroll 6
    for (size_t i = 0; i < M; i++) acc[i][0] = acc[i][1] = _mm256_setzero_ps();
    for (size_t k = 0; k < kc; k++, a += M, b += PANEL, ahead += step) {
        const __m256 b0 = _mm256_loadu_ps(b), b1 = _mm256_loadu_ps(b + 8);
        _mm_prefetch(ahead, _MM_HINT_T1);
#pragma GCC unroll 6
        for (size_t i = 0; i < M; i++) {
            const __m256 x = _mm256_broadcast_ss(a + i);
            acc[i][0] = _mm256_fmadd_ps(x, b0, acc[i][0]);
            acc[i][1] = _mm256_fmadd_ps(x, b1, acc[i][1]);
        }
    }
    if (n == NR) {
#pragma GCC unroll 6
        for (size_t i = 0; i < M; i++, c += ldc) {
            if (add) {
                acc[i][0] = _mm256_add_ps(acc[i][0], _mm256_loadu_ps(c));
                acc[i][1] = _mm256_add_ps(acc[i][1], _mm256_loadu_ps(c + 8));
            }
            _mm256_storeu_ps(c, acc[i][0]);
            _mm256_storeu_ps(c + 8, acc[i][1]);
        }
        return;
    }
#pragma GCC unroll 6
    for (size_t i = 0; i < M; i++, c += ldc) {
        float row[NR];
        _mm256_storeu_ps(row, acc[i][0]);
        _mm256_storeu_ps(row + 8, acc[i][1]);
        for (size_t j = 0; j < n; j++) c[j] = row[j] + (add ? c[j] : 0.0f);
    }
}

#define TILE(M) \
    case M: tile_m(c, ldc, a, b, M, n, kc, add, ahead, step); break

static void tile(float *c, size_t ldc, const float *a, const float *b, size_t m, size_t n,
                 size_t kc, int add, const char *ahead, size_t step)
{
    switch (m) {
        TILE(1);
        TILE(2);
        TILE(3);
        TILE(4);
        TILE(5);
        TILE(6);
    }
}

const kernels kernels_avx2 = {
    .name = "avx2", .mr = MR, .nr = NR, .tile = tile, OPS_BODY_MEMBERS};
ISA_END
#else
typedef int avx2_needs_x86;
#endif

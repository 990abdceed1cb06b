/* tensor/avx512.c -- AVX-512: tiles of up to 14 rows by 32 columns.  28 accumulators, two
 * registers for a row of B, one for the broadcast of A: 31 of 32. */
#include "tensor/isa.h"

#if defined(__x86_64__)
#include <immintrin.h>

ISA_BEGIN("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")
#define OPS_VECTOR 16
/* Of a NaN and a number the second operand comes out: v. */
#define OPS_WITHIN(v, least, most) _mm512_min_ps(most, _mm512_max_ps(least, v))
#define OPS_SOME_F16(p)            _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(p)))
#define OPS_SOME_I8(p) \
    _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(p))))
#include "tensor/ops_body.h"
#include "tensor/tile512.h"

enum { MR = 14, NR = 32 };

/* Columns [k, k + n) of sixteen rows, of which m are wanted. */
ATTR_INLINE void gather_some(float *dst, size_t stride, const float *const rows[16],
                             size_t m, size_t k, const size_t n)
{
    const __mmask16 in = lanes16(n, 0);
    __m512 v[16];

    ATTR_UNROLL(16)
    for (size_t i = 0; i < 16; i++) v[i] = _mm512_maskz_loadu_ps(in, rows[i] + k);
    put_turned(dst + k * stride, stride, v, m, n);
}

static void gather(float *dst, size_t stride, const float *const *rows, size_t m,
                   size_t n)
{
    for (size_t i = 0; i < m; i += 16, dst += 16) {
        const size_t some = m - i < 16 ? m - i : 16;
        const float *r[16];
        size_t k = 0;
        for (size_t j = 0; j < 16; j++) r[j] = rows[i + (j < some ? j : 0)];
        for (; k + 16 <= n; k += 16) gather_some(dst, stride, r, some, k, 16);
        if (k < n) gather_some(dst, stride, r, some, k, n - k);
    }
}

static void copy_rows(float *dst, size_t stride, const float *src, size_t ld, size_t m,
                      size_t n)
{
    const __mmask16 left = lanes16(m, 0), right = lanes16(m, 16);

    for (size_t k = 0; k < n; k++, dst += stride, src += ld) {
        _mm512_mask_storeu_ps(dst, left, _mm512_maskz_loadu_ps(left, src));
        if (m <= 16) continue;
        _mm512_mask_storeu_ps(dst + 16, right, _mm512_maskz_loadu_ps(right, src + 16));
    }
}

/* M and Q, the vectors of 8 columns in a row, are constants in every use, so that the
 * loops over rows unroll and the accumulators stay in registers.  An odd vector is half a
 * register, which takes half the time where 16 columns are multiplied in two steps. */
ATTR_INLINE void tile_m(float *c, size_t ldc, const float *a, const float *b,
                        const size_t M, const size_t Q, size_t n, size_t kc, int add,
                        const char *ahead, size_t step)
{
    __m512 acc[MR][2];
    __m256 odd[MR];

    ATTR_UNROLL(14)
    for (size_t i = 0; i < M; i++) {
        acc[i][0] = acc[i][1] = _mm512_setzero_ps();
        odd[i] = _mm256_setzero_ps();
        fetch_row(c + i * ldc);
    }
    for (size_t k = 0; k < kc; k++, a += M, b += NR, ahead += step) {
        const __m512 b0 = Q > 1 ? _mm512_loadu_ps(b) : _mm512_setzero_ps();
        const __m512 b1 = Q > 3 ? _mm512_loadu_ps(b + 16) : b0;
        const __m256 last = Q % 2 ? _mm256_loadu_ps(b + Q / 2 * 16) : _mm256_setzero_ps();
        _mm_prefetch(ahead, _MM_HINT_T1);
        ATTR_UNROLL(14)
        for (size_t i = 0; i < M; i++) {
            const __m512 x = _mm512_set1_ps(a[i]);
            if (Q > 1) acc[i][0] = _mm512_fmadd_ps(x, b0, acc[i][0]);
            if (Q > 3) acc[i][1] = _mm512_fmadd_ps(x, b1, acc[i][1]);
            if (Q % 2) odd[i] = _mm256_fmadd_ps(_mm512_castps512_ps256(x), last, odd[i]);
        }
    }
    ATTR_UNROLL(14)
    for (size_t i = 0; i < M; i++, c += ldc) {
        if (Q % 2) acc[i][Q / 2] = _mm512_castps256_ps512(odd[i]);
        put_row(c, acc[i][0], acc[i][1], n, add);
    }
}

#define TILE(M)                                                               \
    case M:                                                                   \
        if (n > 24) tile_m(c, ldc, a, b, M, 4, n, kc, add, ahead, step);      \
        else if (n > 16) tile_m(c, ldc, a, b, M, 3, n, kc, add, ahead, step); \
        else if (n > 8) tile_m(c, ldc, a, b, M, 2, n, kc, add, ahead, step);  \
        else tile_m(c, ldc, a, b, M, 1, n, kc, add, ahead, step);             \
        break

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
        TILE(7);
        TILE(8);
        TILE(9);
        TILE(10);
        TILE(11);
        TILE(12);
        TILE(13);
        TILE(14);
    }
}

#define AVX512_MEMBERS                                                          \
    .mr = MR, .nr = NR, .tile = tile, .gather = gather, .copy_rows = copy_rows, \
    .byte_rows = byte_rows_avx2, OPS_BODY_MEMBERS
const kernels kernels_avx512 = {.name = "avx512", AVX512_MEMBERS};
const kernels kernels_avx512vnni = {
    .name = "avx512vnni", .narrow = &narrow_avx512vnni, AVX512_MEMBERS};
ISA_END
#else
typedef int avx512_needs_x86;
#endif

/* tensor/avx512vnni.c -- AVX-512 with BF16 and VNNI: vdpbf16ps and vpdpbusd, in the tiles
 * of avx512.c. */
#include "tensor/isa.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "tensor/narrow.h"

ISA_BEGIN(
    "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx512vnni,avx512vbmi,avx2,fma,f16c")
#include "tensor/tile512.h"

enum { MR = 14, NR = 32 };

/* ---- bf16 ---- */

ATTR_INLINE __m512i pair_of(__m512 even, __m512 odd)
{
    /* Halves: even's sixteen, then odd's; taken in turns. */
    const __m512i both = (__m512i)_mm512_cvtne2ps_pbh(odd, even);
    const __m512i turns =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23,
                         7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(turns, both);
}

static void pairs(uint32_t *y, const float *x, size_t kc, size_t m)
{
    for (size_t k = 0; k < kc; k += 2, x += 2 * m, y += m)
        for (size_t i = 0; i < m; i += 16) {
            const __mmask16 in = lanes16(m, i), two = k + 1 < kc ? in : 0;
            const __m512 even = _mm512_maskz_loadu_ps(in, x + i);
            const __m512 odd = _mm512_maskz_loadu_ps(two, x + m + i);
            _mm512_mask_storeu_epi32(y + i, in, pair_of(even, odd));
        }
}

/* Columns [k, k + n) of m rows. */
ATTR_INLINE void pairs_of_some(uint32_t *y, const float *const *rows, size_t m, size_t k,
                               const size_t n)
{
    const __mmask16 low = lanes16(n, 0), high = lanes16(n, 16);
    __m512 v[16];

    for (size_t i = 0; i < 16; i++) {
        const float *x = rows[i < m ? i : 0] + k;
        v[i] = (__m512)_mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps(high, x + 16),
                                           _mm512_maskz_loadu_ps(low, x));
    }
    put_turned((float *)y + k / 2 * m, m, v, m, (n + 1) / 2);
}

static void pairs_of_rows(uint32_t *y, const float *const *rows, size_t m, size_t kc)
{
    size_t k = 0;

    for (; k + 32 <= kc; k += 32) pairs_of_some(y, rows, m, k, 32);
    if (k < kc) pairs_of_some(y, rows, m, k, kc - k);
}

ATTR_INLINE void tile_bf16_m(float *c, size_t ldc, const uint32_t *a, const uint32_t *b,
                             const size_t M, size_t n, size_t kc, int add,
                             const char *ahead, size_t step)
{
    __m512 acc[MR][2];

    ATTR_UNROLL(14)
    for (size_t i = 0; i < M; i++) {
        acc[i][0] = acc[i][1] = _mm512_setzero_ps();
        fetch_row(c + i * ldc);
    }
    for (size_t k = 0; k < kc; k += 2, a += M, b += NR, ahead += 2 * step) {
        const __m512bh b0 = (__m512bh)_mm512_loadu_si512(b);
        const __m512bh b1 = (__m512bh)_mm512_loadu_si512(b + 16);
        _mm_prefetch(ahead, _MM_HINT_T1);
        ATTR_UNROLL(14)
        for (size_t i = 0; i < M; i++) {
            const __m512bh x = (__m512bh)_mm512_set1_epi32((int)a[i]);
            acc[i][0] = _mm512_dpbf16_ps(acc[i][0], x, b0);
            acc[i][1] = _mm512_dpbf16_ps(acc[i][1], x, b1);
        }
    }
    ATTR_UNROLL(14)
    for (size_t i = 0; i < M; i++, c += ldc) put_row(c, acc[i][0], acc[i][1], n, add);
}

#define EACH_M(X) \
    X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)

#define TILE_BF16(M) \
    case M: tile_bf16_m(c, ldc, a, b, M, n, kc, add, ahead, step); break;

static void tile_bf16(float *c, size_t ldc, const uint32_t *a, const uint32_t *b,
                      size_t m, size_t n, size_t kc, int add, const char *ahead,
                      size_t step)
{
    switch (m) {
        EACH_M(TILE_BF16)
    }
}

/* ---- int8 ---- */

/* As bytes; added to one, it turns signed to unsigned. */
ATTR_INLINE __m512i all_128(void)
{
    return _mm512_set1_epi32((int)0x80808080);
}

ATTR_INLINE __m512 largest(const float *x, size_t kc, size_t m, __mmask16 in)
{
    __m512 most = _mm512_setzero_ps();

    for (size_t k = 0; k < kc; k++, x += m)
        most = _mm512_max_ps(most, _mm512_abs_ps(_mm512_maskz_loadu_ps(in, x)));
    return most;
}

/* Four rows of 16 columns as bytes. */
ATTR_INLINE __m512i quad_of(const float *x, size_t rows, size_t m, __mmask16 in,
                            __m512 inverse)
{
    __m512i quad = _mm512_setzero_si512();

    for (size_t r = 0; r < 4; r++) {
        const __m512 v = _mm512_maskz_loadu_ps(r < rows ? in : 0, x + r * m);
        const __m512i q = _mm512_cvtps_epi32(_mm512_mul_ps(v, inverse));
        const __m512i byte = _mm512_and_si512(q, _mm512_set1_epi32(255));
        quad = _mm512_or_si512(quad, _mm512_slli_epi32(byte, (unsigned)(8 * r)));
    }
    return quad;
}

/* Sixteen columns: their scales; the quads, to which `plus` is added; unless NULL, their
 * sums times -128. */
ATTR_INLINE void quads_of_columns(uint32_t *y, float *scale, int32_t *sum, const float *x,
                                  size_t kc, size_t m, __mmask16 in, __m512i plus)
{
    const __m512 most = largest(x, kc, m, in);
    const __mmask16 some = _mm512_cmp_ps_mask(most, _mm512_setzero_ps(), _CMP_GT_OQ);
    const __m512 inverse = _mm512_maskz_div_ps(some, _mm512_set1_ps(127.0f), most);
    __m512i total = _mm512_setzero_si512();

    _mm512_mask_storeu_ps(scale, in, _mm512_mul_ps(most, _mm512_set1_ps(1.0f / 127.0f)));
    for (size_t k = 0; k < kc; k += 4, x += 4 * m, y += m) {
        const __m512i quad = quad_of(x, kc - k, m, in, inverse);
        total = _mm512_dpbusd_epi32(total, all_128(), quad);
        _mm512_mask_storeu_epi32(y, in, _mm512_xor_si512(quad, plus));
    }
    if (sum)
        _mm512_mask_storeu_epi32(sum, in,
                                 _mm512_sub_epi32(_mm512_setzero_si512(), total));
}

static void left_i8(uint32_t *y, float *scale, int32_t *sum, const float *x, size_t kc,
                    size_t m)
{
    for (size_t i = 0; i < m; i += 16)
        quads_of_columns(y + i, scale + i, sum + i, x + i, kc, m, lanes16(m, i),
                         _mm512_setzero_si512());
}

ATTR_INLINE __m512i rounded(const float *x, __mmask16 in, __m512 inverse)
{
    return _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_maskz_loadu_ps(in, x), inverse));
}

/* n <= 64 numbers as bytes. */
ATTR_INLINE __m512i row_of_quads(const float *x, const size_t n, float inverse)
{
    const __m512 by = _mm512_set1_ps(inverse);
    const __m512i a = _mm512_packs_epi32(rounded(x, lanes16(n, 0), by),
                                         rounded(x + 16, lanes16(n, 16), by));
    const __m512i b = _mm512_packs_epi32(rounded(x + 32, lanes16(n, 32), by),
                                         rounded(x + 48, lanes16(n, 48), by));
    /* Packing goes by 128 bits: quad 4 i + j is at 4 j + i. */
    const __m512i order =
        _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);

    return _mm512_permutexvar_epi32(order, _mm512_packs_epi16(a, b));
}

static void left_rows_i8(uint32_t *y, float *scale, int32_t *sum,
                         const float *const *rows, size_t m, size_t kc)
{
    float inverse[16];
    __m512i total[16];

    for (size_t i = 0; i < m; i++) {
        __m512 most = _mm512_setzero_ps();
        for (size_t k = 0; k < kc; k += 16)
            most = _mm512_max_ps(most, _mm512_abs_ps(_mm512_maskz_loadu_ps(
                                           lanes16(kc - k, 0), rows[i] + k)));
        const float all = _mm512_reduce_max_ps(most);
        scale[i] = all * (1.0f / 127.0f);
        inverse[i] = all > 0.0f ? 127.0f / all : 0.0f;
        total[i] = _mm512_setzero_si512();
    }
    for (size_t k = 0; k < kc; k += 64, y += 16 * m) {
        __m512 v[16];
        for (size_t i = 0; i < m; i++) {
            const __m512i quads = kc - k < 64
                                      ? row_of_quads(rows[i] + k, kc - k, inverse[i])
                                      : row_of_quads(rows[i] + k, 64, inverse[i]);
            total[i] = _mm512_dpbusd_epi32(total[i], all_128(), quads);
            v[i] = (__m512)quads;
        }
        for (size_t i = m; i < 16; i++) v[i] = _mm512_setzero_ps();
        if (kc - k < 64) put_turned((float *)y, m, v, m, (kc - k + 3) / 4);
        else put_turned((float *)y, m, v, m, 16);
    }
    for (size_t i = 0; i < m; i++) sum[i] = -_mm512_reduce_add_epi32(total[i]);
}

static void right_i8(uint32_t *y, float *scale, const float *x, size_t kc)
{
    for (size_t i = 0; i < NR; i += 16)
        quads_of_columns(y + i, scale + i, NULL, x + i, kc, NR, 0xffff, all_128());
}

static const uint32_t *right_of_i8(uint32_t *y, const uint32_t *x, size_t kc)
{
    (void)y, (void)kc;
    return x;
}

/* acc += four products a lane, unsigned times signed.  Not the intrinsic: gcc 12 keeps
 * copies of every accumulator, which then do not fit the registers. */
ATTR_INLINE __m512i add_quads(__m512i acc, __m512i u, __m512i s)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(u), "v"(s));
    return acc;
}

ATTR_INLINE void tile_i8_m(float *c, size_t ldc, const uint32_t *a, const float *a_scale,
                           const int32_t *a_sum, const uint32_t *b, const float *b_scale,
                           const size_t M, size_t n, size_t kc, int add,
                           const char *ahead, size_t step)
{
    const __m512 s0 = _mm512_loadu_ps(b_scale), s1 = _mm512_loadu_ps(b_scale + 16);
    __m512i acc[MR][2];

    ATTR_UNROLL(14)
    for (size_t i = 0; i < M; i++) {
        acc[i][0] = acc[i][1] = _mm512_set1_epi32(a_sum[i]);
        fetch_row(c + i * ldc);
    }
    for (size_t k = 0; k < kc; k += 4, a += M, b += NR, ahead += 4 * step) {
        const __m512i b0 = _mm512_loadu_si512(b), b1 = _mm512_loadu_si512(b + 16);
        _mm_prefetch(ahead, _MM_HINT_T1);
        ATTR_UNROLL(14)
        for (size_t i = 0; i < M; i++) {
            const __m512i x = _mm512_set1_epi32((int)a[i]);
            acc[i][0] = add_quads(acc[i][0], b0, x);
            acc[i][1] = add_quads(acc[i][1], b1, x);
        }
    }
    ATTR_UNROLL(14)
    for (size_t i = 0; i < M; i++, c += ldc) {
        const __m512 s = _mm512_set1_ps(a_scale[i]);
        const __m512 y0 = _mm512_cvtepi32_ps(acc[i][0]),
                     y1 = _mm512_cvtepi32_ps(acc[i][1]);
        put_scaled_row(c, y0, y1, _mm512_mul_ps(s, s0), _mm512_mul_ps(s, s1), n, add);
    }
}

#define TILE_I8(M)                                                                    \
    case M:                                                                           \
        tile_i8_m(c, ldc, a, a_scale, a_sum, b, b_scale, M, n, kc, add, ahead, step); \
        break;

static void tile_i8(float *c, size_t ldc, const uint32_t *a, const float *a_scale,
                    const int32_t *a_sum, const uint32_t *b, const float *b_scale,
                    size_t m, size_t n, size_t kc, int add, const char *ahead,
                    size_t step)
{
    switch (m) {
        EACH_M(TILE_I8)
    }
}

const narrow_kernels narrow_avx512vnni = {.pairs = pairs,
                                          .pairs_of_rows = pairs_of_rows,
                                          .tile_bf16 = tile_bf16,
                                          .left_i8 = left_i8,
                                          .left_rows_i8 = left_rows_i8,
                                          .right_i8 = right_i8,
                                          .right_of_i8 = right_of_i8,
                                          .tile_i8 = tile_i8};
ISA_END
#else
typedef int avx512vnni_needs_x86;
#endif

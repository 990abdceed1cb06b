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

static void pairs_of_bf16(uint32_t *y, const uint16_t *x, size_t kc)
{
    /* Words of two rows in turns; those of columns 16 to 31 lie 16 further. */
    const __m512i low =
        _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39,
                         7, 38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
    const __m512i high = _mm512_add_epi16(low, _mm512_set1_epi16(16));

    for (size_t k = 0; k < kc; k += 2, x += 2 * NR, y += NR) {
        const __m512i even = _mm512_loadu_si512(x);
        const __m512i odd =
            k + 1 < kc ? _mm512_loadu_si512(x + NR) : _mm512_setzero_si512();
        _mm512_storeu_si512(y, _mm512_permutex2var_epi16(even, low, odd));
        _mm512_storeu_si512(y + 16, _mm512_permutex2var_epi16(even, high, odd));
    }
}

ATTR_INLINE void tile_bf16_m(float *c, size_t ldc, const uint32_t *a, const uint32_t *b,
                             const size_t M, size_t n, size_t kc, int add,
                             const char *ahead, size_t step)
{
    __m512 acc[MR][2];

#pragma GCC unroll 14
    for (size_t i = 0; i < M; i++) {
        acc[i][0] = acc[i][1] = _mm512_setzero_ps();
        fetch_row(c + i * ldc);
    }
    for (size_t k = 0; k < kc; k += 2, a += M, b += NR, ahead += 2 * step) {
        const __m512bh b0 = (__m512bh)_mm512_loadu_si512(b);
        const __m512bh b1 = (__m512bh)_mm512_loadu_si512(b + 16);
        _mm_prefetch(ahead, _MM_HINT_T1);
#pragma GCC unroll 14
        for (size_t i = 0; i < M; i++) {
            const __m512bh x = (__m512bh)_mm512_set1_epi32((int)a[i]);
            acc[i][0] = _mm512_dpbf16_ps(acc[i][0], x, b0);
            acc[i][1] = _mm512_dpbf16_ps(acc[i][1], x, b1);
        }
    }
#pragma GCC unroll 14
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

/* Sixteen columns: their scales, and the quads, in which `flip` turns bits. */
ATTR_INLINE void quads_of_columns(uint32_t *y, float *scale, int32_t *sum, const float *x,
                                  size_t kc, size_t m, __mmask16 in, int flip)
{
    const __m512 most = largest(x, kc, m, in);
    const __mmask16 some = _mm512_cmp_ps_mask(most, _mm512_setzero_ps(), _CMP_GT_OQ);
    const __m512 inverse = _mm512_maskz_div_ps(some, _mm512_set1_ps(127.0f), most);
    const __m512i minus = _mm512_set1_epi32((int)0x80808080);
    __m512i total = _mm512_setzero_si512();

    _mm512_mask_storeu_ps(scale, in, _mm512_mul_ps(most, _mm512_set1_ps(1.0f / 127.0f)));
    for (size_t k = 0; k < kc; k += 4, x += 4 * m, y += m) {
        const __m512i quad = quad_of(x, kc - k, m, in, inverse);
        total = _mm512_dpbusd_epi32(total, minus, quad);
        _mm512_mask_storeu_epi32(y, in, flip ? _mm512_xor_si512(quad, minus) : quad);
    }
    if (sum)
        _mm512_mask_storeu_epi32(sum, in,
                                 _mm512_sub_epi32(_mm512_setzero_si512(), total));
}

static void left_i8(uint32_t *y, float *scale, const float *x, size_t kc, size_t m)
{
    for (size_t i = 0; i < m; i += 16)
        quads_of_columns(y + i, scale + i, NULL, x + i, kc, m, lanes16(m, i), 1);
}

static void right_i8(uint32_t *y, float *scale, int32_t *sum, const float *x, size_t kc)
{
    for (size_t i = 0; i < NR; i += 16)
        quads_of_columns(y + i, scale + i, sum + i, x + i, kc, NR, 0xffff, 0);
}

static void right_of_i8(uint32_t *y, int32_t *sum, const int8_t *x, size_t kc)
{
    /* Bytes of four rows in turns, rows 0 and 1 in one register, 2 and 3 in the other. */
    const __m512i first = _mm512_set_epi32(
        0x6f4f2f0f, 0x6e4e2e0e, 0x6d4d2d0d, 0x6c4c2c0c, 0x6b4b2b0b, 0x6a4a2a0a,
        0x69492909, 0x68482808, 0x67472707, 0x66462606, 0x65452505, 0x64442404,
        0x63432303, 0x62422202, 0x61412101, 0x60402000);
    const __m512i second = _mm512_add_epi8(first, _mm512_set1_epi8(16));
    const __m512i minus = _mm512_set1_epi32((int)0x80808080);
    __m512i total[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};

    for (size_t k = 0; k < kc; k += 4, x += 4 * NR, y += NR) {
        const size_t bytes = kc - k < 4 ? (kc - k) * NR : 4 * NR;
        const __mmask64 all = ~(__mmask64)0, two = bytes >= 64 ? all : 0xffffffff;
        const __mmask64 four = bytes >= 128 ? all : bytes > 64 ? 0xffffffff : 0;
        const __m512i a = _mm512_maskz_loadu_epi8(two, x);
        const __m512i b = _mm512_maskz_loadu_epi8(four, x + 64);
        const __m512i q0 = _mm512_permutex2var_epi8(a, first, b);
        const __m512i q1 = _mm512_permutex2var_epi8(a, second, b);
        total[0] = _mm512_dpbusd_epi32(total[0], minus, q0);
        total[1] = _mm512_dpbusd_epi32(total[1], minus, q1);
        _mm512_storeu_si512(y, q0);
        _mm512_storeu_si512(y + 16, q1);
    }
    for (size_t h = 0; h < 2; h++)
        _mm512_storeu_si512(sum + 16 * h,
                            _mm512_sub_epi32(_mm512_setzero_si512(), total[h]));
}

/* acc += four products a lane, unsigned times signed.  Not the intrinsic: gcc 12 keeps
 * copies of every accumulator, which then do not fit the registers. */
ATTR_INLINE __m512i add_quads(__m512i acc, __m512i u, __m512i s)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(u), "v"(s));
    return acc;
}

ATTR_INLINE void tile_i8_m(float *c, size_t ldc, const uint32_t *a, const float *a_scale,
                           const uint32_t *b, const float *b_scale, const int32_t *b_sum,
                           const size_t M, size_t n, size_t kc, int add,
                           const char *ahead, size_t step)
{
    const __m512 s0 = _mm512_loadu_ps(b_scale), s1 = _mm512_loadu_ps(b_scale + 16);
    __m512i acc[MR][2];

#pragma GCC unroll 14
    for (size_t i = 0; i < M; i++) {
        acc[i][0] = _mm512_loadu_si512(b_sum);
        acc[i][1] = _mm512_loadu_si512(b_sum + 16);
        fetch_row(c + i * ldc);
    }
    for (size_t k = 0; k < kc; k += 4, a += M, b += NR, ahead += 4 * step) {
        const __m512i b0 = _mm512_loadu_si512(b), b1 = _mm512_loadu_si512(b + 16);
        _mm_prefetch(ahead, _MM_HINT_T1);
#pragma GCC unroll 14
        for (size_t i = 0; i < M; i++) {
            const __m512i x = _mm512_set1_epi32((int)a[i]);
            acc[i][0] = add_quads(acc[i][0], x, b0);
            acc[i][1] = add_quads(acc[i][1], x, b1);
        }
    }
#pragma GCC unroll 14
    for (size_t i = 0; i < M; i++, c += ldc) {
        const __m512 s = _mm512_set1_ps(a_scale[i]);
        const __m512 y0 =
            _mm512_mul_ps(_mm512_cvtepi32_ps(acc[i][0]), _mm512_mul_ps(s, s0));
        const __m512 y1 =
            _mm512_mul_ps(_mm512_cvtepi32_ps(acc[i][1]), _mm512_mul_ps(s, s1));
        put_row(c, y0, y1, n, add);
    }
}

#define TILE_I8(M)                                                                    \
    case M:                                                                           \
        tile_i8_m(c, ldc, a, a_scale, b, b_scale, b_sum, M, n, kc, add, ahead, step); \
        break;

static void tile_i8(float *c, size_t ldc, const uint32_t *a, const float *a_scale,
                    const uint32_t *b, const float *b_scale, const int32_t *b_sum,
                    size_t m, size_t n, size_t kc, int add, const char *ahead,
                    size_t step)
{
    switch (m) {
        EACH_M(TILE_I8)
    }
}

const narrow_kernels narrow_avx512vnni = {.pairs = pairs,
                                          .pairs_of_bf16 = pairs_of_bf16,
                                          .tile_bf16 = tile_bf16,
                                          .left_i8 = left_i8,
                                          .right_i8 = right_i8,
                                          .right_of_i8 = right_of_i8,
                                          .tile_i8 = tile_i8};
ISA_END
#else
typedef int avx512vnni_needs_x86;
#endif

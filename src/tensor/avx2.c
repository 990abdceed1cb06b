/* tensor/avx2.c -- AVX2 with FMA: tiles of up to 6 rows by 16 columns.  12 accumulators,
 * two registers for a row of B, one for the broadcast of A: 15 of 16. */
#include "tensor/isa.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "tensor/block_sizes.h"
#include "tensor/narrow.h"

ISA_BEGIN("avx2,fma,f16c")
#define OPS_VECTOR 8
/* Of a NaN and a number the second operand comes out: v. */
#define OPS_WITHIN(v, least, most) _mm256_min_ps(most, _mm256_max_ps(least, v))
#define OPS_SOME_F16(p)            _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p)))
#define OPS_SOME_I8(p) \
    _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(p))))
#include "tensor/ops_body.h"

enum { MR = 6, NR = 16, PANEL = 32 };

/* The lanes of columns [from, from + 8) that there are of n. */
ATTR_INLINE __m256i lanes8(size_t n, size_t from)
{
    const __m256i column = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n - (int)from), column);
}

/* c (+)= y, its n columns. */
ATTR_INLINE void put_row(float *c, __m256 y0, __m256 y1, size_t n, int add)
{
    const __m256i left = lanes8(n, 0), right = lanes8(n, 8);

    if (add) {
        y0 = _mm256_add_ps(y0, _mm256_maskload_ps(c, left));
        y1 = _mm256_add_ps(y1, _mm256_maskload_ps(c + 8, right));
    }
    if (n == NR) { /* masked stores are slow on Zen */
        _mm256_storeu_ps(c, y0);
        _mm256_storeu_ps(c + 8, y1);
    } else {
        _mm256_maskstore_ps(c, left, y0);
        _mm256_maskstore_ps(c + 8, right, y1);
    }
}

/* M is a constant in every use, so that the loops over rows unroll and the accumulators
 * stay in registers. */
ATTR_INLINE void tile_m(float *c, size_t ldc, const float *a, const float *b,
                        const size_t M, size_t n, size_t kc, int add, const char *ahead,
                        size_t step)
{
    __m256 acc[MR][2];

    ATTR_UNROLL(6)
    for (size_t i = 0; i < M; i++) {
        acc[i][0] = acc[i][1] = _mm256_setzero_ps();
        _mm_prefetch((const char *)(c + i * ldc), _MM_HINT_T0);
    }
    for (size_t k = 0; k < kc; k++, a += M, b += PANEL, ahead += step) {
        const __m256 b0 = _mm256_loadu_ps(b), b1 = _mm256_loadu_ps(b + 8);
        _mm_prefetch(ahead, _MM_HINT_T1);
        ATTR_UNROLL(6)
        for (size_t i = 0; i < M; i++) {
            const __m256 x = _mm256_broadcast_ss(a + i);
            acc[i][0] = _mm256_fmadd_ps(x, b0, acc[i][0]);
            acc[i][1] = _mm256_fmadd_ps(x, b1, acc[i][1]);
        }
    }
    ATTR_UNROLL(6)
    for (size_t i = 0; i < M; i++, c += ldc) put_row(c, acc[i][0], acc[i][1], n, add);
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

/* ---- int8 ---- */

/* Numbers of 16 bits, two k a lane: one instruction multiplies and adds such pairs, twice
 * float32's products, exactly.  Bytes would be no faster, or not exact (the one that
 * multiplies them keeps sums of 16 bits), so q has what bits GEMM_KC products leave of
 * 31: a multiple of 127, of which bytes are whole parts. */
enum { MOST = 22 * 127 };
_Static_assert((int64_t)GEMM_KC *MOST *MOST <= INT32_MAX, "sums overflow");

ATTR_INLINE __m256i pair_of(__m256i even, __m256i odd)
{
    return _mm256_blend_epi16(even, _mm256_slli_epi32(odd, 16), 0xaa);
}

ATTR_INLINE __m256i whole(const float *x, __m256i in, __m256 inverse)
{
    return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_maskload_ps(x, in), inverse));
}

/* n <= 8 columns: their scales, and the pairs. */
ATTR_INLINE void pairs_of_columns(uint32_t *y, float *scale, const float *x, size_t kc,
                                  size_t m, size_t n)
{
    const __m256i in = lanes8(n, 0);
    const __m256 sign = _mm256_set1_ps(-0.0f), zero = _mm256_setzero_ps();
    __m256 most = zero;

    for (size_t k = 0; k < kc; k++)
        most = _mm256_max_ps(most,
                             _mm256_andnot_ps(sign, _mm256_maskload_ps(x + k * m, in)));
    const __m256 inverse = _mm256_and_ps(_mm256_cmp_ps(most, zero, _CMP_GT_OQ),
                                         _mm256_div_ps(_mm256_set1_ps(MOST), most));
    _mm256_maskstore_ps(scale, in, _mm256_mul_ps(most, _mm256_set1_ps(1.0f / MOST)));
    for (size_t k = 0; k < kc; k += 2, x += 2 * m, y += m) {
        const __m256i even = whole(x, in, inverse);
        const __m256i odd =
            k + 1 < kc ? whole(x + m, in, inverse) : _mm256_setzero_si256();
        _mm256_maskstore_epi32((int *)y, in, pair_of(even, odd));
    }
}

static void left_i8(uint32_t *y, float *scale, int32_t *sum, const float *x, size_t kc,
                    size_t m)
{
    (void)sum;
    pairs_of_columns(y, scale, x, kc, m, m);
}

static void left_rows_i8(uint32_t *y, float *scale, int32_t *sum,
                         const float *const *rows, size_t m, size_t kc)
{
    op_gather((float *)y, m, rows, m, kc);
    left_i8(y, scale, sum, (const float *)y, kc, m);
}

static void right_i8(uint32_t *y, float *scale, const float *x, size_t kc)
{
    for (size_t i = 0; i < PANEL; i += 8)
        pairs_of_columns(y + i, scale + i, x + i, kc, PANEL, 8);
}

static const uint32_t *right_of_i8(uint32_t *y, const uint32_t *x, size_t kc)
{
    const __m256i minus = _mm256_set1_epi8((char)0x80);
    const uint32_t *panel = y;

    for (size_t k = 0; k < kc; k += 4, y += 2 * PANEL)
        for (size_t i = 0; i < PANEL; i += 8, x += 8) {
            const __m256i quads =
                _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)x), minus);
            const __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(quads, 8), 8);
            const __m256i odd = _mm256_srai_epi16(quads, 8);
            _mm256_storeu_si256((__m256i *)(y + i), pair_of(even, odd));
            _mm256_storeu_si256(
                (__m256i *)(y + PANEL + i),
                _mm256_blend_epi16(_mm256_srli_epi32(even, 16), odd, 0xaa));
        }
    return panel;
}

/* acc += two products a lane.  Not the intrinsics: gcc 12 multiplies for all accumulators
 * before it adds, which then do not fit the registers. */
ATTR_INLINE __m256i add_pairs(__m256i acc, __m256i x, __m256i y)
{
    __m256i both;

    __asm__("vpmaddwd %2, %3, %1\n\tvpaddd %1, %0, %0"
            : "+x"(acc), "=&x"(both)
            : "x"(x), "x"(y));
    return acc;
}

ATTR_INLINE void tile_i8_m(float *c, size_t ldc, const uint32_t *a, const float *a_scale,
                           const uint32_t *b, const float *b_scale, const size_t M,
                           size_t n, size_t kc, int add, const char *ahead, size_t step)
{
    const __m256 s0 = _mm256_loadu_ps(b_scale), s1 = _mm256_loadu_ps(b_scale + 8);
    __m256i acc[MR][2];

    ATTR_UNROLL(6)
    for (size_t i = 0; i < M; i++) {
        acc[i][0] = acc[i][1] = _mm256_setzero_si256();
        _mm_prefetch((const char *)(c + i * ldc), _MM_HINT_T0);
    }
    for (size_t k = 0; k < kc; k += 2, a += M, b += PANEL, ahead += 2 * step) {
        const __m256i b0 = _mm256_loadu_si256((const __m256i *)b);
        const __m256i b1 = _mm256_loadu_si256((const __m256i *)(b + 8));
        _mm_prefetch(ahead, _MM_HINT_T1);
        ATTR_UNROLL(6)
        for (size_t i = 0; i < M; i++) {
            const __m256i x = _mm256_set1_epi32((int)a[i]);
            acc[i][0] = add_pairs(acc[i][0], x, b0);
            acc[i][1] = add_pairs(acc[i][1], x, b1);
        }
    }
    ATTR_UNROLL(6)
    for (size_t i = 0; i < M; i++, c += ldc) {
        const __m256 s = _mm256_set1_ps(a_scale[i]);
        put_row(c, _mm256_mul_ps(_mm256_cvtepi32_ps(acc[i][0]), _mm256_mul_ps(s, s0)),
                _mm256_mul_ps(_mm256_cvtepi32_ps(acc[i][1]), _mm256_mul_ps(s, s1)), n,
                add);
    }
}

#define TILE_I8(M) \
    case M: tile_i8_m(c, ldc, a, a_scale, b, b_scale, M, n, kc, add, ahead, step); break

static void tile_i8(float *c, size_t ldc, const uint32_t *a, const float *a_scale,
                    const int32_t *a_sum, const uint32_t *b, const float *b_scale,
                    size_t m, size_t n, size_t kc, int add, const char *ahead,
                    size_t step)
{
    (void)a_sum;
    switch (m) {
        TILE_I8(1);
        TILE_I8(2);
        TILE_I8(3);
        TILE_I8(4);
        TILE_I8(5);
        TILE_I8(6);
    }
}

static const narrow_kernels narrow = {.left_i8 = left_i8,
                                      .left_rows_i8 = left_rows_i8,
                                      .right_i8 = right_i8,
                                      .right_of_i8 = right_of_i8,
                                      .tile_i8 = tile_i8};

/* ---- bytes ---- */

/* A step multiplies 16 numbers of 16 bits: bytes, widened, times weights.  A product's
 * two neighbours are two pixels of one channel, which the instruction adds to one lane of
 * 32 bits.  A weight does not fit: w = hi * 2^16 + lo, lo signed, makes two products.
 * Sums are exact modulo 2^32.  ROWS rows share the weights; with 4, gcc runs out of
 * registers. */
enum { ROWS = 3 };

/* Pixels of a step. */
ATTR_INLINE size_t step_of(const size_t c)
{
    return c == 1 ? 16 : c == 2 ? 8 : 4;
}

/* Shuffles that bring the pixels of a step and both parts of its weights into the order
 * of the products. */
typedef struct byte_order {
    __m256i px, lo, hi;
} byte_order;

static byte_order order_of(size_t c)
{
    const size_t wide = 16 / step_of(c); /* lanes of two pixels: RGB leaves one empty */
    uint8_t px[32], lo[32], hi[32];
    byte_order o;

    for (size_t i = 0; i < 32; i++) {
        const size_t product = i / 2, b = i % 2, lane = product / 2;
        const size_t ch = lane % wide, at = lane / wide * 2 + product % 2;
        px[i] = (uint8_t)(b == 0 && ch < c ? at * c + ch : 0x80); /* 0x80 gives zero */
        lo[i] = (uint8_t)(at % 4 * 4 + b); /* a register's half has 4 weights */
        hi[i] = (uint8_t)(lo[i] + 2);
    }
    memcpy(&o.px, px, sizeof px);
    memcpy(&o.lo, lo, sizeof lo);
    memcpy(&o.hi, hi, sizeof hi);
    return o;
}

/* 16 bytes, in both halves of a register. */
ATTR_INLINE __m256i load_twice(const void *p)
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(p));
}

/* Both parts of the 8 or (c > 2) 4 weights at w; the lower half of each half of a
 * register has them all. */
ATTR_INLINE void split_some(__m256i *lo, __m256i *hi, const int32_t *w,
                            const byte_order *o, const size_t c)
{
    const __m256i v = c > 2 ? load_twice(w) : _mm256_loadu_si256((const __m256i *)w);

    *lo = _mm256_shuffle_epi8(v, o->lo);
    /* lo is signed: where it is negative, hi is one more */
    *hi = _mm256_shuffle_epi8(_mm256_add_epi32(v, _mm256_set1_epi32(0x8000)), o->hi);
}

/* The weights of a step. */
ATTR_INLINE void split_weights(__m256i *lo, __m256i *hi, const int32_t *w,
                               const byte_order *o, const size_t c)
{
    __m256i more_lo, more_hi;

    split_some(lo, hi, w, o, c);
    if (c > 1) return;
    split_some(&more_lo, &more_hi, w + 8, o, c);
    *lo = _mm256_permute4x64_epi64(_mm256_unpacklo_epi64(*lo, more_lo), 0xd8);
    *hi = _mm256_permute4x64_epi64(_mm256_unpacklo_epi64(*hi, more_hi), 0xd8);
}

/* Adds the lanes of each channel and rounds; clipping is left. */
ATTR_INLINE __m128i round_lanes(__m256i lo, __m256i hi, const size_t c)
{
    const __m256i v = _mm256_add_epi32(lo, _mm256_slli_epi32(hi, 16));
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));

    if (c <= 2) s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    if (c == 1) s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
    return _mm_srai_epi32(_mm_add_epi32(s, _mm_set1_epi32(1 << (BYTE_SHIFT - 1))),
                          BYTE_SHIFT);
}

/* One pixel of each of ROWS rows. */
ATTR_INLINE void pixel_of_rows(uint8_t *const *y, const uint8_t *const *x,
                               const int32_t *w, size_t n, const byte_order *o,
                               const size_t c)
{
    __m256i lo[ROWS], hi[ROWS], wl, wh;
    __m128i s[ROWS];
    uint8_t px[4][4]; /* one more than ROWS */

    ATTR_UNROLL(3)
    for (size_t r = 0; r < ROWS; r++) lo[r] = hi[r] = _mm256_setzero_si256();
    for (size_t k = 0; k < n; k += step_of(c)) {
        split_weights(&wl, &wh, w + k, o, c);
        ATTR_UNROLL(3)
        for (size_t r = 0; r < ROWS; r++) {
            const __m256i v = _mm256_shuffle_epi8(load_twice(x[r] + k * c), o->px);
            lo[r] = _mm256_add_epi32(lo[r], _mm256_madd_epi16(v, wl));
            hi[r] = _mm256_add_epi32(hi[r], _mm256_madd_epi16(v, wh));
        }
    }
    ATTR_UNROLL(3)
    for (size_t r = 0; r < ROWS; r++) s[r] = round_lanes(lo[r], hi[r], c);
    const __m128i all =
        _mm_packus_epi16(_mm_packs_epi32(s[0], s[1]), _mm_packs_epi32(s[2], s[2]));
    memcpy(px, &all, sizeof px);
    ATTR_UNROLL(3)
    for (size_t r = 0; r < ROWS; r++) memcpy(y[r], px[r], c);
}

ATTR_INLINE void byte_rows_c(uint8_t *y, const uint8_t *x, size_t stride, size_t rows,
                             const byte_filter *f, const size_t c)
{
    const byte_order o = order_of(c);

    for (size_t r = 0; r < rows; r += ROWS)
        for (size_t i = 0; i < f->n; i++) {
            const uint8_t *in[ROWS];
            uint8_t *out[ROWS];
            for (size_t j = 0; j < ROWS; j++) { /* the last row again, where one lacks */
                const size_t at = r + j < rows ? r + j : rows - 1;
                in[j] = x + at * stride + f->bounds[2 * i] * c;
                out[j] = y + (at * f->n + i) * c;
            }
            pixel_of_rows(out, in, f->weights + i * f->taps, f->bounds[2 * i + 1], &o, c);
        }
}

void byte_rows_avx2(uint8_t *y, const uint8_t *x, size_t stride, size_t rows, size_t c,
                    const byte_filter *f)
{
    switch (c) {
    case 1: byte_rows_c(y, x, stride, rows, f, 1); break;
    case 2: byte_rows_c(y, x, stride, rows, f, 2); break;
    case 3: byte_rows_c(y, x, stride, rows, f, 3); break;
    default: byte_rows_c(y, x, stride, rows, f, 4); break;
    }
}

const kernels kernels_avx2 = {.name = "avx2",
                              .mr = MR,
                              .nr = NR,
                              .tile = tile,
                              .narrow = &narrow,
                              .byte_rows = byte_rows_avx2,
                              .gather = op_gather,
                              .copy_rows = op_copy_rows,
                              OPS_BODY_MEMBERS};
ISA_END
#else
typedef int avx2_needs_x86;
#endif

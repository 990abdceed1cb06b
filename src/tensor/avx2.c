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
    for (size_t i = 0; i < M; i++) {
        acc[i][0] = acc[i][1] = _mm256_setzero_ps();
        _mm_prefetch((const char *)(c + i * ldc), _MM_HINT_T0);
    }
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

#pragma GCC unroll 3
    for (size_t r = 0; r < ROWS; r++) lo[r] = hi[r] = _mm256_setzero_si256();
    for (size_t k = 0; k < n; k += step_of(c)) {
        split_weights(&wl, &wh, w + k, o, c);
#pragma GCC unroll 3
        for (size_t r = 0; r < ROWS; r++) {
            const __m256i v = _mm256_shuffle_epi8(load_twice(x[r] + k * c), o->px);
            lo[r] = _mm256_add_epi32(lo[r], _mm256_madd_epi16(v, wl));
            hi[r] = _mm256_add_epi32(hi[r], _mm256_madd_epi16(v, wh));
        }
    }
#pragma GCC unroll 3
    for (size_t r = 0; r < ROWS; r++) s[r] = round_lanes(lo[r], hi[r], c);
    const __m128i all =
        _mm_packus_epi16(_mm_packs_epi32(s[0], s[1]), _mm_packs_epi32(s[2], s[2]));
    memcpy(px, &all, sizeof px);
#pragma GCC unroll 3
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
                              .byte_rows = byte_rows_avx2,
                              .gather = op_gather,
                              OPS_BODY_MEMBERS};
ISA_END
#else
typedef int avx2_needs_x86;
#endif

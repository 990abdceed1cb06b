/* tensor/tile512.h -- what tiles of 32 columns share on AVX-512, whatever they multiply
 * in.  No guard: each includer has it once, after its target pragma. */

/* The lanes of columns [from, from + 16) that a tile of n columns has. */
ATTR_INLINE __mmask16 lanes16(size_t n, size_t from)
{
    return (__mmask16)(n >= from + 16 ? 0xffff : n > from ? (1u << (n - from)) - 1 : 0);
}

/* y[k*stride + i] = v[i][k], i < m <= 16, k < n <= 16. */
ATTR_INLINE void put_turned(float *y, size_t stride, const __m512 v[16], size_t m,
                            size_t n)
{
    const __mmask16 in = lanes16(m, 0);
    __m512 a[16], b[16];

    ATTR_UNROLL(8)
    for (size_t i = 0; i < 16; i += 2) { /* two rows in turns */
        a[i] = _mm512_unpacklo_ps(v[i], v[i + 1]);
        a[i + 1] = _mm512_unpackhi_ps(v[i], v[i + 1]);
    }
    ATTR_UNROLL(4)
    for (size_t i = 0; i < 16; i += 4) { /* of four rows, number q of each four: i + q */
        b[i] = (__m512)_mm512_unpacklo_pd((__m512d)a[i], (__m512d)a[i + 2]);
        b[i + 1] = (__m512)_mm512_unpackhi_pd((__m512d)a[i], (__m512d)a[i + 2]);
        b[i + 2] = (__m512)_mm512_unpacklo_pd((__m512d)a[i + 1], (__m512d)a[i + 3]);
        b[i + 3] = (__m512)_mm512_unpackhi_pd((__m512d)a[i + 1], (__m512d)a[i + 3]);
    }
    ATTR_UNROLL(4)
    for (size_t q = 0; q < 4; q++) { /* four by four of those, their first and third */
        a[q] = _mm512_shuffle_f32x4(b[q], b[q + 4], 0x88);
        a[q + 4] = _mm512_shuffle_f32x4(b[q], b[q + 4], 0xdd);
        a[q + 8] = _mm512_shuffle_f32x4(b[q + 8], b[q + 12], 0x88);
        a[q + 12] = _mm512_shuffle_f32x4(b[q + 8], b[q + 12], 0xdd);
    }
    ATTR_UNROLL(4)
    for (size_t q = 0; q < 4; q++) {
        b[q] = _mm512_shuffle_f32x4(a[q], a[q + 8], 0x88);
        b[q + 8] = _mm512_shuffle_f32x4(a[q], a[q + 8], 0xdd);
        b[q + 4] = _mm512_shuffle_f32x4(a[q + 4], a[q + 12], 0x88);
        b[q + 12] = _mm512_shuffle_f32x4(a[q + 4], a[q + 12], 0xdd);
    }
    ATTR_UNROLL(16)
    for (size_t k = 0; k < 16; k++, y += stride)
        if (k < n) _mm512_mask_storeu_ps(y, in, b[k]);
}

/* A row of c, soon written, into the first-level cache. */
ATTR_INLINE void fetch_row(const float *c)
{
    _mm_prefetch((const char *)c, _MM_HINT_T0);
    _mm_prefetch((const char *)(c + 16), _MM_HINT_T0);
}

/* c (+)= y * s, its n columns. */
ATTR_INLINE void put_scaled_row(float *c, __m512 y0, __m512 y1, __m512 s0, __m512 s1,
                                size_t n, int add)
{
    const __mmask16 left = lanes16(n, 0), right = lanes16(n, 16);

    if (add) {
        y0 = _mm512_fmadd_ps(y0, s0, _mm512_maskz_loadu_ps(left, c));
        y1 = _mm512_fmadd_ps(y1, s1, _mm512_maskz_loadu_ps(right, c + 16));
    } else {
        y0 = _mm512_mul_ps(y0, s0), y1 = _mm512_mul_ps(y1, s1);
    }
    _mm512_mask_storeu_ps(c, left, y0);
    _mm512_mask_storeu_ps(c + 16, right, y1);
}

/* c (+)= y, its n columns. */
ATTR_INLINE void put_row(float *c, __m512 y0, __m512 y1, size_t n, int add)
{
    const __mmask16 left = lanes16(n, 0), right = lanes16(n, 16);

    if (add) {
        y0 = _mm512_add_ps(y0, _mm512_maskz_loadu_ps(left, c));
        y1 = _mm512_add_ps(y1, _mm512_maskz_loadu_ps(right, c + 16));
    }
    _mm512_mask_storeu_ps(c, left, y0);
    _mm512_mask_storeu_ps(c + 16, right, y1);
}

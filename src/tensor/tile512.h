/* tensor/tile512.h -- what tiles of 32 columns share on AVX-512, whatever they multiply
 * in.  No guard: each includer has it once, after its target pragma. */

/* The lanes of columns [from, from + 16) that a tile of n columns has. */
ATTR_INLINE __mmask16 lanes16(size_t n, size_t from)
{
    return (__mmask16)(n >= from + 16 ? 0xffff : n > from ? (1u << (n - from)) - 1 : 0);
}

/* A row of c, soon written, into the first-level cache. */
ATTR_INLINE void fetch_row(const float *c)
{
    _mm_prefetch((const char *)c, _MM_HINT_T0);
    _mm_prefetch((const char *)(c + 16), _MM_HINT_T0);
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

#include "nn/interpolate.h"

#include <math.h>
#include <string.h>

static float cubic(float x)
{
    const float a = -0.5f;

    x = fabsf(x);
    if (x < 1.0f) return ((a + 2.0f) * x - (a + 3.0f)) * x * x + 1.0f;
    if (x < 2.0f) return ((a * x - 5.0f * a) * x + 8.0f * a) * x - 4.0f * a;
    return 0.0f;
}

/* The taps of one output: weights cubic((k + 0.5 - center) * inv) / sum for k in
 * [lo, hi).  Halves are added in double, as PyTorch's literals make it. */
typedef struct taps {
    size_t lo, hi;
    float center, inv, unit;
} taps;

static float weight(const taps *t, size_t k)
{
    const float from = (float)k - t->center;

    return cubic((float)(((double)from + 0.5) * (double)t->inv));
}

static taps taps_of(size_t i, size_t n, size_t N)
{
    const float scale = (float)n / (float)N;
    const float support = scale >= 1.0f ? 2.0f * scale : 2.0f;
    taps t = {.center = (float)((double)scale * ((double)i + 0.5)),
              .inv = scale >= 1.0f ? 1.0f / scale : 1.0f};
    const double lo = (double)(t.center - support) + 0.5;
    const double hi = (double)(t.center + support) + 0.5;
    float sum = 0.0f;

    t.lo = lo > 0.0 ? (size_t)lo : 0;
    t.hi = hi < (double)n ? (size_t)hi : n;
    for (size_t k = t.lo; k < t.hi; k++) sum += weight(&t, k);
    t.unit = 1.0f / sum;
    return t;
}

/* out [O,N,I] from in [O,n,I] */
static void bicubic_axis(float *out, const float *in, size_t O, size_t n, size_t N,
                         size_t I)
{
    memset(out, 0, O * N * I * sizeof *out);
    for (size_t i = 0; i < N; i++) {
        const taps t = taps_of(i, n, N);
        for (size_t k = t.lo; k < t.hi; k++) {
            const float w = weight(&t, k) * t.unit;
            for (size_t o = 0; o < O; o++) {
                float *y = out + (o * N + i) * I;
                const float *x = in + (o * n + k) * I;
                for (size_t c = 0; c < I; c++) y[c] += w * x[c];
            }
        }
    }
}

void interpolate_bicubic(float *out, float *work, const float *in, size_t h, size_t w,
                         size_t H, size_t W, size_t C)
{
    bicubic_axis(work, in, h, w, W, C);
    bicubic_axis(out, work, 1, h, H, W * C);
}

void interpolate_linear(float *out, const float *in, size_t n, size_t N, size_t C)
{
    const float scale = (float)n / (float)N;

    for (size_t i = 0; i < N; i++, out += C) {
        const float at = scale * ((float)i + 0.5f) - 0.5f;
        const size_t k = at > 0.0f ? (size_t)at : 0;
        const size_t lo = k < n - 1 ? k : n - 1, hi = lo < n - 1 ? lo + 1 : lo;
        const float w = at > 0.0f ? at - (float)lo : 0.0f;
        for (size_t c = 0; c < C; c++)
            out[c] = (1.0f - w) * in[lo * C + c] + w * in[hi * C + c];
    }
}

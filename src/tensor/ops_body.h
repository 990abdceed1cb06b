/* tensor/ops_body.h -- the element-wise kernels, written once and compiled by ref.c,
 * avx2.c and avx512.c for their instruction sets.  No guard: each includes it once, after
 * its target pragma.  Sums run in 16 interleaved lanes, added up pairwise at the end, so
 * every instruction set adds in the same order. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/attr.h"
#include "tensor/kernels.h"

enum { LANES = 16 };
typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));
/* One register of the instruction set: its includer says of how many floats. */
typedef float vector __attribute__((vector_size(OPS_VECTOR * sizeof(float))));
typedef int32_t vector_mask __attribute__((vector_size(OPS_VECTOR * sizeof(float))));

#define LOAD(v, p) memcpy(&(v), (p), sizeof(v))

ATTR_INLINE float lanes_sum(const lanes *v)
{
    float s[LANES];

    memcpy(s, v, sizeof s);
    for (size_t n = LANES / 2; n; n /= 2)
        for (size_t i = 0; i < n; i++) s[i] += s[i + n];
    return s[0];
}

ATTR_INLINE float bits_float(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

ATTR_INLINE uint32_t float_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

/* e^x, about 1 ulp.  x = n ln 2 + r, |r| <= ln2 / 2; e^r by its Taylor polynomial; 2^n by
 * its bits.  Below -87 the smallest normal number comes out instead of a denormal; above
 * 88 the result stays finite.  NaN stays NaN. */
ATTR_INLINE float exp_poly(float x)
{
    const float round =
        0x1.8p23f; /* adding it leaves the nearest integer in the low bits */

    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    const float shifted = x * 1.44269504f + round, n = shifted - round;
    const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
    float p = 1.0f / 5040.0f;
    p = p * r + 1.0f / 720.0f;
    p = p * r + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    return p * bits_float((float_bits(shifted) + 127) << 23);
}

ATTR_INLINE float sigmoid_poly(float x)
{
    return 1.0f / (1.0f + exp_poly(-x));
}

/* The normal distribution function, (1 + erf(x / sqrt 2)) / 2.  erfc by a rational
 * Chebyshev fit of relative error 1.2e-7 (Press et al., Numerical Recipes, section 6.2).
 */
ATTR_INLINE float normal_cdf(float x)
{
    const float z = fabsf(x) * 0.707106781f, t = 1.0f / (1.0f + 0.5f * z);
    float p = 0.17087277f;
    p = p * t - 0.82215223f;
    p = p * t + 1.48851587f;
    p = p * t - 1.13520398f;
    p = p * t + 0.27886807f;
    p = p * t - 0.18628806f;
    p = p * t + 0.09678418f;
    p = p * t + 0.37409196f;
    p = p * t + 1.00002368f;
    p = p * t - 1.26551223f;
    const float half_erfc = 0.5f * t * exp_poly(p - z * z);
    return x > 0.0f ? 1.0f - half_erfc : half_erfc;
}

/* Activations that are no more than bounds. */
typedef struct bounds {
    float least, most;
} bounds;

ATTR_INLINE bool bounds_suffice(act f)
{
    return f == ACT_NONE || f == ACT_RELU || f == ACT_RELU6;
}

ATTR_INLINE bounds bounds_of(act f)
{
    return (bounds){f == ACT_RELU || f == ACT_RELU6 ? 0.0f : -INFINITY,
                    f == ACT_RELU6 ? 6.0f : INFINITY};
}

/* Written so that NaN stays NaN. */
ATTR_INLINE float within(float x, bounds b)
{
    x = x < b.least ? b.least : x;
    return x > b.most ? b.most : x;
}

ATTR_INLINE vector splat(float x)
{
    return x - (vector){0};
}

#ifndef OPS_WITHIN
/* By masks: a loop over the numbers would take them out of their register. */
ATTR_INLINE vector vector_within(vector v, vector least, vector most)
{
    const vector_mask low = v < least;

    v = (vector)(((vector_mask)least & low) | ((vector_mask)v & ~low));
    const vector_mask high = v > most;
    return (vector)(((vector_mask)most & high) | ((vector_mask)v & ~high));
}
#else
ATTR_INLINE vector vector_within(vector v, vector least, vector most)
{
    return OPS_WITHIN(v, least, most);
}
#endif

/* GELU's approximation by tanh (Hendrycks and Gimpel, arXiv:1606.08415) is x times the
 * logistic function of this. */
ATTR_INLINE float gelu_tanh_arg(float x)
{
    return 1.5957691216f * (x + 0.044715f * x * x * x);
}

static void op_add(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] += x[i];
}

static void op_axpy(float *y, float a, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] += a * x[i];
}

static void op_scale(float *y, float a, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] *= a;
}

static void op_mul(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] *= x[i];
}

static void op_act_fwd(float *y, const float *x, size_t n, act f)
{
    switch (f) {
    case ACT_NONE:
        if (y != x) memmove(y, x, n * sizeof *y);
        break;
    case ACT_QUICK_GELU:
        for (size_t i = 0; i < n; i++) y[i] = x[i] * sigmoid_poly(1.702f * x[i]);
        break;
    case ACT_GELU:
        for (size_t i = 0; i < n; i++) y[i] = x[i] * normal_cdf(x[i]);
        break;
    case ACT_GELU_TANH:
        for (size_t i = 0; i < n; i++) y[i] = x[i] * sigmoid_poly(gelu_tanh_arg(x[i]));
        break;
    case ACT_RELU:
    case ACT_RELU6:
        for (size_t i = 0; i < n; i++) y[i] = within(x[i], bounds_of(f));
        break;
    case ACT_SILU:
        for (size_t i = 0; i < n; i++) y[i] = x[i] * sigmoid_poly(x[i]);
        break;
    case ACT_SIGMOID:
        for (size_t i = 0; i < n; i++) y[i] = sigmoid_poly(x[i]);
        break;
    }
}

static void op_act_bwd(float *dx, const float *dy, const float *x, size_t n, act f)
{
    switch (f) {
    case ACT_NONE:
        if (dx != dy) memmove(dx, dy, n * sizeof *dx);
        break;
    case ACT_QUICK_GELU:
        for (size_t i = 0; i < n; i++) {
            const float z = 1.702f * x[i], s = sigmoid_poly(z);
            dx[i] = dy[i] * (s + z * s * (1.0f - s));
        }
        break;
    case ACT_GELU:
        for (size_t i = 0; i < n; i++) {
            const float density = 0.398942280f * exp_poly(-0.5f * x[i] * x[i]);
            dx[i] = dy[i] * (normal_cdf(x[i]) + x[i] * density);
        }
        break;
    case ACT_GELU_TANH:
        for (size_t i = 0; i < n; i++) {
            const float v = x[i], s = sigmoid_poly(gelu_tanh_arg(v));
            const float slope = 1.5957691216f * (1.0f + 0.134145f * v * v);
            dx[i] = dy[i] * (s + v * slope * s * (1.0f - s));
        }
        break;
    case ACT_RELU:
        for (size_t i = 0; i < n; i++) dx[i] = x[i] > 0.0f ? dy[i] : 0.0f;
        break;
    case ACT_RELU6:
        for (size_t i = 0; i < n; i++) dx[i] = x[i] > 0.0f && x[i] < 6.0f ? dy[i] : 0.0f;
        break;
    case ACT_SILU:
        for (size_t i = 0; i < n; i++) {
            const float s = sigmoid_poly(x[i]);
            dx[i] = dy[i] * (s + x[i] * s * (1.0f - s));
        }
        break;
    case ACT_SIGMOID: /* of gates, which are not trained */ break;
    }
}

static double op_dot(const float *x, const float *y, size_t n)
{
    lanes sum = {0}, a, b;
    float s[LANES];
    double total = 0.0;
    size_t i = 0;

    for (; i + LANES <= n; i += LANES) {
        LOAD(a, x + i);
        LOAD(b, y + i);
        sum += a * b;
    }
    memcpy(s, &sum, sizeof s);
    for (size_t l = 0; l < LANES; l++) total += (double)s[l];
    for (; i < n; i++) total += (double)(x[i] * y[i]);
    return total;
}

static float op_max_abs(const float *x, size_t n)
{
    float most = 0.0f;

    for (size_t i = 0; i < n; i++) {
        const float a = fabsf(x[i]);
        if (!(a <= most)) most = a;
        if (most != most) break;
    }
    return most;
}

/* sum of x[i], and sum of (x[i] - m)^2 */
ATTR_INLINE float row_sum(const float *x, size_t n)
{
    lanes sum = {0}, a;
    size_t i = 0;

    for (; i + LANES <= n; i += LANES) {
        LOAD(a, x + i);
        sum += a;
    }
    float s = lanes_sum(&sum);
    for (; i < n; i++) s += x[i];
    return s;
}

ATTR_INLINE float row_spread(const float *x, float m, size_t n)
{
    lanes sum = {0}, a;
    size_t i = 0;

    for (; i + LANES <= n; i += LANES) {
        LOAD(a, x + i);
        a -= m;
        sum += a * a;
    }
    float s = lanes_sum(&sum);
    for (; i < n; i++) s += (x[i] - m) * (x[i] - m);
    return s;
}

static void op_layernorm_fwd(float *y, float *mean, float *rstd, const float *x,
                             const float *w, const float *b, size_t N, size_t C,
                             float eps)
{
    for (size_t n = 0; n < N; n++, x += C, y += C) {
        /* Two passes, not E[x^2] - E[x]^2: when |mean| >> spread the one-pass form
         * subtracts two nearly equal floats and keeps no digits. */
        const float m = row_sum(x, C) / (float)C;
        const float r = 1.0f / sqrtf(row_spread(x, m, C) / (float)C + eps);
        for (size_t c = 0; c < C; c++) y[c] = (x[c] - m) * r * w[c] + b[c];
        if (mean) mean[n] = m, rstd[n] = r;
    }
}

/* With h = (x - mean) * rstd and g = dy * w, per row:
 *   dx = rstd * (g - avg(g) - h * avg(g * h)),  dw = sum dy * h,  db = sum dy. */
static void op_layernorm_bwd(float *dx, float *dw, float *db, const float *dy,
                             const float *x, const float *w, const float *mean,
                             const float *rstd, size_t N, size_t C)
{
    for (size_t n = 0; n < N; n++, x += C, dx += C, dy += C) {
        const float m = mean[n], r = rstd[n];
        lanes g_sum = {0}, gh_sum = {0}, vx, vy, vw;
        size_t c = 0;
        for (; c + LANES <= C; c += LANES) {
            LOAD(vx, x + c);
            LOAD(vy, dy + c);
            LOAD(vw, w + c);
            const lanes g = vy * vw;
            g_sum += g;
            gh_sum += g * ((vx - m) * r);
        }
        float g_avg = lanes_sum(&g_sum), gh_avg = lanes_sum(&gh_sum);
        for (; c < C; c++) {
            g_avg += dy[c] * w[c];
            gh_avg += dy[c] * w[c] * ((x[c] - m) * r);
        }
        g_avg /= (float)C;
        gh_avg /= (float)C;
        for (c = 0; c < C; c++) {
            const float g = dy[c] * w[c], h = (x[c] - m) * r;
            dx[c] += r * (g - g_avg - h * gh_avg);
            dw[c] += dy[c] * h;
            db[c] += dy[c];
        }
    }
}

static void op_softmax_fwd(float *x, size_t ld, size_t N, size_t C, float scale)
{
    for (size_t n = 0; n < N; n++, x += ld) {
        float most = x[0];
        for (size_t c = 1; c < C; c++) most = x[c] > most ? x[c] : most;
        for (size_t c = 0; c < C; c++) x[c] = exp_poly((x[c] - most) * scale);
        const float inv = 1.0f / row_sum(x, C);
        for (size_t c = 0; c < C; c++) x[c] *= inv;
    }
}

static void op_softmax_bwd(float *dp, size_t ld_dp, const float *p, size_t ld_p, size_t N,
                           size_t C, float scale)
{
    for (size_t n = 0; n < N; n++, dp += ld_dp, p += ld_p) {
        const float along = (float)op_dot(dp, p, C);
        for (size_t c = 0; c < C; c++) dp[c] = scale * p[c] * (dp[c] - along);
    }
}

static void op_bias_add(float *y, const float *b, size_t N, size_t C)
{
    for (size_t n = 0; n < N; n++, y += C)
        for (size_t c = 0; c < C; c++) y[c] += b[c];
}

static void op_col_axpy(float *y, const float *a, const float *x, size_t N, size_t C)
{
    for (size_t n = 0; n < N; n++, y += C, x += C)
        for (size_t c = 0; c < C; c++) y[c] += a[c] * x[c];
}

static void op_col_sum(float *sum, const float *x, size_t N, size_t C)
{
    for (size_t n = 0; n < N; n++, x += C)
        for (size_t c = 0; c < C; c++) sum[c] += x[c];
}

static void op_col_moments(double *sum, double *sum2, const float *x, size_t N, size_t C)
{
    for (size_t n = 0; n < N; n++, x += C)
        for (size_t c = 0; c < C; c++) {
            sum[c] += (double)x[c];
            sum2[c] += (double)x[c] * (double)x[c];
        }
}

/* Rows of V vectors, whose a and b stay in registers. */
ATTR_INLINE void affine_vectors(float *y, const float *x, size_t ld, const float *a,
                                const float *b, const float *r, size_t N, bounds in,
                                const size_t V)
{
    const vector least = splat(in.least), most = splat(in.most);
    vector va[4], vb[4], v, add;

    ATTR_UNROLL(4)
    for (size_t i = 0; i < V; i++) {
        LOAD(va[i], a + i * OPS_VECTOR);
        LOAD(vb[i], b + i * OPS_VECTOR);
    }
    for (size_t n = 0; n < N; n++, x += ld, y += ld) ATTR_UNROLL(4)
    for (size_t i = 0; i < V; i++) {
        LOAD(v, x + i * OPS_VECTOR);
        v = v * va[i] + vb[i];
        if (r) {
            LOAD(add, r + n * ld + i * OPS_VECTOR);
            v += add;
        }
        v = vector_within(v, least, most);
        memcpy(y + i * OPS_VECTOR, &v, sizeof v);
    }
}

static void op_affine(float *y, const float *x, size_t ld, const float *a, const float *b,
                      const float *r, size_t N, size_t C, act f)
{
    const bounds in = bounds_of(f);
    const size_t V = N > 1 && C / OPS_VECTOR <= 4 ? C / OPS_VECTOR : 0;

    switch (V) {
    case 1: affine_vectors(y, x, ld, a, b, r, N, in, 1); break;
    case 2: affine_vectors(y, x, ld, a, b, r, N, in, 2); break;
    case 3: affine_vectors(y, x, ld, a, b, r, N, in, 3); break;
    case 4: affine_vectors(y, x, ld, a, b, r, N, in, 4); break;
    }
    for (size_t n = 0; V * OPS_VECTOR < C && n < N; n++)
        for (size_t c = V * OPS_VECTOR, at = n * ld + c; c < C; c++, at++)
            y[at] = within(x[at] * a[c] + b[c] + (r ? r[at] : 0.0f), in);
    if (bounds_suffice(f)) return;
    for (size_t n = 0; n < N; n++) op_act_fwd(y + n * ld, y + n * ld, C, f);
}

static void op_col_dots(double *sum, double *dot, const float *g, const float *z,
                        const float *mean, size_t N, size_t C)
{
    for (size_t n = 0; n < N; n++, g += C, z += C)
        for (size_t c = 0; c < C; c++) {
            sum[c] += (double)g[c];
            dot[c] += (double)g[c] * ((double)z[c] - (double)mean[c]);
        }
}

static void op_norm_bwd(float *dz, const float *g, const float *z, const float *a,
                        const float *avg, const float *mean, const float *slope, size_t N,
                        size_t C)
{
    for (size_t n = 0; n < N; n++, dz += C, g += C, z += C)
        for (size_t c = 0; c < C; c++)
            dz[c] = a[c] * (g[c] - avg[c] - (z[c] - mean[c]) * slope[c]);
}

static void op_pool2(float *y, const float *x0, const float *x1, size_t Wo, size_t C)
{
    for (size_t j = 0; j < Wo; j++, y += C, x0 += 2 * C, x1 += 2 * C)
        for (size_t c = 0; c < C; c++)
            y[c] = 0.25f * (x0[c] + x0[c + C] + x1[c] + x1[c + C]);
}

static void op_unpool2(float *dx0, float *dx1, const float *dy, size_t Wo, size_t C,
                       int add)
{
    for (size_t j = 0; j < Wo; j++, dy += C, dx0 += 2 * C, dx1 += 2 * C)
        for (size_t c = 0; c < C; c++) {
            const float d = 0.25f * dy[c];
            dx0[c] = add ? dx0[c] + d : d;
            dx0[c + C] = add ? dx0[c + C] + d : d;
            dx1[c] = add ? dx1[c] + d : d;
            dx1[c + C] = add ? dx1[c + C] + d : d;
        }
}

/* ---- depthwise convolutions: a block of channels along the whole row, so that its
 * weights stay in the cache ---- */

typedef struct dw_block {
    const float *const *rows, *w, *b; /* w: [k,k,n] */
    const dw_shape *s;
    size_t c, n; /* its first channel, and how many */
    bounds f;
} dw_block;

enum { DW_PIXELS = 4, DW_VECTORS = 2, DW_K = 7 };

/* One output pixel of any shape; m channels from the block's i on, a vector's or fewer.
 */
ATTR_INLINE void dw_pixel(float *y, const dw_block *d, size_t ox, size_t i,
                          const size_t m)
{
    const dw_shape *s = d->s;
    const size_t left = ox * s->stride - s->pad; /* below zero wraps beyond any width */
    /* The first tap on a column that is none of the zeros between. */
    const size_t first =
        (s->spread - (ox * s->stride + s->pad * (s->spread - 1)) % s->spread) % s->spread;
    vector sum = {0}, x = {0}, a = {0};

    if (d->b) memcpy(&sum, d->b + d->c + i, m * sizeof *y);
    for (size_t ky = 0; ky < s->k; ky++)
        for (size_t kx = first; d->rows[ky] && kx < s->k; kx += s->spread) {
            if (left + kx >= s->W * s->spread) continue;
            const size_t at = (left + kx) / s->spread * s->C + d->c + i;
            memcpy(&x, d->rows[ky] + at, m * sizeof *y);
            memcpy(&a, d->w + (ky * s->k + kx) * d->n + i, m * sizeof *y);
            sum += x * a;
        }
    sum = vector_within(sum, splat(d->f.least), splat(d->f.most));
    memcpy(y + i, &sum, m * sizeof *y);
}

/* P output pixels from ox on, V vectors of channels from i on, summed in registers: each
 * column is loaded once for all the pixels that see it. */
ATTR_INLINE void dw_tile(float *y, const dw_block *d, size_t ox, size_t i, const size_t K,
                         const size_t S, const size_t P, const size_t V)
{
    const size_t C = d->s->C, W = d->s->W, left = ox * S - d->s->pad;
    const vector least = splat(d->f.least), most = splat(d->f.most);
    vector sum[DW_PIXELS][DW_VECTORS], w[DW_K][DW_VECTORS], x[DW_VECTORS];

    ATTR_UNROLL(2)
    for (size_t v = 0; v < V; v++) {
        sum[0][v] = (vector){0};
        if (d->b) LOAD(sum[0][v], d->b + d->c + i + v * OPS_VECTOR);
        ATTR_UNROLL(4)
        for (size_t p = 1; p < P; p++) sum[p][v] = sum[0][v];
    }
    for (size_t ky = 0; ky < K; ky++) {
        if (!d->rows[ky]) continue;
        const float *row = d->rows[ky] + d->c + i, *taps = d->w + ky * K * d->n + i;
        ATTR_UNROLL(7)
        for (size_t kx = 0; kx < K; kx++) ATTR_UNROLL(2)
        for (size_t v = 0; v < V; v++) LOAD(w[kx][v], taps + kx * d->n + v * OPS_VECTOR);
        ATTR_UNROLL(13)
        for (size_t j = 0; j < (P - 1) * S + K; j++) {
            if (left + j >= W) continue;
            ATTR_UNROLL(2)
            for (size_t v = 0; v < V; v++)
                LOAD(x[v], row + (left + j) * C + v * OPS_VECTOR);
            ATTR_UNROLL(4)
            for (size_t p = 0; p < P; p++) ATTR_UNROLL(2)
            for (size_t v = 0; v < V; v++)
                if (j >= p * S && j - p * S < K) sum[p][v] += x[v] * w[j - p * S][v];
        }
    }
    ATTR_UNROLL(4)
    for (size_t p = 0; p < P; p++) ATTR_UNROLL(2)
    for (size_t v = 0; v < V; v++) {
        sum[p][v] = vector_within(sum[p][v], least, most);
        memcpy(y + p * C + i + v * OPS_VECTOR, &sum[p][v], sizeof sum[p][v]);
    }
}

/* The whole vectors of a block; the last tile begins early enough to be full. */
ATTR_INLINE void dw_tiles(float *y, const dw_block *d, const size_t K, const size_t S)
{
    enum { PAIR = DW_VECTORS * OPS_VECTOR };
    const size_t Wo = d->s->Wo, C = d->s->C;

    for (size_t at = 0; at < Wo; at += DW_PIXELS) {
        const size_t ox = at + DW_PIXELS < Wo ? at : Wo - DW_PIXELS;
        float *to = y + ox * C;
        size_t i = 0;
        for (; i + PAIR <= d->n; i += PAIR)
            dw_tile(to, d, ox, i, K, S, DW_PIXELS, DW_VECTORS);
        if (i + OPS_VECTOR <= d->n) dw_tile(to, d, ox, i, K, S, DW_PIXELS, 1);
    }
}

/* False: not a shape for tiles. */
ATTR_INLINE bool dw_tiled(float *y, const dw_block *d)
{
    const dw_shape *s = d->s;

    if (s->spread != 1 || s->Wo < DW_PIXELS || s->stride < 1 || s->stride > 2)
        return false;
    switch (s->k * 2 + s->stride) {
    case 3 * 2 + 1: dw_tiles(y, d, 3, 1); return true;
    case 3 * 2 + 2: dw_tiles(y, d, 3, 2); return true;
    case 5 * 2 + 1: dw_tiles(y, d, 5, 1); return true;
    case 5 * 2 + 2: dw_tiles(y, d, 5, 2); return true;
    case 7 * 2 + 1: dw_tiles(y, d, 7, 1); return true;
    case 7 * 2 + 2: dw_tiles(y, d, 7, 2); return true;
    default: return false;
    }
}

/* A block's number of channels, of those from c on. */
ATTR_INLINE size_t dw_block_at(size_t c, size_t C)
{
    return C - c < KERNELS_DW_BLOCK ? C - c : KERNELS_DW_BLOCK;
}

static void op_dw_row(float *y, const float *b, const float *const *rows, const float *w,
                      const dw_shape *s, act f)
{
    for (size_t c = 0, n; c < s->C; c += n, w += s->k * s->k * n) {
        n = dw_block_at(c, s->C);
        const dw_block d = {rows, w, b, s, c, n, bounds_of(f)};
        const size_t done = dw_tiled(y + c, &d) ? n / OPS_VECTOR * OPS_VECTOR : 0;
        for (size_t ox = 0; done < n && ox < s->Wo; ox++) {
            float *to = y + ox * s->C + c;
            size_t i = done;
            for (; i + OPS_VECTOR <= n; i += OPS_VECTOR)
                dw_pixel(to, &d, ox, i, OPS_VECTOR);
            if (i < n) dw_pixel(to, &d, ox, i, n - i);
        }
    }
    if (!bounds_suffice(f)) op_act_fwd(y, y, s->Wo * s->C, f);
}

enum { DW_SUMS = 4 }; /* enough to hide the latency of one */

/* dw += the sum over outputs [ox, end) of x, S*C further for each, times dy; V vectors.
 */
ATTR_INLINE void dw_sums(float *dw, const float *x, const float *dy, size_t outputs,
                         size_t step, size_t C, const size_t V)
{
    vector sum[DW_SUMS], a, b;

    ATTR_UNROLL(4)
    for (size_t v = 0; v < V; v++) LOAD(sum[v], dw + v * OPS_VECTOR);
    for (size_t o = 0; o < outputs; o++, x += step, dy += C) ATTR_UNROLL(4)
    for (size_t v = 0; v < V; v++) {
        LOAD(a, x + v * OPS_VECTOR);
        LOAD(b, dy + v * OPS_VECTOR);
        sum[v] += a * b;
    }
    memcpy(dw, sum, V * sizeof *sum);
}

/* The n numbers of one tap: x and dy at its first output. */
ATTR_INLINE void dw_tap_bwd(float *dw, const float *x, const float *dy, size_t outputs,
                            size_t step, size_t C, size_t n)
{
    enum { FOUR = DW_SUMS * OPS_VECTOR };
    size_t i = 0;

    for (; i + FOUR <= n; i += FOUR)
        dw_sums(dw + i, x + i, dy + i, outputs, step, C, DW_SUMS);
    for (; i + OPS_VECTOR <= n; i += OPS_VECTOR)
        dw_sums(dw + i, x + i, dy + i, outputs, step, C, 1);
    for (; i < n; i++)
        for (size_t o = 0; o < outputs; o++) dw[i] += x[o * step + i] * dy[o * C + i];
}

static void op_dw_row_bwd(float *dw, const float *const *rows, const float *dy,
                          const dw_shape *s)
{
    const size_t S = s->stride;

    for (size_t c = 0, n; c < s->C; c += n) {
        n = dw_block_at(c, s->C);
        for (size_t t = 0; t < s->k * s->k; t++, dw += n) {
            const size_t kx = t % s->k;
            /* The outputs whose column ox*S + kx - pad is in the picture. */
            const size_t first = kx < s->pad ? (s->pad - kx + S - 1) / S : 0;
            const size_t beyond =
                s->W + s->pad > kx ? (s->W + s->pad - kx - 1) / S + 1 : 0;
            const size_t last = beyond < s->Wo ? beyond : s->Wo;
            if (!rows[t / s->k] || first >= last) continue;
            dw_tap_bwd(dw, rows[t / s->k] + (first * S + kx - s->pad) * s->C + c,
                       dy + first * s->C + c, last - first, S * s->C, s->C, n);
        }
    }
}

/* ---- Winograd's transforms: along one axis, `s` from one number to the next ---- */

ATTR_INLINE void winograd_x(vector *y, const vector *x, size_t s)
{
    y[0] = x[0] - x[2 * s];
    y[s] = x[s] + x[2 * s];
    y[2 * s] = x[2 * s] - x[s];
    y[3 * s] = x[s] - x[3 * s];
}

ATTR_INLINE void winograd_w(vector *y, const vector *x, size_t s)
{
    const vector even = 0.5f * (x[0] + x[2 * s]), odd = 0.5f * x[s];

    y[0] = x[0];
    y[s] = even + odd;
    y[2 * s] = even - odd;
    y[3 * s] = x[2 * s];
}

ATTR_INLINE void winograd_y(vector *y, const vector *x, size_t s)
{
    y[0] = x[0] + x[s] + x[2 * s];
    y[s] = x[s] - x[2 * s] - x[3 * s];
}

ATTR_INLINE void winograd_dy(vector *y, const vector *x, size_t s)
{
    y[0] = x[0];
    y[s] = x[0] + x[s];
    y[2 * s] = x[0] - x[s];
    y[3 * s] = -x[s];
}

ATTR_INLINE void winograd_dw(vector *y, const vector *x, size_t s)
{
    const vector even = 0.5f * (x[s] + x[2 * s]);

    y[0] = x[0] + even;
    y[s] = 0.5f * (x[s] - x[2 * s]);
    y[2 * s] = even + x[3 * s];
}

/* Both axes of the matrices [i, i + n), a vector's.  Rows of four, used or not: one step
 * between them. */
#define WINOGRAD(step, FROM, TO)                                                         \
    ATTR_INLINE void step##_some(float *const *y, const float *const *x, size_t i,       \
                                 const size_t n)                                         \
    {                                                                                    \
        vector a[16] = {{0}}, b[16], c[16];                                              \
        _Pragma("GCC unroll 16") for (size_t j = 0; j < FROM * FROM; j++)                \
            memcpy(&a[j / FROM * 4 + j % FROM], x[j] + i, n * sizeof **x);               \
        _Pragma("GCC unroll 4") for (size_t j = 0; j < FROM; j++) step(b + j, a + j, 4); \
        _Pragma("GCC unroll 4") for (size_t j = 0; j < TO; j++)                          \
            step(c + 4 * j, b + 4 * j, 1);                                               \
        _Pragma("GCC unroll 16") for (size_t j = 0; j < TO * TO; j++)                    \
            memcpy(y[j] + i, &c[j / TO * 4 + j % TO], n * sizeof **x);                   \
    }                                                                                    \
    static void op_##step(float *const *y, const float *const *x, size_t n)              \
    {                                                                                    \
        size_t i = 0;                                                                    \
        for (; i + OPS_VECTOR <= n; i += OPS_VECTOR) step##_some(y, x, i, OPS_VECTOR);   \
        if (i < n) step##_some(y, x, i, n - i);                                          \
    }
WINOGRAD(winograd_x, 4, 4)
WINOGRAD(winograd_w, 3, 4)
WINOGRAD(winograd_y, 4, 2)
WINOGRAD(winograd_dy, 2, 4)
WINOGRAD(winograd_dw, 4, 3)

#if OPS_VECTOR < 16 /* avx512.c has its own */
/* Four rows at a time, four by four. */
static void op_gather(float *dst, size_t stride, const float *const *rows, size_t m,
                      size_t n)
{
    typedef float v4 __attribute__((vector_size(16)));
    size_t i = 0;

    for (; i + 4 <= m; i += 4) {
        const float *const *r = rows + i;
        float *d = dst + i;
        size_t k = 0;
        for (; k + 4 <= n; k += 4, d += 4 * stride) {
            v4 v[4], w[4];
            for (size_t j = 0; j < 4; j++) memcpy(&v[j], r[j] + k, sizeof v[j]);
            w[0] = __builtin_shufflevector(v[0], v[1], 0, 4, 1, 5);
            w[1] = __builtin_shufflevector(v[2], v[3], 0, 4, 1, 5);
            w[2] = __builtin_shufflevector(v[0], v[1], 2, 6, 3, 7);
            w[3] = __builtin_shufflevector(v[2], v[3], 2, 6, 3, 7);
            v[0] = __builtin_shufflevector(w[0], w[1], 0, 1, 4, 5);
            v[1] = __builtin_shufflevector(w[0], w[1], 2, 3, 6, 7);
            v[2] = __builtin_shufflevector(w[2], w[3], 0, 1, 4, 5);
            v[3] = __builtin_shufflevector(w[2], w[3], 2, 3, 6, 7);
            for (size_t j = 0; j < 4; j++) memcpy(d + j * stride, &v[j], sizeof v[j]);
        }
        for (; k < n; k++, d += stride)
            for (size_t j = 0; j < 4; j++) d[j] = r[j][k];
    }
    for (; i < m; i++)
        for (size_t k = 0; k < n; k++) dst[k * stride + i] = rows[i][k];
}

static void op_copy_rows(float *dst, size_t stride, const float *src, size_t ld, size_t m,
                         size_t n)
{
    for (size_t k = 0; k < n; k++, dst += stride, src += ld) {
        size_t i = 0;
        for (; i + 4 <= m; i += 4) memcpy(dst + i, src + i, 4 * sizeof *dst);
        for (; i < m; i++) dst[i] = src[i];
    }
}
#endif

/* Exponent and mantissa move into place by a shift; a multiplication by 2^112 mends the
 * exponent's bias and makes halves' denormals normal. */
ATTR_INLINE float float_of_half(uint16_t x)
{
    const uint32_t sign = (uint32_t)(x & 0x8000u) << 16, rest = x & 0x7fffu;
    const uint32_t scaled = float_bits(bits_float(rest << 13) * 0x1p112f);
    const uint32_t special = rest >= 0x7c00u ? 0x7f800000u : 0u;

    return bits_float(sign | scaled | special);
}

static void op_f16_to_f32(float *y, const uint16_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = float_of_half(x[i]);
}

static void op_i8_to_f32(float *y, const int8_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = (float)x[i];
}

static void op_bf16_panel(float *y, const uint32_t *pairs, size_t kc)
{
    for (size_t k = 0; k < kc; k++, y += 32) {
        const uint32_t *x = pairs + k / 2 * 32, odd = k % 2;
        for (size_t c = 0; c < 32; c++)
            y[c] = bits_float(odd ? x[c] & 0xffff0000u : x[c] << 16);
    }
}

static void op_i8_panel(float *y, const uint32_t *quads, const float *scale, size_t kc)
{
    for (size_t k = 0; k < kc; k++, y += 32) {
        const uint32_t *x = quads + k / 4 * 32, up = 24 - k % 4 * 8;
        for (size_t c = 0; c < 32; c++)
            y[c] = (float)((int32_t)(x[c] << up ^ 0x80000000u) >> 24) * scale[c];
    }
}

static void op_bf16_to_f32(float *y, const uint16_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = bits_float((uint32_t)x[i] << 16);
}

ATTR_INLINE uint16_t half_of(float x)
{
    const uint32_t u = float_bits(x), sign = (u >> 16) & 0x8000u, a = u & 0x7fffffffu;

    if (a > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);  /* NaN */
    if (a >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* rounds to infinity */
    if (a < 0x38800000u) /* denormal: adding 1/2 rounds to a multiple of 2^-24 */
        return (uint16_t)(sign | (float_bits(bits_float(a) + 0.5f) - 0x3f000000u));
    const uint32_t even = (a >> 13) & 1u;
    return (uint16_t)(sign | ((a + 0xfffu + even - 0x38000000u) >> 13));
}

static void op_f32_to_f16(uint16_t *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = half_of(x[i]);
}

static void op_f32_to_bf16(uint16_t *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint32_t u = float_bits(x[i]), nan = (u & 0x7fffffffu) > 0x7f800000u;
        y[i] =
            (uint16_t)(nan ? (u >> 16) | 0x40u : (u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
    }
}

/* ---- rows as they are stored ---- */

ATTR_INLINE float one_f32(const char *p)
{
    float x;
    memcpy(&x, p, sizeof x);
    return x;
}

ATTR_INLINE float one_f16(const char *p)
{
    uint16_t x;
    memcpy(&x, p, sizeof x);
    return float_of_half(x);
}

ATTR_INLINE float one_i8(const char *p)
{
    return (float)(int8_t)*p;
}

ATTR_INLINE vector some_f32(const char *p)
{
    vector v;
    LOAD(v, p);
    return v;
}

#ifndef OPS_SOME_F16 /* no instruction for it */
ATTR_INLINE vector some_f16(const char *p)
{
    vector v;
    for (size_t i = 0; i < OPS_VECTOR; i++) v[i] = one_f16(p + 2 * i);
    return v;
}

ATTR_INLINE vector some_i8(const char *p)
{
    vector v;
    for (size_t i = 0; i < OPS_VECTOR; i++) v[i] = one_i8(p + i);
    return v;
}
#else
ATTR_INLINE vector some_f16(const char *p)
{
    return OPS_SOME_F16(p);
}

ATTR_INLINE vector some_i8(const char *p)
{
    return OPS_SOME_I8(p);
}
#endif

ATTR_INLINE float vector_sum(vector v)
{
    float s[OPS_VECTOR], t[4] = {0};

    memcpy(s, &v, sizeof s);
    ATTR_UNROLL(4)
    for (size_t i = 0; i < OPS_VECTOR; i += 4)
        for (size_t l = 0; l < 4; l++) t[l] += s[i + l];
    return (t[0] + t[2]) + (t[1] + t[3]);
}

/* Row by row, as they mostly lie, in four sums that do not wait for each other. */
#define DOTS(type, size)                                                          \
    ATTR_INLINE float dot_##type(const char *row, const float *q, size_t C)       \
    {                                                                             \
        vector sum[4] = {{0}}, some;                                              \
        size_t c = 0;                                                             \
        for (; c + 4 * OPS_VECTOR <= C; c += 4 * OPS_VECTOR) ATTR_UNROLL(4)       \
        for (size_t i = 0; i < 4; i++) {                                          \
            LOAD(some, q + c + i * OPS_VECTOR);                                   \
            sum[i] += some_##type(row + (c + i * OPS_VECTOR) * (size)) * some;    \
        }                                                                         \
        for (; c + OPS_VECTOR <= C; c += OPS_VECTOR) {                            \
            LOAD(some, q + c);                                                    \
            sum[0] += some_##type(row + c * (size)) * some;                       \
        }                                                                         \
        float y = vector_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));              \
        for (; c < C; c++) y += one_##type(row + c * (size)) * q[c];              \
        return y;                                                                 \
    }                                                                             \
    static void op_dots_##type(float *y, const void *const *rows, const float *q, \
                               size_t n, size_t C)                                \
    {                                                                             \
        for (size_t i = 0; i < n; i++) y[i] = dot_##type(rows[i], q, C);          \
    }
DOTS(f32, 4)
DOTS(f16, 2)
DOTS(i8, 1)

static void op_adamw(float *w, float *m, float *v, const float *g, size_t n,
                     const adamw_step *s)
{
    const float keep = 1.0f - s->lr * s->weight_decay, size = s->lr / s->c1;
    const float root = 1.0f / sqrtf(s->c2), b1 = s->beta1, b2 = s->beta2, eps = s->eps;
    const float gscale = s->gscale;

    for (size_t i = 0; i < n; i++) {
        const float d = g[i] * gscale;
        m[i] = b1 * m[i] + (1.0f - b1) * d;
        v[i] = b2 * v[i] + (1.0f - b2) * d * d;
        w[i] = w[i] * keep - size * m[i] / (sqrtf(v[i]) * root + eps);
    }
}

/* ---- bytes ---- */

/* Rounds a sum of bytes times weights. */
ATTR_INLINE uint8_t byte_of(int32_t sum)
{
    const int32_t v = (sum + (1 << (BYTE_SHIFT - 1))) >> BYTE_SHIFT;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static void op_byte_columns(uint8_t *y, const uint8_t *x, size_t stride, const int32_t *w,
                            size_t count, size_t n)
{
    enum { STRIP = 64 };

    for (size_t i0 = 0; i0 < n; i0 += STRIP) {
        const size_t m = n - i0 < STRIP ? n - i0 : STRIP;
        int32_t sum[STRIP];
        for (size_t i = 0; i < m; i++) sum[i] = 0;
        for (size_t k = 0; k < count; k++) {
            const uint8_t *row = x + k * stride + i0;
            for (size_t i = 0; i < m; i++) sum[i] += row[i] * w[k];
        }
        for (size_t i = 0; i < m; i++) y[i0 + i] = byte_of(sum[i]);
    }
}

/* All members of a table but the name and the tile. */
#define OPS_BODY_MEMBERS                                                                 \
    .add = op_add, .axpy = op_axpy, .scale = op_scale, .mul = op_mul,                    \
    .winograd = {op_winograd_x, op_winograd_w, op_winograd_y, op_winograd_dy,            \
                 op_winograd_dw},                                                        \
    .dw_row = op_dw_row, .dw_row_bwd = op_dw_row_bwd, .act_fwd = op_act_fwd,             \
    .act_bwd = op_act_bwd, .dot = op_dot, .max_abs = op_max_abs,                         \
    .layernorm_fwd = op_layernorm_fwd, .layernorm_bwd = op_layernorm_bwd,                \
    .softmax_fwd = op_softmax_fwd, .softmax_bwd = op_softmax_bwd,                        \
    .bias_add = op_bias_add, .col_axpy = op_col_axpy, .col_sum = op_col_sum,             \
    .col_moments = op_col_moments, .affine = op_affine, .col_dots = op_col_dots,         \
    .norm_bwd = op_norm_bwd, .pool2 = op_pool2, .unpool2 = op_unpool2,                   \
    .byte_columns = op_byte_columns, .bf16_panel = op_bf16_panel,                        \
    .i8_panel = op_i8_panel, .f16_to_f32 = op_f16_to_f32, .bf16_to_f32 = op_bf16_to_f32, \
    .f32_to_f16 = op_f32_to_f16, .f32_to_bf16 = op_f32_to_bf16,                          \
    .i8_to_f32 = op_i8_to_f32, .dots_f32 = op_dots_f32, .dots_f16 = op_dots_f16,         \
    .dots_i8 = op_dots_i8, .adamw = op_adamw

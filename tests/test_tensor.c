/* The element-wise kernels of every instruction set that runs here, against formulas in
 * double: all small sizes, nothing touched beyond the operands; and NaN. */
#include "check.h"

#include "sweep.h"

/* ---- n elements ---- */

static void sums(sweep *s, size_t n)
{
    float *x = sweep_floats(s, n), *y = sweep_floats(s, n), *was = sweep_copy(s, y, n);
    double dot = 0.0, most = 0.0;

    for (size_t i = 0; i < n; i++) {
        dot += (double)x[i] * (double)y[i];
        most = fmax(most, fabs((double)x[i]));
    }
    CHECK_NEAR(s->k->dot(x, y, n), dot, 3e-6);
    assert_true((double)s->k->max_abs(x, n) == most);
    s->k->axpy(y, -0.5f, x, n);
    s->k->scale(y, 3.0f, n);
    s->k->add(y, x, n);
    s->k->mul(y, x, n);
    for (size_t i = 0; i < n; i++) {
        const double v = (double)x[i];
        CHECK_NEAR(y[i], (3.0 * ((double)was[i] - 0.5 * v) + v) * v, 1e-5);
    }
    x[n - 1] = NAN;
    assert_true(isnan(s->k->max_abs(x, n)));
}

/* sums: dot, axpy, scale, add, mul, and a largest value that sees NaN */
static void test_sums(void **state)
{
    sweep_lengths(state, sums);
}

static void acts(sweep *s, size_t n)
{
    float *x = sweep_floats(s, n), *dy = sweep_floats(s, n);
    float *y = sweep_floats(s, n), *dx = sweep_floats(s, n);

    for (size_t i = 0; i < n; i++) x[i] *= 4.0f;
    x[n / 2] = n % 2 ? 80.0f : -80.0f;
    for (int f = ACT_NONE; f <= ACT_SIGMOID; f++) {
        s->k->act_fwd(y, x, n, (act)f);
        for (size_t i = 0; i < n; i++)
            CHECK_NEAR(y[i], act_double((double)x[i], (act)f),
                       1e-6 * (1.0 + fabs((double)x[i])));
        if (f == ACT_SIGMOID) break;
        s->k->act_bwd(dx, dy, x, n, (act)f);
        for (size_t i = 0; i < n; i++)
            CHECK_NEAR(dx[i], (double)dy[i] * act_slope((double)x[i], (act)f),
                       3e-6 * (1.0 + fabs((double)dy[i])));
        s->k->act_bwd(dy, dy, x, n, (act)f); /* in place */
        assert_memory_equal(dy, dx, n * sizeof *dx);
    }
    x[n - 1] = NAN;
    for (int f = ACT_NONE; f <= ACT_SIGMOID; f++) {
        s->k->act_fwd(y, x, n, (act)f);
        assert_true(isnan(y[n - 1]));
    }
    s->k->act_fwd(x, x, n, ACT_SIGMOID);
    assert_memory_equal(x, y, n * sizeof *x);
}

/* activations: values and slopes of all, in place too; NaN stays NaN */
static void test_acts(void **state)
{
    sweep_lengths(state, acts);
}

static void adamw(sweep *s, size_t n)
{
    const adamw_step o = {.lr = 0.01f,
                          .beta1 = 0.9f,
                          .beta2 = 0.98f,
                          .eps = 1e-6f,
                          .weight_decay = 0.2f,
                          .c1 = 0.19f,
                          .c2 = 0.04f,
                          .gscale = 0.5f};
    const double b1 = (double)o.beta1, b2 = (double)o.beta2;
    float *w = sweep_floats(s, n), *m = sweep_floats(s, n), *v = sweep_floats(s, n);
    float *g = sweep_floats(s, n);

    for (size_t i = 0; i < n; i++) v[i] = fabsf(v[i]);
    float *w0 = sweep_copy(s, w, n), *m0 = sweep_copy(s, m, n), *v0 = sweep_copy(s, v, n);
    s->k->adamw(w, m, v, g, n, &o);
    for (size_t i = 0; i < n; i++) {
        const double d = 0.5 * (double)g[i], want_m = b1 * (double)m0[i] + (1.0 - b1) * d;
        const double want_v = b2 * (double)v0[i] + (1.0 - b2) * d * d;
        CHECK_NEAR(m[i], want_m, 1e-6);
        CHECK_NEAR(v[i], want_v, 1e-6);
        CHECK_NEAR(w[i],
                   (double)w0[i] * (1.0 - 0.01 * 0.2) -
                       0.01 / 0.19 * want_m / (sqrt(want_v / 0.04) + 1e-6),
                   3e-7 * (1.0 + fabs((double)w0[i])));
    }
}

/* adamw: the formula of kernels.h */
static void test_adamw(void **state)
{
    sweep_lengths(state, adamw);
}

/* ---- conversions ---- */

static double half_value(uint16_t h)
{
    const int e = (h >> 10) & 31, m = h & 1023, sign = h >> 15 ? -1 : 1;
    if (e == 31) return m ? (double)NAN : sign * (double)INFINITY;
    return sign * (e ? ldexp(1024 + m, e - 25) : ldexp(m, -24));
}

static void halves(sweep *s, size_t n)
{
    uint16_t *x = guard_take(&s->g, n * sizeof *x),
             *back = guard_take(&s->g, n * sizeof *x);
    float *y = sweep_floats(s, n);

    for (size_t i = 0; i < n; i++)
        x[i] = (uint16_t)(rng_u64(&s->r) & 0xbfff); /* no NaN */
    s->k->f16_to_f32(y, x, n);
    for (size_t i = 0; i < n; i++) assert_true((double)y[i] == half_value(x[i]));
    s->k->f32_to_f16(back, y, n);
    assert_memory_equal(back, x, n * sizeof *x);
    s->k->bf16_to_f32(y, x, n);
    for (size_t i = 0; i < n; i++) {
        const uint32_t bits = (uint32_t)x[i] << 16;
        assert_memory_equal(&y[i], &bits, sizeof bits);
    }
    s->k->f32_to_bf16(back, y, n);
    assert_memory_equal(back, x, n * sizeof *x);
}

/* f16 and bf16: any number of them */
static void test_halves(void **state)
{
    sweep_lengths(state, halves);
}

enum { ALL = 1 << 16 };

/* f16 and bf16: all values there and back; halves go to even */
static void test_all_halves(void **state)
{
    static uint16_t in[ALL], back[ALL];
    static float x[ALL], up[ALL];
    const kernels *k = level_kernels(state);

    for (int i = 0; i < ALL; i++) in[i] = (uint16_t)i;
    k->f16_to_f32(x, in, ALL);
    k->f32_to_f16(back, x, ALL);
    for (int i = 0; i < ALL; i++) {
        const double want = half_value(in[i]);
        assert_true(isnan(want) ? isnan(x[i]) != 0 : (double)x[i] == want);
        assert_true(isnan(want) ? (back[i] & 0x7fff) > 0x7c00 : back[i] == in[i]);
        /* Half way to the next: to the even one of the two. */
        up[i] = (float)(0.5 * (want + half_value((uint16_t)(in[i] + 1))));
    }
    k->f32_to_f16(back, up, ALL);
    for (int i = 0; i < ALL; i++)
        if ((i & 0x7fff) < 0x7bff) assert_int_equal(back[i], i & 1 ? i + 1 : i);
    k->bf16_to_f32(x, in, ALL);
    k->f32_to_bf16(back, x, ALL);
    for (int i = 0; i < ALL; i++)
        assert_true(isnan(x[i]) ? (back[i] & 0x7fff) > 0x7f80 : back[i] == in[i]);
    const float round[] = {1.00390625f, 1.01171875f, 3e38f, 1.0f / 3.0f};
    const uint16_t want[] = {0x3f80, 0x3f82, 0x7f62, 0x3eab};
    k->f32_to_bf16(back, round, 4);
    assert_memory_equal(back, want, sizeof want);
}

enum { PANEL = 32 };

/* Panels of weights: two or four k of a column in each of PANEL words. */
static void panels(sweep *s, size_t kc)
{
    uint32_t *pairs = guard_take(&s->g, (kc + 1) / 2 * PANEL * sizeof *pairs);
    uint32_t *quads = guard_take(&s->g, (kc + 3) / 4 * PANEL * sizeof *quads);
    float *scale = sweep_floats(s, PANEL), *y = sweep_floats(s, kc * PANEL);

    for (size_t i = 0; i < (kc + 1) / 2 * PANEL; i++) pairs[i] = (uint32_t)rng_u64(&s->r);
    for (size_t i = 0; i < (kc + 3) / 4 * PANEL; i++) quads[i] = (uint32_t)rng_u64(&s->r);
    s->k->bf16_panel(y, pairs, kc);
    for (size_t i = 0; i < kc * PANEL; i++) {
        const size_t k = i / PANEL;
        const uint32_t bits = pairs[k / 2 * PANEL + i % PANEL] >> 16 * (k % 2) << 16;
        assert_memory_equal(&y[i], &bits, sizeof bits);
    }
    s->k->i8_panel(y, quads, scale, kc);
    for (size_t i = 0; i < kc * PANEL; i++) {
        const size_t k = i / PANEL;
        const int q = (uint8_t)(quads[k / 4 * PANEL + i % PANEL] >> 8 * (k % 4)) - 128;
        assert_true(y[i] == (float)q * scale[i % PANEL]);
    }
}

/* bf16_panel, i8_panel: weights as gemm.h packs them */
static void test_panels(void **state)
{
    sweep_lengths(state, panels);
}

/* ---- rows ---- */

static void layernorm(sweep *s, size_t N, size_t C)
{
    float *x = sweep_around(s, N * C, 3.0f), *y = sweep_floats(s, N * C);
    float *w = sweep_floats(s, C), *b = sweep_floats(s, C);
    float *mean = sweep_floats(s, N), *rstd = sweep_floats(s, N);

    s->k->layernorm_fwd(y, mean, rstd, x, w, b, N, C, 1e-3f);
    for (size_t n = 0; n < N; n++) {
        const float *row = x + n * C;
        double m = 0.0, var = 0.0;
        for (size_t c = 0; c < C; c++) m += (double)row[c] / (double)C;
        for (size_t c = 0; c < C; c++)
            var += ((double)row[c] - m) * ((double)row[c] - m) / (double)C;
        const double r = 1.0 / sqrt(var + 1e-3);
        CHECK_NEAR(mean[n], m, 2e-6);
        CHECK_NEAR(rstd[n], r, 6e-7 * r * r);
        for (size_t c = 0; c < C; c++)
            CHECK_NEAR(y[n * C + c],
                       ((double)row[c] - m) * r * (double)w[c] + (double)b[c], 1e-5 * r);
    }
    s->k->layernorm_fwd(x, NULL, NULL, x, w, b, N, C, 1e-3f);
    assert_memory_equal(x, y, N * C * sizeof *x);
}

/* dx, dw and db grow by layernorm's gradients. */
static void layernorm_bwd(sweep *s, size_t N, size_t C)
{
    float *x = sweep_floats(s, N * C), *dy = sweep_floats(s, N * C);
    float *dx = sweep_floats(s, N * C), *dx0 = sweep_copy(s, dx, N * C);
    float *w = sweep_floats(s, C), *mean = sweep_floats(s, N), *rstd = sweep_floats(s, N);
    float *dw = sweep_floats(s, C), *db = sweep_floats(s, C);
    double want_w[SWEEP_MOST], want_b[SWEEP_MOST];

    for (size_t c = 0; c < C; c++) want_w[c] = (double)dw[c], want_b[c] = (double)db[c];
    s->k->layernorm_bwd(dx, dw, db, dy, x, w, mean, rstd, N, C);
    for (size_t n = 0; n < N; n++) {
        const double m = (double)mean[n], r = (double)rstd[n];
        double g_avg = 0.0, gh_avg = 0.0;
        for (size_t c = 0; c < C; c++) {
            const double d = (double)dy[n * C + c], h = ((double)x[n * C + c] - m) * r;
            g_avg += d * (double)w[c] / (double)C;
            gh_avg += d * (double)w[c] * h / (double)C;
            want_w[c] += d * h, want_b[c] += d;
        }
        for (size_t c = 0; c < C; c++) {
            const double g = (double)dy[n * C + c] * (double)w[c];
            const double h = ((double)x[n * C + c] - m) * r;
            CHECK_NEAR(dx[n * C + c],
                       (double)dx0[n * C + c] + r * (g - g_avg - h * gh_avg), 3e-5);
        }
    }
    for (size_t c = 0; c < C; c++) {
        CHECK_NEAR(dw[c], want_w[c], 5e-5);
        CHECK_NEAR(db[c], want_b[c], 3e-5);
    }
}

/* layernorm: any number of rows and columns, in place too, and backward */
static void test_layernorm(void **state)
{
    sweep_rows(state, layernorm);
    sweep_rows(state, layernorm_bwd);
}

/* L = sum(dy * layernorm(x)), in double. */
static double norm_loss(const float *x, const float *w, const float *b, const float *dy,
                        int C)
{
    double mean = 0.0, var = 0.0, loss = 0.0;

    for (int c = 0; c < C; c++) mean += (double)x[c] / C;
    for (int c = 0; c < C; c++) var += ((double)x[c] - mean) * ((double)x[c] - mean) / C;
    for (int c = 0; c < C; c++)
        loss += (double)dy[c] *
                (((double)x[c] - mean) / sqrt(var + 1e-5) * (double)w[c] + (double)b[c]);
    return loss;
}

/* layernorm: the forward pass, and every gradient against central differences */
static void test_gradients(void **state)
{
    const kernels *k = level_kernels(state);
    enum { C = 45 };
    float x[C], w[C], b[C], dy[C], y[C], dx[C] = {0}, dw[C] = {0}, db[C] = {0}, mean,
                                         rstd;
    rng r = rng_seed(3, 0);
    double loss = 0.0;

    rng_fill_normal(&r, x, C, 3.0f, 2.0f);
    rng_fill_normal(&r, w, C, 1.0f, 0.3f);
    rng_fill_normal(&r, b, C, 0.0f, 1.0f);
    rng_fill_normal(&r, dy, C, 0.0f, 1.0f);
    k->layernorm_fwd(y, &mean, &rstd, x, w, b, 1, C, 1e-5f);
    k->layernorm_bwd(dx, dw, db, dy, x, w, &mean, &rstd, 1, C);
    for (int c = 0; c < C; c++) loss += (double)dy[c] * (double)y[c];
    CHECK_NEAR(loss, norm_loss(x, w, b, dy, C), 1e-4);
    for (int c = 0; c < 3 * C; c++) {
        float *p = c < C ? &x[c] : c < 2 * C ? &w[c - C] : &b[c - 2 * C];
        const float got = c < C       ? dx[c]
                          : c < 2 * C ? dw[c - C]
                                      : db[c - 2 * C],
                    keep = *p;
        *p = keep + 0.01f;
        const double up = norm_loss(x, w, b, dy, C), at_up = (double)*p;
        *p = keep - 0.01f;
        const double down = norm_loss(x, w, b, dy, C), at_down = (double)*p;
        *p = keep;
        CHECK_NEAR(got, (up - down) / (at_up - at_down), 2e-3);
    }
}

/* Rows further apart than they are long: what lies between stays as it was. */
static void check_between(const float *x, const float *was, size_t ld, size_t N, size_t C)
{
    for (size_t n = 0; n + 1 < N; n++)
        assert_memory_equal(x + n * ld + C, was + n * ld + C, (ld - C) * sizeof *x);
}

static void softmax(sweep *s, size_t N, size_t C)
{
    const size_t ld = C + 3, ld_d = C + 1, size = (N - 1) * ld + C;
    const size_t size_d = (N - 1) * ld_d + C;
    float *p = sweep_around(s, size, 50.0f), *x = sweep_copy(s, p, size);
    float *d = sweep_floats(s, size_d), *dy = sweep_copy(s, d, size_d);

    s->k->softmax_fwd(p, ld, N, C, 3.0f);
    s->k->softmax_bwd(d, ld_d, p, ld, N, C, 3.0f);
    for (size_t n = 0; n < N; n++) {
        const float *in = x + n * ld, *dp = dy + n * ld_d;
        double sum = 0.0, along = 0.0;
        for (size_t c = 0; c < C; c++) sum += exp(3.0 * ((double)in[c] - 50.0));
        for (size_t c = 0; c < C; c++)
            along += (double)dp[c] * exp(3.0 * ((double)in[c] - 50.0)) / sum;
        for (size_t c = 0; c < C; c++) {
            const double want = exp(3.0 * ((double)in[c] - 50.0)) / sum;
            CHECK_NEAR(p[n * ld + c], want, 6e-7);
            CHECK_NEAR(d[n * ld_d + c], 3.0 * want * ((double)dp[c] - along), 2e-6);
        }
    }
    check_between(p, x, ld, N, C);
    check_between(d, dy, ld_d, N, C);
    x[C / 2] = NAN;
    s->k->softmax_fwd(x, ld, 1, C, 1.0f);
    for (size_t c = 0; c < C; c++) assert_true(isnan(x[c]));
}

/* softmax: both passes; a NaN anywhere in a row is seen everywhere in it */
static void test_softmax(void **state)
{
    sweep_rows(state, softmax);
}

static void columns(sweep *s, size_t N, size_t C)
{
    float *x = sweep_floats(s, N * C), *a = sweep_floats(s, C), *b = sweep_floats(s, C);
    float *y = sweep_floats(s, N * C), *was = sweep_copy(s, y, N * C);
    float *sum = sweep_floats(s, C), *sum0 = sweep_copy(s, sum, C);

    s->k->bias_add(y, b, N, C);
    s->k->col_axpy(y, a, x, N, C);
    s->k->col_sum(sum, x, N, C);
    for (size_t c = 0; c < C; c++) {
        double want = (double)sum0[c];
        for (size_t i = c; i < N * C; i += C) {
            want += (double)x[i];
            CHECK_NEAR(y[i], (double)was[i] + (double)b[c] + (double)a[c] * (double)x[i],
                       2e-6);
        }
        CHECK_NEAR(sum[c], want, 3e-5);
    }
}

/* Sums in double, for batch norm. */
static void moments(sweep *s, size_t N, size_t C)
{
    float *x = sweep_floats(s, N * C), *z = sweep_floats(s, N * C);
    float *mean = sweep_floats(s, C);
    double *v[4];

    for (int i = 0; i < 4; i++) {
        v[i] = guard_take(&s->g, C * sizeof **v);
        for (size_t c = 0; c < C; c++) v[i][c] = 1.0;
    }
    s->k->col_moments(v[0], v[1], x, N, C);
    s->k->col_dots(v[2], v[3], x, z, mean, N, C);
    for (size_t c = 0; c < C; c++) {
        double sum = 1.0, sum2 = 1.0, dot = 1.0;
        for (size_t i = c; i < N * C; i += C) {
            const double d = (double)x[i];
            sum += d, sum2 += d * d, dot += d * ((double)z[i] - (double)mean[c]);
        }
        CHECK_NEAR(v[0][c], sum, 1e-12);
        CHECK_NEAR(v[1][c], sum2, 1e-12);
        CHECK_NEAR(v[2][c], sum, 1e-12);
        CHECK_NEAR(v[3][c], dot, 1e-12);
    }
}

/* bias_add, col_axpy, col_sum, col_moments, col_dots */
static void test_columns(void **state)
{
    sweep_rows(state, columns);
    sweep_rows(state, moments);
}

static void affine(sweep *s, size_t N, size_t C)
{
    static const act acts[] = {ACT_NONE, ACT_RELU, ACT_RELU6, ACT_GELU};
    const size_t ld = C + N % 3, n = (N - 1) * ld + C;
    float *x = sweep_floats(s, n), *r = sweep_floats(s, n), *y = sweep_floats(s, n);
    float *a = sweep_floats(s, C), *b = sweep_floats(s, C), *was = sweep_copy(s, y, n);

    for (int f = 0; f < 4; f++)
        for (int with = 0; with < 2; with++) {
            s->k->affine(y, x, ld, a, b, with ? r : NULL, N, C, acts[f]);
            for (size_t i = 0; i < n; i++) {
                const size_t c = i % ld;
                const double add = with ? (double)r[i] : 0.0;
                if (c >= C) assert_true(y[i] == was[i]);
                else
                    CHECK_NEAR(
                        y[i],
                        act_double((double)x[i] * (double)a[c] + (double)b[c] + add,
                                   acts[f]),
                        4e-6);
            }
        }
    for (size_t i = 0; i < n; i++) /* what lies between stays as it is */
        if (i % ld >= C) y[i] = x[i] = r[i];
    s->k->affine(y, x, ld, a, b, r, N, C, ACT_RELU);
    s->k->affine(r, x, ld, a, b, r, N, C, ACT_RELU);
    assert_memory_equal(r, y, n * sizeof *y);
    s->k->affine(y, x, ld, a, b, NULL, N, C, ACT_NONE);
    s->k->affine(x, x, ld, a, b, NULL, N, C, ACT_NONE);
    assert_memory_equal(x, y, n * sizeof *y);
    x[0] = NAN;
    s->k->affine(x, x, ld, a, b, NULL, N, C, ACT_RELU6);
    assert_true(isnan(x[0]));
}

static void norm_bwd(sweep *s, size_t N, size_t C)
{
    float *g = sweep_floats(s, N * C), *z = sweep_floats(s, N * C);
    float *dz = sweep_floats(s, N * C), *v[4];

    for (int i = 0; i < 4; i++) v[i] = sweep_floats(s, C);
    s->k->norm_bwd(dz, g, z, v[0], v[1], v[2], v[3], N, C);
    for (size_t i = 0, c = 0; i < N * C; i++, c = i % C)
        CHECK_NEAR(dz[i],
                   (double)v[0][c] * ((double)g[i] - (double)v[1][c] -
                                      ((double)z[i] - (double)v[2][c]) * (double)v[3][c]),
                   4e-6);
    s->k->norm_bwd(g, g, z, v[0], v[1], v[2], v[3], N, C);
    assert_memory_equal(g, dz, N * C * sizeof *g);
}

/* batch norm: affine with its options, norm_bwd; in place too */
static void test_affine(void **state)
{
    sweep_rows(state, affine);
    sweep_rows(state, norm_bwd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH_LEVEL(test_sums),      EACH_LEVEL(test_acts),       EACH_LEVEL(test_adamw),
        EACH_LEVEL(test_halves),    EACH_LEVEL(test_all_halves), EACH_LEVEL(test_panels),
        EACH_LEVEL(test_layernorm), EACH_LEVEL(test_gradients),  EACH_LEVEL(test_softmax),
        EACH_LEVEL(test_columns),   EACH_LEVEL(test_affine)};
    return cmocka_run_group_tests_name("tensor", tests, NULL, NULL);
}

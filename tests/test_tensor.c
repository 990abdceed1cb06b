/* The element-wise kernels of every instruction set that runs here, against formulas in
 * double. */
#include "check.h"

#include <stdlib.h>

#include "base/rng.h"
#include "tensor/dtype.h"

enum { N = 333 }; /* no multiple of any vector: tails count */

static const char *const isas[] = {"ref", "avx2", "avx512", "avx512vnni"};

static void each_isa(void (*check)(const kernels *k))
{
    for (size_t i = 0; i < sizeof isas / sizeof isas[0]; i++)
        if (kernels_named(isas[i])) check(kernels_named(isas[i]));
}

static double act_double(double x, act f)
{
    switch (f) {
    case ACT_QUICK_GELU: return x / (1.0 + exp(-1.702 * x));
    case ACT_GELU: return 0.5 * x * erfc(-x / sqrt(2.0));
    case ACT_GELU_TANH:
        return 0.5 * x * (1.0 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
    case ACT_RELU: return x > 0.0 ? x : 0.0;
    default: return x;
    }
}

static void acts(const kernels *k)
{
    float x[N], y[N], dy[N], dx[N];
    rng r = rng_seed(1, 0);

    rng_fill_normal(&r, x, N, 0.0f, 4.0f);
    rng_fill_normal(&r, dy, N, 0.0f, 1.0f);
    x[0] = 0.5f, x[1] = 80.0f, x[2] = -80.0f;
    for (int f = ACT_NONE; f <= ACT_RELU; f++) {
        k->act_fwd(y, x, N, (act)f);
        k->act_bwd(dx, dy, x, N, (act)f);
        for (int i = 0; i < N; i++) {
            const double v = (double)x[i], h = 1e-5;
            const double slope =
                (act_double(v + h, (act)f) - act_double(v - h, (act)f)) / (2 * h);
            CHECK_NEAR(y[i], act_double(v, (act)f), 1e-6 * (1.0 + fabs(v)));
            CHECK_NEAR(dx[i], (double)dy[i] * slope, 3e-6 * (1.0 + fabs((double)dy[i])));
        }
    }
    x[5] = NAN;
    for (int f = ACT_NONE; f <= ACT_RELU; f++) {
        k->act_fwd(y, x, N, (act)f);
        assert_true(isnan(y[5]));
    }
}

/* activations: values and slopes of all; NaN stays NaN */
static void test_acts(void **state)
{
    (void)state;
    each_isa(acts);
}

static void softmax(const kernels *k)
{
    enum { R = 3, C = 37 };
    float x[R * C], p[R * C], d[R * C], dy[R * C];
    rng r = rng_seed(2, 0);

    rng_fill_normal(&r, x, R * C, 50.0f, 30.0f);
    rng_fill_normal(&r, dy, R * C, 0.0f, 1.0f);
    memcpy(p, x, sizeof p);
    memcpy(d, dy, sizeof d);
    k->softmax_fwd(p, C, R, C, 0.125f);
    k->softmax_bwd(d, C, p, C, R, C, 0.125f);
    for (int n = 0; n < R; n++) {
        double sum = 0.0, along = 0.0;
        for (int c = 0; c < C; c++) sum += exp(0.125 * ((double)x[n * C + c] - 50.0));
        for (int c = 0; c < C; c++)
            along +=
                (double)dy[n * C + c] * exp(0.125 * ((double)x[n * C + c] - 50.0)) / sum;
        for (int c = 0; c < C; c++) {
            const double want = exp(0.125 * ((double)x[n * C + c] - 50.0)) / sum;
            CHECK_NEAR(p[n * C + c], want, 1e-6);
            CHECK_NEAR(d[n * C + c], 0.125 * want * ((double)dy[n * C + c] - along),
                       1e-6);
        }
    }
    x[3] = NAN;
    k->softmax_fwd(x, C, 1, C, 1.0f);
    for (int c = 0; c < C; c++) assert_true(isnan(x[c]));
}

/* softmax: both passes; a NaN anywhere in a row is seen everywhere in it */
static void test_softmax(void **state)
{
    (void)state;
    each_isa(softmax);
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

static void layernorm(const kernels *k)
{
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

/* layernorm: the forward pass, and every gradient against central differences */
static void test_layernorm(void **state)
{
    (void)state;
    each_isa(layernorm);
}

static double half_value(uint16_t h)
{
    const int e = (h >> 10) & 31, m = h & 1023, sign = h >> 15 ? -1 : 1;
    if (e == 31) return m ? (double)NAN : sign * (double)INFINITY;
    return sign * (e ? ldexp(1024 + m, e - 25) : ldexp(m, -24));
}

static void halves(const kernels *k)
{
    for (uint32_t h = 0; h < 65536; h++) {
        const uint16_t in = (uint16_t)h;
        uint16_t back;
        float x, up;

        k->f16_to_f32(&x, &in, 1);
        const double want = half_value(in);
        assert_true(isnan(want) ? isnan(x) != 0 : (double)x == want);
        k->f32_to_f16(&back, &x, 1);
        assert_true(isnan(x) ? (back & 0x7fff) > 0x7c00 : back == in);
        if (!isfinite(x) || (in & 0x7fff) == 0x7bff) continue;
        /* Half way to the next: to the even one of the two. */
        up = (float)(0.5 * (want + half_value((uint16_t)(in + 1))));
        k->f32_to_f16(&back, &up, 1);
        assert_int_equal(back, in & 1 ? in + 1 : in);
    }
    for (uint32_t h = 0; h < 65536; h++) {
        const uint16_t in = (uint16_t)h;
        uint16_t back;
        float x;
        k->bf16_to_f32(&x, &in, 1);
        k->f32_to_bf16(&back, &x, 1);
        assert_true(isnan(x) ? (back & 0x7fff) > 0x7f80 : back == in);
    }
    const float round[] = {1.00390625f, 1.01171875f, 3e38f, 1.0f / 3.0f};
    const uint16_t want[] = {0x3f80, 0x3f82, 0x7f62, 0x3eab};
    uint16_t got[4];
    k->f32_to_bf16(got, round, 4);
    assert_memory_equal(got, want, sizeof got);
}

/* f16 and bf16: all values there and back; halves go to even */
static void test_halves(void **state)
{
    (void)state;
    each_isa(halves);
}

static void sums(const kernels *k)
{
    float x[N], y[N], z[N];
    rng r = rng_seed(4, 0);
    double dot = 0.0, most = 0.0;

    rng_fill_normal(&r, x, N, 0.0f, 1.0f);
    rng_fill_normal(&r, y, N, 0.0f, 1.0f);
    for (int i = 0; i < N; i++) {
        dot += (double)x[i] * (double)y[i];
        most = fmax(most, fabs((double)x[i]));
    }
    CHECK_NEAR(k->dot(x, y, N), dot, 1e-4);
    CHECK_NEAR(k->max_abs(x, N), most, 0.0);
    memcpy(z, y, sizeof z);
    k->axpy(z, -0.5f, x, N);
    k->scale(z, 3.0f, N);
    k->add(z, x, N);
    for (int i = 0; i < N; i++)
        CHECK_NEAR(z[i], 3.0 * ((double)y[i] - 0.5 * (double)x[i]) + (double)x[i], 2e-6);
    x[N - 1] = NAN;
    assert_true(isnan(k->max_abs(x, N)));
}

/* sums: dot, add, axpy, scale, and a largest value that sees NaN */
static void test_sums(void **state)
{
    (void)state;
    each_isa(sums);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_acts), cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_layernorm), cmocka_unit_test(test_halves),
        cmocka_unit_test(test_sums)};
    return cmocka_run_group_tests_name("tensor", tests, NULL, NULL);
}

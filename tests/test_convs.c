/* Convolutions and what goes with them: values against plain loops in double, gradients
 * against central differences, on every instruction set that runs here. */
#include "check.h"

#include <stdlib.h>

#include "layer_rig.h"
#include "nn/convbn.h"
#include "nn/dwconv.h"
#include "nn/squeeze.h"
#include "nn/winograd.h"

/* ---- convolution ---- */

enum { CONV_B = 2 };

static double conv_at(const conv_shape *s, const float *x, const float *w, size_t b,
                      size_t oy, size_t ox, size_t o)
{
    double sum = 0.0;

    for (size_t i = 0; i < s->I; i++)
        for (size_t ky = 0; ky < s->k; ky++)
            for (size_t kx = 0; kx < s->k; kx++) {
                const size_t y = oy * s->stride + ky - s->pad_y;
                const size_t c = ox * s->stride + kx - s->pad_x;
                if (y >= s->H || c >= s->W) continue;
                const size_t at = s->planes ? ((b * s->I + i) * s->H + y) * s->W + c
                                            : ((b * s->H + y) * s->W + c) * s->I + i;
                sum +=
                    (double)x[at] * (double)w[((o * s->I + i) * s->k + ky) * s->k + kx];
            }
    return sum;
}

static void conv_values(layer *l, const conv_shape *s, const float *w, weight_form form)
{
    const float *x = l->f[0].x;
    size_t at = 0;

    conv_fwd(l->e, l->y, x, w, form, s, CONV_B, (gemm_opts){0});
    for (size_t b = 0; b < CONV_B; b++)
        for (size_t oy = 0; oy < s->Ho; oy++)
            for (size_t ox = 0; ox < s->Wo; ox++)
                for (size_t o = 0; o < s->O; o++, at++)
                    CHECK_NEAR(l->y[at], conv_at(s, x, l->f[1].x, b, oy, ox, o), 1e-4);
}

/* The same by tiles, through a norm's affine, a shortcut and a ReLU. */
static void tiled_values(layer *l, const conv_shape *s, const float *w, weight_form form)
{
    const size_t n = CONV_B * s->Ho * s->Wo * s->O;
    float *work = floats_of(l, conv_work(s, CONV_B), 0.0f);
    const float *scale = floats_of(l, s->O, 1.0f), *bias = floats_of(l, s->O, 1.0f);
    const float *add = floats_of(l, n, 1.0f);
    const gemm_opts o = {.scale = scale, .bias = bias, .add = add, .f = ACT_RELU};
    float *want = floats_of(l, n, 0.0f);

    conv_fwd(l->e, want, l->f[0].x, w, form, s, CONV_B, o);
    winograd_fwd(l->e, l->y, work, l->f[0].x, w, form, false, s, CONV_B, o);
    for (size_t i = 0; i < n; i++) CHECK_NEAR(l->y[i], want[i], 1e-4);
}

static void conv_f(layer *l)
{
    conv_fwd(l->e, l->y, l->f[0].x, l->f[1].x, WEIGHTS_PLAIN, l->own, CONV_B,
             (gemm_opts){0});
}

static void conv_b(layer *l)
{
    const conv_shape *s = l->own;
    float *work = floats_of(l, conv_work(s, CONV_B), 0.0f);
    const bool dx = s->stride == 1 && !s->planes;

    conv_bwd(l->e, dx ? l->f[0].g : NULL, false, l->f[1].g, work, l->dy, l->f[0].x,
             l->f[1].x, s, CONV_B);
}

static void one_conv(const char *isa, conv_shape s)
{
    layer l = layer_of(isa, conv_f, conv_b);
    float *packed = malloc(gemm_packed_bytes(WEIGHTS_F32, s.O, conv_depth(&s)));

    l.own = &s;
    add_field(&l, "x", CONV_B * s.H * s.W * s.I);
    add_field(&l, "w", s.O * conv_depth(&s));
    set_output(&l, CONV_B * s.Ho * s.Wo * s.O);
    assert_non_null(packed);
    conv_pack(l.e->k, packed, WEIGHTS_F32, l.f[1].x, s.O, s.I, s.k * s.k);
    conv_values(&l, &s, l.f[1].x, WEIGHTS_PLAIN);
    conv_values(&l, &s, packed, WEIGHTS_F32);
    if (winograd_fits(&s, CONV_B * winograd_tiles(&s))) {
        tiled_values(&l, &s, l.f[1].x, WEIGHTS_PLAIN);
        tiled_values(&l, &s, packed, WEIGHTS_F32);
    }
    free(packed);
    if (s.stride > 1 || s.planes) { /* no gradient of the input */
        l.bwd(&l);
        check_field(&l, &l.f[1]);
        l.n_fields = 0;
    }
    check_layer(&l);
}

static void convs(const char *isa)
{
    conv_shape pixels = conv_shape_of(3, 5, 3, 2, 9, 12);

    pixels.planes = true;
    one_conv(isa, pixels);
    one_conv(isa, conv_shape_of(4, 6, 3, 1, 6, 5));
    one_conv(isa, conv_shape_of(37, 33, 3, 1, 5, 4));   /* deeper than a block of gemm */
    one_conv(isa, conv_shape_of(5, 7, 3, 1, 11, 8));    /* by tiles, cut at the bottom */
    one_conv(isa, conv_shape_of(34, 35, 3, 1, 38, 31)); /* and at the right; two parts */
    one_conv(isa, conv_shape_of(17, 9, 1, 1, 4, 3));
    one_conv(isa, conv_shape_of(5, 3, 1, 1, 64, 65)); /* the weights' sums in two parts */
    one_conv(isa, conv_shape_of(2, 3, 3, 2, 128, 129));
    one_conv(isa, conv_shape_of(5, 3, 5, 1, 2, 2)); /* a kernel wider than the picture */
    one_conv(isa, conv_shape_of(6, 7, 3, 2, 8, 7));
    one_conv(isa, conv_shape_of(6, 7, 1, 2, 8, 7));
    one_conv(isa, conv_shape_of(6, 7, 2, 2, 8, 7)); /* even: no padding */
    one_conv(isa, conv_shape_same(6, 7, 3, 2, 8,
                                  7)); /* zeros below alone, and on both sides */
    pixels = conv_shape_of(3, 5, 4, 4, 9, 12);
    pixels.planes = true;
    one_conv(isa, pixels);
}

/* What a tiled convolution and its gradient of the weights make with some threads. */
static void tiled_with(float *y, float *dw, size_t threads, const float *x,
                       const float *w)
{
    enum { SIDE = 13, I = 6, O = 35 };
    const conv_shape s = conv_shape_of(I, O, 3, 1, SIDE, SIDE);
    float *work = malloc(winograd_work(&s, CONV_B) * sizeof *work);
    clipc_err err;
    exec *e;

    assert_non_null(work);
    CHECK_OK(exec_new(&e, threads, winograd_scratch(&s), &err), err);
    winograd_fwd(e, y, work, x, w, WEIGHTS_PLAIN, false, &s, CONV_B, (gemm_opts){0});
    memset(dw, 0, O * I * 9 * sizeof *dw);
    winograd_weights_bwd(e, dw, work, y, x, &s, CONV_B);
    exec_free(e);
    free(work);
}

/* tiled convolutions: the same bits whatever the threads */
static void test_tiled_threads(void **state)
{
    enum { X = CONV_B * 13 * 13 * 6, Y = CONV_B * 13 * 13 * 35, W = 35 * 6 * 9 };
    float *m = malloc((X + 2 * Y + 3 * W) * sizeof *m);
    float *x = m, *w = x + X, *y = w + W, *dw = y + Y, *y2 = dw + W, *dw2 = y2 + Y;
    rng r = rng_seed(7, 0);

    (void)state;
    assert_non_null(m);
    rng_fill_normal(&r, x, X + W, 0.0f, 1.0f);
    tiled_with(y, dw, 1, x, w);
    for (size_t threads = 2; threads <= 5; threads++) {
        tiled_with(y2, dw2, threads, x, w);
        assert_memory_equal(y, y2, Y * sizeof *y);
        assert_memory_equal(dw, dw2, W * sizeof *dw);
    }
    free(m);
}

/* conv: values packed and plain, gradients; strides, sizes, channel orders */
static void test_conv(void **state)
{
    (void)state;
    each_isa(convs);
}

/* ---- depthwise convolution ---- */

static void dw_f(layer *l)
{
    const dwconv_shape *s = l->own;

    dwconv_fwd(l->e, l->y, l->f[0].x, l->f[1].x, NULL, l->n_fields > 2 ? l->f[2].x : NULL,
               floats_of(l, dwconv_work(s), 7.0f), s, CONV_B, ACT_RELU);
}

static double dw_at(const dwconv_shape *s, const float *x, const float *w, size_t b,
                    size_t oy, size_t ox, size_t c)
{
    double sum = 0.0;

    for (size_t ky = 0; ky < s->k; ky++)
        for (size_t kx = 0; kx < s->k; kx++) {
            const size_t y = oy * s->stride + ky - s->pad_y;
            const size_t z = ox * s->stride + kx - s->pad_x;
            if (y < s->H && z < s->W)
                sum += (double)x[((b * s->H + y) * s->W + z) * s->C + c] *
                       (double)w[(c * s->k + ky) * s->k + kx];
        }
    return sum;
}

static void one_dwconv(const char *isa, dwconv_shape s, bool bias)
{
    layer l = layer_of(isa, dw_f, NULL);
    size_t at = 0;

    l.own = &s;
    add_field(&l, "x", CONV_B * s.H * s.W * s.C);
    add_field(&l, "w", s.C * s.k * s.k);
    if (bias) add_field(&l, "bias", s.C);
    set_output(&l, CONV_B * s.Ho * s.Wo * s.C);
    dw_f(&l);
    for (size_t b = 0; b < CONV_B; b++)
        for (size_t oy = 0; oy < s.Ho; oy++)
            for (size_t ox = 0; ox < s.Wo; ox++)
                for (size_t c = 0; c < s.C; c++, at++) {
                    const double z = (bias ? (double)l.f[2].x[c] : 0.0) +
                                     dw_at(&s, l.f[0].x, l.f[1].x, b, oy, ox, c);
                    CHECK_NEAR(l.y[at], z > 0.0 ? z : 0.0, 1e-4);
                }
    layer_free(&l);
}

/* Of more numbers than are widened at once. */
static void widened(const char *isa)
{
    enum { N = 40000, M = 3 };
    layer l = layer_of(isa, NULL, NULL);
    float *x = floats_of(&l, N, 1.0f), *y = floats_of(&l, N * M, 7.0f);

    dwconv_widen(l.e, y, x, N, M);
    for (size_t i = 0; i < N * M; i++) assert_true(y[i] == x[i / M]);
    layer_free(&l);
}

static void dwconvs(const char *isa)
{
    one_dwconv(isa, dwconv_shape_of(5, 3, 1, 4, 6), true);
    one_dwconv(isa, dwconv_shape_of(33, 7, 1, 9, 3), false);
    one_dwconv(isa, dwconv_shape_of(16, 3, 2, 7, 8), true);
    one_dwconv(isa, dwconv_shape_of(20, 7, 2, 10, 9), true);
    one_dwconv(isa, dwconv_shape_of(150, 7, 1, 5, 4), true);
    one_dwconv(isa, dwconv_shape_same(19, 5, 2, 6, 9), true);
    widened(isa);
}

/* depthwise convolution: values; inputs for several outputs; strides, sizes beside the
 * vector's and the block's */
static void test_dwconv(void **state)
{
    (void)state;
    each_isa(dwconvs);
}

/* ---- squeeze and excitation ---- */

enum { SQ_B = 3, SQ_N = 50, SQ_C = 19, SQ_R = 6 };

/* What channel c of picture b is multiplied by. */
static double gate_at(const squeeze *q, const float *x, size_t b, size_t c)
{
    double z = (double)q->fc2_b[c];

    for (size_t r = 0; r < SQ_R; r++) {
        double inner = (double)q->fc1_b[r];
        for (size_t i = 0; i < SQ_C; i++) {
            double mean = 0.0;
            for (size_t n = 0; n < SQ_N; n++)
                mean += (double)x[(b * SQ_N + n) * SQ_C + i] / SQ_N;
            inner += (double)q->fc1_w[r * SQ_C + i] * mean;
        }
        if (inner > 0.0) z += (double)q->fc2_w[c * SQ_R + r] * inner;
    }
    return 1.0 / (1.0 + exp(-z));
}

static void squeezes(const char *isa)
{
    const size_t n = SQ_B * SQ_N * SQ_C;
    layer l = layer_of(isa, NULL, NULL);
    const squeeze q = {.fc1_w = floats_of(&l, SQ_R * SQ_C, 1.0f),
                       .fc1_b = floats_of(&l, SQ_R, 1.0f),
                       .fc2_w = floats_of(&l, SQ_C * SQ_R, 1.0f),
                       .fc2_b = floats_of(&l, SQ_C, 1.0f)};
    float *x = floats_of(&l, n, 1.0f), *y = floats_of(&l, n, 0.0f);
    float *work = floats_of(&l, squeeze_work(SQ_B, SQ_C, SQ_R), 7.0f);

    for (int relu = 0; relu < 2; relu++) {
        memcpy(y, x, n * sizeof *y);
        squeeze_fwd(l.e, y, work, &q, WEIGHTS_PLAIN, SQ_B, SQ_N, SQ_C, SQ_R,
                    relu ? ACT_RELU : ACT_NONE);
        for (size_t i = 0; i < n; i++) {
            const double z = (double)x[i] * gate_at(&q, x, i / (SQ_N * SQ_C), i % SQ_C);
            CHECK_NEAR(y[i], relu && z < 0.0 ? 0.0 : z, 1e-5);
        }
    }
    layer_free(&l);
}

/* squeeze and excitation: values against plain loops in double */
static void test_squeeze(void **state)
{
    (void)state;
    each_isa(squeezes);
}

/* ---- convolution, batch norm, sum, ReLU ---- */

typedef struct cb_own {
    convbn w, g;
    convbn_acts a;
    conv_shape s;
    convbn_run run;
    arena mem;
} cb_own;

static void convbn_f(layer *l)
{
    cb_own *o = l->own;
    o->a.y = l->y;
    convbn_fwd(&o->run, &o->w, &o->a, &o->s, l->f[0].x, l->f[1].x, ACT_RELU);
}

static void convbn_b(layer *l)
{
    cb_own *o = l->own;
    /* The sum's other side gets what the ReLU lets through: g, masked in place. */
    float *dz = floats_of(l, l->n_y, 0.0f);

    memcpy(l->f[1].g, l->dy, l->n_y * sizeof *l->dy);
    convbn_bwd(&o->run, &o->w, &o->g, &o->a, &o->s, l->f[0].g, false, dz, l->f[1].g,
               l->f[0].x, ACT_RELU);
}

static void convbns(const char *isa)
{
    layer l = layer_of(isa, convbn_f, convbn_b);
    cb_own o = {.s = conv_shape_of(5, 7, 3, 1, 9, 8)};
    const size_t out = CONV_B * o.s.Ho * o.s.Wo * o.s.O;
    param_list list = {0}, grads = {0};
    arena measure = arena_measure();
    clipc_err err;

    bn_acts_take(&o.a.bn, &measure, o.s.O, true);
    CHECK_OK(arena_new(&o.mem, measure.used, "norm", &err), err);
    bn_acts_take(&o.a.bn, &o.mem, o.s.O, true);
    o.a.z = floats_of(&l, out, 0.0f);
    o.run = (convbn_run){.e = l.e, .B = CONV_B, .eps = 1e-5f, .train = true};
    o.run.part = (double *)(void *)floats_of(&l, 2 * convbn_part_doubles(o.s.O), 0.0f);
    o.run.work = floats_of(&l, conv_work(&o.s, CONV_B), 0.0f);
    CHECK_OK(convbn_params(&o.w, &list, "", "conv.", "bn.", &o.s, &err), err);
    CHECK_OK(convbn_params(&o.g, &grads, "", "conv.", "bn.", &o.s, &err), err);
    l.own = &o;
    add_field(&l, "x", CONV_B * o.s.H * o.s.W * o.s.I);
    add_field(&l, "shortcut", out);
    add_params(&l, &list, &grads);
    for (size_t i = 0; i < l.f[1].n; i++) /* away from the ReLU's kink */
        l.f[1].x[i] = l.f[1].x[i] > 0 ? 8.0f + l.f[1].x[i] : l.f[1].x[i] - 8.0f;
    set_output(&l, out);
    check_layer(&l);
    param_list_free(&list), param_list_free(&grads);
    arena_free(&o.mem);
}

/* convbn: input, shortcut, weights, gains and biases, through the batch's statistics */
static void test_convbn(void **state)
{
    (void)state;
    each_isa(convbns);
}

/* ---- depthwise convolution, batch norm, ReLU6 ---- */

typedef struct db_own {
    convbn w, g;
    convbn_acts a;
    dwconv_shape s;
    convbn_run run;
    arena mem;
} db_own;

static void dwbn_f(layer *l)
{
    db_own *o = l->own;
    o->a.y = l->y;
    dwbn_fwd(&o->run, &o->w, &o->a, &o->s, l->f[0].x, ACT_NONE);
}

static void dwbn_b(layer *l)
{
    db_own *o = l->own;
    float *g = floats_of(l, l->n_y, 0.0f);

    memcpy(g, l->dy, l->n_y * sizeof *g);
    dwbn_bwd(&o->run, &o->w, &o->g, &o->a, &o->s, l->f[0].g, g, g, l->f[0].x, ACT_NONE);
}

static void one_dwbn(const char *isa, dwconv_shape s)
{
    layer l = layer_of(isa, dwbn_f, dwbn_b);
    db_own o = {.s = s};
    const size_t out = CONV_B * s.Ho * s.Wo * s.C;
    param_list list = {0}, grads = {0};
    arena measure = arena_measure();
    clipc_err err;

    bn_acts_take(&o.a.bn, &measure, s.C, true);
    CHECK_OK(arena_new(&o.mem, measure.used, "norm", &err), err);
    bn_acts_take(&o.a.bn, &o.mem, s.C, true);
    o.a.z = floats_of(&l, out, 0.0f);
    o.run = (convbn_run){.e = l.e, .B = CONV_B, .eps = 1e-3f, .train = true};
    o.run.part = (double *)(void *)floats_of(&l, 2 * convbn_part_doubles(s.C), 0.0f);
    o.run.work = floats_of(&l, dwconv_bwd_work(&s, CONV_B), 0.0f);
    CHECK_OK(dwbn_params(&o.w, &list, "", "conv.", "bn.", &s, &err), err);
    CHECK_OK(dwbn_params(&o.g, &grads, "", "conv.", "bn.", &s, &err), err);
    l.own = &o;
    add_field(&l, "x", CONV_B * s.H * s.W * s.C);
    add_params(&l, &list, &grads);
    set_output(&l, out);
    check_layer(&l);
    param_list_free(&list), param_list_free(&grads);
    arena_free(&o.mem);
}

static void dwbns(const char *isa)
{
    one_dwbn(isa, dwconv_shape_same(9, 3, 1, 8, 7));
    one_dwbn(isa, dwconv_shape_same(18, 5, 2, 10, 9));
    one_dwbn(isa, dwconv_shape_same(5, 3, 2, 9, 8));
}

/* dwbn: input, weights, gains and biases, through the batch's statistics; strides */
static void test_dwbn(void **state)
{
    (void)state;
    each_isa(dwbns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv),   cmocka_unit_test(test_tiled_threads),
        cmocka_unit_test(test_dwconv), cmocka_unit_test(test_squeeze),
        cmocka_unit_test(test_convbn), cmocka_unit_test(test_dwbn)};
    return cmocka_run_group_tests_name("convs", tests, NULL, NULL);
}

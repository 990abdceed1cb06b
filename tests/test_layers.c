/* Every layer's gradients against central differences, on every instruction set that runs
 * here (convolutions: test_convs.c); interpolation against PyTorch. */
#include "check.h"

#include <stdlib.h>

#include "golden_file.h"
#include "layer_rig.h"
#include "nn/attention.h"
#include "nn/attnpool.h"
#include "nn/block.h"
#include "nn/interpolate.h"
#include "nn/linear.h"
#include "nn/pool.h"
#include "nn/rows.h"

/* ---- linear ---- */

enum { LIN_N = 7, LIN_K = 19, LIN_O = 13 };

static void linear_f(layer *l)
{
    linear_fwd(l->e, l->y, l->f[0].x, l->f[1].x, WEIGHTS_PLAIN, LIN_N, LIN_K, LIN_O,
               (gemm_opts){.bias = l->f[2].x});
}

static void linear_b(layer *l)
{
    linear_bwd(l->e, l->f[0].g, l->f[1].g, l->f[2].g, l->dy, l->f[0].x, l->f[1].x, LIN_N,
               LIN_K, LIN_O);
}

static void linear(const char *isa)
{
    layer l = layer_of(isa, linear_f, linear_b);

    add_field(&l, "x", LIN_N * LIN_K);
    add_field(&l, "w", LIN_O * LIN_K);
    add_field(&l, "b", LIN_O);
    set_output(&l, LIN_N * LIN_O);
    check_layer(&l);
}

/* linear: input, weight, bias */
static void test_linear(void **state)
{
    (void)state;
    each_isa(linear);
}

/* ---- normalize ---- */

typedef struct norm_own {
    float norm[5];
} norm_own;

static void normalize_f(layer *l)
{
    rows_normalize_fwd(l->e, l->y, ((norm_own *)l->own)->norm, l->f[0].x, 5, 11);
}

static void normalize_b(layer *l)
{
    rows_normalize_bwd(l->e, l->f[0].g, l->dy, l->y, ((norm_own *)l->own)->norm, 5, 11);
}

static void normalize(const char *isa)
{
    layer l = layer_of(isa, normalize_f, normalize_b);
    norm_own own;

    l.own = &own;
    add_field(&l, "x", 5 * 11);
    set_output(&l, 5 * 11);
    check_layer(&l);
}

/* normalize: rows of unit length */
static void test_normalize(void **state)
{
    (void)state;
    each_isa(normalize);
}

/* ---- attention, on sequences of different lengths ---- */

enum { ATT_C = 24, ATT_H = 3 };
static const size_t att_start[] = {0, 5, 6, 13};
static const seqs att_seqs = {.B = 3, .start = att_start};

typedef struct att_own {
    float *p;
    bool causal;
} att_own;

static void attention_f(layer *l)
{
    att_own *o = l->own;
    attention_fwd(l->e, l->y, o->p, l->f[0].x, &att_seqs, ATT_C, ATT_H, o->causal);
}

static void attention_b(layer *l)
{
    att_own *o = l->own;
    attention_bwd(l->e, l->f[0].g, l->dy, o->p, l->f[0].x, &att_seqs, ATT_C, ATT_H,
                  o->causal);
}

static void attention(const char *isa)
{
    for (int causal = 0; causal < 2; causal++) {
        layer l = layer_of(isa, attention_f, attention_b);
        att_own own = {floats_of(&l, attention_saved(3, 7, ATT_H), 0.0f), causal != 0};
        l.own = &own;
        add_field(&l, causal ? "qkv, causal" : "qkv", 13 * 3 * ATT_C);
        set_output(&l, 13 * ATT_C);
        check_layer(&l);
    }
}

/* attention: q, k and v of ragged sequences, with and without the causal mask */
static void test_attention(void **state)
{
    (void)state;
    each_isa(attention);
}

/* ---- the residual block ---- */

typedef struct blk_own {
    block w, g;
    block_cfg cfg;
    block_acts a;
    block_work work;
    arena mem;
} blk_own;

static void block_f(layer *l)
{
    blk_own *o = l->own;
    memcpy(l->y, l->f[0].x, l->n_y * sizeof *l->y);
    block_fwd(l->e, l->y, &o->w, &o->a, &o->cfg, &att_seqs);
}

static void block_b(layer *l)
{
    blk_own *o = l->own;
    memcpy(l->f[0].g, l->dy, l->n_y * sizeof *l->y);
    block_bwd(l->e, l->f[0].g, &o->w, &o->g, &o->a, &o->work, &o->cfg, &att_seqs);
}

static void blocks(const char *isa)
{
    layer l = layer_of(isa, block_f, block_b);
    blk_own o = {.cfg = {.C = ATT_C,
                         .H = ATT_H,
                         .F = 40,
                         .act = ACT_GELU,
                         .eps = 1e-5f,
                         .causal = true,
                         .form = WEIGHTS_PLAIN}};
    param_list list = {0}, grads = {0};
    arena measure = arena_measure();
    clipc_err err;

    block_acts_take(&o.a, &measure, &o.cfg, 13, 3, 7, true);
    block_work_take(&o.work, &measure, &o.cfg, 13);
    CHECK_OK(arena_new(&o.mem, measure.used, "block", &err), err);
    block_acts_take(&o.a, &o.mem, &o.cfg, 13, 3, 7, true);
    block_work_take(&o.work, &o.mem, &o.cfg, 13);
    CHECK_OK(block_params(&o.w, &list, "", &o.cfg, &err), err);
    CHECK_OK(block_params(&o.g, &grads, "", &o.cfg, &err), err);
    l.own = &o;
    add_field(&l, "x", 13 * ATT_C);
    add_params(&l, &list, &grads);
    set_output(&l, 13 * ATT_C);
    check_layer(&l);
    param_list_free(&list), param_list_free(&grads);
    arena_free(&o.mem);
}

/* block: input and every parameter of a residual attention block */
static void test_block(void **state)
{
    (void)state;
    each_isa(blocks);
}

/* ---- pooling ---- */

enum { POOL_B = 3, POOL_HH = 5, POOL_WW = 6, POOL_C = 9 };

static void pool_f(layer *l)
{
    pool_fwd(l->e, l->y, l->f[0].x, POOL_B, POOL_HH, POOL_WW, POOL_C);
}

static void pool_b(layer *l)
{
    const size_t n = l->f[0].n;
    float *twice = floats_of(l, n, 0.0f);

    for (size_t i = 0; i < n; i++) twice[i] = 1.0f;
    pool_bwd(l->e, twice, l->dy, POOL_B, POOL_HH, POOL_WW, POOL_C, true);
    for (size_t i = 0; i < n; i++) l->f[0].g[i] = 5.0f; /* is overwritten */
    pool_bwd(l->e, l->f[0].g, l->dy, POOL_B, POOL_HH, POOL_WW, POOL_C, false);
    for (size_t i = 0; i < n; i++) CHECK_NEAR(twice[i], 1.0f + l->f[0].g[i], 1e-6);
}

static void pools(const char *isa)
{
    layer l = layer_of(isa, pool_f, pool_b);

    add_field(&l, "x", POOL_B * POOL_HH * POOL_WW * POOL_C);
    set_output(&l, POOL_B * (POOL_HH / 2) * (POOL_WW / 2) * POOL_C);
    check_layer(&l);
}

/* pool: two by two, an odd last row left out; gradients set and added */
static void test_pool(void **state)
{
    (void)state;
    each_isa(pools);
}

/* The mean of what of a window is inside. */
static double pool3_at(const float *x, size_t H, size_t W, size_t oy, size_t ox, size_t c)
{
    double sum = 0.0, n = 0.0;

    for (size_t y = 0; y < H; y++)
        for (size_t z = 0; z < W; z++)
            if (y + 1 >= 2 * oy && y <= 2 * oy + 1 && z + 1 >= 2 * ox && z <= 2 * ox + 1)
                sum += (double)x[(y * W + z) * POOL_C + c], n++;
    return sum / n;
}

static void one_pool3(const char *isa, size_t H, size_t W)
{
    layer l = layer_of(isa, NULL, NULL);
    const float *x = add_field(&l, "x", POOL_B * H * W * POOL_C)->x;
    size_t at = 0;

    set_output(&l, POOL_B * ((H + 1) / 2) * ((W + 1) / 2) * POOL_C);
    pool3_fwd(l.e, l.y, x, POOL_B, H, W, POOL_C);
    for (size_t b = 0; b < POOL_B; b++)
        for (size_t oy = 0; oy < (H + 1) / 2; oy++)
            for (size_t ox = 0; ox < (W + 1) / 2; ox++)
                for (size_t c = 0; c < POOL_C; c++)
                    CHECK_NEAR(l.y[at++],
                               pool3_at(x + b * H * W * POOL_C, H, W, oy, ox, c), 1e-6);
    layer_free(&l);
}

static void pool3s(const char *isa)
{
    one_pool3(isa, 6, 8);
    one_pool3(isa, 5, 4);
    one_pool3(isa, 1, 3);
}

/* pool: three by three over even and odd sides, the padding not counted */
static void test_pool3(void **state)
{
    (void)state;
    each_isa(pool3s);
}

typedef struct ap_own {
    attnpool w, g;
    attnpool_cfg cfg;
    attnpool_acts a;
    arena mem;
} ap_own;

static void attnpool_f(layer *l)
{
    ap_own *o = l->own;
    attnpool_fwd(l->e, l->y, l->f[0].x, &o->w, &o->a, &o->cfg, POOL_B);
}

static void attnpool_b(layer *l)
{
    ap_own *o = l->own;
    attnpool_bwd(l->e, l->f[0].g, l->dy, &o->w, &o->g, &o->a, &o->cfg, POOL_B);
}

static void attnpools(const char *isa)
{
    layer l = layer_of(isa, attnpool_f, attnpool_b);
    ap_own o = {.cfg = {.T = 7, .C = 20, .H = 4, .E = 9}};
    param_list list = {0}, grads = {0};
    arena measure = arena_measure();
    clipc_err err;

    attnpool_acts_take(&o.a, &measure, &o.cfg, POOL_B, true);
    CHECK_OK(arena_new(&o.mem, measure.used, "pool", &err), err);
    attnpool_acts_take(&o.a, &o.mem, &o.cfg, POOL_B, true);
    CHECK_OK(attnpool_params(&o.w, &list, "", &o.cfg, &err), err);
    CHECK_OK(attnpool_params(&o.g, &grads, "", &o.cfg, &err), err);
    l.own = &o;
    add_field(&l, "x", POOL_B * 6 * 20);
    add_params(&l, &list, &grads);
    set_output(&l, POOL_B * 9);
    check_layer(&l);
    param_list_free(&list), param_list_free(&grads);
    arena_free(&o.mem);
}

/* attention pool: input and every parameter */
static void test_attnpool(void **state)
{
    (void)state;
    each_isa(attnpools);
}

static void close_to(const float *y, const double *want, size_t n, const char *name)
{
    const double e = relative_error(y, want, n);

    /* measured 6e-7 for 14x14 to 37x37, 2e-7 for the others: PyTorch fuses products */
    if (!(e <= 1e-6)) fail_msg("%s: %g", name, e);
}

/* interpolation: PyTorch's F.interpolate as open_clip calls it, up, down and not at all,
 * grids and rows (tests/golden/make_variants.py) */
static void test_interpolate(void **state)
{
    tensor_file *f = golden_open("tests/golden/interpolate");
    size_t seen = 0, n, count, h, w, H, W;

    (void)state;
    for (size_t i = 0; i < tensor_file_count(f); i++) {
        const char *name = tensor_file_at(f, i)->name;
        char out[64];
        const bool grid = sscanf(name, "bicubic %zu %zu %zu %zu in", &h, &w, &H, &W) == 4;
        if (!grid && sscanf(name, "linear %zu %zu in", &w, &W) != 2) continue;
        if (strcmp(strrchr(name, ' '), " in") != 0) continue;
        snprintf(out, sizeof out, "%.*sout", (int)(strlen(name) - 2), name);
        float *in = golden_f32(f, name, &n);
        double *want = golden_f64(f, out, &count);
        float *y = malloc(count * sizeof *y), *work = malloc(n * 64 * sizeof *work);
        assert_non_null(y), assert_non_null(work);
        if (grid) interpolate_bicubic(y, work, in, h, w, H, W, 3);
        else interpolate_linear(y, in, w, W, 3);
        close_to(y, want, count, out);
        free(in), free(want), free(y), free(work);
        seen++;
    }
    assert_int_equal(seen, 10);
    tensor_file_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear),    cmocka_unit_test(test_normalize),
        cmocka_unit_test(test_attention), cmocka_unit_test(test_block),
        cmocka_unit_test(test_pool),      cmocka_unit_test(test_pool3),
        cmocka_unit_test(test_attnpool),  cmocka_unit_test(test_interpolate)};
    return cmocka_run_group_tests_name("layers", tests, NULL, NULL);
}

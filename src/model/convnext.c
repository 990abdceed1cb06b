#include "model/convnext.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/sizes.h"
#include "nn/linear.h"
#include "nn/rows.h"

enum { STAGES = CONVNEXT_STAGES, PATCH = 4, HALVES = 2, KERNEL = 7 };

static int check_size(size_t n, size_t low, size_t high, const char *what, clipc_err *err)
{
    if (n >= low && n <= high) return CLIPC_OK;
    return clipc_fail(err, CLIPC_ERR_FORMAT,
                      "vision config: a ConvNeXt with %s of %zu, wanted %zu to %zu", what,
                      n, low, high);
}

static int convnext_check(const image_cfg *c, clipc_err *err)
{
    int rc = check_size(c->image_size, 32, 2048, "image_size", err);

    if (rc == CLIPC_OK) rc = check_size(image_columns(c), 32, 2048, "image_width", err);
    if (rc == CLIPC_OK) rc = check_size(c->embed_dim, 1, 65536, "embed_dim", err);
    for (size_t s = 0; s < STAGES; s++) {
        if (rc == CLIPC_OK) rc = check_size(c->stages[s], 1, 1024, "stages", err);
        if (rc == CLIPC_OK) rc = check_size(c->dims[s], 1, 16384, "dims", err);
        if (rc == CLIPC_OK) rc = check_size(c->mlp_dims[s], 1, 65536, "mlp_dims", err);
    }
    if (rc == CLIPC_OK && c->proj < PROJ_LINEAR)
        rc = clipc_fail(err, CLIPC_ERR_FEATURE,
                        "vision config: a ConvNeXt is projected by a linear layer or an "
                        "MLP");
    return rc;
}

static void convnext_destroy(void *tower)
{
    convnext *n = tower;

    if (!n) return;
    free(n->blocks);
    free(n);
}

/* Rows and columns that do not fill a patch are ignored. */
static void shape_all(convnext *n)
{
    const image_cfg *c = &n->cfg;
    convnext_block *b = n->blocks;
    size_t I = 3, H = c->image_size, W = image_columns(c);

    n->stem = conv_shape_of(I, c->dims[0], PATCH, PATCH, H, W);
    n->stem.planes = true;
    H = n->stem.Ho, W = n->stem.Wo;
    for (size_t s = 0; s < STAGES; s++) {
        convnext_stage *t = &n->stages[s];
        *t = (convnext_stage){
            .C = c->dims[s], .F = c->mlp_dims[s], .blocks = b, .n = c->stages[s]};
        if (s > 0) {
            t->conv = conv_shape_of(I, t->C, HALVES, HALVES, H, W);
            H = t->conv.Ho, W = t->conv.Wo;
        }
        t->dw = dwconv_shape_of(t->C, KERNEL, 1, H, W);
        I = t->C;
        b += t->n;
    }
}

static int convnext_make(void **tower, const image_cfg *cfg, clipc_err *err)
{
    const int rc = convnext_check(cfg, err);
    size_t blocks = 0;
    convnext *n;

    *tower = NULL;
    if (rc != CLIPC_OK) return rc;
    for (size_t s = 0; s < STAGES; s++) blocks += cfg->stages[s];
    n = calloc(1, sizeof *n);
    if (n) n->blocks = calloc(blocks, sizeof *n->blocks);
    if (!n || !n->blocks) {
        convnext_destroy(n);
        return clipc_fail_memory(err, "image tower", blocks * sizeof *n->blocks);
    }
    n->cfg = *cfg;
    shape_all(n);
    *tower = n;
    return CLIPC_OK;
}

enum {
    DIM_C = 1,
    DIM_F,
    DIM_1,
    DIM_K, /* a kernel's side */
    DIM_I, /* channels in */
    DIM_LAST,
    DIM_LINEAR,
    DIM_LINEAR_BIAS,
    DIM_HIDDEN,
    DIM_MLP,
    DIM_MLP_BIAS
};

static const param_row end_rows[] = {
    {"trunk.stem.0.weight",
     offsetof(convnext_ends, stem_w),
     {DIM_C, DIM_I, DIM_K, DIM_K},
     PARAM_CONV},
    {"trunk.stem.0.bias", offsetof(convnext_ends, stem_b), {DIM_C}, PARAM_GAIN},
    {"trunk.stem.1.weight", offsetof(convnext_ends, stem_norm_w), {DIM_C}, PARAM_GAIN},
    {"trunk.stem.1.bias", offsetof(convnext_ends, stem_norm_b), {DIM_C}, PARAM_GAIN},
    {"trunk.head.norm.weight", offsetof(convnext_ends, norm_w), {DIM_LAST}, PARAM_GAIN},
    {"trunk.head.norm.bias", offsetof(convnext_ends, norm_b), {DIM_LAST}, PARAM_GAIN},
    {"head.proj.weight",
     offsetof(convnext_ends, out_w),
     {DIM_LINEAR, DIM_LAST},
     PARAM_LINEAR},
    {"head.proj.bias", offsetof(convnext_ends, out_b), {DIM_LINEAR_BIAS}, PARAM_GAIN},
    {"head.mlp.fc1.weight",
     offsetof(convnext_ends, fc1_w),
     {DIM_HIDDEN, DIM_LAST},
     PARAM_LINEAR},
    {"head.mlp.fc1.bias", offsetof(convnext_ends, fc1_b), {DIM_HIDDEN}, PARAM_GAIN},
    {"head.mlp.fc2.weight",
     offsetof(convnext_ends, out_w),
     {DIM_MLP, DIM_HIDDEN},
     PARAM_LINEAR},
    {"head.mlp.fc2.bias", offsetof(convnext_ends, out_b), {DIM_MLP_BIAS}, PARAM_GAIN},
};

static const param_row halving_rows[] = {
    {"downsample.0.weight", offsetof(convnext_stage, norm_w), {DIM_I}, PARAM_GAIN},
    {"downsample.0.bias", offsetof(convnext_stage, norm_b), {DIM_I}, PARAM_GAIN},
    {"downsample.1.weight",
     offsetof(convnext_stage, conv_w),
     {DIM_C, DIM_I, DIM_K, DIM_K},
     PARAM_CONV},
    {"downsample.1.bias", offsetof(convnext_stage, conv_b), {DIM_C}, PARAM_GAIN},
};

static const param_row block_rows[] = {
    {"conv_dw.weight",
     offsetof(convnext_block, dw_w),
     {DIM_C, DIM_1, DIM_K, DIM_K},
     PARAM_MATRIX},
    {"conv_dw.bias", offsetof(convnext_block, dw_b), {DIM_C}, PARAM_GAIN},
    {"norm.weight", offsetof(convnext_block, norm_w), {DIM_C}, PARAM_GAIN},
    {"norm.bias", offsetof(convnext_block, norm_b), {DIM_C}, PARAM_GAIN},
    {"mlp.fc1.weight", offsetof(convnext_block, fc1_w), {DIM_F, DIM_C}, PARAM_LINEAR},
    {"mlp.fc1.bias", offsetof(convnext_block, fc1_b), {DIM_F}, PARAM_GAIN},
    {"mlp.fc2.weight", offsetof(convnext_block, fc2_w), {DIM_C, DIM_F}, PARAM_LINEAR},
    {"mlp.fc2.bias", offsetof(convnext_block, fc2_b), {DIM_C}, PARAM_GAIN},
    {"gamma", offsetof(convnext_block, gamma), {DIM_C}, PARAM_GAIN},
};

#define ROWS(table) (sizeof(table) / sizeof(table)[0])

static bool has_mlp(const image_cfg *c)
{
    return c->proj == PROJ_MLP || c->proj == PROJ_MLP_BIAS;
}

/* open_clip's: channels inside the MLP that projects. */
static size_t hidden_of(const image_cfg *c)
{
    return 2 * c->embed_dim;
}

static int end_params(convnext *n, param_list *l, clipc_err *err)
{
    const image_cfg *c = &n->cfg;
    const size_t E = c->embed_dim;
    const bool mlp = has_mlp(c);
    const size_t sizes[] = {[DIM_C] = c->dims[0],
                            [DIM_I] = 3,
                            [DIM_K] = PATCH,
                            [DIM_LAST] = c->dims[STAGES - 1],
                            [DIM_LINEAR] = mlp ? 0 : E,
                            [DIM_LINEAR_BIAS] = c->proj == PROJ_LINEAR_BIAS ? E : 0,
                            [DIM_HIDDEN] = mlp ? hidden_of(c) : 0,
                            [DIM_MLP] = mlp ? E : 0,
                            [DIM_MLP_BIAS] = c->proj == PROJ_MLP_BIAS ? E : 0};

    return param_list_add(l, "visual.", end_rows, ROWS(end_rows), &n->ends, sizes, err);
}

static int stage_params(convnext_stage *t, param_list *l, size_t s, clipc_err *err)
{
    const size_t halving[] = {[DIM_C] = t->C, [DIM_K] = HALVES, [DIM_I] = t->conv.I};
    const size_t sizes[] = {
        [DIM_C] = t->C, [DIM_F] = t->F, [DIM_1] = 1, [DIM_K] = KERNEL};
    char prefix[64];
    int rc = CLIPC_OK;

    snprintf(prefix, sizeof prefix, "visual.trunk.stages.%zu.", s);
    if (s > 0)
        rc = param_list_add(l, prefix, halving_rows, ROWS(halving_rows), t, halving, err);
    for (size_t i = 0; rc == CLIPC_OK && i < t->n; i++) {
        snprintf(prefix, sizeof prefix, "visual.trunk.stages.%zu.blocks.%zu.", s, i);
        rc = param_list_add(l, prefix, block_rows, ROWS(block_rows), &t->blocks[i], sizes,
                            err);
    }
    return rc;
}

static int convnext_params(void *tower, param_list *l, clipc_err *err)
{
    convnext *n = tower;
    int rc = end_params(n, l, err);

    for (size_t s = 0; rc == CLIPC_OK && s < STAGES; s++)
        rc = stage_params(&n->stages[s], l, s, err);
    return rc;
}

typedef struct convnext_acts {
    arena mem;
    size_t B;
    tower_mode mode;
    float *x, *y;  /* what goes from block to block, and where the next of it comes up */
    float *hidden; /* inside an MLP */
    float *shift;  /* gamma times a bias */
    float *dw;     /* the depthwise convolution's work */
    float *mean;   /* [B,C] of the last stage */
} convnext_acts;

static void acts_take(convnext_acts *a, arena *mem, const convnext *n)
{
    const size_t C = n->stages[STAGES - 1].C;
    size_t rows = 0, hidden = has_mlp(&n->cfg) ? hidden_of(&n->cfg) : 0, most = 0,
           work = 0;

    for (size_t s = 0; s < STAGES; s++) {
        const convnext_stage *t = &n->stages[s];
        const size_t N = t->dw.H * t->dw.W;
        rows = max_size(rows, N * t->C);
        hidden = max_size(hidden, N * t->F);
        most = max_size(most, t->C);
        work = max_size(work, dwconv_work(&t->dw));
    }
    a->x = ARENA_FLOATS(mem, a->B * rows);
    a->y = ARENA_FLOATS(mem, a->B * rows);
    a->hidden = ARENA_FLOATS(mem, a->B * hidden);
    a->shift = ARENA_FLOATS(mem, most);
    a->dw = ARENA_FLOATS(mem, work);
    a->mean = ARENA_FLOATS(mem, a->B * C);
}

static void convnext_acts_destroy(void *acts)
{
    convnext_acts *a = acts;

    if (!a) return;
    arena_free(&a->mem);
    free(a);
}

static int convnext_acts_make(void **acts, size_t *bytes, const void *tower, size_t B,
                              tower_mode mode, clipc_err *err)
{
    arena measure = arena_measure();
    convnext_acts *a;
    int rc;

    *acts = NULL;
    if (tower_trains(mode))
        return clipc_fail(err, CLIPC_ERR_FEATURE,
                          "an image tower of this kind runs but is not trained, it is a "
                          "ConvNeXt: lock it");
    a = calloc(1, sizeof *a);
    if (!a) return clipc_fail_memory(err, "image tower", sizeof *a);
    a->B = B;
    a->mode = mode;
    acts_take(a, &measure, tower);
    rc = arena_make(&a->mem, bytes, &measure, "image tower's activations", err);
    if (rc != CLIPC_OK || bytes) {
        convnext_acts_destroy(a);
        return rc;
    }
    acts_take(a, &a->mem, tower);
    *acts = a;
    return CLIPC_OK;
}

/* Convolutions and products share gemm's own scratch. */
static size_t convnext_scratch(const void *tower)
{
    (void)tower;
    return 0;
}

typedef struct run {
    exec *e;
    const image_cfg *cfg;
    convnext_acts *a;
    size_t B;
    weight_form form;
} run;

static void swap(convnext_acts *a)
{
    float *x = a->x;

    a->x = a->y;
    a->y = x;
}

/* Rows of x, in place. */
static void norm(const run *r, float *x, const float *w, const float *b, size_t N,
                 size_t C)
{
    rows_layernorm_fwd(r->e, x, NULL, NULL, x, w, b, N, C, r->cfg->eps);
}

static void halve(const run *r, const convnext_stage *t)
{
    const conv_shape *s = &t->conv;
    convnext_acts *a = r->a;

    norm(r, a->x, t->norm_w, t->norm_b, r->B * s->H * s->W, s->I);
    conv_fwd(r->e, a->y, a->x, t->conv_w, r->form, s, r->B,
             (gemm_opts){.bias = t->conv_b});
    swap(a);
}

/* The layer scale and the sum run on the second product's tiles:
 * gamma * (h W + b) + x = gamma * (h W) + gamma b + x. */
static void block_forward(const run *r, const convnext_stage *t, const convnext_block *b)
{
    const size_t N = r->B * t->dw.H * t->dw.W, C = t->C;
    convnext_acts *a = r->a;

    dwconv_fwd(r->e, a->y, a->x, b->dw_w, NULL, b->dw_b, a->dw, &t->dw, r->B, ACT_NONE);
    norm(r, a->y, b->norm_w, b->norm_b, N, C);
    linear_fwd(r->e, a->hidden, a->y, b->fc1_w, r->form, N, C, t->F,
               (gemm_opts){.bias = b->fc1_b, .f = r->cfg->act});
    for (size_t c = 0; c < C; c++) a->shift[c] = b->gamma[c] * b->fc2_b[c];
    linear_fwd(r->e, a->y, a->hidden, b->fc2_w, r->form, N, t->F, C,
               (gemm_opts){.scale = b->gamma, .bias = a->shift, .add = a->x});
    swap(a);
}

/* out [B,E] from the last stage's pixels. */
static void head(const run *r, const convnext *n, float *out)
{
    const convnext_stage *t = &n->stages[STAGES - 1];
    const size_t N = t->dw.H * t->dw.W, C = t->C, E = n->cfg.embed_dim;
    const size_t hidden = hidden_of(&n->cfg);
    const bool mlp = has_mlp(&n->cfg);
    const convnext_ends *d = &n->ends;
    convnext_acts *a = r->a;

    for (size_t b = 0; b < r->B; b++)
        rows_mean(r->e, a->mean + b * C, a->x + b * N * C, N, C);
    norm(r, a->mean, d->norm_w, d->norm_b, r->B, C);
    if (mlp)
        linear_fwd(r->e, a->hidden, a->mean, d->fc1_w, r->form, r->B, C, hidden,
                   (gemm_opts){.bias = d->fc1_b, .f = n->cfg.act});
    linear_fwd(r->e, out, mlp ? a->hidden : a->mean, d->out_w, r->form, r->B,
               mlp ? hidden : C, E, (gemm_opts){.bias = d->out_b});
}

static void convnext_fwd(exec *e, const void *tower, void *acts, float *out,
                         const float *pixels, size_t B)
{
    const convnext *n = tower;
    const conv_shape *s = &n->stem;
    convnext_acts *a = acts;
    const run r = {e, &n->cfg, a, B, tower_form(a->mode, n->cfg.form)};

    assert(B <= a->B);
    conv_fwd(e, a->x, pixels, n->ends.stem_w, r.form, s, B,
             (gemm_opts){.bias = n->ends.stem_b});
    norm(&r, a->x, n->ends.stem_norm_w, n->ends.stem_norm_b, B * s->Ho * s->Wo, s->O);
    for (size_t i = 0; i < STAGES; i++) {
        const convnext_stage *t = &n->stages[i];
        if (i > 0) halve(&r, t);
        for (size_t j = 0; j < t->n; j++) block_forward(&r, t, &t->blocks[j]);
    }
    head(&r, n, out);
}

const image_ops convnext_ops = {
    .family = "convnext",
    .make = convnext_make,
    .destroy = convnext_destroy,
    .params = convnext_params,
    .acts_make = convnext_acts_make,
    .acts_destroy = convnext_acts_destroy,
    .scratch = convnext_scratch,
    .fwd = convnext_fwd,
};

#include "model/fastvit.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "nn/attention.h"
#include "nn/linear.h"
#include "nn/rows.h"

enum { HEAD = 32, MIX = 3, WIDE = 7, LAST_TIMES = 2 };

static int check_size(size_t n, size_t low, size_t high, const char *what, clipc_err *err)
{
    if (n >= low && n <= high) return CLIPC_OK;
    return clipc_fail(err, CLIPC_ERR_FORMAT,
                      "vision config: %s of a FastViT is %zu, wanted %zu to %zu", what, n,
                      low, high);
}

static size_t count_stages(const image_cfg *c)
{
    size_t n = 0;

    while (n < IMAGE_STAGES && c->stages[n]) n++;
    return n;
}

static int check_stage(const image_cfg *c, size_t s, bool attention, clipc_err *err)
{
    int rc = check_size(c->stages[s], 1, 1024, "the blocks of a stage", err);

    if (rc == CLIPC_OK)
        rc = check_size(c->dims[s], 1, 16384, "the channels of a stage", err);
    if (rc == CLIPC_OK)
        rc = check_size(c->mlp_dims[s], 1, 65536, "the MLP of a stage", err);
    if (rc == CLIPC_OK && s > 0 && c->dims[s] % c->dims[s - 1])
        rc = clipc_fail(err, CLIPC_ERR_FORMAT,
                        "vision config: a stage of a FastViT makes %zu channels of %zu",
                        c->dims[s], c->dims[s - 1]);
    if (rc == CLIPC_OK && attention && c->dims[s] % HEAD)
        rc = clipc_fail(err, CLIPC_ERR_FORMAT,
                        "vision config: %zu channels in heads of %d of a FastViT",
                        c->dims[s], HEAD);
    return rc;
}

static int fastvit_check(const image_cfg *c, clipc_err *err)
{
    const size_t n = count_stages(c);
    int rc = check_size(c->image_size, 32, 2048, "the image size", err);

    if (rc == CLIPC_OK) rc = check_size(image_columns(c), 32, 2048, "the columns", err);
    if (rc == CLIPC_OK) rc = check_size(n, 1, IMAGE_STAGES, "the number of stages", err);
    if (rc == CLIPC_OK) rc = check_size(c->embed_dim, 1, 65536, "embed_dim", err);
    if (rc == CLIPC_OK)
        rc = check_size(c->attention_stages, 0, n, "the stages with attention", err);
    if (rc == CLIPC_OK)
        rc = check_size(c->squeeze_stages, 0, n, "the stages with excitation", err);
    for (size_t s = 0; rc == CLIPC_OK && s < n; s++)
        rc = check_stage(c, s, s + c->attention_stages >= n, err);
    if (rc == CLIPC_OK && c->proj != PROJ_LINEAR_BIAS)
        rc = clipc_fail(err, CLIPC_ERR_FEATURE,
                        "vision config: a FastViT is projected by its own classifier");
    return rc;
}

static void fastvit_destroy(void *tower)
{
    fastvit *v = tower;

    if (!v) return;
    free(v->blocks);
    free(v);
}

/* timm's make_divisible: C/4 to the nearest multiple of 8. */
static size_t squeezed(size_t C)
{
    const size_t R = (C / 4 + 4) / 8 * 8;
    return R < 8 ? 8 : R;
}

/* C/16, rounded, of the last convolution. */
static size_t squeezed_last(size_t C)
{
    const size_t R = (C + 8) / 16;
    return R < 1 ? 1 : R;
}

static void shape_all(fastvit *v)
{
    const image_cfg *c = &v->cfg;
    fastvit_block *b = v->blocks;
    size_t H = c->image_size, W = image_columns(c), I = c->dims[0];

    v->stem = conv_shape_of(3, I, 3, 2, H, W);
    v->stem.planes = true;
    v->deep = dwconv_shape_of(I, MIX, 2, v->stem.Ho, v->stem.Wo);
    H = v->deep.Ho, W = v->deep.Wo;
    for (size_t s = 0; s < v->n_stages; s++) {
        fastvit_stage *t = &v->stages[s];
        *t = (fastvit_stage){
            .C = c->dims[s], .F = c->mlp_dims[s], .I = I, .blocks = b, .n = c->stages[s]};
        t->attention = s + c->attention_stages >= v->n_stages;
        if (s > 0) {
            if (s + c->squeeze_stages >= v->n_stages) t->R = squeezed(t->C);
            t->down = dwconv_shape_of(t->C, WIDE, 2, H, W);
            H = t->down.Ho, W = t->down.Wo;
        }
        t->mix = dwconv_shape_of(t->C, MIX, 1, H, W);
        t->wide = dwconv_shape_of(t->C, WIDE, 1, H, W);
        I = t->C;
        b += t->n;
    }
    v->last = dwconv_shape_of(LAST_TIMES * I, MIX, 1, H, W);
    v->last_R = squeezed_last(v->last.C);
}

static int fastvit_make(void **tower, const image_cfg *cfg, clipc_err *err)
{
    const int rc = fastvit_check(cfg, err);
    size_t blocks = 0;
    fastvit *v;

    *tower = NULL;
    if (rc != CLIPC_OK) return rc;
    for (size_t s = 0; s < count_stages(cfg); s++) blocks += cfg->stages[s];
    v = calloc(1, sizeof *v);
    if (v) v->blocks = calloc(blocks, sizeof *v->blocks);
    if (!v || !v->blocks) {
        fastvit_destroy(v);
        return clipc_fail_memory(err, "image tower", blocks * sizeof *v->blocks);
    }
    v->cfg = *cfg;
    v->n_stages = count_stages(cfg);
    shape_all(v);
    *tower = v;
    return CLIPC_OK;
}

/* ---- parameters ---- */

enum {
    DIM_1 = 1,
    DIM_3,
    DIM_7,
    DIM_C,
    DIM_F,
    DIM_MIX, /* C, or 0 where the block has no such part */
    DIM_ATTN,
    DIM_NORM,
    DIM_QKV,
    DIM_QKV_NORM, /* behind a layer norm */
    DIM_DOWN,
    DIM_LAST,
    DIM_E
};

/* Two rows: name.weight of the dimensions given, name.bias of the first of them. */
#define PAIR(type, member, name, kind, O, ...)                          \
    {name ".weight", offsetof(type, member.w), {O, __VA_ARGS__}, kind}, \
    {                                                                   \
        name ".bias", offsetof(type, member.b), {O}, PARAM_GAIN         \
    }

static const param_row end_rows[] = {
    PAIR(fastvit_ends, stem, "stem.0.reparam_conv", PARAM_CONV, DIM_C, DIM_3, DIM_3,
         DIM_3),
    PAIR(fastvit_ends, deep, "stem.1.reparam_conv", PARAM_MATRIX, DIM_C, DIM_1, DIM_3,
         DIM_3),
    PAIR(fastvit_ends, point, "stem.2.reparam_conv", PARAM_LINEAR, DIM_C, DIM_C, DIM_1,
         DIM_1),
    PAIR(fastvit_ends, last, "final_conv.reparam_conv", PARAM_MATRIX, DIM_LAST, DIM_1,
         DIM_3, DIM_3),
    PAIR(fastvit_ends, head, "head.fc", PARAM_LINEAR, DIM_E, DIM_LAST),
};

static const param_row stage_rows[] = {
    PAIR(fastvit_stage, enter, "downsample.proj.0.reparam_conv", PARAM_MATRIX, DIM_DOWN,
         DIM_1, DIM_7, DIM_7),
    PAIR(fastvit_stage, point, "downsample.proj.1.reparam_conv", PARAM_LINEAR, DIM_DOWN,
         DIM_C, DIM_1, DIM_1),
    PAIR(fastvit_stage, pos, "pos_emb.reparam_conv", PARAM_MATRIX, DIM_ATTN, DIM_1, DIM_7,
         DIM_7),
};

static const param_row block_rows[] = {
    PAIR(fastvit_block, mix, "token_mixer.reparam_conv", PARAM_MATRIX, DIM_MIX, DIM_1,
         DIM_3, DIM_3),
    {"norm.weight", offsetof(fastvit_block, norm.w), {DIM_NORM}, PARAM_GAIN},
    {"norm.bias", offsetof(fastvit_block, norm.b), {DIM_NORM}, PARAM_GAIN},
    {"token_mixer.qkv.weight",
     offsetof(fastvit_block, qkv.w),
     {DIM_QKV_NORM, DIM_C},
     PARAM_LINEAR},
    PAIR(fastvit_block, qkv, "token_mixer.reparam_qkv", PARAM_LINEAR, DIM_QKV, DIM_C),
    PAIR(fastvit_block, proj, "token_mixer.reparam_proj", PARAM_LINEAR, DIM_ATTN, DIM_C),
    PAIR(fastvit_block, wide, "mlp.reparam_conv", PARAM_MATRIX, DIM_C, DIM_1, DIM_7,
         DIM_7),
    PAIR(fastvit_block, fc1, "mlp.fc1", PARAM_LINEAR, DIM_F, DIM_C, DIM_1, DIM_1),
    PAIR(fastvit_block, fc2, "mlp.reparam_fc2", PARAM_LINEAR, DIM_C, DIM_F, DIM_1, DIM_1),
};

#define ROWS(table) (sizeof(table) / sizeof(table)[0])

static int end_params(fastvit *v, param_list *l, clipc_err *err)
{
    const size_t sizes[] = {[DIM_1] = 1,
                            [DIM_3] = 3,
                            [DIM_C] = v->deep.C,
                            [DIM_LAST] = v->last.C,
                            [DIM_E] = v->cfg.embed_dim};
    const int rc = param_list_add(l, "visual.trunk.", end_rows, ROWS(end_rows), &v->ends,
                                  sizes, err);

    return rc == CLIPC_OK ? squeeze_params(&v->squeeze, l, "visual.trunk.final_conv.se.",
                                           v->last.C, v->last_R, err)
                          : rc;
}

static int stage_params(fastvit *v, param_list *l, size_t s, clipc_err *err)
{
    fastvit_stage *t = &v->stages[s];
    const size_t C = t->C, attention = t->attention ? C : 0;
    const bool norm = v->cfg.layer_norm;
    const size_t sizes[] = {[DIM_1] = 1,
                            [DIM_3] = MIX,
                            [DIM_7] = WIDE,
                            [DIM_C] = C,
                            [DIM_F] = t->F,
                            [DIM_MIX] = t->attention ? 0 : C,
                            [DIM_ATTN] = attention,
                            [DIM_NORM] = norm ? attention : 0,
                            [DIM_QKV] = norm ? 0 : 3 * attention,
                            [DIM_QKV_NORM] = norm ? 3 * attention : 0,
                            [DIM_DOWN] = s > 0 ? C : 0};
    char prefix[64];
    int rc;

    snprintf(prefix, sizeof prefix, "visual.trunk.stages.%zu.downsample.proj.0.se.", s);
    rc = squeeze_params(&t->squeeze, l, prefix, C, t->R, err);
    snprintf(prefix, sizeof prefix, "visual.trunk.stages.%zu.", s);
    if (rc == CLIPC_OK)
        rc = param_list_add(l, prefix, stage_rows, ROWS(stage_rows), t, sizes, err);
    for (size_t i = 0; rc == CLIPC_OK && i < t->n; i++) {
        snprintf(prefix, sizeof prefix, "visual.trunk.stages.%zu.blocks.%zu.", s, i);
        rc = param_list_add(l, prefix, block_rows, ROWS(block_rows), &t->blocks[i], sizes,
                            err);
    }
    return rc;
}

static int fastvit_params(void *tower, param_list *l, clipc_err *err)
{
    fastvit *v = tower;
    int rc = end_params(v, l, err);

    for (size_t s = 0; rc == CLIPC_OK && s < v->n_stages; s++)
        rc = stage_params(v, l, s, err);
    return rc;
}

/* ---- activations ---- */

typedef struct fastvit_acts {
    arena mem;
    size_t B;
    tower_mode mode;
    float *x, *y;   /* what goes from layer to layer, and where the next of it comes up */
    float *hidden;  /* inside an MLP; queries, keys and values; widened channels */
    float *squeeze; /* squeeze_work */
    float *deep;    /* dwconv_work */
    size_t *start;  /* [B+1] rows of each picture, for attention */
} fastvit_acts;

/* Floats for one picture. */
typedef struct sizes {
    size_t x, hidden, squeeze, deep;
} sizes;

static void grow(size_t *most, size_t n)
{
    if (n > *most) *most = n;
}

static sizes sizes_of(const fastvit *v)
{
    const size_t last = v->last.H * v->last.W * v->last.C;
    sizes m = {.x = v->stem.Ho * v->stem.Wo * v->stem.O,
               .hidden = last,
               .squeeze = squeeze_work(1, v->last.C, v->last_R),
               .deep = dwconv_work(&v->last)};

    grow(&m.x, last);
    for (size_t s = 0; s < v->n_stages; s++) {
        const fastvit_stage *t = &v->stages[s];
        const size_t N = t->mix.H * t->mix.W;
        grow(&m.x, N * t->C);
        grow(&m.hidden, N * t->F);
        grow(&m.hidden, N * 3 * t->C);
        grow(&m.hidden, t->down.H * t->down.W * t->C);
        grow(&m.squeeze, squeeze_work(1, t->C, t->R));
        grow(&m.deep, dwconv_work(&t->wide));
    }
    return m;
}

static void acts_take(fastvit_acts *a, arena *mem, const fastvit *v)
{
    const sizes m = sizes_of(v);

    a->x = ARENA_FLOATS(mem, a->B * m.x);
    a->y = ARENA_FLOATS(mem, a->B * m.x);
    a->hidden = ARENA_FLOATS(mem, a->B * m.hidden);
    a->squeeze = ARENA_FLOATS(mem, a->B * m.squeeze);
    a->deep = ARENA_FLOATS(mem, m.deep);
    a->start = arena_take(mem, a->B + 1, sizeof *a->start);
}

static void fastvit_acts_destroy(void *acts)
{
    fastvit_acts *a = acts;

    if (!a) return;
    arena_free(&a->mem);
    free(a);
}

static int fastvit_acts_make(void **acts, size_t *bytes, const void *tower, size_t B,
                             tower_mode mode, clipc_err *err)
{
    arena measure = arena_measure();
    fastvit_acts *a;
    int rc;

    *acts = NULL;
    if (tower_trains(mode))
        return clipc_fail(err, CLIPC_ERR_FEATURE,
                          "an image tower of this kind runs but is not trained, it is a "
                          "FastViT: lock it");
    a = calloc(1, sizeof *a);
    if (!a) return clipc_fail_memory(err, "image tower", sizeof *a);
    a->B = B;
    a->mode = mode;
    acts_take(a, &measure, tower);
    rc = arena_make(&a->mem, bytes, &measure, "image tower's activations", err);
    if (rc != CLIPC_OK || bytes) {
        fastvit_acts_destroy(a);
        return rc;
    }
    acts_take(a, &a->mem, tower);
    *acts = a;
    return CLIPC_OK;
}

static size_t fastvit_scratch(const void *tower)
{
    const fastvit *v = tower;
    size_t most = 0;

    for (size_t s = 0; s < v->n_stages; s++) {
        const fastvit_stage *t = &v->stages[s];
        if (t->attention) grow(&most, attention_scratch(t->mix.H * t->mix.W));
    }
    return most;
}

/* ---- forward ---- */

typedef struct run {
    exec *e;
    const image_cfg *cfg;
    fastvit_acts *a;
    size_t B;
    weight_form form;
} run;

/* a->x through a depthwise convolution that leaves the channels as many. */
static void deepen(const run *r, const dwconv_shape *s, fastvit_pair p)
{
    fastvit_acts *a = r->a;
    float *x = a->x;

    dwconv_fwd(r->e, a->y, x, p.w, NULL, p.b, a->deep, s, r->B, ACT_NONE);
    a->x = a->y;
    a->y = x;
}

/* a->y = the activation of a depthwise convolution of a->x's channels, each given to as
 * many of its own as make s->C; squeezed in between unless R is 0. */
static void deepen_wider(const run *r, const dwconv_shape *s, fastvit_pair p, size_t I,
                         const squeeze *q, size_t R)
{
    fastvit_acts *a = r->a;
    const act f = r->cfg->act;

    dwconv_widen(r->e, a->hidden, a->x, r->B * s->H * s->W * I, s->C / I);
    dwconv_fwd(r->e, a->y, a->hidden, p.w, NULL, p.b, a->deep, s, r->B, R ? ACT_NONE : f);
    if (R)
        squeeze_fwd(r->e, a->y, a->squeeze, q, r->form, r->B, s->Ho * s->Wo, s->C, R, f);
}

static void stem_forward(const run *r, const fastvit *v, const float *pixels)
{
    const size_t C = v->deep.C, N = r->B * v->deep.Ho * v->deep.Wo;
    const act f = r->cfg->act;
    fastvit_acts *a = r->a;

    conv_fwd(r->e, a->x, pixels, v->ends.stem.w, r->form, &v->stem, r->B,
             (gemm_opts){.bias = v->ends.stem.b, .f = f});
    dwconv_fwd(r->e, a->y, a->x, v->ends.deep.w, NULL, v->ends.deep.b, a->deep, &v->deep,
               r->B, f);
    linear_fwd(r->e, a->x, a->y, v->ends.point.w, r->form, N, C, C,
               (gemm_opts){.bias = v->ends.point.b, .f = f});
}

static void enter_stage(const run *r, const fastvit_stage *t)
{
    fastvit_acts *a = r->a;

    deepen_wider(r, &t->down, t->enter, t->I, &t->squeeze, t->R);
    linear_fwd(r->e, a->x, a->y, t->point.w, r->form, r->B * t->down.Ho * t->down.Wo,
               t->C, t->C, (gemm_opts){.bias = t->point.b, .f = r->cfg->act});
}

static void attend(const run *r, const fastvit_stage *t, const fastvit_block *b)
{
    const size_t N = r->B * t->mix.H * t->mix.W, C = t->C;
    fastvit_acts *a = r->a;
    const seqs s = {.B = r->B, .start = a->start};
    const float *x = a->x;

    if (b->norm.w) {
        rows_layernorm_fwd(r->e, a->y, NULL, NULL, x, b->norm.w, b->norm.b, N, C,
                           r->cfg->eps);
        x = a->y;
    }
    linear_fwd(r->e, a->hidden, x, b->qkv.w, r->form, N, C, 3 * C,
               (gemm_opts){.bias = b->qkv.b});
    attention_fwd(r->e, a->y, NULL, a->hidden, &s, C, C / HEAD, false);
    linear_fwd(r->e, a->x, a->y, b->proj.w, r->form, N, C, C,
               (gemm_opts){.bias = b->proj.b, .accumulate = true});
}

static void block_forward(const run *r, const fastvit_stage *t, const fastvit_block *b)
{
    const size_t N = r->B * t->mix.H * t->mix.W, C = t->C, F = t->F;
    fastvit_acts *a = r->a;

    if (t->attention) attend(r, t, b);
    else deepen(r, &t->mix, b->mix);
    dwconv_fwd(r->e, a->y, a->x, b->wide.w, NULL, b->wide.b, a->deep, &t->wide, r->B,
               ACT_NONE);
    linear_fwd(r->e, a->hidden, a->y, b->fc1.w, r->form, N, C, F,
               (gemm_opts){.bias = b->fc1.b, .f = r->cfg->act});
    linear_fwd(r->e, a->x, a->hidden, b->fc2.w, r->form, N, F, C,
               (gemm_opts){.bias = b->fc2.b, .accumulate = true});
}

static void stage_forward(const run *r, const fastvit_stage *t)
{
    if (t->attention) deepen(r, &t->wide, t->pos);
    for (size_t b = 0; b <= r->B; b++) r->a->start[b] = b * t->mix.H * t->mix.W;
    for (size_t i = 0; i < t->n; i++) block_forward(r, t, &t->blocks[i]);
}

/* out [B,E] from the last stage's pixels. */
static void head(const run *r, const fastvit *v, float *out)
{
    const size_t N = v->last.Ho * v->last.Wo, C = v->last.C;
    fastvit_acts *a = r->a;

    deepen_wider(r, &v->last, v->ends.last, C / LAST_TIMES, &v->squeeze, v->last_R);
    for (size_t b = 0; b < r->B; b++)
        rows_mean(r->e, a->hidden + b * C, a->y + b * N * C, N, C);
    linear_fwd(r->e, out, a->hidden, v->ends.head.w, r->form, r->B, C, v->cfg.embed_dim,
               (gemm_opts){.bias = v->ends.head.b});
}

static void fastvit_fwd(exec *e, const void *tower, void *acts, float *out,
                        const float *pixels, size_t B)
{
    const fastvit *v = tower;
    fastvit_acts *a = acts;
    const run r = {e, &v->cfg, a, B, tower_form(a->mode, v->cfg.form)};

    assert(B <= a->B);
    stem_forward(&r, v, pixels);
    for (size_t s = 0; s < v->n_stages; s++) {
        if (s > 0) enter_stage(&r, &v->stages[s]);
        stage_forward(&r, &v->stages[s]);
    }
    head(&r, v, out);
}

const image_ops fastvit_ops = {
    .family = "fastvit",
    .make = fastvit_make,
    .destroy = fastvit_destroy,
    .params = fastvit_params,
    .acts_make = fastvit_acts_make,
    .acts_destroy = fastvit_acts_destroy,
    .scratch = fastvit_scratch,
    .fwd = fastvit_fwd,
};

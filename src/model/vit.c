#include "model/vit.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sizes.h"
#include "nn/attention.h"
#include "nn/linear.h"
#include "nn/rows.h"

enum {
    DIM_C = 1,
    DIM_POS,
    DIM_3,
    DIM_P,
    DIM_E,
    DIM_CLS,
    DIM_BIAS,
    DIM_PRE,
    DIM_POST,
    DIM_MATRIX,
    DIM_LINEAR,
    DIM_LINEAR_BIAS
};

static const param_row stem_rows[] = {
    {"class_embedding", offsetof(vit_stem, class_embedding), {DIM_CLS}, PARAM_GAIN},
    {"positional_embedding",
     offsetof(vit_stem, positional_embedding),
     {DIM_POS, DIM_C},
     PARAM_MATRIX},
    {"proj", offsetof(vit_stem, proj), {DIM_MATRIX, DIM_E}, PARAM_MATRIX},
    {"head.proj.weight", offsetof(vit_stem, proj), {DIM_LINEAR, DIM_C}, PARAM_MATRIX},
    {"head.proj.bias", offsetof(vit_stem, proj_b), {DIM_LINEAR_BIAS}, PARAM_GAIN},
    {"conv1.weight",
     offsetof(vit_stem, conv1_w),
     {DIM_C, DIM_3, DIM_P, DIM_P},
     PARAM_LINEAR},
    {"conv1.bias", offsetof(vit_stem, conv1_b), {DIM_BIAS}, PARAM_GAIN},
    {"ln_pre.weight", offsetof(vit_stem, ln_pre_w), {DIM_PRE}, PARAM_GAIN},
    {"ln_pre.bias", offsetof(vit_stem, ln_pre_b), {DIM_PRE}, PARAM_GAIN},
    {"ln_post.weight", offsetof(vit_stem, ln_post_w), {DIM_POST}, PARAM_GAIN},
    {"ln_post.bias", offsetof(vit_stem, ln_post_b), {DIM_POST}, PARAM_GAIN},
};

enum { STEM_ROWS = sizeof stem_rows / sizeof stem_rows[0] };

typedef struct vit_acts {
    arena mem;
    size_t B; /* largest batch */
    tower_mode mode;
    size_t *start;              /* [B+1] rows of each picture */
    float *patches;             /* [B*P, 3*p*p] */
    front_acts front;           /* instead of patches */
    float *embed;               /* [B*P, C] conv1's output; its gradient in backward */
    float *x0;                  /* train: [B*T,C] before ln_pre */
    float *mean_pre, *rstd_pre; /* train: [B*T] */
    float *x;     /* [B*T,C] the residual stream; its gradient in backward */
    float *token; /* [B,C] token 0 of each picture, or what was pooled */
    float *mean_post, *rstd_post; /* train: [B] */
    float *post;                  /* [B,C] after ln_post */
    float *queries;               /* [B*Q,E] what CoCa's pooler gives */
    pooler_acts pool;
    block_acts *blocks; /* [layers]; those that save nothing share their memory */
    block_work work;    /* train */
} vit_acts;

static block_cfg vit_block_cfg(const vit *v, tower_mode mode)
{
    return (block_cfg){.C = v->cfg.width,
                       .H = v->cfg.heads,
                       .F = v->cfg.mlp_width,
                       .act = v->cfg.act,
                       .eps = v->cfg.eps,
                       .form = tower_form(mode, v->cfg.form),
                       .extras = v->cfg.extras,
                       .rope = v->rope};
}

static bool is_coca(const image_cfg *c)
{
    return c->pooler && c->pooler_form == POOLER_COCA;
}

/* Numbers that go into the projection. */
static size_t pooled_dim(const image_cfg *c)
{
    return is_coca(c) ? c->embed_dim : c->width;
}

static pooler_cfg vit_pooler_cfg(const vit *v)
{
    return (pooler_cfg){
        .form = v->cfg.pooler_form,
        .C = v->cfg.width,
        .E = pooled_dim(&v->cfg),
        .H = v->cfg.pooler_heads,
        .Q = v->cfg.pooler_queries,
        .F = is_coca(&v->cfg) ? 0 : v->cfg.pooler_mlp_width,
        .act = v->cfg.act,
        /* open_clip hands norm_kwargs to all norms but CoCa's pooler's. */
        .eps = is_coca(&v->cfg) ? 1e-5f : v->cfg.eps};
}

/* Without a position of its own. */
static bool class_is_bare(const image_cfg *c)
{
    return c->no_class_position && !c->no_class_token;
}

/* Queries that are computed: for the token, the first; for the average, all others; for
 * a second pooler, all. */
static size_t queries_used(const image_cfg *c)
{
    if (c->coca_pool != COCA_ONE) return c->pooler_queries;
    return c->pool == POOL_AVG ? c->pooler_queries - 1 : 1;
}

static int vit_check(const image_cfg *c, clipc_err *err)
{
    const size_t most = (size_t)1 << 16;
    const size_t columns = image_columns(c);
    const size_t sizes[] = {c->image_size, columns,   c->embed_dim,  c->width,
                            c->heads,      c->layers, c->patch_size, c->mlp_width};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (sizes[i] < 1 || sizes[i] > most)
            return clipc_fail(err, CLIPC_ERR_FORMAT,
                              "vision config: a size is %zu, wanted 1 to %zu", sizes[i],
                              most);
    if (c->width % c->heads)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "vision config: width %zu, %zu heads",
                          c->width, c->heads);
    if (c->image_size / c->patch_size < 1 || c->image_size / c->patch_size > 256 ||
        columns / c->patch_size < 1 || columns / c->patch_size > 256)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "vision config: image size %zux%zu with patches of %zu",
                          c->image_size, columns, c->patch_size);
    if (c->pooler &&
        (c->pooler_queries < 1 || c->pooler_queries > most || c->pooler_heads < 1 ||
         pooled_dim(c) % c->pooler_heads || c->pooler_mlp_width > most ||
         (!c->pooler_mlp_width && !is_coca(c)) ||
         (c->pool == POOL_AVG && c->pooler_queries < 2)))
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "vision config: a pooler of %zu queries and %zu heads",
                          c->pooler_queries, c->pooler_heads);
    if (c->coca_pool != COCA_ONE && (!is_coca(c) || c->width != c->embed_dim))
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "vision config: two poolers need a width, %zu, that is the "
                          "embedding's, %zu",
                          c->width, c->embed_dim);
    if (c->rope_ref > most || (c->rope_ref && c->width / c->heads % 4))
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "vision config: rotary positions of %zu with heads of %zu",
                          c->rope_ref, c->width / c->heads);
    if (c->proj == PROJ_NONE && pooled_dim(c) != c->embed_dim)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "vision config: width %zu without a projection to %zu",
                          c->width, c->embed_dim);
    if (c->proj > PROJ_LINEAR_BIAS)
        return clipc_fail(err, CLIPC_ERR_FEATURE,
                          "vision config: a ViT projected by an MLP is not supported");
    return c->front == FRONT_PATCHES ? CLIPC_OK : front_check(c, err);
}

static void vit_destroy(void *tower)
{
    vit *v = tower;

    if (!v) return;
    front_free(&v->front);
    free(v->blocks);
    free(v->rope);
    free(v);
}

/* timm's pos_embed_sincos.py, a float at a time as there: a quarter of a head's channels
 * are frequencies 10000^(-f/F), for both coordinates.  The class token is not turned. */
static void fill_rope(vit *v)
{
    const image_cfg *c = &v->cfg;
    const size_t D = c->width / c->heads, F = D / 4, cls = !c->no_class_token;
    float *to = v->rope;

    for (size_t i = 0; i < cls * D; i++) *to++ = i % 2 ? 0.0f : 1.0f;
    for (size_t p = 0; p < v->rows * v->cols; p++)
        for (size_t i = 0; i < 2 * F; i++, to += 2) {
            const bool across = (i < F) == c->rope_xy;
            const size_t at = across ? p % v->cols : p / v->cols;
            const float x =
                ((float)at + c->rope_offset) / (float)(across ? v->cols : v->rows);
            const float band = 1.0f / powf(10000.0f, (float)(i % F) / (float)F);
            const float angle = x * (float)c->rope_ref * band;
            to[0] = (float)cos((double)angle);
            to[1] = (float)sin((double)angle);
        }
}

static int vit_make(void **tower, const image_cfg *cfg, clipc_err *err)
{
    int rc = vit_check(cfg, err);
    vit *v;

    *tower = NULL;
    if (rc != CLIPC_OK) return rc;
    v = calloc(1, sizeof *v);
    if (!v) return clipc_fail_memory(err, "image tower", sizeof *v);
    v->cfg = *cfg;
    v->rows = cfg->image_size / cfg->patch_size;
    v->cols = image_columns(cfg) / cfg->patch_size;
    v->T = v->rows * v->cols + !cfg->no_class_token;
    v->blocks = calloc(cfg->layers, sizeof *v->blocks);
    if (cfg->rope_ref) v->rope = calloc(v->T, cfg->width / cfg->heads * sizeof *v->rope);
    if (!v->blocks || (cfg->rope_ref && !v->rope)) {
        vit_destroy(v);
        return clipc_fail_memory(err, "image tower", cfg->layers * sizeof(block));
    }
    if (v->rope) fill_rope(v);
    if (cfg->front != FRONT_PATCHES) rc = front_make(&v->front, cfg, err);
    if (rc == CLIPC_OK) *tower = v;
    else vit_destroy(v);
    return rc;
}

static int vit_params(void *tower, param_list *l, clipc_err *err)
{
    vit *v = tower;
    const block_cfg bc = vit_block_cfg(v, TOWER_TRAIN);
    const image_cfg *c = &v->cfg;
    const size_t C = c->width, E = c->embed_dim;
    const bool linear = c->proj == PROJ_LINEAR || c->proj == PROJ_LINEAR_BIAS;
    const bool patches = c->front == FRONT_PATCHES;
    const size_t sizes[] = {[DIM_C] = C,
                            [DIM_POS] = c->no_positions ? 0 : v->T - class_is_bare(c),
                            [DIM_3] = patches ? 3 : 0,
                            [DIM_P] = c->patch_size,
                            [DIM_E] = E,
                            [DIM_CLS] = c->no_class_token ? 0 : C,
                            [DIM_BIAS] = patches && c->conv1_bias ? C : 0,
                            [DIM_PRE] = c->no_ln_pre ? 0 : C,
                            [DIM_POST] = pooled_dim(c),
                            [DIM_MATRIX] = c->proj == PROJ_MATRIX ? pooled_dim(c) : 0,
                            [DIM_LINEAR] = linear ? E : 0,
                            [DIM_LINEAR_BIAS] = c->proj == PROJ_LINEAR_BIAS ? E : 0};
    pooler_cfg pc = vit_pooler_cfg(v);
    int rc = param_list_add(l, "visual.", stem_rows, STEM_ROWS, &v->stem, sizes, err);

    if (rc == CLIPC_OK && !patches) rc = front_params(&v->front, l, c, err);
    if (rc == CLIPC_OK && c->pooler)
        rc = pooler_params(&v->pool, l, "visual.attn_pool.", &pc, err);
    pc.Q = 1;
    if (rc == CLIPC_OK && c->coca_pool != COCA_ONE)
        rc = pooler_params(&v->contrastive, l, "visual.attn_pool_contrastive.", &pc, err);

    for (size_t i = 0; rc == CLIPC_OK && i < v->cfg.layers; i++) {
        char prefix[64];
        snprintf(prefix, sizeof prefix, "visual.transformer.resblocks.%zu.", i);
        rc = block_params(&v->blocks[i], l, prefix, &bc, err);
    }
    return rc;
}

/* OpenAI leaves the image tower's blocks at torch's defaults (xavier-uniform in_proj, the
 * rest kaiming-uniform with a = sqrt 5, that is U(+-1/sqrt(K)), as is conv1); here the
 * same standard deviations, drawn from normals.  Biases of the linear layers start at
 * zero. */
static void vit_init(void *tower, rng *r)
{
    vit *v = tower;
    const size_t C = v->cfg.width, p = v->cfg.patch_size, E = v->cfg.embed_dim;
    const block_cfg bc = vit_block_cfg(v, TOWER_TRAIN);
    const float c = 1.0f / sqrtf((float)C), third = 1.0f / sqrtf(3.0f);
    const block_init_std std = {.qkv = sqrtf(2.0f / (float)(C + 3 * C)),
                                .out = c * third,
                                .fc = c * third,
                                .proj = third / sqrtf((float)v->cfg.mlp_width)};

    rng_fill_normal(r, v->stem.class_embedding, C, 0.0f, c);
    rng_fill_normal(r, v->stem.positional_embedding, v->T * C, 0.0f, c);
    rng_fill_normal(r, v->stem.proj, C * E, 0.0f, c);
    rng_fill_normal(r, v->stem.conv1_w, C * 3 * p * p, 0.0f,
                    third / sqrtf((float)(3 * p * p)));
    for (size_t i = 0; i < C; i++) v->stem.ln_pre_w[i] = v->stem.ln_post_w[i] = 1.0f;
    memset(v->stem.ln_pre_b, 0, C * sizeof(float));
    memset(v->stem.ln_post_b, 0, C * sizeof(float));
    for (size_t i = 0; i < v->cfg.layers; i++) block_init(&v->blocks[i], &bc, &std, r);
}

/* How many blocks save nothing for backward. */
static size_t silent_blocks(const vit *v, tower_mode mode)
{
    const size_t locked = v->cfg.locked ? v->cfg.locked - 1 : 0;
    return tower_trains(mode) ? min_size(locked, v->cfg.layers) : v->cfg.layers;
}

static void acts_take(vit_acts *a, arena *mem, const vit *v)
{
    const block_cfg bc = vit_block_cfg(v, a->mode);
    const bool train = tower_trains(a->mode);
    const size_t C = v->cfg.width, P = v->rows * v->cols, N = a->B * v->T;
    const size_t K = 3 * v->cfg.patch_size * v->cfg.patch_size;
    const size_t silent = silent_blocks(v, a->mode);

    a->start = arena_take(mem, a->B + 1, sizeof *a->start);
    if (v->cfg.front != FRONT_PATCHES) front_acts_take(&a->front, mem, &v->front);
    else a->patches = ARENA_FLOATS(mem, a->B * P * K);
    a->embed = ARENA_FLOATS(mem, a->B * P * C);
    a->x = ARENA_FLOATS(mem, N * C);
    a->token = ARENA_FLOATS(mem, a->B * C);
    a->post = ARENA_FLOATS(mem, a->B * pooled_dim(&v->cfg));
    if (v->cfg.pooler) {
        const pooler_cfg pc = vit_pooler_cfg(v);
        const bool cascade = v->cfg.coca_pool == COCA_CASCADE && pc.Q > v->T;
        pooler_acts_take(&a->pool, mem, &pc, a->B, cascade ? pc.Q : v->T);
        a->queries = ARENA_FLOATS(mem, a->B * queries_used(&v->cfg) * pc.E);
    }
    for (size_t i = 0; i < v->cfg.layers; i++)
        if (i && i < silent) a->blocks[i] = a->blocks[0];
        else if (i > silent && a->mode == TOWER_RECOMPUTE)
            block_acts_share(&a->blocks[i], mem, &a->blocks[silent], &bc, N);
        else block_acts_take(&a->blocks[i], mem, &bc, N, a->B, v->T, i >= silent);
    if (silent < v->cfg.layers)
        block_rows_take(&a->blocks[v->cfg.layers - 1], mem, &bc, N, a->B);
    if (!train) return;
    if (!v->cfg.locked) {
        a->x0 = ARENA_FLOATS(mem, N * C);
        a->mean_pre = ARENA_FLOATS(mem, N);
        a->rstd_pre = ARENA_FLOATS(mem, N);
    }
    a->mean_post = ARENA_FLOATS(mem, a->B);
    a->rstd_post = ARENA_FLOATS(mem, a->B);
    block_work_take(&a->work, mem, &bc, N);
}

static void vit_acts_destroy(void *acts)
{
    vit_acts *a = acts;

    if (!a) return;
    arena_free(&a->mem);
    free(a->blocks);
    free(a);
}

static bool vit_is_plain(const image_cfg *c)
{
    return !block_extras_any(&c->extras) && !c->no_ln_pre && !c->no_class_token &&
           !c->conv1_bias && c->pool == POOL_TOK && !c->pooler && !c->rope_ref &&
           c->front == FRONT_PATCHES && !c->no_class_position && !c->no_positions &&
           c->proj == PROJ_MATRIX;
}

static int vit_acts_make(void **acts, size_t *bytes, const void *tower, size_t B,
                         tower_mode mode, clipc_err *err)
{
    const vit *v = tower;
    arena measure = arena_measure();
    vit_acts *a = calloc(1, sizeof *a);
    int rc;

    *acts = NULL;
    if (tower_trains(mode) && !vit_is_plain(&v->cfg)) {
        free(a);
        return clipc_fail(
            err, CLIPC_ERR_FEATURE,
            "an image tower of this kind runs but is not trained, it is not "
            "OpenAI's ViT: lock it");
    }
    if (a) a->blocks = calloc(v->cfg.layers, sizeof *a->blocks);
    if (!a || !a->blocks) {
        vit_acts_destroy(a);
        return clipc_fail_memory(err, "image tower", sizeof *a);
    }
    a->B = B;
    a->mode = mode;
    acts_take(a, &measure, v);
    rc = arena_make(&a->mem, bytes, &measure, "image tower's activations", err);
    if (rc != CLIPC_OK || bytes) {
        vit_acts_destroy(a);
        return rc;
    }
    acts_take(a, &a->mem, v);
    for (size_t b = 0; b <= B; b++) a->start[b] = b * v->T;
    *acts = a;
    return CLIPC_OK;
}

static size_t vit_scratch(const void *tower)
{
    return attention_scratch(((const vit *)tower)->T);
}

/* Patch (i,j) of a picture becomes the row of its 3*p*p values, channel first as conv1's
 * weights have them.  Rows and columns beyond the last whole patch are left out, as a
 * convolution of stride p leaves them. */
static void patchify(float *rows, const float *pixels, const vit *v)
{
    const size_t H = v->cfg.image_size, W = image_columns(&v->cfg), p = v->cfg.patch_size;

    for (size_t i = 0; i < v->rows; i++)
        for (size_t j = 0; j < v->cols; j++)
            for (size_t c = 0; c < 3; c++)
                for (size_t y = 0; y < p; y++, rows += p)
                    memcpy(rows, pixels + (c * H + i * p + y) * W + j * p,
                           p * sizeof *rows);
}

/* a->embed of the pixels. */
static void embed_patches(exec *e, const vit *v, vit_acts *a, const float *pixels,
                          size_t B)
{
    const weight_form form = tower_form(a->mode, v->cfg.form);
    const size_t K = 3 * v->cfg.patch_size * v->cfg.patch_size, P = v->rows * v->cols;
    const size_t picture = 3 * v->cfg.image_size * image_columns(&v->cfg);

    if (v->cfg.front != FRONT_PATCHES) {
        front_fwd(e, a->embed, &v->front, &a->front, pixels, &v->cfg, form, B);
        return;
    }
    for (size_t b = 0; b < B; b++)
        patchify(a->patches + b * P * K, pixels + b * picture, v);
    linear_fwd(e, a->embed, a->patches, v->stem.conv1_w, form, B * P, K, v->cfg.width,
               (gemm_opts){.bias = v->stem.conv1_b});
}

/* x[b] = class_embedding if there is one, then the patches; + positional_embedding if
 * there is one */
static void assemble(exec *e, float *x, const float *embed, const vit *v, size_t B)
{
    const size_t C = v->cfg.width, row = v->T * C, cls = v->cfg.no_class_token ? 0 : C;
    const size_t bare = class_is_bare(&v->cfg) ? C : 0;

    for (size_t b = 0; b < B; b++, x += row, embed += row - cls) {
        if (cls) memcpy(x, v->stem.class_embedding, C * sizeof *x);
        memcpy(x + cls, embed, (row - cls) * sizeof *x);
        if (!v->cfg.no_positions)
            e->k->add(x + bare, v->stem.positional_embedding, row - bare);
    }
}

/* out[b] = the mean of n rows of C, the first `skip` of x's T rows left out. */
static void mean_rows(exec *e, float *out, const float *x, size_t B, size_t T,
                      size_t skip, size_t C)
{
    for (size_t b = 0; b < B; b++, out += C, x += T * C)
        rows_mean(e, out, x + skip * C, T - skip, C);
}

static void ln_post(exec *e, float *y, const float *x, const vit *v, size_t N)
{
    rows_layernorm_fwd(e, y, NULL, NULL, x, v->stem.ln_post_w, v->stem.ln_post_b, N,
                       pooled_dim(&v->cfg), v->cfg.eps);
}

/* open_clip's two poolers, which stand behind ln_post. */
static void pool_twice(exec *e, const vit *v, vit_acts *a, size_t B)
{
    const pooler_cfg pc = vit_pooler_cfg(v);
    const bool cascade = v->cfg.coca_pool == COCA_CASCADE;

    ln_post(e, a->x, a->x, v, B * v->T);
    if (cascade)
        pooler_fwd(e, a->queries, a->x, &v->pool, &a->pool, &pc, B, v->T, 0, pc.Q);
    pooler_fwd(e, a->post, cascade ? a->queries : a->x, &v->contrastive, &a->pool, &pc, B,
               cascade ? pc.Q : v->T, 0, 1);
}

/* a->post [B, pooled_dim] from the tokens, by queries or by the average. */
static void pool_tokens(exec *e, const vit *v, vit_acts *a, size_t B)
{
    const image_cfg *c = &v->cfg;
    const size_t C = c->width, N = B * v->T, cls = c->no_class_token ? 0 : 1;
    const pooler_cfg pc = vit_pooler_cfg(v);

    if (c->coca_pool != COCA_ONE) {
        pool_twice(e, v, a, B);
    } else if (is_coca(c)) {
        const size_t n = queries_used(c);
        pooler_fwd(e, a->queries, a->x, &v->pool, &a->pool, &pc, B, v->T,
                   c->pool == POOL_AVG ? 1 : 0, n);
        ln_post(e, a->queries, a->queries, v, B * n);
        mean_rows(e, a->post, a->queries, B, n, 0, pc.E);
    } else if (c->pooler) {
        ln_post(e, a->x, a->x, v, N);
        pooler_fwd(e, a->post, a->x, &v->pool, &a->pool, &pc, B, v->T, 0, 1);
    } else if (c->ln_post_after_pool) {
        mean_rows(e, a->token, a->x, B, v->T, cls, C);
        ln_post(e, a->post, a->token, v, B);
    } else {
        ln_post(e, a->x, a->x, v, N);
        mean_rows(e, a->post, a->x, B, v->T, cls, C);
    }
}

/* out [B,E] from a->post. */
static void project(exec *e, float *out, const vit *v, const vit_acts *a, size_t B)
{
    const size_t D = pooled_dim(&v->cfg), E = v->cfg.embed_dim;
    const gemm_opts o = {.bias = v->stem.proj_b};

    if (v->cfg.proj == PROJ_NONE) memcpy(out, a->post, B * E * sizeof *out);
    else if (v->cfg.proj == PROJ_MATRIX)
        gemm(e, out, E, mat_of(a->post, D), mat_of(v->stem.proj, E), B, E, D, o);
    else gemm(e, out, E, mat_of(a->post, D), mat_t(v->stem.proj, D), B, E, D, o);
}

static void vit_fwd(exec *e, const void *tower, void *acts, float *out,
                    const float *pixels, size_t B)
{
    const vit *v = tower;
    vit_acts *a = acts;
    const block_cfg bc = vit_block_cfg(v, a->mode);
    const size_t C = v->cfg.width, N = B * v->T;
    const seqs s = {.B = B, .start = a->start};

    assert(B <= a->B);
    embed_patches(e, v, a, pixels, B);
    float *x0 = a->x0 ? a->x0 : a->x;
    assemble(e, x0, a->embed, v, B);
    if (!v->cfg.no_ln_pre)
        rows_layernorm_fwd(e, a->x, a->mean_pre, a->rstd_pre, x0, v->stem.ln_pre_w,
                           v->stem.ln_pre_b, N, C, v->cfg.eps);
    const bool token = !v->cfg.pooler && v->cfg.pool == POOL_TOK;
    const size_t last = v->cfg.layers - 1, whole = v->cfg.layers - token;
    for (size_t i = 0; i < whole; i++)
        block_fwd(e, a->x, &v->blocks[i], &a->blocks[i], &bc, &s);

    if (!token) {
        pool_tokens(e, v, a, B);
    } else {
        block_fwd_rows(e, a->token, a->x, &v->blocks[last], &a->blocks[last], &bc, &s,
                       a->start);
        rows_layernorm_fwd(e, a->post, a->mean_post, a->rstd_post, a->token,
                           v->stem.ln_post_w, v->stem.ln_post_b, B, C, v->cfg.eps);
    }
    project(e, out, v, a, B);
}

/* a->token = the gradient of token 0 behind the last block, if that learns. */
static void token_bwd(exec *e, const vit *v, vit *g, vit_acts *a, const float *dout,
                      size_t B)
{
    const size_t C = v->cfg.width, E = v->cfg.embed_dim;
    float *d_post = a->work.d_row;   /* [B,C] */
    float *d_token = a->work.d_wide; /* [B,C] */

    gemm(e, g->stem.proj, E, mat_t(a->post, C), mat_of(dout, E), C, E, B,
         (gemm_opts){.accumulate = true});
    if (!g->stem.ln_post_w) return;
    gemm(e, d_post, C, mat_of(dout, E), mat_t(v->stem.proj, E), B, C, E, (gemm_opts){0});
    memset(d_token, 0, B * C * sizeof(float));
    rows_layernorm_bwd(e, d_token, g->stem.ln_post_w, g->stem.ln_post_b, a->work.part,
                       d_post, a->token, v->stem.ln_post_w, a->mean_post, a->rstd_post, B,
                       C);
    memcpy(a->token, d_token, B * C * sizeof(float));
}

static void vit_bwd(exec *e, const void *tower, void *grads, void *acts,
                    const float *dout, const float *pixels, size_t B)
{
    const vit *v = tower;
    vit *g = grads;
    vit_acts *a = acts;
    const block_cfg bc = vit_block_cfg(v, a->mode);
    const size_t C = v->cfg.width, P = v->rows * v->cols, N = B * v->T;
    const size_t K = 3 * v->cfg.patch_size * v->cfg.patch_size, last = v->cfg.layers - 1;
    const size_t silent = silent_blocks(v, a->mode);
    const seqs s = {.B = B, .start = a->start};
    float *dx = a->x, *dx0 = a->work.d_row;

    (void)pixels; /* their patches were kept */
    token_bwd(e, v, g, a, dout, B);
    if (silent > last) return;
    block_bwd_rows(e, dx, a->token, &v->blocks[last], &g->blocks[last], &a->blocks[last],
                   &a->work, &bc, &s, a->start);
    for (size_t i = last; i-- > silent;) {
        if (a->mode == TOWER_RECOMPUTE)
            block_fwd_again(e, &v->blocks[i], &a->blocks[i], &bc, &s);
        block_bwd(e, dx, &v->blocks[i], &g->blocks[i], &a->blocks[i], &a->work, &bc, &s);
    }
    if (v->cfg.locked) return;

    memset(dx0, 0, N * C * sizeof(float));
    rows_layernorm_bwd(e, dx0, g->stem.ln_pre_w, g->stem.ln_pre_b, a->work.part, dx,
                       a->x0, v->stem.ln_pre_w, a->mean_pre, a->rstd_pre, N, C);
    for (size_t b = 0; b < B; b++) {
        const float *d = dx0 + b * v->T * C;
        e->k->add(g->stem.positional_embedding, d, v->T * C);
        e->k->add(g->stem.class_embedding, d, C);
        memcpy(a->embed + b * P * C, d + C, P * C * sizeof(float));
    }
    linear_bwd(e, NULL, g->stem.conv1_w, NULL, a->embed, a->patches, v->stem.conv1_w,
               B * P, K, C);
}

const image_ops vit_ops = {
    .family = "vit",
    .make = vit_make,
    .destroy = vit_destroy,
    .params = vit_params,
    .init = vit_init,
    .acts_make = vit_acts_make,
    .acts_destroy = vit_acts_destroy,
    .scratch = vit_scratch,
    .fwd = vit_fwd,
    .bwd = vit_bwd,
};

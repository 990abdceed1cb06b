#include "model/bert.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/attention.h"
#include "nn/linear.h"
#include "nn/rows.h"
#include "nn/table.h"

enum {
    DIM_C = 1,
    DIM_3C,
    DIM_F,
    DIM_V,
    DIM_P,
    DIM_TYPES,
    DIM_POOLER,
    DIM_E,
    DIM_BIAS,
    DIM_M,
    DIM_MLP_E
};

static const param_row stem_rows[] = {
    {"embeddings.word_embeddings.weight",
     offsetof(bert_stem, words),
     {DIM_V, DIM_C},
     PARAM_TABLE},
    {"embeddings.position_embeddings.weight",
     offsetof(bert_stem, positions),
     {DIM_P, DIM_C},
     PARAM_MATRIX},
    {"embeddings.token_type_embeddings.weight",
     offsetof(bert_stem, types),
     {DIM_TYPES, DIM_C},
     PARAM_MATRIX},
    {"embeddings.LayerNorm.weight", offsetof(bert_stem, ln_w), {DIM_C}, PARAM_GAIN},
    {"embeddings.LayerNorm.bias", offsetof(bert_stem, ln_b), {DIM_C}, PARAM_GAIN},
    {"pooler.dense.weight",
     offsetof(bert_stem, pooler_w),
     {DIM_POOLER, DIM_C},
     PARAM_MATRIX},
    {"pooler.dense.bias", offsetof(bert_stem, pooler_b), {DIM_POOLER}, PARAM_GAIN},
    {"proj.weight", offsetof(bert_stem, proj_w), {DIM_E, DIM_C}, PARAM_MATRIX},
    {"proj.bias", offsetof(bert_stem, proj_b), {DIM_BIAS}, PARAM_GAIN},
    {"proj.0.weight", offsetof(bert_stem, mlp_1), {DIM_M, DIM_C}, PARAM_MATRIX},
    {"proj.2.weight", offsetof(bert_stem, mlp_2), {DIM_MLP_E, DIM_M}, PARAM_MATRIX},
};

static const param_row layer_rows[] = {
    {"attention.self.qkv.weight",
     offsetof(bert_layer, qkv_w),
     {DIM_3C, DIM_C},
     PARAM_LINEAR},
    {"attention.self.qkv.bias", offsetof(bert_layer, qkv_b), {DIM_3C}, PARAM_GAIN},
    {"attention.output.dense.weight",
     offsetof(bert_layer, out_w),
     {DIM_C, DIM_C},
     PARAM_LINEAR},
    {"attention.output.dense.bias", offsetof(bert_layer, out_b), {DIM_C}, PARAM_GAIN},
    {"attention.output.LayerNorm.weight",
     offsetof(bert_layer, ln_1_w),
     {DIM_C},
     PARAM_GAIN},
    {"attention.output.LayerNorm.bias",
     offsetof(bert_layer, ln_1_b),
     {DIM_C},
     PARAM_GAIN},
    {"intermediate.dense.weight",
     offsetof(bert_layer, fc_w),
     {DIM_F, DIM_C},
     PARAM_LINEAR},
    {"intermediate.dense.bias", offsetof(bert_layer, fc_b), {DIM_F}, PARAM_GAIN},
    {"output.dense.weight", offsetof(bert_layer, proj_w), {DIM_C, DIM_F}, PARAM_LINEAR},
    {"output.dense.bias", offsetof(bert_layer, proj_b), {DIM_C}, PARAM_GAIN},
    {"output.LayerNorm.weight", offsetof(bert_layer, ln_2_w), {DIM_C}, PARAM_GAIN},
    {"output.LayerNorm.bias", offsetof(bert_layer, ln_2_b), {DIM_C}, PARAM_GAIN},
};

enum {
    STEM_ROWS = sizeof stem_rows / sizeof stem_rows[0],
    LAYER_ROWS = sizeof layer_rows / sizeof layer_rows[0]
};
_Static_assert(STEM_ROWS * sizeof(float *) == sizeof(bert_stem),
               "a weight is not listed");
_Static_assert(LAYER_ROWS * sizeof(float *) == sizeof(bert_layer),
               "a weight is not listed");

typedef struct bert_acts {
    arena mem;
    size_t B, rows;
    tower_mode mode;
    size_t *start;      /* [B+1] */
    int32_t *tokens;    /* [rows] */
    int32_t *positions; /* [rows] */
    float *x, *y;       /* [rows,C] */
    float *qkv;         /* [rows,3C] */
    float *fc;          /* [rows,F] */
    float *pooled;      /* [B,C] */
    float *hidden;      /* [B, max(C, proj_hidden)] */
} bert_acts;

static int bert_check(const text_cfg *c, clipc_err *err)
{
    const size_t most = (size_t)1 << 16;
    const size_t sizes[] = {c->context_length, c->embed_dim, c->width,    c->heads,
                            c->layers,         c->mlp_width, c->positions};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (sizes[i] < 1 || sizes[i] > most)
            return clipc_fail(err, CLIPC_ERR_FORMAT,
                              "text config: a size is %zu, wanted 1 to %zu", sizes[i],
                              most);
    if (c->vocab_size < 3 || c->vocab_size > (size_t)1 << 24 || c->width % c->heads ||
        c->types > most || c->proj_hidden > most || c->context_length > 4096)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "text config: vocabulary of %zu, width %zu, %zu heads",
                          c->vocab_size, c->width, c->heads);
    if (c->pad_id < 0 ||
        c->context_length + (c->roberta ? (size_t)c->pad_id + 1 : 0) > c->positions)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "text config: context length %zu, but %zu positions",
                          c->context_length, c->positions);
    if (c->proj == PROJ_NONE && !c->proj_hidden && c->width != c->embed_dim)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "text config: width %zu without a projection to %zu", c->width,
                          c->embed_dim);
    return CLIPC_OK;
}

static void bert_destroy(void *tower)
{
    bert *t = tower;

    if (!t) return;
    free(t->layers);
    free(t);
}

static int bert_make(void **out, const text_cfg *cfg, clipc_err *err)
{
    const int rc = bert_check(cfg, err);
    bert *t;

    *out = NULL;
    if (rc != CLIPC_OK) return rc;
    t = calloc(1, sizeof *t);
    if (t) t->layers = calloc(cfg->layers, sizeof *t->layers);
    if (!t || !t->layers) {
        bert_destroy(t);
        return clipc_fail_memory(err, "text tower", cfg->layers * sizeof(bert_layer));
    }
    t->cfg = *cfg;
    *out = t;
    return CLIPC_OK;
}

static int bert_params(void *tower, param_list *l, clipc_err *err)
{
    bert *t = tower;
    const text_cfg *c = &t->cfg;
    const bool linear = !c->proj_hidden && c->proj != PROJ_NONE;
    const size_t sizes[] = {[DIM_C] = c->width,
                            [DIM_3C] = 3 * c->width,
                            [DIM_F] = c->mlp_width,
                            [DIM_V] = c->vocab_size,
                            [DIM_P] = c->positions,
                            [DIM_TYPES] = c->types,
                            [DIM_POOLER] = c->bert_pool == BERT_POOLER ? c->width : 0,
                            [DIM_E] = linear ? c->embed_dim : 0,
                            [DIM_BIAS] =
                                linear && c->proj == PROJ_LINEAR_BIAS ? c->embed_dim : 0,
                            [DIM_M] = c->proj_hidden,
                            [DIM_MLP_E] = c->proj_hidden ? c->embed_dim : 0};
    int rc = param_list_add(l, "bert.", stem_rows, STEM_ROWS, &t->stem, sizes, err);

    for (size_t i = 0; rc == CLIPC_OK && i < c->layers; i++) {
        char prefix[64];
        snprintf(prefix, sizeof prefix, "bert.encoder.layer.%zu.", i);
        rc = param_list_add(l, prefix, layer_rows, LAYER_ROWS, &t->layers[i], sizes, err);
    }
    return rc;
}

static size_t bert_scratch(const void *tower)
{
    return attention_scratch(((const bert *)tower)->cfg.context_length);
}

static void acts_take(bert_acts *a, arena *mem, const bert *t)
{
    const size_t C = t->cfg.width, M = t->cfg.proj_hidden;

    a->start = arena_take(mem, a->B + 1, sizeof *a->start);
    a->tokens = arena_take(mem, a->rows, sizeof *a->tokens);
    a->positions = arena_take(mem, a->rows, sizeof *a->positions);
    a->x = ARENA_FLOATS(mem, a->rows * C);
    a->y = ARENA_FLOATS(mem, a->rows * C);
    a->qkv = ARENA_FLOATS(mem, a->rows * 3 * C);
    a->fc = ARENA_FLOATS(mem, a->rows * (t->cfg.mlp_width > C ? t->cfg.mlp_width : C));
    a->pooled = ARENA_FLOATS(mem, a->B * C);
    a->hidden = ARENA_FLOATS(mem, a->B * (M > C ? M : C));
}

static void bert_acts_destroy(void *acts)
{
    bert_acts *a = acts;

    if (!a) return;
    arena_free(&a->mem);
    free(a);
}

static int bert_acts_make(void **out, size_t *bytes, const void *tower, size_t B,
                          size_t rows, tower_mode mode, clipc_err *err)
{
    arena measure = arena_measure();
    bert_acts *a;
    int rc;

    *out = NULL;
    if (tower_trains(mode))
        return clipc_fail(
            err, CLIPC_ERR_FEATURE,
            "a text tower of this kind runs but is not trained, it is a BERT: lock it");
    a = calloc(1, sizeof *a);
    if (!a) return clipc_fail_memory(err, "text tower", sizeof *a);
    a->B = B, a->rows = rows, a->mode = mode;
    acts_take(a, &measure, tower);
    rc = arena_make(&a->mem, bytes, &measure, "text tower's activations", err);
    if (rc != CLIPC_OK || bytes) {
        bert_acts_destroy(a);
        return rc;
    }
    acts_take(a, &a->mem, tower);
    *out = a;
    return CLIPC_OK;
}

static size_t bert_tokens(const void *tower, const int32_t *ids)
{
    const text_cfg *c = &((const bert *)tower)->cfg;
    size_t n = 0;

    for (size_t i = 0; i < c->context_length; i++) n += ids[i] != c->pad_id;
    return n ? n : 1;
}

/* The rows of the batch: what is not padding, each with its position.  A text of nothing
 * but padding keeps its first token. */
static void lay_out(const bert *t, bert_acts *a, const int32_t *ids, size_t B)
{
    const text_cfg *c = &t->cfg;
    size_t row = 0;

    a->start[0] = 0;
    for (size_t b = 0; b < B; b++, ids += c->context_length) {
        for (size_t i = 0; i < c->context_length; i++) {
            if (ids[i] == c->pad_id) continue;
            a->tokens[row] = ids[i];
            a->positions[row] =
                c->roberta ? c->pad_id + 1 + (int32_t)(row - a->start[b]) : (int32_t)i;
            row++;
        }
        if (row == a->start[b]) {
            a->tokens[row] = ids[0];
            a->positions[row++] = c->roberta ? c->pad_id : 0;
        }
        a->start[b + 1] = row;
    }
    assert(row <= a->rows);
}

static void embed(exec *e, const bert *t, bert_acts *a, size_t N)
{
    const size_t C = t->cfg.width;
    const weight_form form = tower_form(a->mode, t->cfg.form);

    for (size_t n = 0; n < N; n++) {
        float *x = a->x + n * C;
        assert(a->tokens[n] >= 0 && (size_t)a->tokens[n] < t->cfg.vocab_size);
        table_row(e->k, x, t->stem.words, form, t->cfg.vocab_size, C,
                  (size_t)a->tokens[n]);
        e->k->add(x, t->stem.positions + (size_t)a->positions[n] * C, C);
        if (t->stem.types) e->k->add(x, t->stem.types, C);
    }
    rows_layernorm_fwd(e, a->x, NULL, NULL, a->x, t->stem.ln_w, t->stem.ln_b, N, C,
                       t->cfg.eps);
}

/* x = LN(x + y) */
static void add_norm(exec *e, bert_acts *a, const float *w, const float *b, size_t N,
                     size_t C, float eps)
{
    rows_add(e, a->x, a->y, N * C);
    rows_layernorm_fwd(e, a->x, NULL, NULL, a->x, w, b, N, C, eps);
}

static void layer_fwd(exec *e, const bert *t, const bert_layer *l, bert_acts *a,
                      const seqs *s)
{
    const size_t C = t->cfg.width, F = t->cfg.mlp_width, N = seqs_rows(s);
    const weight_form form = tower_form(a->mode, t->cfg.form);
    float *ctx = a->fc; /* [N,C]; free until the MLP */

    linear_fwd(e, a->qkv, a->x, l->qkv_w, form, N, C, 3 * C,
               (gemm_opts){.bias = l->qkv_b});
    attention_fwd(e, ctx, NULL, a->qkv, s, C, t->cfg.heads, false);
    linear_fwd(e, a->y, ctx, l->out_w, form, N, C, C, (gemm_opts){.bias = l->out_b});
    add_norm(e, a, l->ln_1_w, l->ln_1_b, N, C, t->cfg.eps);
    linear_fwd(e, a->fc, a->x, l->fc_w, form, N, C, F,
               (gemm_opts){.bias = l->fc_b, .f = t->cfg.act});
    linear_fwd(e, a->y, a->fc, l->proj_w, form, N, F, C, (gemm_opts){.bias = l->proj_b});
    add_norm(e, a, l->ln_2_w, l->ln_2_b, N, C, t->cfg.eps);
}

static void pool(exec *e, const bert *t, bert_acts *a, size_t B)
{
    const size_t C = t->cfg.width;

    for (size_t b = 0; b < B; b++) {
        const float *x = a->x + a->start[b] * C;
        const size_t n = a->start[b + 1] - a->start[b];
        float *to = a->pooled + b * C;
        if (t->cfg.bert_pool == BERT_MEAN) rows_mean(e, to, x, n, C);
        else memcpy(to, x, C * sizeof *to);
    }
    if (t->cfg.bert_pool != BERT_POOLER) return;
    linear_fwd(e, a->hidden, a->pooled, t->stem.pooler_w, WEIGHTS_PLAIN, B, C, C,
               (gemm_opts){.bias = t->stem.pooler_b});
    for (size_t i = 0; i < B * C; i++) a->pooled[i] = tanhf(a->hidden[i]);
}

/* a->pooled [B,C] */
static void encode(exec *e, const bert *t, bert_acts *a, const int32_t *ids, size_t B)
{
    const seqs s = {.B = B, .start = a->start};

    assert(B <= a->B);
    lay_out(t, a, ids, B);
    embed(e, t, a, seqs_rows(&s));
    for (size_t i = 0; i < t->cfg.layers; i++) layer_fwd(e, t, &t->layers[i], a, &s);
    pool(e, t, a, B);
}

static void bert_fwd(exec *e, const void *tower, void *acts, float *out,
                     const int32_t *ids, size_t B)
{
    const bert *t = tower;
    bert_acts *a = acts;
    const size_t C = t->cfg.width, E = t->cfg.embed_dim, M = t->cfg.proj_hidden;

    encode(e, t, a, ids, B);
    if (M) {
        linear_fwd(e, a->hidden, a->pooled, t->stem.mlp_1, WEIGHTS_PLAIN, B, C, M,
                   (gemm_opts){.f = ACT_GELU});
        linear_fwd(e, out, a->hidden, t->stem.mlp_2, WEIGHTS_PLAIN, B, M, E,
                   (gemm_opts){0});
    } else if (t->cfg.proj == PROJ_NONE) {
        memcpy(out, a->pooled, B * E * sizeof *out);
    } else {
        linear_fwd(e, out, a->pooled, t->stem.proj_w, WEIGHTS_PLAIN, B, C, E,
                   (gemm_opts){.bias = t->stem.proj_b});
    }
}

const text_ops bert_ops = {.make = bert_make,
                           .destroy = bert_destroy,
                           .params = bert_params,
                           .acts_make = bert_acts_make,
                           .acts_destroy = bert_acts_destroy,
                           .scratch = bert_scratch,
                           .tokens = bert_tokens,
                           .fwd = bert_fwd};

#include "model/textnet.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sizes.h"
#include "nn/attention.h"
#include "nn/rows.h"
#include "nn/table.h"

enum { DIM_C = 1, DIM_T, DIM_V, DIM_E, DIM_CLS, DIM_MATRIX, DIM_LINEAR, DIM_BIAS };

static const param_row stem_rows[] = {
    {"positional_embedding",
     offsetof(text_stem, positional_embedding),
     {DIM_T, DIM_C},
     PARAM_MATRIX},
    {"cls_emb", offsetof(text_stem, cls), {DIM_CLS}, PARAM_GAIN},
    {"text_projection",
     offsetof(text_stem, text_projection),
     {DIM_MATRIX, DIM_E},
     PARAM_MATRIX},
    {"text_projection.weight",
     offsetof(text_stem, text_projection),
     {DIM_LINEAR, DIM_C},
     PARAM_MATRIX},
    {"text_projection.bias", offsetof(text_stem, projection_b), {DIM_BIAS}, PARAM_GAIN},
    {"token_embedding.weight",
     offsetof(text_stem, token_embedding),
     {DIM_V, DIM_C},
     PARAM_TABLE},
    {"ln_final.weight", offsetof(text_stem, ln_final_w), {DIM_C}, PARAM_GAIN},
    {"ln_final.bias", offsetof(text_stem, ln_final_b), {DIM_C}, PARAM_GAIN},
};

enum { STEM_ROWS = sizeof stem_rows / sizeof stem_rows[0] };

/* A text of a batch: the ids that are computed, and its place in the batch. */
typedef struct entry {
    const int32_t *ids;
    size_t n, at;
} entry;

typedef struct textnet_acts {
    arena mem;
    size_t B, rows; /* the most it holds */
    tower_mode mode;
    entry *entries;            /* [B] in the order of the rows */
    size_t *start;             /* [B+1] */
    int32_t *tokens;           /* [rows] the ids; -1 for the class token */
    size_t *pooled;            /* [B] the row that an entry's features come from */
    size_t *path_start, *path; /* [B+1], [B*positions] seqs.shared; not to train */
    uint8_t *hidden;           /* [rows] with a class token: seqs.hidden */
    float *x;           /* [rows,C] the residual stream; its gradient in backward */
    float *picked;      /* [B,C] the rows that are pooled, as entries; their gradient */
    float *last;        /* [B,C] the same in the batch's order */
    float *mean, *rstd; /* train: [B] of ln_final */
    float *final;       /* [B,C] after ln_final */
    block_acts *blocks; /* [layers]; those that save nothing share their memory */
    block_work work;    /* train */
} textnet_acts;

static block_cfg textnet_block_cfg(const textnet *t, tower_mode mode)
{
    return (block_cfg){.C = t->cfg.width,
                       .H = t->cfg.heads,
                       .F = t->cfg.mlp_width,
                       .act = t->cfg.act,
                       .eps = t->cfg.eps,
                       .causal = !t->cfg.no_causal_mask,
                       .form = tower_form(mode, t->cfg.form),
                       .extras = t->cfg.extras};
}

static int textnet_check(const text_cfg *c, clipc_err *err)
{
    const size_t most = (size_t)1 << 16;
    const size_t sizes[] = {c->context_length, c->embed_dim, c->width,
                            c->heads,          c->layers,    c->mlp_width};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (sizes[i] < 1 || sizes[i] > most)
            return clipc_fail(err, CLIPC_ERR_FORMAT,
                              "text config: a size is %zu, wanted 1 to %zu", sizes[i],
                              most);
    if (c->context_length < 3 || c->context_length > 4096)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "text config: context length %zu, wanted 3 to 4096",
                          c->context_length);
    if (c->vocab_size < 3 || c->vocab_size > (size_t)1 << 24)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "text config: vocabulary of %zu",
                          c->vocab_size);
    if (c->width % c->heads)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "text config: width %zu, %zu heads",
                          c->width, c->heads);
    if (c->proj == PROJ_NONE && c->width != c->embed_dim)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "text config: width %zu without a projection to %zu", c->width,
                          c->embed_dim);
    if (c->proj > PROJ_LINEAR_BIAS)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "text config: a projection by an MLP, which only BERTs have");
    return CLIPC_OK;
}

/* Rows of positions: one more for a class token. */
static size_t positions(const text_cfg *c)
{
    return c->context_length + c->embed_cls;
}

static void textnet_destroy(void *tower)
{
    textnet *t = tower;

    if (!t) return;
    free(t->blocks);
    free(t);
}

static int textnet_make(void **out, const text_cfg *cfg, clipc_err *err)
{
    const int rc = textnet_check(cfg, err);
    textnet *t;

    *out = NULL;
    if (rc != CLIPC_OK) return rc;
    t = calloc(1, sizeof *t);
    if (t) t->blocks = calloc(cfg->layers, sizeof *t->blocks);
    if (!t || !t->blocks) {
        textnet_destroy(t);
        return clipc_fail_memory(err, "text tower", cfg->layers * sizeof(block));
    }
    t->cfg = *cfg;
    *out = t;
    return CLIPC_OK;
}

static int textnet_params(void *tower, param_list *l, clipc_err *err)
{
    textnet *t = tower;
    const block_cfg bc = textnet_block_cfg(t, TOWER_TRAIN);
    const text_cfg *c = &t->cfg;
    const bool linear = c->proj == PROJ_LINEAR || c->proj == PROJ_LINEAR_BIAS;
    const size_t sizes[] = {[DIM_C] = c->width,
                            [DIM_T] = positions(c),
                            [DIM_V] = c->vocab_size,
                            [DIM_E] = c->embed_dim,
                            [DIM_CLS] = c->embed_cls ? c->width : 0,
                            [DIM_MATRIX] = c->proj == PROJ_MATRIX ? c->width : 0,
                            [DIM_LINEAR] = linear ? c->embed_dim : 0,
                            [DIM_BIAS] = c->proj == PROJ_LINEAR_BIAS ? c->embed_dim : 0};
    int rc = param_list_add(l, "", stem_rows, STEM_ROWS, &t->stem, sizes, err);

    for (size_t i = 0; rc == CLIPC_OK && i < t->cfg.layers; i++) {
        char prefix[64];
        snprintf(prefix, sizeof prefix, "transformer.resblocks.%zu.", i);
        rc = block_params(&t->blocks[i], l, prefix, &bc, err);
    }
    return rc;
}

/* openai/CLIP clip/model.py initialize_parameters. */
static void textnet_init(void *tower, rng *r)
{
    textnet *t = tower;
    const size_t C = t->cfg.width;
    const float c = 1.0f / sqrtf((float)C),
                depth = 1.0f / sqrtf(2.0f * (float)t->cfg.layers);
    const block_init_std std = {
        .qkv = c, .out = c * depth, .fc = c / sqrtf(2.0f), .proj = c * depth};
    const block_cfg bc = textnet_block_cfg(t, TOWER_TRAIN);

    rng_fill_normal(r, t->stem.token_embedding, t->cfg.vocab_size * C, 0.0f, 0.02f);
    rng_fill_normal(r, t->stem.positional_embedding, t->cfg.context_length * C, 0.0f,
                    0.01f);
    rng_fill_normal(r, t->stem.text_projection, C * t->cfg.embed_dim, 0.0f, c);
    for (size_t i = 0; i < C; i++) t->stem.ln_final_w[i] = 1.0f;
    memset(t->stem.ln_final_b, 0, C * sizeof(float));
    for (size_t i = 0; i < t->cfg.layers; i++) block_init(&t->blocks[i], &bc, &std, r);
}

static size_t textnet_scratch(const void *tower)
{
    return attention_scratch(positions(&((const textnet *)tower)->cfg));
}

/* How many blocks save nothing for backward. */
static size_t silent_blocks(const textnet *t, tower_mode mode)
{
    const size_t locked = t->cfg.locked ? t->cfg.locked - 1 : 0;
    return tower_trains(mode) ? min_size(locked, t->cfg.layers) : t->cfg.layers;
}

static void acts_take(textnet_acts *a, arena *mem, const textnet *t)
{
    const block_cfg bc = textnet_block_cfg(t, a->mode);
    const bool train = tower_trains(a->mode);
    const size_t C = t->cfg.width, silent = silent_blocks(t, a->mode);

    a->entries = arena_take(mem, a->B, sizeof *a->entries);
    a->start = arena_take(mem, a->B + 1, sizeof *a->start);
    a->tokens = arena_take(mem, a->rows, sizeof *a->tokens);
    a->pooled = arena_take(mem, a->B, sizeof *a->pooled);
    a->hidden = arena_take(mem, t->cfg.embed_cls ? a->rows : 0, sizeof *a->hidden);
    a->x = ARENA_FLOATS(mem, a->rows * C);
    a->picked = ARENA_FLOATS(mem, a->B * C);
    a->last = ARENA_FLOATS(mem, a->B * C);
    a->final = ARENA_FLOATS(mem, a->B * C);
    for (size_t i = 0; i < t->cfg.layers; i++)
        if (i && i < silent) a->blocks[i] = a->blocks[0];
        else if (i > silent && a->mode == TOWER_RECOMPUTE)
            block_acts_share(&a->blocks[i], mem, &a->blocks[silent], &bc, a->rows);
        else
            block_acts_take(&a->blocks[i], mem, &bc, a->rows, a->B, positions(&t->cfg),
                            i >= silent);
    if (silent < t->cfg.layers)
        block_rows_take(&a->blocks[t->cfg.layers - 1], mem, &bc, a->rows, a->B);
    if (!train) {
        a->path_start = arena_take(mem, a->B + 1, sizeof *a->path_start);
        a->path = arena_take(mem, a->B * positions(&t->cfg), sizeof *a->path);
        return;
    }
    a->mean = ARENA_FLOATS(mem, a->B);
    a->rstd = ARENA_FLOATS(mem, a->B);
    block_work_take(&a->work, mem, &bc, a->rows);
}

static void textnet_acts_destroy(void *acts)
{
    textnet_acts *a = acts;

    if (!a) return;
    arena_free(&a->mem);
    free(a->blocks);
    free(a);
}

static bool textnet_is_plain(const text_cfg *c)
{
    return !block_extras_any(&c->extras) && !c->no_causal_mask && !c->embed_cls &&
           c->pool <= TEXT_POOL_EOS && c->proj == PROJ_MATRIX;
}

static int textnet_acts_make(void **out, size_t *bytes, const void *tower, size_t B,
                             size_t rows, tower_mode mode, clipc_err *err)
{
    const textnet *t = tower;
    arena measure = arena_measure();
    textnet_acts *a = calloc(1, sizeof *a);
    int rc;

    *out = NULL;
    if (tower_trains(mode) && !textnet_is_plain(&t->cfg)) {
        free(a);
        return clipc_fail(err, CLIPC_ERR_FEATURE,
                          "a text tower of this kind runs but is not trained, it is not "
                          "OpenAI's: lock it");
    }
    if (a) a->blocks = calloc(t->cfg.layers, sizeof *a->blocks);
    if (!a || !a->blocks) {
        textnet_acts_destroy(a);
        return clipc_fail_memory(err, "text tower", sizeof *a);
    }
    a->B = B, a->mode = mode;
    a->rows = rows + (t->cfg.embed_cls ? B : 0);
    acts_take(a, &measure, t);
    rc = arena_make(&a->mem, bytes, &measure, "text tower's activations", err);
    if (rc != CLIPC_OK || bytes) {
        textnet_acts_destroy(a);
        return rc;
    }
    acts_take(a, &a->mem, t);
    *out = a;
    return CLIPC_OK;
}

/* EOT has the largest id of OpenAI's vocabulary, so argmax finds it, as in the
 * reference. */
static size_t textnet_end(const text_cfg *cfg, const int32_t *ids)
{
    size_t end = 0;

    if (cfg->pool == TEXT_POOL_EOS) {
        while (end < cfg->context_length && ids[end] != cfg->eos_id) end++;
        return end < cfg->context_length ? end : 0;
    }
    for (size_t i = 1; i < cfg->context_length; i++)
        if (ids[i] > ids[end]) end = i;
    return end;
}

size_t textnet_pooled(const text_cfg *c, const int32_t *ids)
{
    if (c->embed_cls) return c->context_length;
    switch (c->pool) {
    case TEXT_POOL_FIRST: return 0;
    case TEXT_POOL_LAST: return c->context_length - 1;
    default: return textnet_end(c, ids);
    }
}

static size_t textnet_tokens(const void *tower, const int32_t *ids)
{
    const text_cfg *c = &((const textnet *)tower)->cfg;
    return c->no_causal_mask || c->embed_cls ? c->context_length
                                             : textnet_pooled(c, ids) + 1;
}

/* As sequences of ids, a beginning before what goes on from it. */
static int by_ids(const void *x, const void *y)
{
    const entry *a = x, *b = y;

    for (size_t i = 0; i < a->n && i < b->n; i++)
        if (a->ids[i] != b->ids[i]) return a->ids[i] < b->ids[i] ? -1 : 1;
    return a->n < b->n ? -1 : a->n > b->n;
}

/* Which ids of each text are computed: under the causal mask those up to the pooled one,
 * else all; a->pooled says how far that is. */
static void list_entries(const textnet *t, textnet_acts *a, const int32_t *ids, size_t B)
{
    const text_cfg *c = &t->cfg;

    for (size_t b = 0; b < B; b++, ids += c->context_length) {
        const size_t end = textnet_pooled(c, ids);
        a->pooled[b] = end;
        a->entries[b] = (entry){ids, c->no_causal_mask ? positions(c) : end + 1, b};
    }
}

/* Lays the rows of the batch out, each text by itself: which tokens, and which row is
 * pooled. */
static void lay_out(const textnet *t, textnet_acts *a, size_t B)
{
    const size_t T = t->cfg.context_length;
    size_t row = 0;

    a->start[0] = 0;
    for (size_t b = 0; b < B; b++) {
        const entry *y = &a->entries[b];
        a->pooled[b] += row;
        for (size_t i = 0; i < y->n; i++, row++) a->tokens[row] = i < T ? y->ids[i] : -1;
        a->start[b + 1] = row;
        /* open_clip marks the key behind a padding token, not the token (its
         * _build_additive_mask, as CoCa's weights were trained). */
        for (size_t i = 0; t->cfg.embed_cls && i < y->n; i++)
            a->hidden[row - y->n + i] = i > 0 && y->ids[i - 1] == t->cfg.pad_id;
    }
    assert(row <= a->rows);
}

static size_t common(const entry *x, const entry *y)
{
    size_t n = 0;

    while (n < x->n && n < y->n && x->ids[n] == y->ids[n]) n++;
    return n;
}

/* The same for causal texts that are pooled at their end: what a text has in common with
 * the one before it, in the order of ids, has its rows there. */
static void lay_out_shared(textnet_acts *a, size_t B)
{
    size_t row = 0, at = 0, before = 0;

    qsort(a->entries, B, sizeof *a->entries, by_ids);
    a->start[0] = a->path_start[0] = 0;
    for (size_t b = 0; b < B; b++) {
        const entry *y = &a->entries[b];
        const size_t n = b ? common(y - 1, y) : 0;
        memcpy(a->path + at, a->path + before, n * sizeof *a->path);
        before = at;
        at += n;
        for (size_t i = n; i < y->n; i++) {
            a->tokens[row] = y->ids[i];
            a->path[at++] = row++;
        }
        a->pooled[b] = a->path[at - 1];
        a->start[b + 1] = row;
        a->path_start[b + 1] = at;
    }
    assert(row <= a->rows);
}

/* Whether texts of a tower share rows. */
static bool shares(const textnet *t, const textnet_acts *a)
{
    const text_cfg *c = &t->cfg;
    return !tower_trains(a->mode) && !c->no_causal_mask && !c->embed_cls;
}

static void embed(exec *e, const textnet *t, textnet_acts *a, size_t B)
{
    const size_t C = t->cfg.width;
    const weight_form form = tower_form(a->mode, t->cfg.form);

    for (size_t i = 0; i < a->start[B]; i++) {
        const int32_t id = a->tokens[i];
        assert(id >= -1 && id < (int32_t)t->cfg.vocab_size);
        if (id < 0) memcpy(a->x + i * C, t->stem.cls, C * sizeof(float));
        else
            table_row(e->k, a->x + i * C, t->stem.token_embedding, form,
                      t->cfg.vocab_size, C, (size_t)id);
    }
    for (size_t b = 0; b < B; b++) {
        const size_t n = a->start[b + 1] - a->start[b], first = a->entries[b].n - n;
        e->k->add(a->x + a->start[b] * C, t->stem.positional_embedding + first * C,
                  n * C);
    }
}

/* out [B,E] from a->final. */
static void project(exec *e, float *out, const textnet *t, const textnet_acts *a,
                    size_t B)
{
    const size_t C = t->cfg.width, E = t->cfg.embed_dim;
    const float *w = t->stem.text_projection;
    const gemm_opts o = {.bias = t->stem.projection_b};

    if (t->cfg.proj == PROJ_NONE) memcpy(out, a->final, B * E * sizeof *out);
    else if (t->cfg.proj == PROJ_MATRIX)
        gemm(e, out, E, mat_of(a->final, C), mat_of(w, E), B, E, C, o);
    else gemm(e, out, E, mat_of(a->final, C), mat_t(w, C), B, E, C, o);
}

static seqs seqs_of(const textnet *t, const textnet_acts *a, size_t B)
{
    return (seqs){
        .B = B, .start = a->start, .hidden = t->cfg.embed_cls ? a->hidden : NULL};
}

static void textnet_fwd(exec *e, const void *tower, void *acts, float *out,
                        const int32_t *ids, size_t B)
{
    const textnet *t = tower;
    textnet_acts *a = acts;
    const block_cfg bc = textnet_block_cfg(t, a->mode);
    const size_t C = t->cfg.width, last = t->cfg.layers - 1;
    const queries shared = {
        .B = B, .start = a->path_start, .row = a->path, .first = a->start};
    seqs s = seqs_of(t, a, B);

    assert(B <= a->B);
    if (shares(t, a)) s.shared = &shared;
    list_entries(t, a, ids, B);
    if (s.shared) lay_out_shared(a, B);
    else lay_out(t, a, B);
    embed(e, t, a, B);
    for (size_t i = 0; i < last; i++)
        block_fwd(e, a->x, &t->blocks[i], &a->blocks[i], &bc, &s);
    block_fwd_rows(e, a->picked, a->x, &t->blocks[last], &a->blocks[last], &bc, &s,
                   a->pooled);
    for (size_t b = 0; b < B; b++)
        memcpy(a->last + a->entries[b].at * C, a->picked + b * C, C * sizeof *a->last);
    rows_layernorm_fwd(e, a->final, a->mean, a->rstd, a->last, t->stem.ln_final_w,
                       t->stem.ln_final_b, B, C, t->cfg.eps);
    project(e, out, t, a, B);
}

/* a->picked = the gradient of the rows where texts end, behind the last block, if that
 * learns. */
static void last_bwd(exec *e, const textnet *t, textnet *g, textnet_acts *a,
                     const float *dout, size_t B)
{
    const size_t C = t->cfg.width, E = t->cfg.embed_dim;
    float *d_final = a->work.d_row, *d_last = a->work.d_wide; /* [B,C] each */

    gemm(e, g->stem.text_projection, E, mat_t(a->final, C), mat_of(dout, E), C, E, B,
         (gemm_opts){.accumulate = true});
    if (!g->stem.ln_final_w) return;
    gemm(e, d_final, C, mat_of(dout, E), mat_t(t->stem.text_projection, E), B, C, E,
         (gemm_opts){0});
    memset(d_last, 0, B * C * sizeof(float));
    rows_layernorm_bwd(e, d_last, g->stem.ln_final_w, g->stem.ln_final_b, a->work.part,
                       d_final, a->last, t->stem.ln_final_w, a->mean, a->rstd, B, C);
    for (size_t b = 0; b < B; b++)
        memcpy(a->picked + b * C, d_last + a->entries[b].at * C, C * sizeof *d_last);
}

static void textnet_bwd(exec *e, const void *tower, void *gradients, void *acts,
                        const float *dout, size_t B)
{
    const textnet *t = tower;
    textnet *grads = gradients;
    textnet_acts *a = acts;
    const block_cfg bc = textnet_block_cfg(t, a->mode);
    const size_t C = t->cfg.width, last = t->cfg.layers - 1;
    const size_t silent = silent_blocks(t, a->mode);
    const seqs s = seqs_of(t, a, B);

    last_bwd(e, t, grads, a, dout, B);
    if (silent > last) return;
    block_bwd_rows(e, a->x, a->picked, &t->blocks[last], &grads->blocks[last],
                   &a->blocks[last], &a->work, &bc, &s, a->pooled);
    for (size_t i = last; i-- > silent;) {
        if (a->mode == TOWER_RECOMPUTE)
            block_fwd_again(e, &t->blocks[i], &a->blocks[i], &bc, &s);
        block_bwd(e, a->x, &t->blocks[i], &grads->blocks[i], &a->blocks[i], &a->work, &bc,
                  &s);
    }
    if (t->cfg.locked) return;

    for (size_t b = 0; b < B; b++) {
        const size_t first = a->start[b], T = a->start[b + 1] - first;
        const float *dx = a->x + first * C;
        e->k->add(grads->stem.positional_embedding, dx, T * C);
        for (size_t i = 0; i < T; i++)
            e->k->add(grads->stem.token_embedding + (size_t)a->tokens[first + i] * C,
                      dx + i * C, C);
    }
}

const text_ops textnet_ops = {.make = textnet_make,
                              .destroy = textnet_destroy,
                              .params = textnet_params,
                              .init = textnet_init,
                              .acts_make = textnet_acts_make,
                              .acts_destroy = textnet_acts_destroy,
                              .scratch = textnet_scratch,
                              .tokens = textnet_tokens,
                              .fwd = textnet_fwd,
                              .bwd = textnet_bwd};

#include "nn/block.h"

#include <string.h>

#include "nn/attention.h"
#include "nn/linear.h"
#include "nn/queries.h"
#include "nn/rows.h"
#include "tensor/block_sizes.h"

enum {
    DIM_C = 1,
    DIM_3C,
    DIM_F,
    /* 0 where the block has no such member */
    DIM_LS,
    DIM_QK,
    DIM_HEADS,
    DIM_INNER,
    DIM_ATTN,
    DIM_FC,
    DIM_GLU,
    DIM_MLP,
    DIM_1
};

static const param_row block_rows[] = {
    {"ln_1.weight", offsetof(block, ln_1_w), {DIM_C}, PARAM_GAIN},
    {"ln_1.bias", offsetof(block, ln_1_b), {DIM_C}, PARAM_GAIN},
    {"attn.in_proj_weight", offsetof(block, qkv_w), {DIM_3C, DIM_C}, PARAM_LINEAR},
    {"attn.in_proj_bias", offsetof(block, qkv_b), {DIM_3C}, PARAM_GAIN},
    {"attn.out_proj.weight", offsetof(block, out_w), {DIM_C, DIM_C}, PARAM_LINEAR},
    {"attn.out_proj.bias", offsetof(block, out_b), {DIM_C}, PARAM_GAIN},
    {"ln_2.weight", offsetof(block, ln_2_w), {DIM_C}, PARAM_GAIN},
    {"ln_2.bias", offsetof(block, ln_2_b), {DIM_C}, PARAM_GAIN},
    {"mlp.c_fc.weight", offsetof(block, fc_w), {DIM_F, DIM_C}, PARAM_LINEAR},
    {"mlp.c_fc.bias", offsetof(block, fc_b), {DIM_F}, PARAM_GAIN},
    {"mlp.c_proj.weight", offsetof(block, proj_w), {DIM_C, DIM_F}, PARAM_LINEAR},
    {"mlp.c_proj.bias", offsetof(block, proj_b), {DIM_C}, PARAM_GAIN},
    {"ls_1.gamma", offsetof(block, ls_1), {DIM_LS}, PARAM_GAIN},
    {"ls_2.gamma", offsetof(block, ls_2), {DIM_LS}, PARAM_GAIN},
    {"attn.ln_q.weight", offsetof(block, ln_q_w), {DIM_QK}, PARAM_GAIN},
    {"attn.ln_q.bias", offsetof(block, ln_q_b), {DIM_QK}, PARAM_GAIN},
    {"attn.ln_k.weight", offsetof(block, ln_k_w), {DIM_QK}, PARAM_GAIN},
    {"attn.ln_k.bias", offsetof(block, ln_k_b), {DIM_QK}, PARAM_GAIN},
    {"attn.head_scale",
     offsetof(block, head_scale),
     {DIM_HEADS, DIM_1, DIM_1},
     PARAM_GAIN},
    {"attn.ln_inner.weight", offsetof(block, ln_inner_w), {DIM_INNER}, PARAM_GAIN},
    {"attn.ln_inner.bias", offsetof(block, ln_inner_b), {DIM_INNER}, PARAM_GAIN},
    {"ln_attn.weight", offsetof(block, ln_attn_w), {DIM_ATTN}, PARAM_GAIN},
    {"ln_attn.bias", offsetof(block, ln_attn_b), {DIM_ATTN}, PARAM_GAIN},
    {"mlp.ln.weight", offsetof(block, ln_fc_w), {DIM_FC}, PARAM_GAIN},
    {"mlp.ln.bias", offsetof(block, ln_fc_b), {DIM_FC}, PARAM_GAIN},
    {"mlp.c_fc_x.weight", offsetof(block, fc_x_w), {DIM_GLU, DIM_C}, PARAM_LINEAR},
    {"mlp.c_fc_x.bias", offsetof(block, fc_x_b), {DIM_GLU}, PARAM_GAIN},
    {"mlp.ln_in.weight", offsetof(block, ln_mlp_w), {DIM_MLP}, PARAM_GAIN},
    {"mlp.ln_in.bias", offsetof(block, ln_mlp_b), {DIM_MLP}, PARAM_GAIN},
};

enum { BLOCK_ROWS = sizeof block_rows / sizeof block_rows[0] };
_Static_assert(BLOCK_ROWS * sizeof(float *) == sizeof(block),
               "a weight is not in the table");

int block_params(block *blk, param_list *l, const char *prefix, const block_cfg *cfg,
                 clipc_err *err)
{
    const block_extras *x = &cfg->extras;
    const size_t C = cfg->C, H = cfg->H;
    const size_t sizes[] = {[DIM_C] = C,
                            [DIM_3C] = 3 * C,
                            [DIM_F] = cfg->F,
                            [DIM_LS] = x->ls ? C : 0,
                            [DIM_QK] = x->qk_norm ? C / H : 0,
                            [DIM_HEADS] = x->scale_heads ? H : 0,
                            [DIM_INNER] = x->scale_attn_inner ? C : 0,
                            [DIM_ATTN] = x->scale_attn ? C : 0,
                            [DIM_FC] = x->scale_fc ? cfg->F : 0,
                            [DIM_GLU] = x->glu ? cfg->F : 0,
                            [DIM_MLP] = x->mlp_norm ? C : 0,
                            [DIM_1] = 1};
    return param_list_add(l, prefix, block_rows, BLOCK_ROWS, blk, sizes, err);
}

bool block_extras_any(const block_extras *x)
{
    return x->ls || x->qk_norm || x->scale_heads || x->scale_attn_inner ||
           x->scale_attn || x->scale_fc || x->glu || x->post_norm || x->mlp_norm;
}

void block_init(block *blk, const block_cfg *cfg, const block_init_std *std, rng *r)
{
    const size_t C = cfg->C, F = cfg->F;

    for (size_t c = 0; c < C; c++) blk->ln_1_w[c] = blk->ln_2_w[c] = 1.0f;
    memset(blk->ln_1_b, 0, C * sizeof(float));
    memset(blk->ln_2_b, 0, C * sizeof(float));
    memset(blk->qkv_b, 0, 3 * C * sizeof(float));
    memset(blk->out_b, 0, C * sizeof(float));
    memset(blk->fc_b, 0, F * sizeof(float));
    memset(blk->proj_b, 0, C * sizeof(float));
    rng_fill_normal(r, blk->qkv_w, 3 * C * C, 0.0f, std->qkv);
    rng_fill_normal(r, blk->out_w, C * C, 0.0f, std->out);
    rng_fill_normal(r, blk->fc_w, F * C, 0.0f, std->fc);
    rng_fill_normal(r, blk->proj_w, C * F, 0.0f, std->proj);
}

void block_acts_take(block_acts *a, arena *mem, const block_cfg *cfg, size_t N, size_t B,
                     size_t T, bool train)
{
    const size_t C = cfg->C, F = cfg->F;

    *a = (block_acts){0};
    a->ln_1 = ARENA_FLOATS(mem, N * C);
    a->qkv = ARENA_FLOATS(mem, N * 3 * C);
    a->ctx = ARENA_FLOATS(mem, N * C);
    a->fc = ARENA_FLOATS(mem, N * F);
    if (cfg->extras.glu) a->fc_x = ARENA_FLOATS(mem, N * F);
    if (!train) {
        a->q = ARENA_FLOATS(mem, B * C);
        a->ln_2 = a->ln_1; /* the first is read before the second is written */
        return;
    }
    a->x_in = ARENA_FLOATS(mem, N * C);
    a->mean_1 = ARENA_FLOATS(mem, N);
    a->rstd_1 = ARENA_FLOATS(mem, N);
    a->p = ARENA_FLOATS(mem, attention_saved(B, T, cfg->H));
    a->x_mid = ARENA_FLOATS(mem, N * C);
    a->ln_2 = ARENA_FLOATS(mem, N * C);
    a->mean_2 = ARENA_FLOATS(mem, N);
    a->rstd_2 = ARENA_FLOATS(mem, N);
    a->fc_pre = ARENA_FLOATS(mem, N * F);
}

void block_rows_take(block_acts *a, arena *mem, const block_cfg *cfg, size_t N, size_t B)
{
    onequery_acts_take(&a->one, mem, N, B, cfg->C, cfg->H, true);
}

void block_acts_share(block_acts *a, arena *mem, const block_acts *first,
                      const block_cfg *cfg, size_t N)
{
    *a = *first;
    a->x_in = ARENA_FLOATS(mem, N * cfg->C);
}

void block_work_take(block_work *w, arena *mem, const block_cfg *cfg, size_t N)
{
    w->d_wide = ARENA_FLOATS(mem, N * (3 * cfg->C > cfg->F ? 3 * cfg->C : cfg->F));
    w->d_row = ARENA_FLOATS(mem, N * cfg->C);
    w->part = ARENA_FLOATS(mem, rows_parts(N) * 2 * cfg->C);
}

/* ---- the members that OpenAI's block has not ---- */

typedef struct extras_job {
    const kernels *k;
    const block *blk;
    const block_cfg *cfg;
    float *x;
    size_t T; /* rope: tokens of each sequence */
} extras_job;

/* q and k of each head, in place. */
static void qk_rows(void *arg, size_t thread, size_t begin, size_t end)
{
    const extras_job *j = arg;
    const block *b = j->blk;
    const size_t C = j->cfg->C, H = j->cfg->H, D = C / H;

    (void)thread;
    for (size_t n = begin; n < end; n++) {
        float *q = j->x + n * 3 * C, *k = q + C;
        j->k->layernorm_fwd(q, NULL, NULL, q, b->ln_q_w, b->ln_q_b, H, D, j->cfg->eps);
        j->k->layernorm_fwd(k, NULL, NULL, k, b->ln_k_w, b->ln_k_b, H, D, j->cfg->eps);
    }
}

/* Turns each pair (a, b) of q's and k's channels: (a cos - b sin, b cos + a sin). */
static void rope_rows(void *arg, size_t thread, size_t begin, size_t end)
{
    const extras_job *j = arg;
    const size_t C = j->cfg->C, D = C / j->cfg->H;

    (void)thread;
    for (size_t n = begin; n < end; n++) {
        const float *turn = j->cfg->rope + n % j->T * D;
        float *x = j->x + n * 3 * C; /* q, then k */
        for (size_t h = 0; h < 2 * j->cfg->H; h++, x += D)
            for (size_t d = 0; d < D; d += 2) {
                const float a = x[d], b = x[d + 1];
                x[d] = a * turn[d] - b * turn[d + 1];
                x[d + 1] = b * turn[d] + a * turn[d + 1];
            }
    }
}

static void head_rows(void *arg, size_t thread, size_t begin, size_t end)
{
    const extras_job *j = arg;
    const size_t C = j->cfg->C, D = C / j->cfg->H;

    (void)thread;
    for (size_t n = begin; n < end; n++)
        for (size_t h = 0; h < j->cfg->H; h++)
            j->k->scale(j->x + n * C + h * D, j->blk->head_scale[h], D);
}

enum { EXTRA_ROWS = 16 };

/* x += ls * (h W^T + b), with a norm before ls if there is one.  tmp [N,C]. */
static void branch_out(exec *e, float *x, const float *h, const float *w, const float *b,
                       const float *ls, const float *ln_w, const float *ln_b, float *tmp,
                       size_t N, size_t K, const block_cfg *cfg)
{
    const size_t C = cfg->C;

    if (!ls && !ln_w) {
        linear_fwd(e, x, h, w, cfg->form, N, K, C,
                   (gemm_opts){.bias = b, .accumulate = true});
        return;
    }
    linear_fwd(e, tmp, h, w, cfg->form, N, K, C, (gemm_opts){.bias = b});
    if (ln_w) rows_layernorm_fwd(e, tmp, NULL, NULL, tmp, ln_w, ln_b, N, C, cfg->eps);
    if (ls) e->k->col_axpy(x, ls, tmp, N, C);
    else rows_add(e, x, tmp, N * C);
}

/* x += the branch of attention's output a->ctx. */
static void attend_out(exec *e, float *x, const block *blk, block_acts *a,
                       const block_cfg *cfg, size_t N)
{
    const bool post = cfg->extras.post_norm;

    branch_out(e, x, a->ctx, blk->out_w, blk->out_b, blk->ls_1,
               post ? blk->ln_1_w : blk->ln_attn_w, post ? blk->ln_1_b : blk->ln_attn_b,
               a->ln_1, N, cfg->C, cfg);
}

/* a->fc: the MLP of x [N,C] up to its last layer. */
static void mlp_in(exec *e, const float *x, const block *blk, block_acts *a,
                   const block_cfg *cfg, size_t N)
{
    const size_t C = cfg->C, F = cfg->F;
    const bool post = cfg->extras.post_norm;

    if (!post)
        rows_layernorm_fwd(e, a->ln_2, a->mean_2, a->rstd_2, x, blk->ln_2_w, blk->ln_2_b,
                           N, C, cfg->eps);
    const float *h = post ? x : a->ln_2;
    if (blk->ln_mlp_w) {
        rows_layernorm_fwd(e, a->ln_2, NULL, NULL, h, blk->ln_mlp_w, blk->ln_mlp_b, N, C,
                           cfg->eps);
        h = a->ln_2;
    }
    linear_fwd(e, a->fc, h, blk->fc_w, cfg->form, N, C, F,
               (gemm_opts){.bias = blk->fc_b, .f = cfg->act, .pre = a->fc_pre});
    if (blk->fc_x_w) {
        linear_fwd(e, a->fc_x, h, blk->fc_x_w, cfg->form, N, C, F,
                   (gemm_opts){.bias = blk->fc_x_b});
        rows_mul(e, a->fc, a->fc_x, N * F);
    }
    if (blk->ln_fc_w)
        rows_layernorm_fwd(e, a->fc, NULL, NULL, a->fc, blk->ln_fc_w, blk->ln_fc_b, N, F,
                           cfg->eps);
}

/* x += the MLP's branch. */
static void mlp(exec *e, float *x, const block *blk, block_acts *a, const block_cfg *cfg,
                size_t N)
{
    const bool post = cfg->extras.post_norm;

    mlp_in(e, x, blk, a, cfg, N);
    branch_out(e, x, a->fc, blk->proj_w, blk->proj_b, blk->ls_2,
               post ? blk->ln_2_w : NULL, post ? blk->ln_2_b : NULL, a->ln_2, N, cfg->F,
               cfg);
}

static void attend(exec *e, const block *blk, block_acts *a, const block_cfg *cfg,
                   const seqs *s)
{
    const size_t C = cfg->C;
    const float *k = a->qkv + C;

    if (s->shared)
        queries_fwd(e, a->ctx, a->qkv, 3 * C, k, k + C, 3 * C, s->shared, C, cfg->H);
    else attention_fwd(e, a->ctx, a->p, a->qkv, s, C, cfg->H, cfg->causal);
    if (blk->head_scale) {
        extras_job j = {e->k, blk, cfg, a->ctx, 0};
        exec_range(e, head_rows, &j, seqs_rows(s), EXTRA_ROWS);
    }
    if (blk->ln_inner_w)
        rows_layernorm_fwd(e, a->ctx, NULL, NULL, a->ctx, blk->ln_inner_w,
                           blk->ln_inner_b, seqs_rows(s), C, cfg->eps);
}

/* x += attention's branch. */
static void attention_branch(exec *e, float *x, const block *blk, block_acts *a,
                             const block_cfg *cfg, const seqs *s)
{
    const size_t N = seqs_rows(s), C = cfg->C;
    const bool post = cfg->extras.post_norm;

    if (!post)
        rows_layernorm_fwd(e, a->ln_1, a->mean_1, a->rstd_1, x, blk->ln_1_w, blk->ln_1_b,
                           N, C, cfg->eps);
    linear_fwd(e, a->qkv, post ? x : a->ln_1, blk->qkv_w, cfg->form, N, C, 3 * C,
               (gemm_opts){.bias = blk->qkv_b});
    if (blk->ln_q_w) {
        extras_job j = {e->k, blk, cfg, a->qkv, 0};
        exec_range(e, qk_rows, &j, N, EXTRA_ROWS);
    }
    if (cfg->rope) {
        extras_job j = {e->k, blk, cfg, a->qkv, seqs_len(s, 0)};
        exec_range(e, rope_rows, &j, N, EXTRA_ROWS);
    }
    attend(e, blk, a, cfg, s);
    attend_out(e, x, blk, a, cfg, N);
}

void block_fwd(exec *e, float *x, const block *blk, block_acts *a, const block_cfg *cfg,
               const seqs *s)
{
    const size_t N = seqs_rows(s), C = cfg->C;

    if (a->x_in) memcpy(a->x_in, x, N * C * sizeof *x);
    attention_branch(e, x, blk, a, cfg, s);
    if (a->x_mid) memcpy(a->x_mid, x, N * C * sizeof *x);
    mlp(e, x, blk, a, cfg, N);
}

void block_fwd_again(exec *e, const block *blk, block_acts *a, const block_cfg *cfg,
                     const seqs *s)
{
    const size_t N = seqs_rows(s);

    memcpy(a->x_mid, a->x_in, N * cfg->C * sizeof *a->x_mid);
    attention_branch(e, a->x_mid, blk, a, cfg, s);
    mlp_in(e, a->x_mid, blk, a, cfg, N);
}

/* to [n,C] = these rows. */
static void pick(float *to, const float *from, const size_t *rows, size_t n, size_t C)
{
    for (size_t i = 0; i < n; i++) memcpy(to + i * C, from + rows[i] * C, C * sizeof *to);
}

/* The other way, zeros elsewhere. */
static void put_back(float *to, const float *from, const size_t *rows, size_t n, size_t N,
                     size_t C)
{
    memset(to, 0, N * C * sizeof *to);
    for (size_t i = 0; i < n; i++) memcpy(to + rows[i] * C, from + i * C, C * sizeof *to);
}

/* a->ctx [B,C] of the rows alone, from their queries and everyone's keys and values. */
static void attend_rows(exec *e, float *y, const block *blk, block_acts *a,
                        const block_cfg *cfg, const seqs *s, const size_t *rows)
{
    const size_t N = seqs_rows(s), B = s->B, C = cfg->C;
    /* Keys and values, from where a panel of weights begins. */
    const size_t from = C / GEMM_NR * GEMM_NR, wide = 3 * C - from;
    const float *k = a->qkv + (C - from);
    const queries one = {.B = B,
                         .start = s->shared ? s->shared->start : s->start,
                         .row = s->shared ? s->shared->row : NULL};

    linear_fwd_part(e, a->qkv, a->ln_1, blk->qkv_w, cfg->form, N, C, 3 * C, from, wide,
                    (gemm_opts){.bias = blk->qkv_b + from});
    pick(y, a->ln_1, rows, B, C);
    linear_fwd_part(e, a->q, y, blk->qkv_w, cfg->form, B, C, 3 * C, 0, C,
                    (gemm_opts){.bias = blk->qkv_b});
    queries_fwd(e, a->ctx, a->q, C, k, k + C, wide, &one, C, cfg->H);
}

/* Keys' and values' part of the weights, or of their gradients. */
static onequery_weights keys_values(const block *blk, size_t C)
{
    return (onequery_weights){blk->qkv_w + C * C, blk->qkv_w + 2 * C * C,
                              blk->qkv_b + 2 * C};
}

/* The same in training. */
static void attend_rows_train(exec *e, float *y, const block *blk, const block_acts *a,
                              const block_cfg *cfg, const seqs *s, const size_t *rows)
{
    const size_t B = s->B, C = cfg->C;
    const onequery_weights w = keys_values(blk, C);

    pick(y, a->ln_1, rows, B, C);
    linear_fwd(e, a->one.q, y, blk->qkv_w, cfg->form, B, C, C,
               (gemm_opts){.bias = blk->qkv_b});
    onequery_fwd(e, a->ctx, &a->one, a->ln_1, &w, s, C, cfg->H);
}

void block_fwd_rows(exec *e, float *y, float *x, const block *blk, block_acts *a,
                    const block_cfg *cfg, const seqs *s, const size_t *rows)
{
    const size_t N = seqs_rows(s), B = s->B, C = cfg->C;
    const bool train = a->x_in;

    if (block_extras_any(&cfg->extras) || cfg->rope || s->hidden) {
        block_fwd(e, x, blk, a, cfg, s);
        pick(y, x, rows, B, C);
        return;
    }
    if (train) memcpy(a->x_in, x, N * C * sizeof *x);
    rows_layernorm_fwd(e, a->ln_1, a->mean_1, a->rstd_1, x, blk->ln_1_w, blk->ln_1_b, N,
                       C, cfg->eps);
    if (train) attend_rows_train(e, y, blk, a, cfg, s, rows);
    else attend_rows(e, y, blk, a, cfg, s, rows);
    pick(y, x, rows, B, C);
    attend_out(e, y, blk, a, cfg, B);
    if (train) memcpy(a->x_mid, y, B * C * sizeof *y);
    mlp(e, y, blk, a, cfg, B);
}

/* x_out = x_mid + c_proj(act(c_fc(ln_2(x_mid)))): dx flows past the branch unchanged, and
 * the branch's own gradient is added by the layer norm's backward pass. */
static void mlp_bwd(exec *e, float *dx, const block *blk, block *grad,
                    const block_acts *a, block_work *w, const block_cfg *cfg, size_t N)
{
    const size_t C = cfg->C, F = cfg->F;

    linear_bwd(e, w->d_wide, grad->proj_w, grad->proj_b, dx, a->fc, blk->proj_w, N, F, C);
    rows_act_bwd(e, w->d_wide, w->d_wide, a->fc_pre, N * F, cfg->act);
    linear_bwd(e, w->d_row, grad->fc_w, grad->fc_b, w->d_wide, a->ln_2, blk->fc_w, N, C,
               F);
    rows_layernorm_bwd(e, dx, grad->ln_2_w, grad->ln_2_b, w->part, w->d_row, a->x_mid,
                       blk->ln_2_w, a->mean_2, a->rstd_2, N, C);
}

/* w->d_row: the gradient of ln_1's output. */
static void ln_1_bwd(exec *e, float *dx, const block *blk, block *grad,
                     const block_acts *a, block_work *w, size_t N, size_t C)
{
    rows_layernorm_bwd(e, dx, grad->ln_1_w, grad->ln_1_b, w->part, w->d_row, a->x_in,
                       blk->ln_1_w, a->mean_1, a->rstd_1, N, C);
}

/* mlp_bwd's like for attention; w->d_row: the gradient of its output ctx. */
static void attend_bwd(exec *e, float *dx, const block *blk, block *grad,
                       const block_acts *a, block_work *w, const block_cfg *cfg,
                       const seqs *s)
{
    const size_t N = seqs_rows(s), C = cfg->C;

    attention_bwd(e, w->d_wide, w->d_row, a->p, a->qkv, s, C, cfg->H, cfg->causal);
    linear_bwd(e, w->d_row, grad->qkv_w, grad->qkv_b, w->d_wide, a->ln_1, blk->qkv_w, N,
               C, 3 * C);
    ln_1_bwd(e, dx, blk, grad, a, w, N, C);
}

void block_bwd(exec *e, float *dx, const block *blk, block *grad, const block_acts *a,
               block_work *w, const block_cfg *cfg, const seqs *s)
{
    const size_t N = seqs_rows(s), C = cfg->C;

    mlp_bwd(e, dx, blk, grad, a, w, cfg, N);
    linear_bwd(e, w->d_row, grad->out_w, grad->out_b, dx, a->ctx, blk->out_w, N, C, C);
    attend_bwd(e, dx, blk, grad, a, w, cfg, s);
}

void block_bwd_rows(exec *e, float *dx, float *dy, const block *blk, block *grad,
                    const block_acts *a, block_work *w, const block_cfg *cfg,
                    const seqs *s, const size_t *rows)
{
    const size_t N = seqs_rows(s), B = s->B, C = cfg->C;
    const onequery_weights kv = keys_values(blk, C), dkv = keys_values(grad, C);
    float *dctx = dx, *t = w->d_wide, *dt = t + B * C; /* [B,C] */

    mlp_bwd(e, dy, blk, grad, a, w, cfg, B);
    linear_bwd(e, dctx, grad->out_w, grad->out_b, dy, a->ctx, blk->out_w, B, C, C);
    onequery_bwd(e, w->d_row, &dkv, &a->one, dctx, a->ln_1, &kv, s, C, cfg->H);
    pick(t, a->ln_1, rows, B, C);
    linear_bwd(e, dt, grad->qkv_w, grad->qkv_b, a->one.dq, t, blk->qkv_w, B, C, C);
    for (size_t b = 0; b < B; b++) e->k->add(w->d_row + rows[b] * C, dt + b * C, C);
    put_back(dx, dy, rows, B, N, C);
    ln_1_bwd(e, dx, blk, grad, a, w, N, C);
}

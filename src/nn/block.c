#include "nn/block.h"

#include <string.h>

#include "nn/attention.h"
#include "nn/linear.h"
#include "nn/rows.h"

enum { DIM_C = 1, DIM_3C, DIM_F };

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
};

enum { BLOCK_ROWS = sizeof block_rows / sizeof block_rows[0] };
_Static_assert(BLOCK_ROWS * sizeof(float *) == sizeof(block),
               "a weight is not in the table");

int block_params(block *blk, param_list *l, const char *prefix, const block_cfg *cfg,
                 clipc_err *err)
{
    const size_t sizes[] = {0, cfg->C, 3 * cfg->C, cfg->F};
    return param_list_add(l, prefix, block_rows, BLOCK_ROWS, blk, sizes, err);
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
    if (!train) {
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

void block_work_take(block_work *w, arena *mem, const block_cfg *cfg, size_t N)
{
    w->d_wide = ARENA_FLOATS(mem, N * (3 * cfg->C > cfg->F ? 3 * cfg->C : cfg->F));
    w->d_row = ARENA_FLOATS(mem, N * cfg->C);
    w->part = ARENA_FLOATS(mem, rows_parts(N) * 2 * cfg->C);
}

void block_fwd(exec *e, float *x, const block *blk, block_acts *a, const block_cfg *cfg,
               const seqs *s)
{
    const size_t N = seqs_rows(s), C = cfg->C, F = cfg->F;
    const bool packed = cfg->packed;

    if (a->x_in) memcpy(a->x_in, x, N * C * sizeof *x);
    rows_layernorm_fwd(e, a->ln_1, a->mean_1, a->rstd_1, x, blk->ln_1_w, blk->ln_1_b, N,
                       C, cfg->eps);
    linear_fwd(e, a->qkv, a->ln_1, blk->qkv_w, packed, N, C, 3 * C,
               (gemm_opts){.bias = blk->qkv_b});
    attention_fwd(e, a->ctx, a->p, a->qkv, s, C, cfg->H, cfg->causal);
    linear_fwd(e, x, a->ctx, blk->out_w, packed, N, C, C,
               (gemm_opts){.bias = blk->out_b, .accumulate = true});

    if (a->x_mid) memcpy(a->x_mid, x, N * C * sizeof *x);
    rows_layernorm_fwd(e, a->ln_2, a->mean_2, a->rstd_2, x, blk->ln_2_w, blk->ln_2_b, N,
                       C, cfg->eps);
    linear_fwd(e, a->fc, a->ln_2, blk->fc_w, packed, N, C, F,
               (gemm_opts){.bias = blk->fc_b, .f = cfg->act, .pre = a->fc_pre});
    linear_fwd(e, x, a->fc, blk->proj_w, packed, N, F, C,
               (gemm_opts){.bias = blk->proj_b, .accumulate = true});
}

void block_bwd(exec *e, float *dx, const block *blk, block *grad, const block_acts *a,
               block_work *w, const block_cfg *cfg, const seqs *s)
{
    const size_t N = seqs_rows(s), C = cfg->C, F = cfg->F;

    /* x_out = x_mid + c_proj(act(c_fc(ln_2(x_mid)))): dx flows past the branch unchanged,
     * and the branch's own gradient is added by the layer norm's backward pass. */
    linear_bwd(e, w->d_wide, grad->proj_w, grad->proj_b, dx, a->fc, blk->proj_w, N, F, C);
    rows_act_bwd(e, w->d_wide, w->d_wide, a->fc_pre, N * F, cfg->act);
    linear_bwd(e, w->d_row, grad->fc_w, grad->fc_b, w->d_wide, a->ln_2, blk->fc_w, N, C,
               F);
    rows_layernorm_bwd(e, dx, grad->ln_2_w, grad->ln_2_b, w->part, w->d_row, a->x_mid,
                       blk->ln_2_w, a->mean_2, a->rstd_2, N, C);

    linear_bwd(e, w->d_row, grad->out_w, grad->out_b, dx, a->ctx, blk->out_w, N, C, C);
    attention_bwd(e, w->d_wide, w->d_row, a->p, a->qkv, s, C, cfg->H, cfg->causal);
    linear_bwd(e, w->d_row, grad->qkv_w, grad->qkv_b, w->d_wide, a->ln_1, blk->qkv_w, N,
               C, 3 * C);
    rows_layernorm_bwd(e, dx, grad->ln_1_w, grad->ln_1_b, w->part, w->d_row, a->x_in,
                       blk->ln_1_w, a->mean_1, a->rstd_1, N, C);
}

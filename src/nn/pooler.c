#include "nn/pooler.h"

#include <math.h>
#include <string.h>

#include "nn/linear.h"
#include "nn/rows.h"

enum {
    DIM_E = 1,
    DIM_1,
    DIM_Q,
    DIM_LATENT,
    DIM_LN_Q,
    DIM_LN_K,
    DIM_IN,
    DIM_APART,
    DIM_C,
    DIM_3E,
    DIM_F
};

/* All matrices are used once a forward pass and stay as they are: PARAM_MATRIX. */
static const param_row pooler_rows[] = {
    {"query", offsetof(pooler, query), {DIM_Q, DIM_E}, PARAM_MATRIX},
    {"latent", offsetof(pooler, query), {DIM_1, DIM_1, DIM_LATENT}, PARAM_MATRIX},
    {"ln_q.weight", offsetof(pooler, ln_q_w), {DIM_LN_Q}, PARAM_GAIN},
    {"ln_q.bias", offsetof(pooler, ln_q_b), {DIM_LN_Q}, PARAM_GAIN},
    {"ln_k.weight", offsetof(pooler, ln_k_w), {DIM_LN_K}, PARAM_GAIN},
    {"ln_k.bias", offsetof(pooler, ln_k_b), {DIM_LN_K}, PARAM_GAIN},
    {"attn.in_proj_weight", offsetof(pooler, in_w), {DIM_IN, DIM_E}, PARAM_MATRIX},
    {"attn.q_proj_weight", offsetof(pooler, q_w), {DIM_APART, DIM_E}, PARAM_MATRIX},
    {"attn.k_proj_weight", offsetof(pooler, k_w), {DIM_APART, DIM_C}, PARAM_MATRIX},
    {"attn.v_proj_weight", offsetof(pooler, v_w), {DIM_APART, DIM_C}, PARAM_MATRIX},
    {"attn.in_proj_bias", offsetof(pooler, in_b), {DIM_3E}, PARAM_GAIN},
    {"attn.out_proj.weight", offsetof(pooler, out_w), {DIM_E, DIM_E}, PARAM_MATRIX},
    {"attn.out_proj.bias", offsetof(pooler, out_b), {DIM_E}, PARAM_GAIN},
    {"norm.weight", offsetof(pooler, norm_w), {DIM_LATENT}, PARAM_GAIN},
    {"norm.bias", offsetof(pooler, norm_b), {DIM_LATENT}, PARAM_GAIN},
    {"mlp.fc1.weight", offsetof(pooler, fc_w), {DIM_F, DIM_LATENT}, PARAM_MATRIX},
    {"mlp.fc1.bias", offsetof(pooler, fc_b), {DIM_F}, PARAM_GAIN},
    {"mlp.fc2.weight", offsetof(pooler, proj_w), {DIM_LATENT, DIM_F}, PARAM_MATRIX},
    {"mlp.fc2.bias", offsetof(pooler, proj_b), {DIM_LATENT}, PARAM_GAIN},
};

int pooler_params(pooler *p, param_list *l, const char *prefix, const pooler_cfg *cfg,
                  clipc_err *err)
{
    const size_t C = cfg->C, E = cfg->E;
    const bool coca = cfg->form == POOLER_COCA;
    const bool apart = coca && E != C; /* as torch.nn.MultiheadAttention decides */
    const size_t sizes[] = {[DIM_E] = E,
                            [DIM_1] = 1,
                            [DIM_Q] = coca ? cfg->Q : 0,
                            [DIM_LATENT] = coca ? 0 : E,
                            [DIM_LN_Q] = coca ? E : 0,
                            [DIM_LN_K] = coca ? C : 0,
                            [DIM_IN] = apart ? 0 : 3 * E,
                            [DIM_APART] = apart ? E : 0,
                            [DIM_C] = C,
                            [DIM_3E] = 3 * E,
                            [DIM_F] = coca ? 0 : cfg->F};

    return param_list_add(l, prefix, pooler_rows,
                          sizeof pooler_rows / sizeof pooler_rows[0], p, sizes, err);
}

void pooler_acts_take(pooler_acts *a, arena *mem, const pooler_cfg *cfg, size_t B,
                      size_t T)
{
    a->x = ARENA_FLOATS(mem, cfg->form == POOLER_COCA ? B * T * cfg->C : 0);
    a->query = ARENA_FLOATS(mem, cfg->Q * cfg->E);
    a->q = ARENA_FLOATS(mem, cfg->Q * cfg->E);
    a->k = ARENA_FLOATS(mem, B * T * cfg->E);
    a->v = ARENA_FLOATS(mem, B * T * cfg->E);
    a->p = ARENA_FLOATS(mem, B * cfg->H * T);
    a->ctx = ARENA_FLOATS(mem, B * cfg->Q * cfg->E);
    a->fc = ARENA_FLOATS(mem, B * cfg->Q * cfg->F);
}

typedef struct pool_job {
    const kernels *kern;
    pooler_acts *a;
    size_t T, E, H, D, n;
} pool_job;

/* All queries of one head of one picture, one after the other. */
static void head_fwd(void *arg, size_t thread, size_t i)
{
    const pool_job *j = arg;
    const size_t b = i / j->H, col = i % j->H * j->D, at = b * j->T * j->E + col;
    const float scale = 1.0f / sqrtf((float)j->D);
    float *p = j->a->p + i * j->T;

    (void)thread;
    for (size_t q = 0; q < j->n; q++) {
        float *ctx = j->a->ctx + (b * j->n + q) * j->E + col;
        for (size_t t = 0; t < j->T; t++)
            p[t] = (float)j->kern->dot(j->a->q + q * j->E + col, j->a->k + at + t * j->E,
                                       j->D);
        j->kern->softmax_fwd(p, j->T, 1, j->T, scale);
        memset(ctx, 0, j->D * sizeof *ctx);
        for (size_t t = 0; t < j->T; t++)
            j->kern->axpy(ctx, p[t], j->a->v + at + t * j->E, j->D);
    }
}

/* y [N,E] = x [N,K] w^T + b */
static void project(exec *e, float *y, const float *x, const float *w, const float *b,
                    size_t N, size_t K, size_t E)
{
    linear_fwd(e, y, x, w, WEIGHTS_PLAIN, N, K, E, (gemm_opts){.bias = b});
}

static void project_all(exec *e, const float *query, const float *x, const pooler *p,
                        pooler_acts *a, const pooler_cfg *cfg, size_t N, size_t n)
{
    const size_t C = cfg->C, E = cfg->E;
    const float *q_w = p->in_w ? p->in_w : p->q_w;
    const float *k_w = p->in_w ? p->in_w + E * E : p->k_w;
    const float *v_w = p->in_w ? p->in_w + 2 * E * E : p->v_w;

    project(e, a->q, query, q_w, p->in_b, n, E, E);
    project(e, a->k, x, k_w, p->in_b + E, N, C, E);
    project(e, a->v, x, v_w, p->in_b + 2 * E, N, C, E);
}

void pooler_fwd(exec *e, float *out, const float *x, const pooler *p, pooler_acts *a,
                const pooler_cfg *cfg, size_t B, size_t T, size_t q0, size_t n)
{
    const size_t E = cfg->E, N = B * n;
    const float *query = p->query + q0 * E;
    pool_job j = {e->k, a, T, E, cfg->H, E / cfg->H, n};

    if (p->ln_k_w) {
        rows_layernorm_fwd(e, a->x, NULL, NULL, x, p->ln_k_w, p->ln_k_b, B * T, cfg->C,
                           cfg->eps);
        rows_layernorm_fwd(e, a->query, NULL, NULL, query, p->ln_q_w, p->ln_q_b, n, E,
                           cfg->eps);
        x = a->x, query = a->query;
    }
    project_all(e, query, x, p, a, cfg, B * T, n);
    exec_each(e, head_fwd, &j, B * cfg->H);
    project(e, out, a->ctx, p->out_w, p->out_b, N, E, E);
    if (!p->norm_w) return;
    rows_layernorm_fwd(e, a->ctx, NULL, NULL, out, p->norm_w, p->norm_b, N, E, cfg->eps);
    linear_fwd(e, a->fc, a->ctx, p->fc_w, WEIGHTS_PLAIN, N, E, cfg->F,
               (gemm_opts){.bias = p->fc_b, .f = cfg->act});
    linear_fwd(e, out, a->fc, p->proj_w, WEIGHTS_PLAIN, N, cfg->F, E,
               (gemm_opts){.bias = p->proj_b, .accumulate = true});
}

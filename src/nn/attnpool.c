#include "nn/attnpool.h"

#include <math.h>
#include <string.h>

#include "nn/linear.h"
#include "nn/rows.h"

enum { DIM_T = 1, DIM_C, DIM_E };

static const param_row pool_rows[] = {
    {"positional_embedding", offsetof(attnpool, pos), {DIM_T, DIM_C}, PARAM_MATRIX},
    {"q_proj.weight", offsetof(attnpool, q_w), {DIM_C, DIM_C}, PARAM_LINEAR},
    {"q_proj.bias", offsetof(attnpool, q_b), {DIM_C}, PARAM_GAIN},
    {"k_proj.weight", offsetof(attnpool, k_w), {DIM_C, DIM_C}, PARAM_LINEAR},
    {"k_proj.bias", offsetof(attnpool, k_b), {DIM_C}, PARAM_GAIN},
    {"v_proj.weight", offsetof(attnpool, v_w), {DIM_C, DIM_C}, PARAM_LINEAR},
    {"v_proj.bias", offsetof(attnpool, v_b), {DIM_C}, PARAM_GAIN},
    {"c_proj.weight", offsetof(attnpool, c_w), {DIM_E, DIM_C}, PARAM_LINEAR},
    {"c_proj.bias", offsetof(attnpool, c_b), {DIM_E}, PARAM_GAIN},
};

enum { POOL_ROWS = sizeof pool_rows / sizeof pool_rows[0] };
_Static_assert(POOL_ROWS * sizeof(float *) == sizeof(attnpool),
               "a weight is not in the table");

int attnpool_params(attnpool *l, param_list *list, const char *prefix,
                    const attnpool_cfg *cfg, clipc_err *err)
{
    const size_t sizes[] = {0, cfg->T, cfg->C, cfg->E};
    return param_list_add(list, prefix, pool_rows, POOL_ROWS, l, sizes, err);
}

void attnpool_init(attnpool *l, const attnpool_cfg *cfg, rng *r)
{
    const size_t C = cfg->C;
    const float std = 1.0f / sqrtf((float)C);

    rng_fill_normal(r, l->pos, cfg->T * C, 0.0f, std);
    rng_fill_normal(r, l->q_w, C * C, 0.0f, std);
    rng_fill_normal(r, l->k_w, C * C, 0.0f, std);
    rng_fill_normal(r, l->v_w, C * C, 0.0f, std);
    rng_fill_normal(r, l->c_w, cfg->E * C, 0.0f, std);
    memset(l->q_b, 0, C * sizeof(float));
    memset(l->k_b, 0, C * sizeof(float));
    memset(l->v_b, 0, C * sizeof(float));
    memset(l->c_b, 0, cfg->E * sizeof(float));
}

void attnpool_acts_take(attnpool_acts *a, arena *mem, const attnpool_cfg *cfg, size_t B,
                        bool train)
{
    const size_t row = B * cfg->C, tokens = row * cfg->T, probs = B * cfg->H * cfg->T;

    a->t = ARENA_FLOATS(mem, tokens);
    a->q = ARENA_FLOATS(mem, row);
    a->k = ARENA_FLOATS(mem, tokens);
    a->v = ARENA_FLOATS(mem, tokens);
    a->p = ARENA_FLOATS(mem, probs);
    a->ctx = ARENA_FLOATS(mem, row);
    if (!train) return;
    a->dt = ARENA_FLOATS(mem, tokens);
    a->dk = ARENA_FLOATS(mem, tokens);
    a->dv = ARENA_FLOATS(mem, tokens);
    a->dq = ARENA_FLOATS(mem, row);
    a->dctx = ARENA_FLOATS(mem, row);
    a->dp = ARENA_FLOATS(mem, probs);
}

typedef struct pool_job {
    exec *e;
    attnpool_acts *a;
    const attnpool *l;
    const float *x;
    float *dx;
    size_t T, C, H, D;
    float scale;
} pool_job;

static pool_job job_of(exec *e, attnpool_acts *a, const attnpool *l,
                       const attnpool_cfg *cfg)
{
    const size_t D = cfg->C / cfg->H;
    return (pool_job){.e = e,
                      .a = a,
                      .l = l,
                      .T = cfg->T,
                      .C = cfg->C,
                      .H = cfg->H,
                      .D = D,
                      .scale = 1.0f / sqrtf((float)D)};
}

static void picture_tokens(void *arg, size_t thread, size_t b)
{
    const pool_job *j = arg;
    const kernels *k = j->e->k;
    const size_t C = j->C, P = j->T - 1;
    const float *x = j->x + b * P * C;
    float *t = j->a->t + b * j->T * C;

    (void)thread;
    memset(t, 0, C * sizeof *t);
    k->col_sum(t, x, P, C);
    k->scale(t, 1.0f / (float)P, C);
    memcpy(t + C, x, P * C * sizeof *t);
    k->add(t, j->l->pos, j->T * C);
}

/* One head of one picture. */
static void head_fwd(void *arg, size_t thread, size_t i)
{
    const pool_job *j = arg;
    const kernels *k = j->e->k;
    const size_t b = i / j->H, col = i % j->H * j->D, at = b * j->T * j->C + col;
    const float *q = j->a->q + b * j->C + col;
    float *p = j->a->p + i * j->T, *ctx = j->a->ctx + b * j->C + col;

    (void)thread;
    for (size_t t = 0; t < j->T; t++)
        p[t] = (float)k->dot(q, j->a->k + at + t * j->C, j->D);
    k->softmax_fwd(p, j->T, 1, j->T, j->scale);
    memset(ctx, 0, j->D * sizeof *ctx);
    for (size_t t = 0; t < j->T; t++) k->axpy(ctx, p[t], j->a->v + at + t * j->C, j->D);
}

/* q_proj of token 0 of every picture. */
static void query_fwd(exec *e, const attnpool *l, attnpool_acts *a,
                      const attnpool_cfg *cfg, size_t B)
{
    const size_t C = cfg->C;
    const mat t0 = mat_of(a->t, cfg->T * C);
    const gemm_opts o = {.bias = l->q_b};

    if (cfg->form == WEIGHTS_PLAIN) gemm(e, a->q, C, t0, mat_t(l->q_w, C), B, C, C, o);
    else gemm_packed(e, a->q, C, t0, l->q_w, cfg->form, B, C, C, o);
}

void attnpool_fwd(exec *e, float *out, const float *x, const attnpool *l,
                  attnpool_acts *a, const attnpool_cfg *cfg, size_t B)
{
    const size_t C = cfg->C, N = B * cfg->T;
    pool_job j = job_of(e, a, l, cfg);

    j.x = x;
    exec_each(e, picture_tokens, &j, B);
    query_fwd(e, l, a, cfg, B);
    linear_fwd(e, a->k, a->t, l->k_w, cfg->form, N, C, C, (gemm_opts){.bias = l->k_b});
    linear_fwd(e, a->v, a->t, l->v_w, cfg->form, N, C, C, (gemm_opts){.bias = l->v_b});
    exec_each(e, head_fwd, &j, B * cfg->H);
    linear_fwd(e, out, a->ctx, l->c_w, cfg->form, B, C, cfg->E,
               (gemm_opts){.bias = l->c_b});
}

static void head_bwd(void *arg, size_t thread, size_t i)
{
    const pool_job *j = arg;
    const kernels *k = j->e->k;
    const size_t b = i / j->H, row = b * j->C + i % j->H * j->D;
    const size_t at = b * j->T * j->C + i % j->H * j->D;
    const float *q = j->a->q + row, *dctx = j->a->dctx + row, *p = j->a->p + i * j->T;
    float *dp = j->a->dp + i * j->T, *dq = j->a->dq + row;

    (void)thread;
    for (size_t t = 0; t < j->T; t++)
        dp[t] = (float)k->dot(dctx, j->a->v + at + t * j->C, j->D);
    k->softmax_bwd(dp, j->T, p, j->T, 1, j->T, j->scale);
    memset(dq, 0, j->D * sizeof *dq);
    for (size_t t = 0; t < j->T; t++) {
        const size_t o = at + t * j->C;
        k->axpy(dq, dp[t], j->a->k + o, j->D);
        memset(j->a->dk + o, 0, j->D * sizeof *dq);
        k->axpy(j->a->dk + o, dp[t], q, j->D);
        memset(j->a->dv + o, 0, j->D * sizeof *dq);
        k->axpy(j->a->dv + o, p[t], dctx, j->D);
    }
}

static void picture_tokens_bwd(void *arg, size_t thread, size_t b)
{
    const pool_job *j = arg;
    const kernels *k = j->e->k;
    const size_t C = j->C, P = j->T - 1;
    float *dt = j->a->dt + b * j->T * C, *dx = j->dx + b * P * C;

    (void)thread;
    memcpy(dx, dt + C, P * C * sizeof *dx);
    k->scale(dt, 1.0f / (float)P, C);
    k->bias_add(dx, dt, P, C);
}

void attnpool_bwd(exec *e, float *dx, const float *dout, const attnpool *l,
                  attnpool *grad, attnpool_acts *a, const attnpool_cfg *cfg, size_t B)
{
    const size_t C = cfg->C, N = B * cfg->T, row = cfg->T * C;
    const gemm_opts add = {.accumulate = true};
    pool_job j = job_of(e, a, l, cfg);

    j.dx = dx;
    linear_bwd(e, a->dctx, grad->c_w, grad->c_b, dout, a->ctx, l->c_w, B, C, cfg->E);
    exec_each(e, head_bwd, &j, B * cfg->H);
    linear_bwd(e, a->dt, grad->k_w, grad->k_b, a->dk, a->t, l->k_w, N, C, C);
    linear_bwd(e, NULL, grad->v_w, grad->v_b, a->dv, a->t, l->v_w, N, C, C);
    gemm(e, a->dt, C, mat_of(a->dv, C), mat_of(l->v_w, C), N, C, C, add);
    gemm(e, grad->q_w, C, mat_t(a->dq, C), mat_of(a->t, row), C, C, B, add);
    rows_sum(e, grad->q_b, a->dq, B, C);
    gemm(e, a->dt, row, mat_of(a->dq, C), mat_of(l->q_w, C), B, C, C, add);
    rows_sum(e, grad->pos, a->dt, B, row);
    exec_each(e, picture_tokens_bwd, &j, B);
}

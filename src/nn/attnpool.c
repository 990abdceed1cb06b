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
    const size_t row = B * cfg->C, tokens = row * cfg->T;

    *a = (attnpool_acts){0};
    a->t = ARENA_FLOATS(mem, tokens);
    a->ctx = ARENA_FLOATS(mem, row);
    if (cfg->form == WEIGHTS_PLAIN) {
        onequery_acts_take(&a->one, mem, B * cfg->T, B, cfg->C, cfg->H, train);
        a->start = arena_take(mem, B + 1, sizeof *a->start);
        a->q = a->one.q;
    } else {
        a->q = ARENA_FLOATS(mem, row);
        a->k = ARENA_FLOATS(mem, tokens);
        a->v = ARENA_FLOATS(mem, tokens);
        a->p = ARENA_FLOATS(mem, B * cfg->H * cfg->T);
    }
    if (!train) return;
    a->dt = ARENA_FLOATS(mem, tokens);
    a->dctx = ARENA_FLOATS(mem, row);
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

/* One head of one picture, from keys and values of all tokens. */
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

/* Every picture's tokens. */
static seqs pictures(attnpool_acts *a, const attnpool_cfg *cfg, size_t B)
{
    for (size_t b = 0; b <= B; b++) a->start[b] = b * cfg->T;
    return (seqs){.B = B, .start = a->start};
}

static onequery_weights keys_values(const attnpool *l)
{
    return (onequery_weights){l->k_w, l->v_w, l->v_b};
}

/* ctx from tokens and queries. */
static void attend(pool_job *j, const attnpool_cfg *cfg, size_t B)
{
    const size_t C = cfg->C, N = B * cfg->T;
    const attnpool *l = j->l;
    attnpool_acts *a = j->a;

    if (cfg->form == WEIGHTS_PLAIN) {
        const onequery_weights w = keys_values(l);
        const seqs s = pictures(a, cfg, B);
        onequery_fwd(j->e, a->ctx, &a->one, a->t, &w, &s, C, cfg->H);
        return;
    }
    linear_fwd(j->e, a->k, a->t, l->k_w, cfg->form, N, C, C, (gemm_opts){.bias = l->k_b});
    linear_fwd(j->e, a->v, a->t, l->v_w, cfg->form, N, C, C, (gemm_opts){.bias = l->v_b});
    exec_each(j->e, head_fwd, j, B * cfg->H);
}

void attnpool_fwd(exec *e, float *out, const float *x, const attnpool *l,
                  attnpool_acts *a, const attnpool_cfg *cfg, size_t B)
{
    pool_job j = job_of(e, a, l, cfg);

    j.x = x;
    exec_each(e, picture_tokens, &j, B);
    query_fwd(e, l, a, cfg, B);
    attend(&j, cfg, B);
    linear_fwd(e, out, a->ctx, l->c_w, cfg->form, B, cfg->C, cfg->E,
               (gemm_opts){.bias = l->c_b});
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
    const size_t C = cfg->C, row = cfg->T * C;
    const gemm_opts add = {.accumulate = true};
    const onequery_weights w = keys_values(l), dw = keys_values(grad);
    const seqs s = pictures(a, cfg, B);
    const float *dq = a->one.dq;
    pool_job j = job_of(e, a, l, cfg);

    j.dx = dx;
    linear_bwd(e, a->dctx, grad->c_w, grad->c_b, dout, a->ctx, l->c_w, B, C, cfg->E);
    onequery_bwd(e, a->dt, &dw, &a->one, a->dctx, a->t, &w, &s, C, cfg->H);
    gemm(e, grad->q_w, C, mat_t(dq, C), mat_of(a->t, row), C, C, B, add);
    rows_sum(e, grad->q_b, dq, B, C);
    gemm(e, a->dt, row, mat_of(dq, C), mat_of(l->q_w, C), B, C, C, add);
    rows_sum(e, grad->pos, a->dt, B, row);
    exec_each(e, picture_tokens_bwd, &j, B);
}

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
    const bool plain = cfg->form == WEIGHTS_PLAIN;

    *a = (attnpool_acts){0};
    a->t = ARENA_FLOATS(mem, tokens);
    a->q = ARENA_FLOATS(mem, row);
    a->k = ARENA_FLOATS(mem, plain ? row * cfg->H : tokens);
    a->v = ARENA_FLOATS(mem, plain ? row * cfg->H : tokens);
    a->p = ARENA_FLOATS(mem, probs);
    a->ctx = ARENA_FLOATS(mem, row);
    if (!train) return;
    a->dt = ARENA_FLOATS(mem, tokens);
    a->dv = ARENA_FLOATS(mem, row * cfg->H);
    a->dq = ARENA_FLOATS(mem, row);
    a->dctx = ARENA_FLOATS(mem, row);
    a->dp = ARENA_FLOATS(mem, probs);
}

typedef struct pool_job {
    exec *e;
    attnpool_acts *a;
    const attnpool *l;
    attnpool *grad;
    const float *x;
    float *dx;
    size_t B, T, C, H, D;
    float scale;
} pool_job;

static pool_job job_of(exec *e, attnpool_acts *a, const attnpool *l,
                       const attnpool_cfg *cfg, size_t B)
{
    const size_t D = cfg->C / cfg->H;
    return (pool_job){.e = e,
                      .a = a,
                      .l = l,
                      .B = B,
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

/* ---- packed weights: keys and values of all tokens, and one head of one picture ---- */

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

/* ---- plain weights.  There is one query a picture, so that no token needs a key or a
 * value of its own: with head h's rows of the weights,
 *
 *   q_h . (W_k,h t + b_k,h) = (q_h W_k,h) . t + what is the same for every t
 *   sum_t p_t (W_v,h t + b_v,h) = W_v,h (sum_t p_t t) + b_v,h
 *
 * and k_proj's bias, which softmax does not see, has no gradient. ---- */

/* Rows of a->k, a->v or a->dv [B,H,C] of one head, as an operand. */
static mat of_head(const pool_job *j, const float *x, size_t h)
{
    return mat_of(x + h * j->C, j->H * j->C);
}

/* a->k = q_h W_k,h for all pictures. */
static void head_asks(void *arg, size_t thread, size_t h)
{
    const pool_job *j = arg;
    const size_t C = j->C, at = h * j->D;

    gemm_serial(j->e, thread, j->a->k + h * C, j->H * C, mat_of(j->a->q + at, C),
                mat_of(j->l->k_w + at * C, C), j->B, C, j->D, (gemm_opts){0});
}

/* a->v = sum_t p_t t for all heads. */
static void picture_mixes(void *arg, size_t thread, size_t b)
{
    const pool_job *j = arg;
    const size_t T = j->T, C = j->C, H = j->H;
    const float *t = j->a->t + b * T * C;
    float *p = j->a->p + b * H * T;

    gemm_serial(j->e, thread, p, T, mat_of(j->a->k + b * H * C, C), mat_t(t, C), H, T, C,
                (gemm_opts){0});
    j->e->k->softmax_fwd(p, T, H, T, j->scale);
    gemm_serial(j->e, thread, j->a->v + b * H * C, C, mat_of(p, T), mat_of(t, C), H, C, T,
                (gemm_opts){0});
}

/* ctx = W_v,h a->v + b_v,h */
static void head_answers(void *arg, size_t thread, size_t h)
{
    const pool_job *j = arg;
    const size_t C = j->C, at = h * j->D;

    gemm_serial(j->e, thread, j->a->ctx + at, C, of_head(j, j->a->v, h),
                mat_t(j->l->v_w + at * C, C), j->B, j->D, C,
                (gemm_opts){.bias = j->l->v_b + at});
}

static void head_answers_bwd(void *arg, size_t thread, size_t h)
{
    const pool_job *j = arg;
    const size_t B = j->B, C = j->C, D = j->D, at = h * D;
    const float *dctx = j->a->dctx + at;

    gemm_serial(j->e, thread, j->grad->v_w + at * C, C, mat_t(dctx, C),
                of_head(j, j->a->v, h), D, C, B, (gemm_opts){.accumulate = true});
    gemm_serial(j->e, thread, j->a->dv + h * C, j->H * C, mat_of(dctx, C),
                mat_of(j->l->v_w + at * C, C), B, C, D, (gemm_opts){0});
}

/* dt = p^T dv + ds^T k; then dv becomes dk = ds t. */
static void picture_mixes_bwd(void *arg, size_t thread, size_t b)
{
    const pool_job *j = arg;
    const size_t T = j->T, C = j->C, H = j->H;
    const float *t = j->a->t + b * T * C, *p = j->a->p + b * H * T;
    float *ds = j->a->dp + b * H * T, *dv = j->a->dv + b * H * C;
    float *dt = j->a->dt + b * T * C;

    gemm_serial(j->e, thread, ds, T, mat_of(dv, C), mat_t(t, C), H, T, C, (gemm_opts){0});
    j->e->k->softmax_bwd(ds, T, p, T, H, T, j->scale);
    gemm_serial(j->e, thread, dt, C, mat_t(p, T), mat_of(dv, C), T, C, H, (gemm_opts){0});
    gemm_serial(j->e, thread, dt, C, mat_t(ds, T), mat_of(j->a->k + b * H * C, C), T, C,
                H, (gemm_opts){.accumulate = true});
    gemm_serial(j->e, thread, dv, C, mat_of(ds, T), mat_of(t, C), H, C, T,
                (gemm_opts){0});
}

static void head_asks_bwd(void *arg, size_t thread, size_t h)
{
    const pool_job *j = arg;
    const size_t B = j->B, C = j->C, D = j->D, at = h * D;
    const mat dk = of_head(j, j->a->dv, h);

    gemm_serial(j->e, thread, j->a->dq + at, C, dk, mat_t(j->l->k_w + at * C, C), B, D, C,
                (gemm_opts){0});
    gemm_serial(j->e, thread, j->grad->k_w + at * C, C, mat_t(j->a->q + at, C), dk, D, C,
                B, (gemm_opts){.accumulate = true});
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

/* ctx from tokens and queries. */
static void attend(exec *e, pool_job *j, const attnpool *l, attnpool_acts *a,
                   const attnpool_cfg *cfg)
{
    const size_t C = cfg->C, N = j->B * cfg->T;

    if (cfg->form == WEIGHTS_PLAIN) {
        exec_each(e, head_asks, j, cfg->H);
        exec_each(e, picture_mixes, j, j->B);
        exec_each(e, head_answers, j, cfg->H);
        return;
    }
    linear_fwd(e, a->k, a->t, l->k_w, cfg->form, N, C, C, (gemm_opts){.bias = l->k_b});
    linear_fwd(e, a->v, a->t, l->v_w, cfg->form, N, C, C, (gemm_opts){.bias = l->v_b});
    exec_each(e, head_fwd, j, j->B * cfg->H);
}

void attnpool_fwd(exec *e, float *out, const float *x, const attnpool *l,
                  attnpool_acts *a, const attnpool_cfg *cfg, size_t B)
{
    pool_job j = job_of(e, a, l, cfg, B);

    j.x = x;
    exec_each(e, picture_tokens, &j, B);
    query_fwd(e, l, a, cfg, B);
    attend(e, &j, l, a, cfg);
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
    pool_job j = job_of(e, a, l, cfg, B);

    j.dx = dx;
    j.grad = grad;
    linear_bwd(e, a->dctx, grad->c_w, grad->c_b, dout, a->ctx, l->c_w, B, C, cfg->E);
    exec_each(e, head_answers_bwd, &j, cfg->H);
    rows_sum(e, grad->v_b, a->dctx, B, C);
    exec_each(e, picture_mixes_bwd, &j, B);
    exec_each(e, head_asks_bwd, &j, cfg->H);
    gemm(e, grad->q_w, C, mat_t(a->dq, C), mat_of(a->t, row), C, C, B, add);
    rows_sum(e, grad->q_b, a->dq, B, C);
    gemm(e, a->dt, row, mat_of(a->dq, C), mat_of(l->q_w, C), B, C, C, add);
    rows_sum(e, grad->pos, a->dt, B, row);
    exec_each(e, picture_tokens_bwd, &j, B);
}

#include "nn/onequery.h"

#include <assert.h>
#include <math.h>

#include "nn/rows.h"
#include "tensor/gemm.h"

void onequery_acts_take(onequery_acts *a, arena *mem, size_t N, size_t B, size_t C,
                        size_t H, bool train)
{
    *a = (onequery_acts){0};
    a->q = ARENA_FLOATS(mem, B * C);
    a->asked = ARENA_FLOATS(mem, B * H * C);
    a->mixed = ARENA_FLOATS(mem, B * H * C);
    a->p = ARENA_FLOATS(mem, N * H);
    if (!train) return;
    a->dq = ARENA_FLOATS(mem, B * C);
    a->dmx = ARENA_FLOATS(mem, B * H * C);
    a->dp = ARENA_FLOATS(mem, N * H);
}

typedef struct onequery_job {
    exec *e;
    const onequery_acts *a;
    const onequery_weights *w, *grad;
    const float *t, *dctx;
    float *ctx, *dt;
    const seqs *s;
    size_t B, C, H, D;
    float scale;
} onequery_job;

static onequery_job job_of(exec *e, const onequery_acts *a, const float *t,
                           const onequery_weights *w, const seqs *s, size_t C, size_t H)
{
    const size_t D = C / H;

    assert(C % H == 0);
    return (onequery_job){.e = e,
                          .a = a,
                          .w = w,
                          .t = t,
                          .s = s,
                          .B = s->B,
                          .C = C,
                          .H = H,
                          .D = D,
                          .scale = 1.0f / sqrtf((float)D)};
}

/* Rows of one head in x [B,H,C], as an operand. */
static mat of_head(const onequery_job *j, const float *x, size_t h)
{
    return mat_of(x + h * j->C, j->H * j->C);
}

/* asked = q_h W_k,h of all sequences. */
static void head_asks(void *arg, size_t thread, size_t h)
{
    const onequery_job *j = arg;
    const size_t C = j->C, at = h * j->D;

    gemm_serial(j->e, thread, j->a->asked + h * C, j->H * C, mat_of(j->a->q + at, C),
                mat_of(j->w->k_w + at * C, C), j->B, C, j->D, (gemm_opts){0});
}

/* p = softmax(scale asked . t), mixed = sum_t p_t t, of all heads. */
static void tokens_mix(void *arg, size_t thread, size_t b)
{
    const onequery_job *j = arg;
    const size_t T = seqs_len(j->s, b), C = j->C, H = j->H, row = j->s->start[b];
    const float *t = j->t + row * C;
    float *p = j->a->p + row * H;

    gemm_serial(j->e, thread, p, T, mat_of(j->a->asked + b * H * C, C), mat_t(t, C), H, T,
                C, (gemm_opts){0});
    j->e->k->softmax_fwd(p, T, H, T, j->scale);
    gemm_serial(j->e, thread, j->a->mixed + b * H * C, C, mat_of(p, T), mat_of(t, C), H,
                C, T, (gemm_opts){0});
}

/* ctx = W_v,h mixed + b_v,h */
static void head_answers(void *arg, size_t thread, size_t h)
{
    const onequery_job *j = arg;
    const size_t C = j->C, at = h * j->D;

    gemm_serial(j->e, thread, j->ctx + at, C, of_head(j, j->a->mixed, h),
                mat_t(j->w->v_w + at * C, C), j->B, j->D, C,
                (gemm_opts){.bias = j->w->v_b + at});
}

void onequery_fwd(exec *e, float *ctx, const onequery_acts *a, const float *t,
                  const onequery_weights *w, const seqs *s, size_t C, size_t H)
{
    onequery_job j = job_of(e, a, t, w, s, C, H);

    j.ctx = ctx;
    exec_each(e, head_asks, &j, H);
    exec_each(e, tokens_mix, &j, s->B);
    exec_each(e, head_answers, &j, H);
}

static void head_answers_bwd(void *arg, size_t thread, size_t h)
{
    const onequery_job *j = arg;
    const size_t B = j->B, C = j->C, D = j->D, at = h * D;
    const float *dctx = j->dctx + at;

    gemm_serial(j->e, thread, j->grad->v_w + at * C, C, mat_t(dctx, C),
                of_head(j, j->a->mixed, h), D, C, B, (gemm_opts){.accumulate = true});
    gemm_serial(j->e, thread, j->a->dmx + h * C, j->H * C, mat_of(dctx, C),
                mat_of(j->w->v_w + at * C, C), B, C, D, (gemm_opts){0});
}

/* dt = p^T dmixed + ds^T asked; then dmx becomes dasked = ds t. */
static void tokens_mix_bwd(void *arg, size_t thread, size_t b)
{
    const onequery_job *j = arg;
    const size_t T = seqs_len(j->s, b), C = j->C, H = j->H, row = j->s->start[b];
    const float *t = j->t + row * C, *p = j->a->p + row * H;
    float *ds = j->a->dp + row * H, *dmx = j->a->dmx + b * H * C, *dt = j->dt + row * C;

    gemm_serial(j->e, thread, ds, T, mat_of(dmx, C), mat_t(t, C), H, T, C,
                (gemm_opts){0});
    j->e->k->softmax_bwd(ds, T, p, T, H, T, j->scale);
    gemm_serial(j->e, thread, dt, C, mat_t(p, T), mat_of(dmx, C), T, C, H,
                (gemm_opts){0});
    gemm_serial(j->e, thread, dt, C, mat_t(ds, T), mat_of(j->a->asked + b * H * C, C), T,
                C, H, (gemm_opts){.accumulate = true});
    gemm_serial(j->e, thread, dmx, C, mat_of(ds, T), mat_of(t, C), H, C, T,
                (gemm_opts){0});
}

static void head_asks_bwd(void *arg, size_t thread, size_t h)
{
    const onequery_job *j = arg;
    const size_t B = j->B, C = j->C, D = j->D, at = h * D;
    const mat dasked = of_head(j, j->a->dmx, h);

    gemm_serial(j->e, thread, j->a->dq + at, C, dasked, mat_t(j->w->k_w + at * C, C), B,
                D, C, (gemm_opts){0});
    gemm_serial(j->e, thread, j->grad->k_w + at * C, C, mat_t(j->a->q + at, C), dasked, D,
                C, B, (gemm_opts){.accumulate = true});
}

void onequery_bwd(exec *e, float *dt, const onequery_weights *grad,
                  const onequery_acts *a, const float *dctx, const float *t,
                  const onequery_weights *w, const seqs *s, size_t C, size_t H)
{
    onequery_job j = job_of(e, a, t, w, s, C, H);

    j.dt = dt;
    j.grad = grad;
    j.dctx = dctx;
    exec_each(e, head_answers_bwd, &j, H);
    rows_sum(e, grad->v_b, dctx, s->B, C);
    exec_each(e, tokens_mix_bwd, &j, s->B);
    exec_each(e, head_asks_bwd, &j, H);
}

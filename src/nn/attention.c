#include "nn/attention.h"

#include <assert.h>
#include <math.h>
#include <string.h>

typedef struct attention_job {
    exec *e;
    float *out, *p_out, *dqkv;
    const float *qkv, *p, *dout;
    const seqs *s;
    size_t C, H, D;
    float scale;
    bool causal;
} attention_job;

/* One head of one sequence: views into the rows of all. */
typedef struct head {
    size_t T, row, col; /* tokens; first row; first column within q, k, v or out */
    size_t p;           /* where its probabilities start */
} head;

size_t attention_saved(size_t B, size_t T, size_t H)
{
    return B * H * T * T;
}

size_t attention_scratch(size_t T)
{
    return T * T;
}

static head head_of(const attention_job *j, size_t i)
{
    const size_t b = i / j->H, h = i % j->H;
    head a = {.T = seqs_len(j->s, b), .row = j->s->start[b], .col = h * j->D};

    for (size_t c = 0; c < b; c++) {
        const size_t T = seqs_len(j->s, c);
        a.p += j->H * T * T;
    }
    a.p += h * a.T * a.T;
    return a;
}

/* So low that it counts as nothing beside any other. */
#define HIDDEN (-1e30f)

/* Softmax over what each token may see; the rest of a causal row becomes zero, so that
 * the products below need not know about the mask. */
static void head_softmax(const attention_job *j, float *p, const head *a)
{
    const size_t T = a->T;

    if (j->s->hidden)
        for (size_t i = 0; i < T * T; i++)
            if (j->s->hidden[a->row + i % T]) p[i] = HIDDEN;
    if (!j->causal) {
        j->e->k->softmax_fwd(p, T, T, T, j->scale);
        return;
    }
    for (size_t t = 0; t < T; t++, p += T) {
        j->e->k->softmax_fwd(p, T, 1, t + 1, j->scale);
        memset(p + t + 1, 0, (T - t - 1) * sizeof *p);
    }
}

static void head_fwd(void *arg, size_t thread, size_t i)
{
    const attention_job *j = arg;
    const head a = head_of(j, i);
    const size_t ld = 3 * j->C;
    const float *q = j->qkv + a.row * ld + a.col, *k = q + j->C, *v = k + j->C;
    float *p = j->p_out ? j->p_out + a.p : exec_scratch(j->e, thread);

    gemm_serial(j->e, thread, p, a.T, mat_of(q, ld), mat_t(k, ld), a.T, a.T, j->D,
                (gemm_opts){0});
    head_softmax(j, p, &a);
    gemm_serial(j->e, thread, j->out + a.row * j->C + a.col, j->C, mat_of(p, a.T),
                mat_of(v, ld), a.T, j->D, a.T, (gemm_opts){0});
}

void attention_fwd(exec *e, float *out, float *p, const float *qkv, const seqs *s,
                   size_t C, size_t H, bool causal)
{
    attention_job j = {.e = e,
                       .out = out,
                       .p_out = p,
                       .qkv = qkv,
                       .s = s,
                       .C = C,
                       .H = H,
                       .D = C / H,
                       .causal = causal};

    assert(C % H == 0);
    j.scale = 1.0f / sqrtf((float)j.D);
    exec_each(e, head_fwd, &j, s->B * H);
}

/* With P = softmax(S), S = scale q k^T, out = P v:
 *   dv = P^T dout,  dP = dout v^T,  dS = P (dP - rowsum(dP P)),
 *   dq = scale dS k,  dk = scale dS^T q. */
static void head_bwd(void *arg, size_t thread, size_t i)
{
    const attention_job *j = arg;
    const head a = head_of(j, i);
    const size_t ld = 3 * j->C, at = a.row * ld + a.col, T = a.T;
    const float *q = j->qkv + at, *k = q + j->C, *v = k + j->C;
    float *dq = j->dqkv + at, *dk = dq + j->C, *dv = dk + j->C;
    const float *p = j->p + a.p, *dout = j->dout + a.row * j->C + a.col;
    float *ds = exec_scratch(j->e, thread);
    const gemm_opts plain = {0};

    gemm_serial(j->e, thread, dv, ld, mat_t(p, T), mat_of(dout, j->C), T, j->D, T, plain);
    gemm_serial(j->e, thread, ds, T, mat_of(dout, j->C), mat_t(v, ld), T, T, j->D, plain);
    /* Where the mask hid a token p is zero, and so becomes ds. */
    j->e->k->softmax_bwd(ds, T, p, T, T, T, j->scale);
    gemm_serial(j->e, thread, dq, ld, mat_of(ds, T), mat_of(k, ld), T, j->D, T, plain);
    gemm_serial(j->e, thread, dk, ld, mat_t(ds, T), mat_of(q, ld), T, j->D, T, plain);
}

void attention_bwd(exec *e, float *dqkv, const float *dout, const float *p,
                   const float *qkv, const seqs *s, size_t C, size_t H, bool causal)
{
    attention_job j = {.e = e,
                       .dqkv = dqkv,
                       .qkv = qkv,
                       .p = p,
                       .dout = dout,
                       .s = s,
                       .C = C,
                       .H = H,
                       .D = C / H,
                       .causal = causal};

    j.scale = 1.0f / sqrtf((float)j.D);
    exec_each(e, head_bwd, &j, s->B * H);
}

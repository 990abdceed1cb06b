#include "nn/queries.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "tensor/block_sizes.h"

typedef struct queries_job {
    exec *e;
    float *out;
    const float *q, *k, *v;
    size_t q_ld, kv_ld;
    const queries *s;
    size_t C, H, D;
} queries_job;

/* Keys or values of a sequence wherever their rows are, columns of one head. */
typedef struct scattered {
    const float *p;
    size_t ld;
    const size_t *row;
} scattered;

/* Of k^T: column i is a token, row k a channel. */
static void key_panel(const kernels *kern, float *dst, const void *from, size_t i0,
                      size_t m, size_t k0, size_t kc, size_t stride)
{
    const scattered *s = from;
    const float *rows[GEMM_NR];

    for (size_t i = 0; i < m; i++) rows[i] = s->p + s->row[i0 + i] * s->ld + k0;
    kern->gather(dst, stride, rows, m, kc);
}

/* Of v: row k is a token, column i a channel. */
static void value_panel(const kernels *kern, float *dst, const void *from, size_t i0,
                        size_t m, size_t k0, size_t kc, size_t stride)
{
    const scattered *s = from;

    (void)kern;
    for (size_t k = 0; k < kc; k++)
        memcpy(dst + k * stride, s->p + s->row[k0 + k] * s->ld + i0, m * sizeof *dst);
}

static size_t first_of(const queries *s, size_t b)
{
    return s->first ? s->first[b] : b;
}

static void head_queries(void *arg, size_t thread, size_t i)
{
    const queries_job *j = arg;
    const size_t b = i / j->H, at = i % j->H * j->D;
    const size_t begin = j->s->start[b], len = j->s->start[b + 1] - begin;
    const size_t first = first_of(j->s, b), n = first_of(j->s, b + 1) - first;
    const size_t *row = j->s->row ? j->s->row + begin : NULL;
    const size_t away = row ? 0 : begin * j->kv_ld;
    const scattered keys = {j->k + at, j->kv_ld, row},
                    values = {j->v + at, j->kv_ld, row};
    const mat k =
        row ? (mat){.panel = key_panel, .from = &keys} : mat_t(keys.p + away, keys.ld);
    const mat v = row ? (mat){.panel = value_panel, .from = &values}
                      : mat_of(values.p + away, values.ld);
    float *p = exec_scratch(j->e, thread);

    gemm_serial(j->e, thread, p, len, mat_of(j->q + first * j->q_ld + at, j->q_ld), k, n,
                len, j->D, (gemm_opts){0});
    for (size_t t = 0; t < n; t++) {
        const size_t seen = len - n + t + 1;
        j->e->k->softmax_fwd(p + t * len, len, 1, seen, 1.0f / sqrtf((float)j->D));
        memset(p + t * len + seen, 0, (len - seen) * sizeof *p);
    }
    gemm_serial(j->e, thread, j->out + first * j->C + at, j->C, mat_of(p, len), v, n,
                j->D, len, (gemm_opts){0});
}

void queries_fwd(exec *e, float *out, const float *q, size_t q_ld, const float *k,
                 const float *v, size_t kv_ld, const queries *s, size_t C, size_t H)
{
    queries_job j = {.e = e,
                     .out = out,
                     .q = q,
                     .k = k,
                     .v = v,
                     .q_ld = q_ld,
                     .kv_ld = kv_ld,
                     .s = s,
                     .C = C,
                     .H = H,
                     .D = C / H};

    assert(C % H == 0);
    exec_each(e, head_queries, &j, s->B * H);
}

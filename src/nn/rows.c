#include "nn/rows.h"

#include <math.h>
#include <string.h>

enum {
    GRAIN_FLOATS = 1 << 14, /* a piece of work: 64 KB, large beside the dispatch */
    PART_ROWS = 256         /* rows whose sums are kept apart; fixed, so that results do
                               not depend on the number of threads */
};

static size_t grain(size_t C)
{
    return C < GRAIN_FLOATS ? GRAIN_FLOATS / C : 1;
}

typedef struct rows_job {
    const kernels *k;
    float *y, *mean, *rstd, *part;
    const float *x, *w, *b, *dy, *cmean, *crstd;
    size_t N, C;
    float eps;
    act f;
} rows_job;

static void layernorm_piece(void *arg, size_t thread, size_t begin, size_t end)
{
    const rows_job *j = arg;
    const size_t at = begin * j->C;

    (void)thread;
    j->k->layernorm_fwd(j->y + at, j->mean ? j->mean + begin : NULL,
                        j->rstd ? j->rstd + begin : NULL, j->x + at, j->w, j->b,
                        end - begin, j->C, j->eps);
}

void rows_layernorm_fwd(exec *e, float *y, float *mean, float *rstd, const float *x,
                        const float *w, const float *b, size_t N, size_t C, float eps)
{
    rows_job j = {.k = e->k,
                  .y = y,
                  .mean = mean,
                  .rstd = rstd,
                  .x = x,
                  .w = w,
                  .b = b,
                  .C = C,
                  .eps = eps};
    exec_range(e, layernorm_piece, &j, N, grain(C));
}

size_t rows_parts(size_t N)
{
    return (N + PART_ROWS - 1) / PART_ROWS;
}

static void layernorm_bwd_piece(void *arg, size_t thread, size_t begin, size_t end)
{
    const rows_job *j = arg;
    const size_t at = begin * j->C;
    float *dw = j->part + begin / PART_ROWS * 2 * j->C;

    (void)thread;
    memset(dw, 0, 2 * j->C * sizeof *dw);
    j->k->layernorm_bwd(j->y + at, dw, dw + j->C, j->dy + at, j->x + at, j->w,
                        j->cmean + begin, j->crstd + begin, end - begin, j->C);
}

void rows_layernorm_bwd(exec *e, float *dx, float *dw, float *db, float *part,
                        const float *dy, const float *x, const float *w,
                        const float *mean, const float *rstd, size_t N, size_t C)
{
    rows_job j = {.k = e->k,
                  .y = dx,
                  .part = part,
                  .dy = dy,
                  .x = x,
                  .w = w,
                  .cmean = mean,
                  .crstd = rstd,
                  .C = C};
    exec_range(e, layernorm_bwd_piece, &j, N, PART_ROWS);
    for (size_t p = 0; p < rows_parts(N); p++, part += 2 * C) {
        e->k->add(dw, part, C);
        e->k->add(db, part + C, C);
    }
}

enum { SUM_COLUMNS = 64 };

static void sum_piece(void *arg, size_t thread, size_t begin, size_t end)
{
    const rows_job *j = arg;

    (void)thread;
    for (size_t n = 0; n < j->N; n++)
        j->k->add(j->y + begin, j->x + n * j->C + begin, end - begin);
}

void rows_sum(exec *e, float *sum, const float *x, size_t N, size_t C)
{
    rows_job j = {.k = e->k, .y = sum, .x = x, .N = N, .C = C};

    exec_range(e, sum_piece, &j, C, SUM_COLUMNS);
}

static void act_fwd_piece(void *arg, size_t thread, size_t begin, size_t end)
{
    const rows_job *j = arg;

    (void)thread;
    j->k->act_fwd(j->y + begin, j->x + begin, end - begin, j->f);
}

void rows_act_fwd(exec *e, float *y, const float *x, size_t n, act f)
{
    rows_job j = {.k = e->k, .y = y, .x = x, .f = f};
    exec_range(e, act_fwd_piece, &j, n, GRAIN_FLOATS);
}

static void act_bwd_piece(void *arg, size_t thread, size_t begin, size_t end)
{
    const rows_job *j = arg;

    (void)thread;
    j->k->act_bwd(j->y + begin, j->dy + begin, j->x + begin, end - begin, j->f);
}

void rows_act_bwd(exec *e, float *dx, const float *dy, const float *x, size_t n, act f)
{
    rows_job j = {.k = e->k, .y = dx, .dy = dy, .x = x, .f = f};
    exec_range(e, act_bwd_piece, &j, n, GRAIN_FLOATS);
}

static void add_piece(void *arg, size_t thread, size_t begin, size_t end)
{
    const rows_job *j = arg;

    (void)thread;
    j->k->add(j->y + begin, j->x + begin, end - begin);
}

void rows_add(exec *e, float *y, const float *x, size_t n)
{
    rows_job j = {.k = e->k, .y = y, .x = x};
    exec_range(e, add_piece, &j, n, GRAIN_FLOATS);
}

static void mul_piece(void *arg, size_t thread, size_t begin, size_t end)
{
    const rows_job *j = arg;

    (void)thread;
    j->k->mul(j->y + begin, j->x + begin, end - begin);
}

void rows_mul(exec *e, float *y, const float *x, size_t n)
{
    rows_job j = {.k = e->k, .y = y, .x = x};
    exec_range(e, mul_piece, &j, n, GRAIN_FLOATS);
}

void rows_mean(exec *e, float *y, const float *x, size_t N, size_t C)
{
    memset(y, 0, C * sizeof *y);
    e->k->col_sum(y, x, N, C);
    e->k->scale(y, 1.0f / (float)N, C);
}

void rows_normalize_fwd(exec *e, float *y, float *norm, const float *x, size_t N,
                        size_t C)
{
    for (size_t n = 0; n < N; n++, x += C, y += C) {
        const double len = sqrt(e->k->dot(x, x, C));
        if (y != x) memcpy(y, x, C * sizeof *y);
        if (len > 0.0) e->k->scale(y, (float)(1.0 / len), C);
        if (norm) norm[n] = (float)len;
    }
}

void rows_normalize_bwd(exec *e, float *dx, const float *dy, const float *y,
                        const float *norm, size_t N, size_t C)
{
    for (size_t n = 0; n < N; n++, dx += C, dy += C, y += C) {
        const float along = (float)e->k->dot(y, dy, C);
        if (dx != dy) memcpy(dx, dy, C * sizeof *dx);
        e->k->axpy(dx, -along, y, C);
        e->k->scale(dx, norm[n] > 0.0f ? 1.0f / norm[n] : 0.0f, C);
    }
}

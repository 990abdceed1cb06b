#include "nn/pool.h"

#include <string.h>

typedef struct pool_job {
    const kernels *k;
    float *y;
    const float *x;
    size_t H, W, C;
} pool_job;

/* Rows of output pixels, of all pictures one after the other. */
static void pool_rows(void *arg, size_t thread, size_t begin, size_t end)
{
    const pool_job *j = arg;
    const size_t Ho = j->H / 2, Wo = j->W / 2, row = j->W * j->C;

    (void)thread;
    for (size_t r = begin; r < end; r++) {
        const float *x = j->x + (r / Ho * j->H + r % Ho * 2) * row;
        j->k->pool2(j->y + r * Wo * j->C, x, x + row, Wo, j->C);
    }
}

void pool_fwd(exec *e, float *y, const float *x, size_t B, size_t H, size_t W, size_t C)
{
    pool_job j = {e->k, y, x, H, W, C};
    exec_range(e, pool_rows, &j, B * (H / 2), 4);
}

typedef struct unpool_job {
    const kernels *k;
    float *dx;
    const float *dy;
    size_t H, W, C;
    bool add;
} unpool_job;

static void unpool_picture(void *arg, size_t thread, size_t b)
{
    const unpool_job *j = arg;
    const size_t row = j->W * j->C, half = j->W / 2 * j->C;
    float *dx = j->dx + b * j->H * row;
    const float *dy = j->dy + b * (j->H / 2) * half;

    (void)thread;
    /* What the pooling left out gets nothing. */
    if (!j->add && (j->H % 2 || j->W % 2)) memset(dx, 0, j->H * row * sizeof *dx);
    for (size_t y = 0; y < j->H / 2; y++, dy += half)
        j->k->unpool2(dx + 2 * y * row, dx + (2 * y + 1) * row, dy, j->W / 2, j->C,
                      j->add);
}

void pool_bwd(exec *e, float *dx, const float *dy, size_t B, size_t H, size_t W, size_t C,
              bool add)
{
    unpool_job j = {e->k, dx, dy, H, W, C, add};
    exec_each(e, unpool_picture, &j, B);
}

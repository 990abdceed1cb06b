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

/* One output pixel from the window around (2 oy, 2 ox). */
static void pool3_pixel(const pool_job *j, float *y, const float *picture, size_t oy,
                        size_t ox)
{
    const size_t y0 = oy ? 2 * oy - 1 : 0, x0 = ox ? 2 * ox - 1 : 0;
    const size_t y1 = 2 * oy + 2 < j->H ? 2 * oy + 2 : j->H;
    const size_t x1 = 2 * ox + 2 < j->W ? 2 * ox + 2 : j->W;

    memset(y, 0, j->C * sizeof *y);
    for (size_t iy = y0; iy < y1; iy++)
        for (size_t ix = x0; ix < x1; ix++)
            j->k->add(y, picture + (iy * j->W + ix) * j->C, j->C);
    j->k->scale(y, 1.0f / (float)((y1 - y0) * (x1 - x0)), j->C);
}

static void pool3_rows(void *arg, size_t thread, size_t begin, size_t end)
{
    const pool_job *j = arg;
    const size_t Ho = (j->H + 1) / 2, Wo = (j->W + 1) / 2;

    (void)thread;
    for (size_t r = begin; r < end; r++)
        for (size_t ox = 0; ox < Wo; ox++)
            pool3_pixel(j, j->y + (r * Wo + ox) * j->C,
                        j->x + r / Ho * j->H * j->W * j->C, r % Ho, ox);
}

void pool3_fwd(exec *e, float *y, const float *x, size_t B, size_t H, size_t W, size_t C)
{
    pool_job j = {e->k, y, x, H, W, C};
    exec_range(e, pool3_rows, &j, B * ((H + 1) / 2), 1);
}

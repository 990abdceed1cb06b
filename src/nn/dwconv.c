#include "nn/dwconv.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "base/sizes.h"
#include "nn/conv.h"

enum { WIDEN_GRAIN = 1 << 14 };

dwconv_shape dwconv_shape_of(size_t C, size_t k, size_t stride, size_t H, size_t W)
{
    assert(k % 2 && k <= DWCONV_K_MAX && H && W);
    return (dwconv_shape){.C = C,
                          .k = k,
                          .stride = stride,
                          .pad_y = k / 2,
                          .pad_x = k / 2,
                          .H = H,
                          .W = W,
                          .Ho = (H - 1) / stride + 1,
                          .Wo = (W - 1) / stride + 1};
}

dwconv_shape dwconv_shape_same(size_t C, size_t k, size_t stride, size_t H, size_t W)
{
    dwconv_shape s = dwconv_shape_of(C, k, stride, H, W);

    s.pad_y = same_pad(H, k, stride);
    s.pad_x = same_pad(W, k, stride);
    return s;
}

size_t dwconv_work(const dwconv_shape *s)
{
    return s->k * s->k * s->C;
}

/* The weights' gradient is cut into parts by the sizes alone, each summed by one thread.
 */
enum { PART_ROWS = 8, PARTS_MOST = 64 };

static size_t parts_of(const dwconv_shape *s, size_t B)
{
    return min_size(div_up(B * s->Ho, PART_ROWS), PARTS_MOST);
}

size_t dwconv_bwd_work(const dwconv_shape *s, size_t B)
{
    return parts_of(s, B) * dwconv_work(s);
}

typedef struct widen_job {
    float *y;
    const float *x;
    size_t m;
} widen_job;

static void widen(void *arg, size_t thread, size_t begin, size_t end)
{
    const widen_job *j = arg;
    float *y = j->y + begin * j->m;

    (void)thread;
    for (size_t i = begin; i < end; i++)
        for (size_t k = 0; k < j->m; k++) *y++ = j->x[i];
}

void dwconv_widen(exec *e, float *y, const float *x, size_t n, size_t m)
{
    widen_job j = {y, x, m};

    exec_range(e, widen, &j, n, WIDEN_GRAIN);
}

/* Rows of windows over x, of all pictures one after the other. */
typedef struct dwconv_job {
    const kernels *kern;
    dw_shape row;
    size_t stride, spread, pad; /* of rows, as dw_shape has them of columns */
    size_t H, Ho;               /* rows of a picture of x, and of windows over it */
    const float *x;
    float *y; /* forward and the gradient of x */
    const float *w, *bias;
    act f;
    const float *dy; /* the weights' gradient */
    float *sums;     /* [parts][taps*C] */
    size_t parts, n; /* n: rows of all pictures */
} dwconv_job;

static dwconv_job job_of(const exec *e, const dwconv_shape *s, const float *x)
{
    return (dwconv_job){.kern = e->k,
                        .row = {.k = s->k,
                                .stride = s->stride,
                                .pad = s->pad_x,
                                .spread = 1,
                                .W = s->W,
                                .Wo = s->Wo,
                                .C = s->C},
                        .stride = s->stride,
                        .spread = 1,
                        .pad = s->pad_y,
                        .H = s->H,
                        .Ho = s->Ho,
                        .x = x};
}

/* The rows that window r sees; NULL beside the picture, and between rows that are spread.
 */
static void rows_of(const float **rows, const dwconv_job *j, size_t r)
{
    const size_t width = j->row.W * j->row.C;
    const float *picture = j->x + r / j->Ho * j->H * width;

    for (size_t ky = 0; ky < j->row.k; ky++) {
        /* Above the picture wraps to beyond any size. */
        const size_t at = r % j->Ho * j->stride + ky - j->pad;
        const bool there = at < j->H * j->spread && at % j->spread == 0;
        rows[ky] = there ? picture + at / j->spread * width : NULL;
    }
}

static void dwconv_rows(void *arg, size_t thread, size_t begin, size_t end)
{
    const dwconv_job *j = arg;
    const float *rows[DWCONV_K_MAX];

    (void)thread;
    for (size_t r = begin; r < end; r++) {
        rows_of(rows, j, r);
        j->kern->dw_row(j->y + r * j->row.Wo * j->row.C, j->bias, rows, j->w, &j->row,
                        j->f);
    }
}

/* [C,taps] into blocks of [taps,block], times scale unless that is NULL. */
static void block_weights(const kernels *k, float *to, const float *w, const float *scale,
                          size_t C, size_t taps)
{
    const float *rows[KERNELS_DW_BLOCK];

    for (size_t c = 0, n; c < C; c += n) {
        n = min_size(C - c, KERNELS_DW_BLOCK);
        for (size_t i = 0; i < n; i++) rows[i] = w + (c + i) * taps;
        k->gather(to, n, rows, n, taps);
        for (size_t t = 0; t < taps; t++, to += n)
            if (scale) k->mul(to, scale + c, n);
    }
}

/* The same with the taps from last to first. */
static void block_turned(float *to, const float *w, size_t C, size_t taps)
{
    for (size_t c0 = 0, n; c0 < C; c0 += n) {
        n = min_size(C - c0, KERNELS_DW_BLOCK);
        for (size_t t = taps; t-- > 0;)
            for (size_t c = c0; c < c0 + n; c++) *to++ = w[c * taps + t];
    }
}

void dwconv_fwd(exec *e, float *y, const float *x, const float *w, const float *scale,
                const float *bias, float *work, const dwconv_shape *s, size_t B, act f)
{
    dwconv_job j = job_of(e, s, x);

    j.y = y;
    j.w = work;
    j.bias = bias;
    j.f = f;
    block_weights(e->k, work, w, scale, s->C, s->k * s->k);
    exec_range(e, dwconv_rows, &j, B * s->Ho, 1);
}

/* dx is a convolution of dy, spread by the stride, with the weights turned by 180
 * degrees. */
static void input_bwd(exec *e, float *dx, float *work, const float *dy, const float *w,
                      const dwconv_shape *s, size_t B)
{
    dwconv_job j = job_of(e, s, dy);

    j.row.stride = j.stride = 1;
    j.row.spread = j.spread = s->stride;
    j.row.pad = s->k - 1 - s->pad_x;
    j.pad = s->k - 1 - s->pad_y;
    j.row.W = s->Wo, j.row.Wo = s->W;
    j.H = s->Ho, j.Ho = s->H;
    j.y = dx;
    j.w = work;
    block_turned(work, w, s->C, s->k * s->k);
    exec_range(e, dwconv_rows, &j, B * s->H, 1);
}

static void sum_part(void *arg, size_t thread, size_t part)
{
    const dwconv_job *j = arg;
    const size_t n = j->row.k * j->row.k * j->row.C;
    const size_t end = (part + 1) * j->n / j->parts;
    const float *rows[DWCONV_K_MAX];
    float *sum = j->sums + part * n;

    (void)thread;
    memset(sum, 0, n * sizeof *sum);
    for (size_t r = part * j->n / j->parts; r < end; r++) {
        rows_of(rows, j, r);
        j->kern->dw_row_bwd(sum, rows, j->dy + r * j->row.Wo * j->row.C, &j->row);
    }
}

/* dw [C,taps] += blocks of [taps,block]. */
static void add_blocks(float *dw, const float *from, size_t C, size_t taps)
{
    for (size_t c0 = 0, n; c0 < C; c0 += n) {
        n = min_size(C - c0, KERNELS_DW_BLOCK);
        for (size_t t = 0; t < taps; t++)
            for (size_t c = c0; c < c0 + n; c++) dw[c * taps + t] += *from++;
    }
}

void dwconv_bwd(exec *e, float *dx, float *dw, float *work, const float *dy,
                const float *x, const float *w, const dwconv_shape *s, size_t B)
{
    const size_t taps = s->k * s->k;
    dwconv_job j = job_of(e, s, x);

    j.dy = dy;
    j.sums = work;
    j.n = B * s->Ho;
    j.parts = parts_of(s, B);
    exec_each(e, sum_part, &j, j.parts);
    for (size_t part = 1; part < j.parts; part++)
        e->k->add(work, work + part * taps * s->C, taps * s->C);
    add_blocks(dw, work, s->C, taps);
    input_bwd(e, dx, work, dy, w, s, B);
}

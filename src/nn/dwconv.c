#include "nn/dwconv.h"

#include <assert.h>

enum { WIDEN_GRAIN = 1 << 14 };

dwconv_shape dwconv_shape_of(size_t C, size_t k, size_t stride, size_t H, size_t W)
{
    assert(k % 2 && k <= DWCONV_K_MAX && H && W);
    return (dwconv_shape){.C = C,
                          .k = k,
                          .stride = stride,
                          .H = H,
                          .W = W,
                          .Ho = (H - 1) / stride + 1,
                          .Wo = (W - 1) / stride + 1};
}

size_t dwconv_work(const dwconv_shape *s)
{
    return s->k * s->k * s->C;
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

typedef struct dwconv_job {
    const kernels *kern;
    const dwconv_shape *s;
    float *y;
    const float *x, *w, *bias; /* w as kernels.dw_row wants it */
    act f;
} dwconv_job;

/* Rows of output pixels, of all pictures one after the other. */
static void dwconv_rows(void *arg, size_t thread, size_t begin, size_t end)
{
    const dwconv_job *j = arg;
    const dwconv_shape *s = j->s;
    const float *rows[DWCONV_K_MAX];

    (void)thread;
    for (size_t r = begin; r < end; r++) {
        const float *picture = j->x + r / s->Ho * s->H * s->W * s->C;
        float *y = j->y + r * s->Wo * s->C;
        for (size_t ky = 0; ky < s->k; ky++) {
            /* Above the picture wraps to beyond any size. */
            const size_t at = r % s->Ho * s->stride + ky - s->k / 2;
            rows[ky] = at < s->H ? picture + at * s->W * s->C : NULL;
        }
        j->kern->dw_row(y, j->bias, rows, j->w, s->k, s->stride, s->W, s->Wo, s->C);
        if (j->f != ACT_NONE) j->kern->act_fwd(y, y, s->Wo * s->C, j->f);
    }
}

/* [C,taps] into blocks of [taps,block]. */
static void block_weights(float *to, const float *w, size_t C, size_t taps)
{
    for (size_t c0 = 0, n; c0 < C; c0 += n) {
        n = C - c0 < KERNELS_DW_BLOCK ? C - c0 : KERNELS_DW_BLOCK;
        for (size_t t = 0; t < taps; t++)
            for (size_t c = c0; c < c0 + n; c++) *to++ = w[c * taps + t];
    }
}

void dwconv_fwd(exec *e, float *y, const float *x, const float *w, const float *bias,
                float *work, const dwconv_shape *s, size_t B, act f)
{
    dwconv_job j = {e->k, s, y, x, work, bias, f};

    block_weights(work, w, s->C, s->k * s->k);
    exec_range(e, dwconv_rows, &j, B * s->Ho, 1);
}

#include "nn/dwconv.h"

#include <assert.h>
#include <string.h>

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
    return (s->k * s->k + 1) * s->C;
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
    const float *x, *w, *bias; /* w [k*k,C] */
    const float *zeros;        /* [C]: what stands beside the picture */
    act f;
} dwconv_job;

/* Rows of output pixels, of all pictures one after the other. */
static void dwconv_rows(void *arg, size_t thread, size_t begin, size_t end)
{
    const dwconv_job *j = arg;
    const dwconv_shape *s = j->s;
    const float *taps[DWCONV_K_MAX * DWCONV_K_MAX];

    (void)thread;
    for (size_t r = begin; r < end; r++) {
        const float *picture = j->x + r / s->Ho * s->H * s->W * s->C;
        /* Above and left of the picture wraps to beyond any size. */
        const size_t top = r % s->Ho * s->stride - s->k / 2;
        float *y = j->y + r * s->Wo * s->C;
        for (size_t ox = 0; ox < s->Wo; ox++) {
            const size_t left = ox * s->stride - s->k / 2;
            for (size_t ky = 0, t = 0; ky < s->k; ky++)
                for (size_t kx = 0; kx < s->k; kx++, t++)
                    taps[t] = top + ky < s->H && left + kx < s->W
                                  ? picture + ((top + ky) * s->W + left + kx) * s->C
                                  : j->zeros;
            j->kern->tap_sum(y + ox * s->C, j->bias, taps, j->w, s->k * s->k, s->C);
        }
        if (j->f != ACT_NONE) j->kern->act_fwd(y, y, s->Wo * s->C, j->f);
    }
}

void dwconv_fwd(exec *e, float *y, const float *x, const float *w, const float *bias,
                float *work, const dwconv_shape *s, size_t B, act f)
{
    const size_t taps = s->k * s->k;
    dwconv_job j = {e->k, s, y, x, work, bias, work + taps * s->C, f};

    memset(work + taps * s->C, 0, s->C * sizeof *work);
    for (size_t c = 0; c < s->C; c++)
        for (size_t t = 0; t < taps; t++) work[t * s->C + c] = w[c * taps + t];
    exec_range(e, dwconv_rows, &j, B * s->Ho, 1);
}

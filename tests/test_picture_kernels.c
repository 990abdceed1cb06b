/* The kernels for pictures, of every instruction set that runs here, against plain loops:
 * all small sizes, nothing touched beyond the operands. */
#include "check.h"

#include <stdbool.h>

#include "sweep.h"

static void pool2(sweep *s, size_t Wo, size_t C)
{
    const size_t n = 2 * Wo * C;
    float *x[2] = {sweep_floats(s, n), sweep_floats(s, n)};
    float *y = sweep_floats(s, Wo * C), *dx[2], *was[2];

    s->k->pool2(y, x[0], x[1], Wo, C);
    for (size_t i = 0; i < Wo * C; i++) {
        const size_t at = i / C * 2 * C + i % C;
        double sum = 0.0;
        for (int r = 0; r < 2; r++) sum += (double)x[r][at] + (double)x[r][at + C];
        CHECK_NEAR(y[i], 0.25 * sum, 1e-6);
    }
    for (int r = 0; r < 2; r++)
        dx[r] = sweep_floats(s, n), was[r] = sweep_copy(s, dx[r], n);
    for (int add = 1; add >= 0; add--) {
        s->k->unpool2(dx[0], dx[1], y, Wo, C, add);
        for (size_t i = 0; i < 2 * n; i++) {
            const size_t r = i / n, at = i % n;
            const float d = 0.25f * y[at / C / 2 * C + at % C];
            CHECK_NEAR(dx[r][at], (add ? (double)was[r][at] : 0.0) + (double)d, 1e-6);
        }
    }
}

/* pool2, unpool2: averages of four, and their gradients */
static void test_pool2(void **state)
{
    sweep_rows(state, pool2);
}

/* Tap (ky, kx) of channel c, in weights cut into blocks of channels. */
static double tap(const float *w, size_t k, size_t ky, size_t kx, size_t c, size_t C)
{
    const size_t begin = c / KERNELS_DW_BLOCK * KERNELS_DW_BLOCK;
    const size_t n = C - begin < KERNELS_DW_BLOCK ? C - begin : KERNELS_DW_BLOCK;

    return (double)w[begin * k * k + (ky * k + kx) * n + c - begin];
}

/* Which of `rows` number t / k is, and its pixel under tap t of window ox; NULL: none. */
static const float *under(const float **rows, const dw_shape *s, size_t t, size_t ox)
{
    const size_t at = ox * s->stride + t % s->k; /* pad further right than in the row */
    const float *row = rows[t / s->k];

    if (!row || at < s->pad || (at - s->pad) % s->spread) return NULL;
    return (at - s->pad) / s->spread < s->W ? row + (at - s->pad) / s->spread * s->C
                                            : NULL;
}

static const float **dw_input(sweep *s, const dw_shape *d)
{
    const float **rows = guard_take(&s->g, d->k * sizeof *rows);

    for (size_t ky = 0; ky < d->k; ky++)
        rows[ky] = rng_below(&s->r, 4) ? sweep_floats(s, d->W * d->C) : NULL;
    return rows;
}

static void dw_row(sweep *s, const dw_shape *d, act f)
{
    const size_t k = d->k, C = d->C;
    float *y = sweep_floats(s, d->Wo * C), *w = sweep_floats(s, k * k * C);
    float *b = d->W % 2 ? sweep_floats(s, C) : NULL;
    const float **rows = dw_input(s, d);

    s->k->dw_row(y, b, rows, w, d, f);
    for (size_t i = 0; i < d->Wo * C; i++) {
        const size_t c = i % C;
        double want = b ? (double)b[c] : 0.0;
        for (size_t t = 0; t < k * k; t++) {
            const float *x = under(rows, d, t, i / C);
            if (x) want += (double)x[c] * tap(w, k, t / k, t % k, c, C);
        }
        CHECK_NEAR(y[i], act_double(want, f), 2e-5);
    }
}

static void dw_row_bwd(sweep *s, const dw_shape *d)
{
    const size_t k = d->k, C = d->C;
    float *dw = sweep_floats(s, k * k * C), *was = sweep_copy(s, dw, k * k * C);
    float *dy = sweep_floats(s, d->Wo * C);
    const float **rows = dw_input(s, d);

    s->k->dw_row_bwd(dw, rows, dy, d);
    for (size_t t = 0; t < k * k; t++)
        for (size_t c = 0; c < C; c++) {
            double want = tap(was, k, t / k, t % k, c, C);
            for (size_t ox = 0; ox < d->Wo; ox++) {
                const float *x = under(rows, d, t, ox);
                if (x) want += (double)x[c] * (double)dy[ox * C + c];
            }
            CHECK_NEAR(tap(dw, k, t / k, t % k, c, C), want, 2e-4);
        }
}

static void dw_rows(sweep *s, size_t W, size_t C)
{
    static const size_t taps[] = {1, 3, 5, 7};
    static const act acts[] = {ACT_NONE, ACT_RELU, ACT_RELU6, ACT_GELU};
    const guard_side side = s->g.side;

    for (size_t i = 0; i < 8; i++) {
        const size_t k = taps[i / 2], stride = 1 + (W + i) % 2;
        dw_shape d = {.k = k, .stride = stride, .spread = 1, .W = W, .C = C};
        d.Wo = (W - 1) / stride + 1;
        d.pad = k / 2 - (k > 1 && W % 3 == 0); /* as TensorFlow pads even sizes */
        guard_clear(&s->g, side);
        dw_row(s, &d, acts[(W + C + i) % 4]);
        guard_clear(&s->g, side);
        dw_row_bwd(s, &d);
        /* The gradient of it: as many columns as it read, from as many as it made. */
        const dw_shape back = {.k = k,
                               .stride = 1,
                               .pad = k - 1 - d.pad,
                               .spread = stride,
                               .W = d.Wo,
                               .Wo = W,
                               .C = C};
        guard_clear(&s->g, side);
        dw_row(s, &back, ACT_NONE);
    }
}

/* dw_row and its gradients: windows over both edges, paddings, inputs spread, rows and
 * bias left out, blocks of channels cut, activations */
static void test_dw_row(void **state)
{
    sweep_rows(state, dw_rows);
}

/* B^t, G, A^t, A and G^t of F(2x2,3x3) as the paper has them, rows of `from`. */
static const struct {
    size_t to, from;
    double t[16];
} steps[WINOGRAD_STEPS] = {
    [WINOGRAD_X] = {4, 4, {1, 0, -1, 0, 0, 1, 1, 0, 0, -1, 1, 0, 0, 1, 0, -1}},
    [WINOGRAD_W] = {4, 3, {1, 0, 0, 0.5, 0.5, 0.5, 0.5, -0.5, 0.5, 0, 0, 1}},
    [WINOGRAD_Y] = {2, 4, {1, 1, 1, 0, 0, 1, -1, -1}},
    [WINOGRAD_DY] = {4, 2, {1, 0, 1, 1, 1, -1, 0, -1}},
    [WINOGRAD_DW] = {3, 4, {1, 0.5, 0.5, 0, 0, 0.5, -0.5, 0, 0, 0.5, 0.5, 1}},
};

/* Element (a,b) of T X T^t, of channel c. */
static double turned(size_t step, const float *const *x, size_t a, size_t b, size_t c)
{
    const size_t from = steps[step].from;
    const double *t = steps[step].t;
    double sum = 0.0;

    for (size_t i = 0; i < from; i++)
        for (size_t j = 0; j < from; j++)
            sum += t[a * from + i] * (double)x[i * from + j][c] * t[b * from + j];
    return sum;
}

static void winograd(sweep *s, size_t n)
{
    const guard_side side = s->g.side;

    for (size_t step = 0; step < WINOGRAD_STEPS; step++) {
        const size_t from = steps[step].from, to = steps[step].to;
        const float *x[16];
        float *y[16];
        guard_clear(&s->g, side);
        for (size_t i = 0; i < from * from; i++) x[i] = sweep_floats(s, n);
        for (size_t i = 0; i < to * to; i++) y[i] = sweep_floats(s, n);
        s->k->winograd[step](y, x, n);
        for (size_t i = 0; i < to * to; i++)
            for (size_t c = 0; c < n; c++)
                CHECK_NEAR(y[i][c], turned(step, x, i / to, i % to, c), 4e-6);
    }
}

/* winograd: the five transforms, on all lengths of vectors */
static void test_winograd(void **state)
{
    sweep_lengths(state, winograd);
}

static void gather(sweep *s, size_t m, size_t n)
{
    const size_t stride = m + 2, size = (n - 1) * stride + m;
    const float **rows = guard_take(&s->g, m * sizeof *rows);
    float *dst = sweep_floats(s, size), *was = sweep_copy(s, dst, size);

    for (size_t i = 0; i < m; i++) rows[i] = sweep_floats(s, n);
    s->k->gather(dst, stride, rows, m, n);
    for (size_t at = 0; at < size; at++) {
        const size_t i = at % stride, k = at / stride;
        assert_true(dst[at] == (i < m ? rows[i][k] : was[at]));
    }
}

static void copy_rows(sweep *s, size_t n, size_t m)
{
    const size_t ld = m + 1, stride = m + n % 2, size = (n - 1) * stride + m;
    const float *src = sweep_floats(s, (n - 1) * ld + m);
    float *dst = sweep_floats(s, size), *was = sweep_copy(s, dst, size);

    if (m > 32) return;
    s->k->copy_rows(dst, stride, src, ld, m, n);
    for (size_t at = 0; at < size; at++) {
        const size_t i = at % stride, k = at / stride;
        assert_true(dst[at] == (i < m ? src[k * ld + i] : was[at]));
    }
}

/* copy_rows: rows of up to 32, side by side and apart */
static void test_copy_rows(void **state)
{
    sweep_rows(state, copy_rows);
}

/* gather: a panel from rows that lie anywhere */
static void test_gather(void **state)
{
    sweep_rows(state, gather);
}

/* ---- bytes ---- */

enum { TAPS = 64, OUTPUTS = 5 };

/* round(sum of n products), x in steps of `step`, clipped */
static uint8_t byte_sum(const uint8_t *x, size_t step, const int32_t *w, size_t n)
{
    int64_t sum = 1 << (BYTE_SHIFT - 1);

    for (size_t k = 0; k < n; k++) sum += (int64_t)x[k * step] * w[k];
    sum >>= BYTE_SHIFT;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

/* n weights whose sizes add up to less than 2^23; a third leans to one. */
static void random_weights(int32_t *w, size_t n, rng *r)
{
    const size_t peak = rng_below(r, n);
    const int32_t most = (1 << 22) / (int32_t)n;

    for (size_t k = 0; k < n; k++)
        w[k] = (int32_t)rng_below(r, 2 * (uint64_t)most) - most;
    switch (rng_below(r, 3)) {
    case 0: w[peak] += w[peak] < 0 ? 1 - (1 << 22) : (1 << 22) - 1; break;
    case 1: w[peak] = 0x8000; break; /* where the lower half turns negative */
    }
}

static uint8_t *random_bytes(sweep *s, size_t n)
{
    const bool white = rng_below(&s->r, 4) == 0; /* all sums at their extremes */
    uint8_t *x = guard_take(&s->g, n);

    for (size_t i = 0; i < n; i++) x[i] = white ? 255 : (uint8_t)rng_below(&s->r, 256);
    return x;
}

static void byte_rows(sweep *s, size_t rows, size_t W)
{
    const size_t c = 1 + rng_below(&s->r, 4), stride = W * c + rows % 3;
    const size_t most = W < TAPS ? W : TAPS, n_out = rows * OUTPUTS * c;
    int32_t *w = guard_take(&s->g, OUTPUTS * TAPS * sizeof *w);
    size_t *bounds = guard_take(&s->g, OUTPUTS * 2 * sizeof *bounds);
    const byte_filter f = {OUTPUTS, TAPS, bounds, w};
    uint8_t *x = random_bytes(s, (rows - 1) * stride + W * c + BYTE_STEP);
    uint8_t *y = guard_take(&s->g, n_out);

    memset(w, 0, OUTPUTS * TAPS * sizeof *w);
    for (size_t i = 0; i < OUTPUTS; i++) { /* the last one to the right edge */
        const size_t n = 1 + rng_below(&s->r, most);
        bounds[2 * i] = i + 1 < OUTPUTS ? rng_below(&s->r, W - n + 1) : W - n;
        bounds[2 * i + 1] = n;
        random_weights(w + i * TAPS, n, &s->r);
    }
    s->k->byte_rows(y, x, stride, rows, c, &f);
    for (size_t j = 0; j < n_out; j++) {
        const size_t at = j / c % OUTPUTS, row = j / c / OUTPUTS;
        const uint8_t *in = x + row * stride + bounds[2 * at] * c + j % c;
        assert_int_equal(y[j], byte_sum(in, c, w + at * TAPS, bounds[2 * at + 1]));
    }
}

static void byte_columns(sweep *s, size_t count, size_t n)
{
    const size_t stride = n + count % 3;
    uint8_t *x = random_bytes(s, (count - 1) * stride + n), *y = guard_take(&s->g, n);
    int32_t *w = guard_take(&s->g, count * sizeof *w);

    random_weights(w, count, &s->r);
    s->k->byte_columns(y, x, stride, w, count, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(y[i], byte_sum(x + i, stride, w, count));
}

/* pictures of bytes: rows and columns against sums of 64 bits; the greatest weights;
 * BYTE_STEP bytes behind the last row, no more */
static void test_bytes(void **state)
{
    sweep_rows(state, byte_rows);
    sweep_rows(state, byte_columns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH_LEVEL(test_pool2),     EACH_LEVEL(test_dw_row),   EACH_LEVEL(test_gather),
        EACH_LEVEL(test_copy_rows), EACH_LEVEL(test_winograd), EACH_LEVEL(test_bytes)};
    return cmocka_run_group_tests_name("picture_kernels", tests, NULL, NULL);
}

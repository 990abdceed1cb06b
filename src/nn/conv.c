#include "nn/conv.h"

#include <assert.h>
#include <string.h>

#include "base/sizes.h"
#include "nn/winograd.h"
#include "tensor/block_sizes.h"

/* What stands beside the picture.  A panel is never deeper than GEMM_KC. */
static const float zeros[GEMM_KC];

conv_shape conv_shape_of(size_t I, size_t O, size_t k, size_t stride, size_t H, size_t W)
{
    const size_t pad = k % 2 ? k / 2 : 0;

    assert(H + 2 * pad >= k && W + 2 * pad >= k);
    return (conv_shape){.I = I,
                        .O = O,
                        .k = k,
                        .stride = stride,
                        .pad_y = pad,
                        .pad_x = pad,
                        .H = H,
                        .W = W,
                        .Ho = (H + 2 * pad - k) / stride + 1,
                        .Wo = (W + 2 * pad - k) / stride + 1};
}

conv_shape conv_shape_same(size_t I, size_t O, size_t k, size_t stride, size_t H,
                           size_t W)
{
    return (conv_shape){.I = I,
                        .O = O,
                        .k = k,
                        .stride = stride,
                        .pad_y = same_pad(H, k, stride),
                        .pad_x = same_pad(W, k, stride),
                        .H = H,
                        .W = W,
                        .Ho = (H - 1) / stride + 1,
                        .Wo = (W - 1) / stride + 1};
}

/* The matrix of patches [B*Ho*Wo, k*k*I] of an input. */
typedef struct patches {
    const conv_shape *s;
    const float *x;
    size_t first; /* row of the matrix that is number 0 here */
} patches;

/* Where a patch stands: its picture, and the top left corner, which may lie outside. */
typedef struct place {
    const float *picture;
    ptrdiff_t y, x;
    size_t oy, ox;
} place;

static void place_corner(place *at, const conv_shape *s)
{
    at->y = (ptrdiff_t)(at->oy * s->stride) - (ptrdiff_t)s->pad_y;
    at->x = (ptrdiff_t)(at->ox * s->stride) - (ptrdiff_t)s->pad_x;
}

static place place_of(const patches *p, size_t row)
{
    const conv_shape *s = p->s;
    row += p->first;
    const size_t in_picture = row % (s->Ho * s->Wo);
    place at = {.picture = p->x + row / (s->Ho * s->Wo) * s->H * s->W * s->I,
                .oy = in_picture / s->Wo,
                .ox = in_picture % s->Wo};

    place_corner(&at, s);
    return at;
}

static void place_next(place *at, const conv_shape *s)
{
    if (++at->ox == s->Wo) {
        at->ox = 0;
        if (++at->oy == s->Ho) {
            at->oy = 0;
            at->picture += s->H * s->W * s->I;
        }
    }
    place_corner(at, s);
}

/* The I channels that a patch has at one tap; NULL: the tap is beside the picture. */
static inline const float *tap_of(const place *at, const conv_shape *s, size_t ky,
                                  size_t kx)
{
    const size_t y = (size_t)(at->y + (ptrdiff_t)ky), x = (size_t)(at->x + (ptrdiff_t)kx);

    /* Below zero wraps to beyond any size. */
    if (y >= s->H || x >= s->W) return NULL;
    return at->picture + (y * s->W + x) * s->I;
}

/* A column of the patches of planes: how far below and right of a patch's corner, and how
 * far behind it in memory. */
typedef struct column {
    size_t y, x, i, ahead;
} column;

static void column_place(column *c, const conv_shape *s)
{
    c->ahead = (c->i * s->H + c->y) * s->W + c->x;
}

static column column_of(const conv_shape *s, size_t number)
{
    const size_t tap = number / s->I;
    column c = {.y = tap / s->k, .x = tap % s->k, .i = number % s->I};

    column_place(&c, s);
    return c;
}

/* Without the divisions. */
static inline void column_next(column *c, const conv_shape *s)
{
    if (++c->i == s->I) {
        c->i = 0;
        if (++c->x == s->k) c->x = 0, c->y++;
    }
    column_place(c, s);
}

static bool inside(const place *at, const conv_shape *s)
{
    const ptrdiff_t k = (ptrdiff_t)s->k;

    return at->y >= 0 && at->x >= 0 && at->y + k <= (ptrdiff_t)s->H &&
           at->x + k <= (ptrdiff_t)s->W;
}

static inline float plane_at(const place *at, const conv_shape *s, const column *c,
                             bool whole)
{
    const size_t y = (size_t)at->y + c->y, x = (size_t)at->x + c->x;

    if (!whole && (y >= s->H || x >= s->W)) return 0.0f;
    return at->picture[at->y * (ptrdiff_t)s->W + at->x + (ptrdiff_t)c->ahead];
}

/* m patches beside each other, if they are and are whole: each column is a row of the
 * picture, by steps. */
static bool planes_beside(float *dst, const conv_shape *s, const place *at, size_t m,
                          size_t k0, size_t kc, size_t stride)
{
    column c = column_of(s, k0);
    place last = *at;

    last.x += (ptrdiff_t)((m - 1) * s->stride);
    if (at->ox + m > s->Wo || !inside(at, s) || !inside(&last, s)) return false;
    const float *corner = at->picture + at->y * (ptrdiff_t)s->W + at->x;
    for (size_t k = 0; k < kc; k++, dst += stride, column_next(&c, s))
        for (size_t i = 0; i < m; i++) dst[i] = corner[c.ahead + i * s->stride];
    return true;
}

static void planes_left(float *dst, const conv_shape *s, const place *at, size_t m,
                        size_t k0, size_t kc, size_t stride)
{
    bool whole[GEMM_MR_MAX];
    column c = column_of(s, k0);

    for (size_t i = 0; i < m; i++) whole[i] = inside(&at[i], s);
    for (size_t k = 0; k < kc; k++, dst += stride, column_next(&c, s))
        for (size_t i = 0; i < m; i++) dst[i] = plane_at(&at[i], s, &c, whole[i]);
}

static void planes_right(float *dst, const conv_shape *s, place at, size_t i0, size_t m,
                         size_t kc, size_t stride)
{
    column c[GEMM_NR];

    assert(m <= GEMM_NR);
    for (size_t i = 0; i < m; i++) c[i] = column_of(s, i0 + i);
    for (size_t k = 0; k < kc; k++, dst += stride, place_next(&at, s)) {
        const bool whole = inside(&at, s);
        for (size_t i = 0; i < m; i++) dst[i] = plane_at(&at, s, &c[i], whole);
    }
}

/* Patches i0.. as the rows of a panel. */
static void panel_left(const kernels *kern, float *dst, const void *from, size_t i0,
                       size_t m, size_t k0, size_t kc, size_t stride)
{
    const patches *p = from;
    const conv_shape *s = p->s;
    place at[GEMM_MR_MAX];
    const float *rows[GEMM_MR_MAX];

    assert(m <= GEMM_MR_MAX && kc <= GEMM_KC);
    at[0] = place_of(p, i0);
    if (s->planes && planes_beside(dst, s, at, m, k0, kc, stride)) return;
    for (size_t i = 1; i < m; i++) {
        at[i] = at[i - 1];
        place_next(&at[i], s);
    }
    if (s->planes) {
        planes_left(dst, s, at, m, k0, kc, stride);
        return;
    }
    for (size_t k = k0, run; k < k0 + kc; k += run, dst += run * stride) {
        const size_t tap = k / s->I, c = k % s->I;
        run = s->I - c < k0 + kc - k ? s->I - c : k0 + kc - k;
        for (size_t i = 0; i < m; i++) {
            const float *x = tap_of(&at[i], s, tap / s->k, tap % s->k);
            rows[i] = x ? x + c : zeros;
        }
        kern->gather(dst, stride, rows, m, run);
    }
}

/* A run of channels; NULL: zeros.  Runs as long as a panel is wide, or half, are most. */
static inline void copy_run(float *dst, const float *x, size_t n)
{
    const float *from = x ? x : zeros;

    if (n == GEMM_NR) memcpy(dst, from, GEMM_NR * sizeof *dst);
    else if (n == GEMM_NR / 2) memcpy(dst, from, GEMM_NR / 2 * sizeof *dst);
    else memcpy(dst, from, n * sizeof *dst);
}

/* Columns i0.. of patches k0..: runs of channels, copied. */
static void panel_right(const kernels *kern, float *dst, const void *from, size_t i0,
                        size_t m, size_t k0, size_t kc, size_t stride)
{
    const patches *p = from;
    const conv_shape *s = p->s;
    place at = place_of(p, k0);

    (void)kern;
    if (s->planes) {
        planes_right(dst, s, at, i0, m, kc, stride);
        return;
    }
    for (size_t k = 0; k < kc; k++, dst += stride, place_next(&at, s)) {
        for (size_t i = 0, run; i < m; i += run) {
            const size_t tap = (i0 + i) / s->I, c = (i0 + i) % s->I;
            const float *x = tap_of(&at, s, tap / s->k, tap % s->k);
            run = s->I - c < m - i ? s->I - c : m - i;
            copy_run(dst + i, x ? x + c : NULL, run);
        }
    }
}

static bool conv_is_plain(const conv_shape *s)
{
    return s->k == 1 && s->stride == 1 && !s->planes;
}

/* As the left and as the right operand of a product. */
static mat patches_left(const patches *p)
{
    if (conv_is_plain(p->s)) return mat_of(p->x + p->first * p->s->I, p->s->I);
    return (mat){.panel = panel_left, .from = p};
}

static mat patches_right(const patches *p)
{
    if (conv_is_plain(p->s)) return mat_of(p->x + p->first * p->s->I, p->s->I);
    return (mat){.panel = panel_right, .from = p};
}

typedef struct weights {
    const float *w; /* [O,I,taps] */
    size_t O, I, taps;
} weights;

/* Column o = i0.., row (tap,i) = k0.. */
static void panel_weights(const kernels *kern, float *dst, const void *from, size_t i0,
                          size_t m, size_t k0, size_t kc, size_t stride)
{
    const weights *w = from;

    (void)kern;
    for (size_t o = 0; o < m; o++) {
        const float *row = w->w + (i0 + o) * w->I * w->taps;
        size_t tap = k0 / w->I, i = k0 % w->I;
        for (size_t k = 0; k < kc; k++) {
            dst[k * stride + o] = row[i * w->taps + tap];
            if (++i == w->I) i = 0, tap++;
        }
    }
}

/* Column i = i0.., row (tap,o) = k0.., the taps from last to first: the weights of the
 * transposed convolution.  For stride 1, dx is the convolution of dy with the kernels
 * turned by 180 degrees and O, I exchanged. */
static void panel_turned(const kernels *kern, float *dst, const void *from, size_t i0,
                         size_t m, size_t k0, size_t kc, size_t stride)
{
    const weights *w = from;

    (void)kern;
    for (size_t k = k0; k < k0 + kc; k++, dst += stride) {
        const size_t tap = w->taps - 1 - k / w->O, o = k % w->O;
        const float *row = w->w + (o * w->I + i0) * w->taps + tap;
        for (size_t i = 0; i < m; i++) dst[i] = row[i * w->taps];
    }
}

static mat weights_mat(const weights *w)
{
    if (w->taps == 1) return mat_t(w->w, w->I);
    return (mat){.panel = panel_weights, .from = w};
}

static mat weights_turned(const weights *w)
{
    if (w->taps == 1) return mat_of(w->w, w->I);
    return (mat){.panel = panel_turned, .from = w};
}

void conv_pack(const kernels *k, void *packed, weight_form form, const float *w, size_t O,
               size_t I, size_t taps)
{
    const weights from = {w, O, I, taps};
    gemm_pack(k, packed, form, weights_mat(&from), O, taps * I);
}

/* Row o of w [taps,I] becomes [I,taps], in place: a transposition by cycles, each begun
 * at its smallest place. */
static void taps_inward(float *w, size_t I, size_t taps)
{
    const size_t n = I * taps;

    for (size_t start = 1; taps > 1 && start + 1 < n; start++) {
        size_t at = start;
        do at = at % I * taps + at / I;
        while (at > start);
        if (at < start) continue;
        float held = w[start];
        do {
            at = at % I * taps + at / I;
            const float next = w[at];
            w[at] = held, held = next;
        } while (at != start);
    }
}

void conv_unpack(const kernels *k, float *w, const void *packed, weight_form form,
                 size_t O, size_t I, size_t taps)
{
    gemm_unpack(k, w, packed, form, O, taps * I);
    for (size_t o = 0; o < O; o++) taps_inward(w + o * taps * I, I, taps);
}

void conv_fwd(exec *e, float *y, const float *x, const float *w, weight_form form,
              const conv_shape *s, size_t B, gemm_opts o)
{
    const patches p = {s, x, 0};
    const weights from = {w, s->O, s->I, s->k * s->k};
    const size_t M = B * s->Ho * s->Wo, K = conv_depth(s);

    if (form == WEIGHTS_PLAIN)
        gemm(e, y, s->O, patches_left(&p), weights_mat(&from), M, s->O, K, o);
    else gemm_packed(e, y, s->O, patches_left(&p), w, form, M, s->O, K, o);
}

/* The weights' gradient is a sum over many patches of few channels.  It is cut into parts
 * by the sizes alone, each summed by one thread, without waiting for the others. */
enum { PART_ROWS = 4096, PARTS_MOST = 32, PARTS_FLOATS = 1 << 20 };

static size_t parts_of(const conv_shape *s, size_t rows)
{
    const size_t fit = PARTS_FLOATS / (s->O * conv_depth(s));
    const size_t n = min_size(min_size(rows / PART_ROWS, PARTS_MOST), fit);

    return n ? n : 1;
}

size_t conv_work(const conv_shape *s, size_t B)
{
    const size_t plain = parts_of(s, B * s->Ho * s->Wo) * s->O * conv_depth(s);
    const size_t tiled = winograd_work(s, B);

    return tiled > plain ? tiled : plain;
}

typedef struct sum_job {
    exec *e;
    const conv_shape *s;
    float *dw, *sums; /* sums: [parts][O,taps,I] */
    const float *dy, *x;
    size_t rows, parts;
} sum_job;

static void sum_part(void *arg, size_t thread, size_t part)
{
    const sum_job *j = arg;
    const size_t O = j->s->O, K = conv_depth(j->s);
    const size_t begin = part * j->rows / j->parts;
    const size_t end = (part + 1) * j->rows / j->parts;
    const patches p = {j->s, j->x, begin};

    gemm_serial(j->e, thread, j->sums + part * O * K, K, mat_t(j->dy + begin * O, O),
                patches_right(&p), O, K, end - begin, (gemm_opts){0});
}

/* dw [O,I,taps] += the parts, in order. */
static void add_parts(void *arg, size_t thread, size_t begin, size_t end)
{
    const sum_job *j = arg;
    const size_t I = j->s->I, taps = j->s->k * j->s->k, K = taps * I;

    (void)thread;
    for (size_t o = begin; o < end; o++) {
        float *sum = j->sums + o * K, *dw = j->dw + o * K;
        for (size_t part = 1; part < j->parts; part++)
            j->e->k->add(sum, sum + part * j->s->O * K, K);
        for (size_t i = 0; i < I; i++)
            for (size_t t = 0; t < taps; t++) *dw++ += sum[t * I + i];
    }
}

static void weights_bwd(exec *e, float *dw, float *work, const float *dy, const float *x,
                        const conv_shape *s, size_t B)
{
    const patches p = {s, x, 0};
    const size_t n = B * s->Ho * s->Wo, K = conv_depth(s);
    sum_job j = {e, s, dw, work, dy, x, n, parts_of(s, n)};
    const bool direct = s->k == 1 && j.parts == 1;

    if (j.parts > 1) exec_each(e, sum_part, &j, j.parts);
    else
        gemm(e, direct ? dw : work, K, mat_t(dy, s->O), patches_right(&p), s->O, K, n,
             (gemm_opts){.accumulate = direct});
    if (!direct) exec_range(e, add_parts, &j, s->O, 4);
}

void conv_bwd(exec *e, float *dx, bool add_dx, float *dw, float *work, const float *dy,
              const float *x, const float *w, const conv_shape *s, size_t B)
{
    const bool tiled = winograd_fits(s, B * winograd_tiles(s));

    if (tiled) winograd_weights_bwd(e, dw, work, dy, x, s, B);
    else weights_bwd(e, dw, work, dy, x, s, B);
    if (!dx) return;
    assert(s->stride == 1 && !s->planes);
    const conv_shape back = conv_shape_of(s->O, s->I, s->k, 1, s->Ho, s->Wo);
    const patches p = {&back, dy, 0};
    const weights from = {w, s->O, s->I, s->k * s->k};
    if (tiled && !add_dx) {
        winograd_fwd(e, dx, work, dy, w, WEIGHTS_PLAIN, true, &back, B, (gemm_opts){0});
        return;
    }
    gemm(e, dx, s->I, patches_left(&p), weights_turned(&from), B * s->H * s->W, s->I,
         conv_depth(&back), (gemm_opts){.accumulate = add_dx});
}

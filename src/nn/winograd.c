#include "nn/winograd.h"

#include <assert.h>
#include <string.h>

#include "base/sizes.h"
#include "tensor/block_sizes.h"

enum {
    PLACES = 16, /* in a tile */
    TAPS = 9,
    CHANNELS_MOST = 256,
    TILES_LEAST = 32,         /* that repay the transform of the weights */
    CHUNK_FLOATS = 128 << 10, /* of transformed tiles, in and out: 512 KB, in L2 */
    PLANE_PAD = 16,           /* keeps the 16 planes out of each other's cache sets */
    PART_TILES = 256,         /* of the weights' gradient, at least */
    PARTS_MOST = 32,
    PARTS_FLOATS = 4 << 20 /* of them all, about */
};

/* What stands beside the picture. */
static const float zeros[CHANNELS_MOST];

size_t winograd_tiles(const conv_shape *s)
{
    return (s->Ho + 1) / 2 * ((s->Wo + 1) / 2);
}

static bool kind_fits(const conv_shape *s)
{
    return s->k == 3 && s->stride == 1 && !s->planes && s->I <= CHANNELS_MOST &&
           s->O <= CHANNELS_MOST;
}

bool winograd_fits(const conv_shape *s, size_t tiles)
{
    return kind_fits(s) && tiles >= TILES_LEAST;
}

/* Tiles that are made at a time. */
static size_t chunk_most(const conv_shape *s)
{
    const size_t n = CHUNK_FLOATS / (PLACES * (s->I + s->O)), whole = n / 14 * 14;
    return min_size(whole ? whole : n, 84);
}

static size_t padded(size_t n)
{
    return div_up(n, GEMM_NR) * GEMM_NR;
}

/* Parts that the weights' gradient is summed in: fixed by the sizes. */
static size_t parts_of(const conv_shape *s, size_t tiles)
{
    size_t n = min_size(tiles / PART_TILES, PARTS_FLOATS / (PLACES * s->I * s->O));

    n = min_size(n, PARTS_MOST);
    return n ? n : 1;
}

size_t winograd_work(const conv_shape *s, size_t B)
{
    const size_t sums = parts_of(s, B * winograd_tiles(s)) * s->I * s->O;
    const size_t fwd = s->I * padded(s->O), bwd = s->O * padded(s->I);
    const size_t w = fwd > bwd ? fwd : bwd;

    return kind_fits(s) ? PLACES * (w > sums ? w : sums) : 0;
}

/* Floats of the n tiles of C channels, a place. */
static size_t plane_of(size_t n, size_t C)
{
    return n * C + PLANE_PAD;
}

size_t winograd_scratch(const conv_shape *s)
{
    const size_t n = chunk_most(s);

    if (!kind_fits(s)) return 0;
    return PLACES * (plane_of(n, s->I) + plane_of(n, s->O)) + CHANNELS_MOST;
}

/* ---- weights ---- */

typedef struct weights_job {
    const kernels *k;
    const conv_shape *s;
    float *u; /* [PLACES][panel][I][32] */
    const float *w;
    weight_form form;
    bool turned;
} weights_job;

/* g [TAPS][32]: the taps from input channel i to the columns of panel j. */
static void taps_of(float *g, const weights_job *w, size_t j, size_t i)
{
    const conv_shape *s = w->s;
    const size_t o0 = j * GEMM_NR, n = min_size(GEMM_NR, s->O - o0);

    if (n < GEMM_NR) memset(g, 0, TAPS * GEMM_NR * sizeof *g);
    for (size_t t = 0; t < TAPS; t++, g += GEMM_NR) {
        if (w->form == WEIGHTS_F32) {
            memcpy(g, gemm_packed_row(w->w, s->O, TAPS * s->I, j, t * s->I + i),
                   GEMM_NR * sizeof *g);
            continue;
        }
        const float *from = w->turned ? w->w + (i * s->O + o0) * TAPS + TAPS - 1 - t
                                      : w->w + (o0 * s->I + i) * TAPS + t;
        const size_t step = w->turned ? TAPS : s->I * TAPS;
        for (size_t o = 0; o < n; o++) g[o] = from[o * step];
    }
}

/* Rows [begin, end) of all panels. */
static void weights_piece(void *arg, size_t thread, size_t begin, size_t end)
{
    const weights_job *w = arg;
    const size_t I = w->s->I, plane = I * padded(w->s->O);
    float g[TAPS * GEMM_NR], *u[PLACES];
    const float *taps[TAPS];

    (void)thread;
    for (size_t t = 0; t < TAPS; t++) taps[t] = g + t * GEMM_NR;
    for (size_t row = begin; row < end; row++) {
        for (size_t p = 0; p < PLACES; p++) u[p] = w->u + p * plane + row * GEMM_NR;
        taps_of(g, w, row / I, row % I);
        w->k->winograd[WINOGRAD_W](u, taps, GEMM_NR);
    }
}

/* ---- tiles ---- */

/* Where a tile stands: its picture, and its place in the grid of the picture's. */
typedef struct tile_at {
    size_t b, y, x;
} tile_at;

static tile_at tile_of(const conv_shape *s, size_t t)
{
    const size_t wide = (s->Wo + 1) / 2, n = winograd_tiles(s), in = t % n;
    return (tile_at){t / n, in / wide, in % wide};
}

/* The 4x4 of x [B,H,W,I] under a tile. */
static void tile_x(const float *from[PLACES], const conv_shape *s, const float *x,
                   tile_at at)
{
    const float *picture = x + at.b * s->H * s->W * s->I;

    for (size_t p = 0; p < PLACES; p++) {
        /* Below zero wraps to beyond any size. */
        const size_t row = 2 * at.y + p / 4 - 1, col = 2 * at.x + p % 4 - 1;
        const bool in = row < s->H && col < s->W;
        from[p] = in ? picture + (row * s->W + col) * s->I : zeros;
    }
}

/* Where pixel (i / 2, i % 2) of a tile lies in [B,Ho,Wo,O]; false: beyond the picture. */
static bool pixel_of(size_t *offset, const conv_shape *s, tile_at at, size_t i)
{
    const size_t row = 2 * at.y + i / 2, col = 2 * at.x + i % 2;

    *offset = ((at.b * s->Ho + row) * s->Wo + col) * s->O;
    return row < s->Ho && col < s->Wo;
}

/* v: [PLACES] planes of [n,I], of tiles t0.. */
static void transform_x(const kernels *k, float *v, const conv_shape *s, const float *x,
                        size_t t0, size_t n)
{
    const float *from[PLACES];
    float *to[PLACES];

    for (size_t t = 0; t < n; t++) {
        for (size_t p = 0; p < PLACES; p++) to[p] = v + p * plane_of(n, s->I) + t * s->I;
        tile_x(from, s, x, tile_of(s, t0 + t));
        k->winograd[WINOGRAD_X](to, from, s->I);
    }
}

/* ---- forward ---- */

typedef struct forward {
    exec *e;
    const conv_shape *s;
    float *y;
    const float *x, *u;
    size_t tiles, pieces;
    gemm_opts o;
} forward;

/* m: [PLACES] planes of [n,O]; spare [O] takes what lies beyond the picture. */
static void transform_y(const forward *f, const float *m, float *spare, size_t t0,
                        size_t n)
{
    const conv_shape *s = f->s;
    const kernels *k = f->e->k;
    const gemm_opts *o = &f->o;
    const float *from[PLACES];
    float *to[4];
    size_t at[4];

    for (size_t t = 0; t < n; t++) {
        const tile_at tile = tile_of(s, t0 + t);
        for (size_t p = 0; p < PLACES; p++)
            from[p] = m + p * plane_of(n, s->O) + t * s->O;
        for (size_t i = 0; i < 4; i++)
            to[i] = pixel_of(&at[i], s, tile, i) ? f->y + at[i] : spare;
        k->winograd[WINOGRAD_Y](to, from, s->O);
        for (size_t i = 0; o->scale && i < 4; i++)
            if (to[i] != spare)
                k->affine(to[i], to[i], 0, o->scale, o->bias,
                          o->add ? o->add + at[i] : NULL, 1, s->O, o->f);
    }
}

static void forward_piece(void *arg, size_t thread, size_t piece)
{
    const forward *f = arg;
    const conv_shape *s = f->s;
    const size_t t0 = piece * f->tiles / f->pieces;
    const size_t n = (piece + 1) * f->tiles / f->pieces - t0;
    const size_t plane_v = plane_of(n, s->I), plane_m = plane_of(n, s->O);
    const size_t plane_u = s->I * padded(s->O);
    float *spare = exec_scratch(f->e, thread), *v = spare + CHANNELS_MOST;
    float *m = v + PLACES * plane_v;

    transform_x(f->e->k, v, s, f->x, t0, n);
    for (size_t p = 0; p < PLACES; p++)
        gemm_packed_serial(f->e, thread, m + p * plane_m, s->O,
                           mat_of(v + p * plane_v, s->I), f->u + p * plane_u, n, s->O,
                           s->I);
    transform_y(f, m, spare, t0, n);
}

void winograd_fwd(exec *e, float *y, float *work, const float *x, const float *w,
                  weight_form form, bool turned, const conv_shape *s, size_t B,
                  gemm_opts o)
{
    weights_job weights = {e->k, s, work, w, form, turned};
    forward f = {e, s, y, x, work, B * winograd_tiles(s), 0, o};
    const size_t most = chunk_most(s);

    assert(kind_fits(s) && (form == WEIGHTS_PLAIN || form == WEIGHTS_F32));
    assert(!o.accumulate && !o.pre && (o.scale || (!o.bias && o.f == ACT_NONE)));
    exec_range(e, weights_piece, &weights, padded(s->O) / GEMM_NR * s->I, 16);
    f.pieces = max_size(div_up(f.tiles, most), e->threads);
    exec_each(e, forward_piece, &f, f.pieces);
}

/* ---- the weights' gradient ---- */

typedef struct backward {
    exec *e;
    const conv_shape *s;
    float *sums; /* [parts][PLACES][I][O] */
    float *dw;
    const float *dy, *x;
    size_t tiles, parts;
} backward;

/* v: [PLACES] planes of [n,O], of tiles t0.. */
static void transform_dy(const backward *b, float *v, size_t t0, size_t n)
{
    const conv_shape *s = b->s;
    const float *from[4];
    float *to[PLACES];
    size_t at;

    for (size_t t = 0; t < n; t++) {
        const tile_at tile = tile_of(s, t0 + t);
        for (size_t p = 0; p < PLACES; p++) to[p] = v + p * plane_of(n, s->O) + t * s->O;
        for (size_t i = 0; i < 4; i++)
            from[i] = pixel_of(&at, s, tile, i) ? b->dy + at : zeros;
        b->e->k->winograd[WINOGRAD_DY](to, from, s->O);
    }
}

static void sum_part(void *arg, size_t thread, size_t part)
{
    const backward *b = arg;
    const conv_shape *s = b->s;
    const size_t begin = part * b->tiles / b->parts;
    const size_t end = (part + 1) * b->tiles / b->parts, most = chunk_most(s);
    float *sums = b->sums + part * PLACES * s->I * s->O;
    float *v = exec_scratch(b->e, thread);

    for (size_t t = begin, n; t < end; t += n) {
        n = min_size(most, end - t);
        const size_t plane_v = plane_of(n, s->I), plane_d = plane_of(n, s->O);
        float *d = v + PLACES * plane_v;
        transform_x(b->e->k, v, s, b->x, t, n);
        transform_dy(b, d, t, n);
        for (size_t p = 0; p < PLACES; p++)
            gemm_serial(b->e, thread, sums + p * s->I * s->O, s->O,
                        mat_t(v + p * plane_v, s->I), mat_of(d + p * plane_d, s->O), s->I,
                        s->O, n, (gemm_opts){.accumulate = t > begin});
    }
}

/* Adds the parts up, in order, for input channels [begin, end), and transforms them. */
static void add_parts(void *arg, size_t thread, size_t begin, size_t end)
{
    const backward *b = arg;
    const size_t I = b->s->I, O = b->s->O;
    float g[TAPS * CHANNELS_MOST], *taps[TAPS];
    const float *from[PLACES];

    (void)thread;
    for (size_t t = 0; t < TAPS; t++) taps[t] = g + t * CHANNELS_MOST;
    for (size_t i = begin; i < end; i++) {
        for (size_t p = 0; p < PLACES; p++) {
            float *sum = b->sums + (p * I + i) * O;
            for (size_t part = 1; part < b->parts; part++)
                b->e->k->add(sum, sum + part * PLACES * I * O, O);
            from[p] = sum;
        }
        b->e->k->winograd[WINOGRAD_DW](taps, from, O);
        for (size_t o = 0; o < O; o++)
            for (size_t t = 0; t < TAPS; t++) b->dw[(o * I + i) * TAPS + t] += taps[t][o];
    }
}

void winograd_weights_bwd(exec *e, float *dw, float *work, const float *dy,
                          const float *x, const conv_shape *s, size_t B)
{
    const size_t tiles = B * winograd_tiles(s);
    backward b = {e, s, work, dw, dy, x, tiles, parts_of(s, tiles)};

    assert(kind_fits(s));
    exec_each(e, sum_part, &b, b.parts);
    exec_range(e, add_parts, &b, s->I, 4);
}

#include "model/effnet.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sizes.h"
#include "nn/linear.h"
#include "nn/rows.h"
#include "nn/winograd.h"

#define MOMENTUM 0.01f /* of running statistics; TensorFlow says 0.99 */

enum { STAGES = EFFNET_STAGES, WIDEN = 6 };

/* What all sizes of the family have in common. */
static const struct {
    size_t k, stride;
} stages[STAGES] = {{3, 1}, {3, 2}, {5, 2}, {3, 2}, {5, 1}, {5, 2}, {3, 1}};

static int check_size(size_t n, size_t low, size_t high, const char *what, clipc_err *err)
{
    if (n >= low && n <= high) return CLIPC_OK;
    return clipc_fail(err, CLIPC_ERR_FORMAT,
                      "vision config: an EfficientNet-Lite with %s of %zu, wanted %zu to "
                      "%zu",
                      what, n, low, high);
}

static int check_stages(const image_cfg *c, clipc_err *err)
{
    int rc = check_size(c->stages[0], 1, 1, "blocks in the first stage", err);

    for (size_t s = 0; rc == CLIPC_OK && s < STAGES; s++) {
        const size_t before = s ? c->dims[s - 1] : c->width;
        rc = check_size(c->stages[s], 1, 1024, "stages", err);
        if (rc == CLIPC_OK) rc = check_size(c->dims[s], 1, 4096, "dims", err);
        /* Where they are equal, implementations differ on whether x is added. */
        if (rc == CLIPC_OK && c->dims[s] == before)
            rc = clipc_fail(err, CLIPC_ERR_FEATURE,
                            "vision config: an EfficientNet-Lite with %zu channels in "
                            "front of a stage and behind it",
                            before);
    }
    return rc;
}

static int effnet_check(const image_cfg *c, clipc_err *err)
{
    int rc = check_size(c->image_size, 8, 2048, "image_size", err);

    if (rc == CLIPC_OK) rc = check_size(image_columns(c), 8, 2048, "image_width", err);
    if (rc == CLIPC_OK) rc = check_size(c->width, 1, 4096, "width", err);
    if (rc == CLIPC_OK) rc = check_size(c->features, 1, 65536, "features", err);
    if (rc == CLIPC_OK) rc = check_size(c->embed_dim, 1, 65536, "embed_dim", err);
    if (rc == CLIPC_OK) rc = check_stages(c, err);
    if (rc == CLIPC_OK && c->proj == PROJ_NONE && c->features != c->embed_dim)
        rc = clipc_fail(err, CLIPC_ERR_FORMAT,
                        "vision config: %zu features without a projection to %zu",
                        c->features, c->embed_dim);
    if (rc == CLIPC_OK && c->act != ACT_RELU6)
        rc =
            clipc_fail(err, CLIPC_ERR_FEATURE,
                       "vision config: an EfficientNet-Lite with another activation than "
                       "ReLU6");
    if (rc == CLIPC_OK && c->proj > PROJ_LINEAR_BIAS)
        rc = clipc_fail(err, CLIPC_ERR_FEATURE,
                        "vision config: an EfficientNet-Lite projected by an MLP is not "
                        "supported");
    return rc;
}

static void effnet_destroy(void *tower)
{
    effnet *n = tower;

    if (!n) return;
    free(n->blocks);
    free(n);
}

/* *H and *W become the output's. */
static void shape_block(effnet_block *b, size_t I, size_t O, size_t stage, bool first,
                        size_t *H, size_t *W)
{
    const size_t inner = stage ? WIDEN * I : I, stride = first ? stages[stage].stride : 1;

    b->widens = stage > 0;
    b->adds = !first;
    b->widen_s = conv_shape_same(I, inner, 1, 1, *H, *W);
    b->deepen_s = dwconv_shape_same(inner, stages[stage].k, stride, *H, *W);
    *H = b->deepen_s.Ho, *W = b->deepen_s.Wo;
    b->narrow_s = conv_shape_same(inner, O, 1, 1, *H, *W);
}

static void shape_all(effnet *n)
{
    const image_cfg *c = &n->cfg;
    size_t I = c->width, H, W;
    effnet_block *b = n->blocks;

    n->stem_s = conv_shape_same(3, I, 3, 2, c->image_size, image_columns(c));
    n->stem_s.planes = true;
    H = n->stem_s.Ho, W = n->stem_s.Wo;
    for (size_t s = 0; s < STAGES; s++)
        for (size_t j = 0; j < c->stages[s]; j++, I = c->dims[s])
            shape_block(b++, I, c->dims[s], s, j == 0, &H, &W);
    n->last_s = conv_shape_same(I, c->features, 1, 1, H, W);
}

static int effnet_make(void **tower, const image_cfg *cfg, clipc_err *err)
{
    const int rc = effnet_check(cfg, err);
    effnet *n;

    *tower = NULL;
    if (rc != CLIPC_OK) return rc;
    n = calloc(1, sizeof *n);
    if (n) {
        for (size_t s = 0; s < STAGES; s++) n->n += cfg->stages[s];
        n->blocks = calloc(n->n, sizeof *n->blocks);
    }
    if (!n || !n->blocks) {
        effnet_destroy(n);
        return clipc_fail_memory(err, "image tower", sizeof *n);
    }
    n->cfg = *cfg;
    shape_all(n);
    *tower = n;
    return CLIPC_OK;
}

enum { DIM_E = 1, DIM_MATRIX, DIM_LINEAR, DIM_D, DIM_BIAS };

static const param_row end_rows[] = {
    {"proj", offsetof(effnet_ends, proj), {DIM_MATRIX, DIM_E}, PARAM_MATRIX},
    {"head.proj.weight", offsetof(effnet_ends, proj), {DIM_LINEAR, DIM_D}, PARAM_LINEAR},
    {"head.proj.bias", offsetof(effnet_ends, proj_b), {DIM_BIAS}, PARAM_GAIN},
};

enum { END_ROWS = sizeof end_rows / sizeof end_rows[0] };

static int end_params(effnet *n, param_list *l, clipc_err *err)
{
    const image_cfg *c = &n->cfg;
    const size_t D = c->features, E = c->embed_dim;
    const size_t sizes[] = {[DIM_E] = E,
                            [DIM_MATRIX] = c->proj == PROJ_MATRIX ? D : 0,
                            [DIM_LINEAR] = c->proj >= PROJ_LINEAR ? E : 0,
                            [DIM_D] = D,
                            [DIM_BIAS] = c->proj == PROJ_LINEAR_BIAS ? E : 0};

    return param_list_add(l, "visual.", end_rows, END_ROWS, &n->ends, sizes, err);
}

/* timm's names, which number the norms as they come. */
static int residual_params(effnet_block *b, param_list *l, const char *prefix,
                           clipc_err *err)
{
    int rc = CLIPC_OK;

    if (b->widens)
        rc = convbn_params(&b->widen, l, prefix, "conv_pw.", "bn1.", &b->widen_s, err);
    if (rc == CLIPC_OK)
        rc = dwbn_params(&b->deepen, l, prefix, "conv_dw.", b->widens ? "bn2." : "bn1.",
                         &b->deepen_s, err);
    if (rc == CLIPC_OK)
        rc = convbn_params(&b->narrow, l, prefix, b->widens ? "conv_pwl." : "conv_pw.",
                           b->widens ? "bn3." : "bn2.", &b->narrow_s, err);
    return rc;
}

#define TRUNK "visual.trunk."

static int effnet_params(void *tower, param_list *l, clipc_err *err)
{
    effnet *n = tower;
    effnet_block *b = n->blocks;
    int rc = convbn_params(&n->stem, l, TRUNK, "conv_stem.", "bn1.", &n->stem_s, err);

    for (size_t s = 0; s < STAGES; s++)
        for (size_t j = 0; rc == CLIPC_OK && j < n->cfg.stages[s]; j++) {
            char prefix[64];
            snprintf(prefix, sizeof prefix, TRUNK "blocks.%zu.%zu.", s, j);
            rc = residual_params(b++, l, prefix, err);
        }
    if (rc == CLIPC_OK)
        rc = convbn_params(&n->last, l, TRUNK, "conv_head.", "bn2.", &n->last_s, err);
    return rc == CLIPC_OK ? end_params(n, l, err) : rc;
}

static void effnet_init(void *tower, rng *r)
{
    effnet *n = tower;
    const size_t D = n->cfg.features, E = n->cfg.embed_dim;

    convbn_init(&n->stem, &n->stem_s, 1.0f, r);
    for (size_t i = 0; i < n->n; i++) {
        effnet_block *b = &n->blocks[i];
        if (b->widens) convbn_init(&b->widen, &b->widen_s, 1.0f, r);
        dwbn_init(&b->deepen, &b->deepen_s, r);
        convbn_init(&b->narrow, &b->narrow_s, 1.0f, r);
    }
    convbn_init(&n->last, &n->last_s, 1.0f, r);
    if (n->ends.proj)
        rng_fill_normal(r, n->ends.proj, D * E, 0.0f, 1.0f / sqrtf((float)D));
    if (n->ends.proj_b) memset(n->ends.proj_b, 0, E * sizeof(float));
}

typedef struct block_out {
    convbn_acts widen, deepen, narrow;
} block_out;

/* At inference the outputs take turns in a few buffers, for a few pictures at a time, and
 * what a block widens too far for the second-level cache is made in strips of rows; in
 * training each output has its own. */
enum { SLOT_A, SLOT_B, SLOT_WIDE, SLOT_DEEP, SLOTS, AT_A_TIME = 4, GRADS = 4 };
enum { STRIP_FLOATS = 96 << 10 };

typedef struct effnet_acts {
    arena mem;
    size_t B; /* pictures at a time */
    tower_mode mode;
    float *slots[SLOTS]; /* inference */
    bn_acts shared;      /* inference */
    convbn_acts stem, last;
    block_out *blocks;   /* training: [n], else [1] */
    float *mean;         /* [B,features] */
    float *grads[GRADS]; /* training: of the largest output */
    double *part;
    float *work;
} effnet_acts;

/* Rows of a block's output that are made at a time; all of them where what it widens is
 * small. */
static size_t strip_rows(const effnet_block *b)
{
    const dwconv_shape *d = &b->deepen_s;
    const size_t fit = STRIP_FLOATS / (d->W * d->C);

    if (fit >= d->H) return d->Ho;
    return fit > d->k ? min_size((fit - d->k) / d->stride + 1, d->Ho) : 1;
}

/* Rows that they are made of, at most. */
static size_t strip_needs(const effnet_block *b)
{
    const dwconv_shape *d = &b->deepen_s;

    return min_size((strip_rows(b) - 1) * d->stride + d->k, d->H);
}

/* Of the largest of all units: floats of outputs of the batch, and the rest. */
typedef struct sizes {
    size_t narrow, wide, deep;
    size_t channels, work, scratch;
} sizes;

static size_t out_floats(const conv_shape *s)
{
    return s->Ho * s->Wo * s->O;
}

static size_t deep_floats(const dwconv_shape *s)
{
    return s->Ho * s->Wo * s->C;
}

static void grow(size_t *n, size_t to)
{
    *n = max_size(*n, to);
}

static void grow_conv(sizes *m, const conv_shape *s, size_t B, bool train)
{
    grow(&m->channels, s->O);
    grow(&m->work, train ? conv_work(s, B) : winograd_work(s, 1));
    grow(&m->scratch, winograd_scratch(s));
}

/* What a block takes in the slots for what it widens. */
static void grow_slots(sizes *m, const effnet_block *b, size_t B)
{
    const dwconv_shape *d = &b->deepen_s;
    const size_t rows = strip_rows(b), pictures = rows < d->Ho ? 1 : B;

    grow(&m->wide, pictures * strip_needs(b) * d->W * d->C);
    grow(&m->deep, pictures * rows * d->Wo * d->C);
}

static sizes sizes_of(const effnet *n, size_t B, bool train)
{
    sizes m = {.narrow = B * out_floats(&n->stem_s)};

    grow_conv(&m, &n->stem_s, B, train);
    for (size_t i = 0; i < n->n; i++) {
        const effnet_block *b = &n->blocks[i];
        const dwconv_shape *d = &b->deepen_s;
        if (b->widens) grow_conv(&m, &b->widen_s, B, train);
        grow_slots(&m, b, B);
        grow(&m.channels, d->C);
        grow(&m.work, train ? dwconv_bwd_work(d, B) : dwconv_work(d));
        grow_conv(&m, &b->narrow_s, B, train);
        grow(&m.narrow, B * out_floats(&b->narrow_s));
        if (train) grow(&m.wide, B * d->H * d->W * d->C); /* of gradients */
    }
    grow_conv(&m, &n->last_s, B, train);
    grow(&m.wide, B * out_floats(&n->last_s));
    return m;
}

/* Where its output, what it normalises and its statistics are taken from. */
typedef struct places {
    arena *y, *z, *stats;
} places;

static void take_unit(convbn_acts *u, const effnet_acts *a, places at, size_t floats,
                      size_t C, int slot)
{
    u->bn = a->shared;
    u->y = a->slots[slot];
    if (!tower_trains(a->mode)) return;
    u->y = ARENA_FLOATS(at.y, a->B * floats);
    u->z = ARENA_FLOATS(at.z, a->B * floats);
    bn_acts_take(&u->bn, at.stats, C, true);
}

/* out: the slot of the block's output; its input lies in the other.  The output and the
 * statistics are taken from mem, what can be made again from `brief`. */
static void take_block(block_out *o, const effnet_acts *a, arena *mem, arena *brief,
                       const effnet_block *b, int out)
{
    const places inner = {brief, brief, mem}, outer = {mem, brief, mem};

    if (b->widens)
        take_unit(&o->widen, a, inner, out_floats(&b->widen_s), b->widen_s.O, SLOT_WIDE);
    take_unit(&o->deepen, a, inner, deep_floats(&b->deepen_s), b->deepen_s.C, SLOT_DEEP);
    take_unit(&o->narrow, a, outer, out_floats(&b->narrow_s), b->narrow_s.O, out);
}

/* To compute again: what a block makes lies where that of the others does. */
static void take_blocks_again(effnet_acts *a, arena *mem, const effnet *n)
{
    size_t most = 0;

    for (size_t i = 0; i < n->n; i++) {
        arena kept = arena_measure(), brief = arena_measure();
        take_block(&a->blocks[i], a, &kept, &brief, &n->blocks[i], 0);
        mem->overflow |= brief.overflow;
        most = max_size(most, brief.used);
    }
    char *turns = arena_take(mem, most, 1);
    for (size_t i = 0; i < n->n; i++) {
        arena brief = {.mem = turns, .size = most};
        take_block(&a->blocks[i], a, mem, &brief, &n->blocks[i], 0);
    }
}

static void acts_take(effnet_acts *a, arena *mem, const effnet *n)
{
    const places all = {mem, mem, mem};
    const bool train = tower_trains(a->mode);
    const sizes m = sizes_of(n, a->B, train);
    const size_t floats[SLOTS] = {m.narrow, m.narrow, m.wide, m.deep};

    a->work = ARENA_FLOATS(mem, m.work);
    a->mean = ARENA_FLOATS(mem, a->B * n->cfg.features);
    if (train) {
        const size_t most = max_size(m.narrow, max_size(m.wide, m.deep));
        a->part = arena_take(mem, convbn_part_doubles(m.channels), sizeof *a->part);
        for (size_t i = 0; i < GRADS; i++) a->grads[i] = ARENA_FLOATS(mem, most);
        if (a->mode == TOWER_RECOMPUTE) take_blocks_again(a, mem, n);
        else
            for (size_t i = 0; i < n->n; i++)
                take_block(&a->blocks[i], a, mem, mem, &n->blocks[i], 0);
    } else {
        for (size_t i = 0; i < SLOTS; i++) a->slots[i] = ARENA_FLOATS(mem, floats[i]);
        bn_acts_take(&a->shared, mem, m.channels, false);
    }
    take_unit(&a->stem, a, all, out_floats(&n->stem_s), n->stem_s.O, SLOT_A);
    take_unit(&a->last, a, all, out_floats(&n->last_s), n->last_s.O, SLOT_WIDE);
}

static void effnet_acts_destroy(void *acts)
{
    effnet_acts *a = acts;

    if (!a) return;
    arena_free(&a->mem);
    free(a->blocks);
    free(a);
}

static int effnet_acts_make(void **acts, size_t *bytes, const void *tower, size_t B,
                            tower_mode mode, clipc_err *err)
{
    const effnet *n = tower;
    arena measure = arena_measure();
    effnet_acts *a = calloc(1, sizeof *a);
    int rc;

    *acts = NULL;
    if (a) a->blocks = calloc(tower_trains(mode) ? n->n : 1, sizeof *a->blocks);
    if (!a || !a->blocks) {
        effnet_acts_destroy(a);
        return clipc_fail_memory(err, "image tower", sizeof *a);
    }
    a->B = tower_trains(mode) ? B : min_size(B, AT_A_TIME);
    a->mode = mode;
    acts_take(a, &measure, n);
    rc = arena_make(&a->mem, bytes, &measure, "image tower's activations", err);
    if (rc != CLIPC_OK || bytes) {
        effnet_acts_destroy(a);
        return rc;
    }
    acts_take(a, &a->mem, n);
    *acts = a;
    return CLIPC_OK;
}

static size_t effnet_scratch(const void *tower)
{
    return sizes_of(tower, 1, false).scratch;
}

static convbn_run run_of(exec *e, const effnet *n, const effnet_acts *a, size_t B)
{
    return (convbn_run){.e = e,
                        .B = B,
                        .eps = n->cfg.eps,
                        .form = tower_form(a->mode, n->cfg.form),
                        .train = tower_trains(a->mode),
                        .part = a->part,
                        .work = a->work};
}

/* Returns the block's output. */
static const float *residual_fwd(const convbn_run *r, const effnet_block *b, block_out *o,
                                 const float *x)
{
    const float *wide = x;

    if (b->widens) {
        convbn_fwd(r, &b->widen, &o->widen, &b->widen_s, x, NULL, ACT_RELU6);
        wide = o->widen.y;
    }
    dwbn_fwd(r, &b->deepen, &o->deepen, &b->deepen_s, wide, ACT_RELU6);
    convbn_fwd(r, &b->narrow, &o->narrow, &b->narrow_s, o->deepen.y, b->adds ? x : NULL,
               ACT_NONE);
    return o->narrow.y;
}

/* What a block makes of one picture, in strips: rows of its input that two strips need
 * are moved, not made again. */
static void picture_fwd(const convbn_run *r, const effnet_block *b, block_out *o,
                        const float *x)
{
    const dwconv_shape *d = &b->deepen_s;
    const size_t width = d->W * d->C, rows = strip_rows(b);
    convbn_acts widen = o->widen, narrow = o->narrow;
    conv_shape widen_s = b->widen_s, narrow_s = b->narrow_s;
    dwconv_shape deepen_s = *d;
    size_t base = 0,
           done = 0; /* the first row that is there, and the first that is not */

    for (size_t y = 0; y < d->Ho; y += rows) {
        const size_t n = min_size(rows, d->Ho - y), top = y * d->stride;
        const size_t first = top > d->pad_y ? top - d->pad_y : 0;
        const size_t end = min_size(top + (n - 1) * d->stride + d->k - d->pad_y, d->H);
        const size_t out = y * d->Wo * b->narrow_s.O;
        if (b->widens) {
            memmove(o->widen.y, o->widen.y + (first - base) * width,
                    (done - first) * width * sizeof(float));
            widen.y = o->widen.y + (done - first) * width;
            widen_s.H = widen_s.Ho = end - done;
            convbn_fwd(r, &b->widen, &widen, &widen_s, x + done * d->W * widen_s.I, NULL,
                       ACT_RELU6);
            base = first, done = end;
        }
        deepen_s.pad_y = first + d->pad_y - top;
        deepen_s.H = end - first, deepen_s.Ho = n;
        dwbn_fwd(r, &b->deepen, &o->deepen, &deepen_s,
                 b->widens ? o->widen.y : x + first * width, ACT_RELU6);
        narrow.y = o->narrow.y + out;
        narrow_s.H = narrow_s.Ho = n;
        convbn_fwd(r, &b->narrow, &narrow, &narrow_s, o->deepen.y,
                   b->adds ? x + out : NULL, ACT_NONE);
    }
}

/* At inference; returns the block's output. */
static const float *strips_fwd(const convbn_run *r, const effnet_block *b, block_out *o,
                               const float *x)
{
    const size_t in = b->widen_s.H * b->widen_s.W * b->widen_s.I;
    convbn_run one = *r;
    block_out at = *o;

    if (strip_rows(b) == b->deepen_s.Ho) return residual_fwd(r, b, o, x);
    one.B = 1;
    for (size_t i = 0; i < r->B; i++, x += in, at.narrow.y += out_floats(&b->narrow_s))
        picture_fwd(&one, b, &at, x);
    return o->narrow.y;
}

/* out [B,E] from a->mean. */
static void project(const convbn_run *r, float *out, const effnet *n,
                    const effnet_acts *a)
{
    const size_t B = r->B, D = n->cfg.features, E = n->cfg.embed_dim;

    switch (n->cfg.proj) {
    case PROJ_NONE: memcpy(out, a->mean, B * E * sizeof *out); break;
    case PROJ_MATRIX:
        gemm(r->e, out, E, mat_of(a->mean, D), mat_of(n->ends.proj, E), B, E, D,
             (gemm_opts){0});
        break;
    default:
        linear_fwd(r->e, out, a->mean, n->ends.proj, r->form, B, D, E,
                   (gemm_opts){.bias = n->ends.proj_b});
    }
}

static void forward(const convbn_run *r, const effnet *n, effnet_acts *a, float *out,
                    const float *pixels)
{
    const size_t N = n->last_s.Ho * n->last_s.Wo, D = n->cfg.features;
    const float *x;

    convbn_fwd(r, &n->stem, &a->stem, &n->stem_s, pixels, NULL, ACT_RELU6);
    x = a->stem.y;
    for (size_t i = 0; i < n->n; i++) {
        block_out *o = &a->blocks[r->train ? i : 0];
        if (!r->train)
            take_block(o, a, NULL, NULL, &n->blocks[i], i % 2 ? SLOT_A : SLOT_B);
        x = (r->train ? residual_fwd : strips_fwd)(r, &n->blocks[i], o, x);
    }
    convbn_fwd(r, &n->last, &a->last, &n->last_s, x, NULL, ACT_RELU6);
    for (size_t b = 0; b < r->B; b++)
        rows_mean(r->e, a->mean + b * D, a->last.y + b * N * D, N, D);
    project(r, out, n, a);
}

static void effnet_fwd(exec *e, const void *tower, void *acts, float *out,
                       const float *pixels, size_t B)
{
    const effnet *n = tower;
    const size_t picture = 3 * n->stem_s.H * n->stem_s.W;
    effnet_acts *a = acts;

    assert(!tower_trains(a->mode) || B <= a->B);
    for (size_t b = 0; b < B; b += a->B) {
        const convbn_run r = run_of(e, n, a, min_size(B - b, a->B));
        forward(&r, n, a, out + b * n->cfg.embed_dim, pixels + b * picture);
    }
}

/* dmean [B,D] from dout. */
static void project_bwd(const convbn_run *r, float *dmean, const float *dout,
                        const effnet *n, effnet *d, const effnet_acts *a)
{
    const size_t B = r->B, D = n->cfg.features, E = n->cfg.embed_dim;

    switch (n->cfg.proj) {
    case PROJ_NONE: memcpy(dmean, dout, B * D * sizeof *dmean); break;
    case PROJ_MATRIX:
        gemm(r->e, dmean, D, mat_of(dout, E), mat_t(n->ends.proj, E), B, D, E,
             (gemm_opts){0});
        gemm(r->e, d->ends.proj, E, mat_t(a->mean, D), mat_of(dout, E), D, E, B,
             (gemm_opts){.accumulate = true});
        break;
    default:
        linear_bwd(r->e, dmean, d->ends.proj, d->ends.proj_b, dout, a->mean, n->ends.proj,
                   B, D, E);
    }
}

/* dx [B,N,D]: each of a picture's N pixels gets its part of dmean. */
static void mean_bwd(const convbn_run *r, float *dx, float *dmean, size_t N, size_t D)
{
    r->e->k->scale(dmean, 1.0f / (float)N, r->B * D);
    for (size_t i = 0; i < r->B * N; i++)
        memcpy(dx + i * D, dmean + i / N * D, D * sizeof *dx);
}

/* g[0] holds the gradient of the block's output and, after, that of its input x. */
static void residual_bwd(const convbn_run *r, const effnet_block *b, effnet_block *d,
                         block_out *o, float **g, const float *x)
{
    float *dout = g[0], *dnarrow = g[1], *ddeep = g[2], *dwide = g[3];

    convbn_bwd(r, &b->narrow, &d->narrow, &o->narrow, &b->narrow_s, ddeep, false, dnarrow,
               dout, o->deepen.y, ACT_NONE);
    dwbn_bwd(r, &b->deepen, &d->deepen, &o->deepen, &b->deepen_s,
             b->widens ? dwide : dout, ddeep, ddeep, b->widens ? o->widen.y : x,
             ACT_RELU6);
    if (b->widens) /* where x was added, its gradient is there already */
        convbn_bwd(r, &b->widen, &d->widen, &o->widen, &b->widen_s, dout, b->adds, dwide,
                   dwide, x, ACT_RELU6);
}

static void effnet_bwd(exec *e, const void *tower, void *grads, void *acts,
                       const float *dout, const float *pixels, size_t B)
{
    const effnet *n = tower;
    effnet *d = grads;
    effnet_acts *a = acts;
    const convbn_run r = run_of(e, n, a, B);
    const size_t N = n->last_s.Ho * n->last_s.Wo, D = n->cfg.features;
    float **g = a->grads;

    project_bwd(&r, g[0], dout, n, d, a);
    mean_bwd(&r, g[1], g[0], N, D);
    convbn_bwd(&r, &n->last, &d->last, &a->last, &n->last_s, g[0], false, g[1], g[1],
               a->blocks[n->n - 1].narrow.y, ACT_RELU6);
    for (size_t i = n->n; i-- > 0;) {
        const float *x = i ? a->blocks[i - 1].narrow.y : a->stem.y;
        /* What the last block made is there still. */
        if (a->mode == TOWER_RECOMPUTE && i + 1 < n->n)
            residual_fwd(&r, &n->blocks[i], &a->blocks[i], x);
        residual_bwd(&r, &n->blocks[i], &d->blocks[i], &a->blocks[i], g, x);
    }
    convbn_bwd(&r, &n->stem, &d->stem, &a->stem, &n->stem_s, NULL, false, g[0], g[0],
               pixels, ACT_RELU6);
}

static void update(convbn *l, const convbn_acts *a, size_t n, size_t C)
{
    batchnorm_update(&l->bn, &a->bn, n, C, MOMENTUM);
}

static void effnet_update_stats(void *tower, const void *acts, size_t B)
{
    effnet *n = tower;
    const effnet_acts *a = acts;

    update(&n->stem, &a->stem, B * n->stem_s.Ho * n->stem_s.Wo, n->stem_s.O);
    for (size_t i = 0; i < n->n; i++) {
        effnet_block *b = &n->blocks[i];
        const block_out *o = &a->blocks[i];
        const size_t in = B * b->widen_s.H * b->widen_s.W;
        const size_t out = B * b->narrow_s.H * b->narrow_s.W;
        if (b->widens) update(&b->widen, &o->widen, in, b->widen_s.O);
        update(&b->deepen, &o->deepen, out, b->deepen_s.C);
        update(&b->narrow, &o->narrow, out, b->narrow_s.O);
    }
    update(&n->last, &a->last, B * n->last_s.Ho * n->last_s.Wo, n->last_s.O);
}

const image_ops effnet_ops = {.family = "efficientnet_lite",
                              .make = effnet_make,
                              .destroy = effnet_destroy,
                              .params = effnet_params,
                              .init = effnet_init,
                              .acts_make = effnet_acts_make,
                              .acts_destroy = effnet_acts_destroy,
                              .scratch = effnet_scratch,
                              .fwd = effnet_fwd,
                              .bwd = effnet_bwd,
                              .update_stats = effnet_update_stats};

#include "model/resnet.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "nn/pool.h"
#include "nn/winograd.h"

enum { STAGES = 4, WIDEN = 4 }; /* a bottleneck's output over its inner channels */
#define MOMENTUM 0.1f           /* of running statistics: torch's */

static int resnet_check(const image_cfg *c, clipc_err *err)
{
    const size_t columns = image_columns(c);

    for (size_t i = 0; i < STAGES; i++) {
        if (c->stages[i] < 1 || c->stages[i] > 1024)
            return clipc_fail(err, CLIPC_ERR_FORMAT,
                              "vision config: a stage of %zu layers, wanted 1 to 1024",
                              c->stages[i]);
    }
    if (c->width < 2 || c->width > 2048 || c->width % 2)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "vision config: a ResNet of width %zu, wanted 2 to 2048, even",
                          c->width);
    if (c->image_size < 32 || c->image_size > 2048 || c->image_size % 32 ||
        columns < 32 || columns > 2048 || columns % 32)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "vision config: image size %zux%zu, a ResNet wants multiples "
                          "of 32 up to 2048",
                          c->image_size, columns);
    if (c->embed_dim < 1 || c->embed_dim > 65536)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "vision config: embed_dim %zu",
                          c->embed_dim);
    if (c->heads < 1 || c->width * 32 % c->heads)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "vision config: %zu channels, %zu heads in the attention pool",
                          c->width * 32, c->heads);
    return CLIPC_OK;
}

static void resnet_destroy(void *tower)
{
    resnet *r = tower;

    if (!r) return;
    free(r->blocks);
    free(r);
}

/* Returns the block's output channels; *H and *W become its output's. */
static size_t shape_block(bottleneck *b, size_t I, size_t planes, bool pools, size_t *H,
                          size_t *W)
{
    const size_t h = *H, w = *W, O = planes * WIDEN;

    if (pools) *H /= 2, *W /= 2;
    b->pools = pools;
    b->has_down = pools || I != O;
    b->s[0] = conv_shape_of(I, planes, 1, 1, h, w);
    b->s[1] = conv_shape_of(planes, planes, 3, 1, h, w);
    b->s[2] = conv_shape_of(planes, O, 1, 1, *H, *W);
    b->down_s = conv_shape_of(I, O, 1, 1, *H, *W);
    return O;
}

static void shape_all(resnet *r)
{
    const size_t w = r->cfg.width;
    size_t H = r->cfg.image_size, W = image_columns(&r->cfg), channels = w, i = 0;

    r->stem_s[0] = conv_shape_of(3, w / 2, 3, 2, H, W);
    r->stem_s[0].planes = true;
    r->stem_s[1] = conv_shape_of(w / 2, w / 2, 3, 1, H / 2, W / 2);
    r->stem_s[2] = conv_shape_of(w / 2, w, 3, 1, H / 2, W / 2);
    H /= 4, W /= 4;
    for (size_t s = 0; s < STAGES; s++)
        for (size_t j = 0; j < r->cfg.stages[s]; j++)
            channels =
                shape_block(&r->blocks[i++], channels, w << s, s > 0 && j == 0, &H, &W);
    r->pool_cfg = (attnpool_cfg){
        .T = H * W + 1, .C = channels, .H = r->cfg.heads, .E = r->cfg.embed_dim};
}

static int resnet_make(void **tower, const image_cfg *cfg, clipc_err *err)
{
    const int rc = resnet_check(cfg, err);
    resnet *r;

    *tower = NULL;
    if (rc != CLIPC_OK) return rc;
    r = calloc(1, sizeof *r);
    if (r) {
        for (size_t i = 0; i < STAGES; i++) r->n += cfg->stages[i];
        r->blocks = calloc(r->n, sizeof *r->blocks);
    }
    if (!r || !r->blocks) {
        resnet_destroy(r);
        return clipc_fail_memory(err, "image tower", sizeof *r);
    }
    r->cfg = *cfg;
    shape_all(r);
    *tower = r;
    return CLIPC_OK;
}

static int block_table(bottleneck *b, param_list *l, const char *prefix, clipc_err *err)
{
    int rc = convbn_params(&b->conv[0], l, prefix, "conv1.", "bn1.", &b->s[0], err);

    if (rc == CLIPC_OK)
        rc = convbn_params(&b->conv[1], l, prefix, "conv2.", "bn2.", &b->s[1], err);
    if (rc == CLIPC_OK)
        rc = convbn_params(&b->conv[2], l, prefix, "conv3.", "bn3.", &b->s[2], err);
    if (rc == CLIPC_OK && b->has_down)
        rc = convbn_params(&b->down, l, prefix, "downsample.0.", "downsample.1.",
                           &b->down_s, err);
    return rc;
}

static int resnet_params(void *tower, param_list *l, clipc_err *err)
{
    resnet *r = tower;
    bottleneck *b = r->blocks;
    int rc = CLIPC_OK;
    char name[64], bn[64];

    for (size_t i = 0; rc == CLIPC_OK && i < 3; i++) {
        snprintf(name, sizeof name, "conv%zu.", i + 1);
        snprintf(bn, sizeof bn, "bn%zu.", i + 1);
        rc = convbn_params(&r->stem[i], l, "visual.", name, bn, &r->stem_s[i], err);
    }
    for (size_t s = 0; s < STAGES; s++)
        for (size_t j = 0; rc == CLIPC_OK && j < r->cfg.stages[s]; j++, b++) {
            snprintf(name, sizeof name, "visual.layer%zu.%zu.", s + 1, j);
            rc = block_table(b, l, name, err);
        }
    if (rc == CLIPC_OK)
        rc = attnpool_params(&r->pool, l, "visual.attnpool.", &r->pool_cfg, err);
    return rc;
}

/* The gain of a block's last norm starts at zero: the block begins as its shortcut. */
static void resnet_init(void *tower, rng *g)
{
    resnet *r = tower;

    for (size_t i = 0; i < 3; i++) convbn_init(&r->stem[i], &r->stem_s[i], 1.0f, g);
    for (size_t i = 0; i < r->n; i++) {
        bottleneck *b = &r->blocks[i];
        convbn_init(&b->conv[0], &b->s[0], 1.0f, g);
        convbn_init(&b->conv[1], &b->s[1], 1.0f, g);
        convbn_init(&b->conv[2], &b->s[2], 0.0f, g);
        if (b->has_down) convbn_init(&b->down, &b->down_s, 1.0f, g);
    }
    attnpool_init(&r->pool, &r->pool_cfg, g);
}

/* What a block leaves.  y is conv[2].y. */
typedef struct block_out {
    convbn_acts conv[3], down;
    float *pooled;    /* conv[1].y, pooled */
    float *pooled_in; /* the block's input, pooled for the shortcut */
} block_out;

/* At inference the outputs take turns in a few buffers; in training each has its own. */
enum { SLOT_A, SLOT_B, SLOT_1, SLOT_2, SLOT_POOLED, SLOT_POOLED_IN, SLOT_DOWN, SLOTS };
enum { GRADS = 4 };

typedef struct resnet_acts {
    arena mem;
    size_t B;
    tower_mode mode;
    size_t most;         /* floats of the largest output of one picture */
    float *slots[SLOTS]; /* inference */
    bn_acts shared;      /* inference */
    convbn_acts stem[3];
    float *stem_pooled;
    block_out *blocks; /* training: [n], else [1] */
    attnpool_acts pool;
    float *grads[GRADS]; /* training: [B*most] */
    double *part;
    float *work;
} resnet_acts;

static attnpool_cfg pool_cfg_of(const resnet *r, tower_mode mode)
{
    attnpool_cfg c = r->pool_cfg;
    c.form = tower_form(mode, r->cfg.form);
    return c;
}

/* Floats of a unit's output for one picture. */
static size_t out_floats(const conv_shape *s)
{
    return s->Ho * s->Wo * s->O;
}

static float *output(resnet_acts *a, arena *mem, int slot, size_t floats)
{
    if (!tower_trains(a->mode)) return a->slots[slot];
    return ARENA_FLOATS(mem, a->B * floats);
}

/* z: where z is taken from, which may be others' in turns. */
static void take_unit(convbn_acts *u, resnet_acts *a, arena *mem, arena *z,
                      const conv_shape *s, float *y)
{
    u->y = y;
    u->bn = a->shared;
    if (!tower_trains(a->mode)) return;
    u->z = ARENA_FLOATS(z, a->B * out_floats(s));
    bn_acts_take(&u->bn, mem, s->O, true);
}

static void take_stem(resnet_acts *a, arena *mem, const resnet *r, size_t i)
{
    const conv_shape *s = &r->stem_s[i];
    float *y = output(a, mem, i % 2 ? SLOT_2 : SLOT_1, out_floats(s));

    take_unit(&a->stem[i], a, mem, mem, s, y);
}

/* out: the slot for the block's output; its input lies in the other.  The output and the
 * statistics are taken from mem, what can be made again from `brief`. */
static void take_block(block_out *o, resnet_acts *a, arena *mem, arena *brief,
                       const bottleneck *b, int out)
{
    const conv_shape *s = b->s, *down = &b->down_s;

    take_unit(&o->conv[0], a, mem, brief, &s[0],
              output(a, brief, SLOT_1, out_floats(&s[0])));
    take_unit(&o->conv[1], a, mem, brief, &s[1],
              output(a, brief, SLOT_2, out_floats(&s[1])));
    take_unit(&o->conv[2], a, mem, brief, &s[2], output(a, mem, out, out_floats(&s[2])));
    if (b->has_down)
        take_unit(&o->down, a, mem, brief, down,
                  output(a, brief, SLOT_DOWN, out_floats(down)));
    if (!b->pools) return;
    o->pooled = output(a, brief, SLOT_POOLED, out_floats(&s[1]) / 4);
    o->pooled_in = output(a, brief, SLOT_POOLED_IN, down->H * down->W * s[0].I);
}

/* To compute again: what a block makes lies where that of the others does. */
static void take_blocks_again(resnet_acts *a, arena *mem, const resnet *r)
{
    size_t most = 0;

    for (size_t i = 0; i < r->n; i++) {
        arena kept = arena_measure(), brief = arena_measure();
        take_block(&a->blocks[i], a, &kept, &brief, &r->blocks[i], 0);
        mem->overflow |= brief.overflow;
        if (brief.used > most) most = brief.used;
    }
    char *turns = arena_take(mem, most, 1);
    for (size_t i = 0; i < r->n; i++) {
        arena brief = {.mem = turns, .size = most};
        take_block(&a->blocks[i], a, mem, &brief, &r->blocks[i], 0);
    }
}

typedef struct sizes {
    size_t out, channels, work, scratch;
} sizes;

static void grow(sizes *m, const conv_shape *s, size_t B, bool train)
{
    const size_t work = train ? conv_work(s, B) : winograd_work(s, 1);
    const size_t scratch = winograd_scratch(s);

    if (out_floats(s) > m->out) m->out = out_floats(s);
    if (s->O > m->channels) m->channels = s->O;
    if (work > m->work) m->work = work;
    if (scratch > m->scratch) m->scratch = scratch;
}

static sizes sizes_of(const resnet *r, size_t B, bool train)
{
    sizes m = {0};

    for (size_t i = 0; i < 3; i++) grow(&m, &r->stem_s[i], B, train);
    for (size_t i = 0; i < r->n; i++)
        for (size_t j = 0; j < 3; j++) grow(&m, &r->blocks[i].s[j], B, train);
    return m;
}

static void acts_take(resnet_acts *a, arena *mem, const resnet *r)
{
    const attnpool_cfg pc = pool_cfg_of(r, a->mode);
    const bool train = tower_trains(a->mode);
    const sizes m = sizes_of(r, a->B, train);

    a->work = ARENA_FLOATS(mem, m.work);
    if (train) {
        a->part = arena_take(mem, convbn_part_doubles(m.channels), sizeof *a->part);
        for (size_t i = 0; i < GRADS; i++) a->grads[i] = ARENA_FLOATS(mem, a->B * m.out);
        if (a->mode == TOWER_RECOMPUTE) take_blocks_again(a, mem, r);
        else
            for (size_t i = 0; i < r->n; i++)
                take_block(&a->blocks[i], a, mem, mem, &r->blocks[i], 0);
    } else {
        for (size_t i = 0; i < SLOTS; i++) a->slots[i] = ARENA_FLOATS(mem, a->B * m.out);
        bn_acts_take(&a->shared, mem, m.channels, false);
    }
    for (size_t i = 0; i < 3; i++) take_stem(a, mem, r, i);
    a->stem_pooled = output(a, mem, SLOT_A, out_floats(&r->stem_s[2]) / 4);
    attnpool_acts_take(&a->pool, mem, &pc, a->B, train);
}

static void resnet_acts_destroy(void *acts)
{
    resnet_acts *a = acts;

    if (!a) return;
    arena_free(&a->mem);
    free(a->blocks);
    free(a);
}

static int resnet_acts_make(void **acts, size_t *bytes, const void *tower, size_t B,
                            tower_mode mode, clipc_err *err)
{
    const resnet *r = tower;
    arena measure = arena_measure();
    resnet_acts *a = calloc(1, sizeof *a);
    int rc;

    *acts = NULL;
    if (a) a->blocks = calloc(tower_trains(mode) ? r->n : 1, sizeof *a->blocks);
    if (!a || !a->blocks) {
        resnet_acts_destroy(a);
        return clipc_fail_memory(err, "image tower", sizeof *a);
    }
    a->B = B;
    a->mode = mode;
    acts_take(a, &measure, r);
    rc = arena_make(&a->mem, bytes, &measure, "image tower's activations", err);
    if (rc != CLIPC_OK || bytes) {
        resnet_acts_destroy(a);
        return rc;
    }
    acts_take(a, &a->mem, r);
    *acts = a;
    return CLIPC_OK;
}

/* What is no tiled convolution shares gemm's own scratch. */
static size_t resnet_scratch(const void *tower)
{
    return sizes_of(tower, 1, false).scratch;
}

static convbn_run run_of(exec *e, const resnet *r, const resnet_acts *a, size_t B)
{
    return (convbn_run){.e = e,
                        .B = B,
                        .eps = r->cfg.eps,
                        .form = tower_form(a->mode, r->cfg.form),
                        .train = tower_trains(a->mode),
                        .part = a->part,
                        .work = a->work};
}

/* Returns the block's output. */
static const float *bottleneck_fwd(const convbn_run *r, const bottleneck *b, block_out *o,
                                   const float *x)
{
    const float *narrow = o->conv[1].y, *shortcut = x;

    convbn_fwd(r, &b->conv[0], &o->conv[0], &b->s[0], x, NULL, ACT_RELU);
    convbn_fwd(r, &b->conv[1], &o->conv[1], &b->s[1], o->conv[0].y, NULL, ACT_RELU);
    if (b->pools) {
        pool_fwd(r->e, o->pooled, narrow, r->B, b->s[1].Ho, b->s[1].Wo, b->s[1].O);
        pool_fwd(r->e, o->pooled_in, x, r->B, b->s[0].H, b->s[0].W, b->s[0].I);
        narrow = o->pooled, shortcut = o->pooled_in;
    }
    if (b->has_down) {
        convbn_fwd(r, &b->down, &o->down, &b->down_s, shortcut, NULL, ACT_NONE);
        shortcut = o->down.y;
    }
    convbn_fwd(r, &b->conv[2], &o->conv[2], &b->s[2], narrow, shortcut, ACT_RELU);
    return o->conv[2].y;
}

static void resnet_fwd(exec *e, const void *tower, void *acts, float *out,
                       const float *pixels, size_t B)
{
    const resnet *r = tower;
    resnet_acts *a = acts;
    const convbn_run run = run_of(e, r, a, B);
    const attnpool_cfg pc = pool_cfg_of(r, a->mode);
    const conv_shape *s = &r->stem_s[2];
    const float *x = pixels;

    assert(B <= a->B);
    for (size_t i = 0; i < 3; i++) {
        convbn_fwd(&run, &r->stem[i], &a->stem[i], &r->stem_s[i], x, NULL, ACT_RELU);
        x = a->stem[i].y;
    }
    pool_fwd(e, a->stem_pooled, x, B, s->Ho, s->Wo, s->O);
    x = a->stem_pooled;
    for (size_t i = 0; i < r->n; i++) {
        block_out *o = &a->blocks[run.train ? i : 0];
        if (!run.train)
            take_block(o, a, NULL, NULL, &r->blocks[i], i % 2 ? SLOT_A : SLOT_B);
        x = bottleneck_fwd(&run, &r->blocks[i], o, x);
    }
    attnpool_fwd(e, out, x, &r->pool, &a->pool, &pc, B);
}

/* g[0] holds the gradient of the block's output and, after, that of its input x. */
static void bottleneck_bwd(const convbn_run *r, const bottleneck *b, bottleneck *d,
                           block_out *o, float **g, const float *x)
{
    float *dout = g[0], *dz = g[1], *dnarrow = g[2], *dmid = g[3];
    const float *narrow = b->pools ? o->pooled : o->conv[1].y;
    const conv_shape *s = &b->s[1];

    /* The ReLU behind the sum: both ways get its gradient. */
    convbn_bwd(r, &b->conv[2], &d->conv[2], &o->conv[2], &b->s[2], dnarrow, false, dz,
               dout, narrow, ACT_RELU);
    if (b->pools) {
        pool_bwd(r->e, dmid, dnarrow, r->B, s->Ho, s->Wo, s->O, false);
        dnarrow = dmid, dmid = g[2];
    }
    convbn_bwd(r, &b->conv[1], &d->conv[1], &o->conv[1], s, dz, false, dnarrow, dnarrow,
               o->conv[0].y, ACT_RELU);
    if (!b->has_down) {
        convbn_bwd(r, &b->conv[0], &d->conv[0], &o->conv[0], &b->s[0], dout, true, dz, dz,
                   x, ACT_RELU);
        return;
    }
    convbn_bwd(r, &b->conv[0], &d->conv[0], &o->conv[0], &b->s[0], dmid, false, dz, dz, x,
               ACT_RELU);
    convbn_bwd(r, &b->down, &d->down, &o->down, &b->down_s, b->pools ? dz : dmid,
               !b->pools, dout, dout, b->pools ? o->pooled_in : x, ACT_NONE);
    if (b->pools) pool_bwd(r->e, dmid, dz, r->B, b->s[0].H, b->s[0].W, b->s[0].I, true);
    g[0] = dmid;
    if (dmid == g[2]) g[2] = dout;
    else g[3] = dout;
}

static void resnet_bwd(exec *e, const void *tower, void *grads, void *acts,
                       const float *dout, const float *pixels, size_t B)
{
    const resnet *r = tower;
    resnet *d = grads;
    resnet_acts *a = acts;
    const convbn_run run = run_of(e, r, a, B);
    const conv_shape *s = &r->stem_s[2];
    float *g[GRADS];

    for (size_t i = 0; i < GRADS; i++) g[i] = a->grads[i];
    attnpool_bwd(e, g[0], dout, &r->pool, &d->pool, &a->pool, &r->pool_cfg, B);
    for (size_t i = r->n; i-- > 0;) {
        const float *x = i ? a->blocks[i - 1].conv[2].y : a->stem_pooled;
        /* What the last block made is there still. */
        if (a->mode == TOWER_RECOMPUTE && i + 1 < r->n)
            bottleneck_fwd(&run, &r->blocks[i], &a->blocks[i], x);
        bottleneck_bwd(&run, &r->blocks[i], &d->blocks[i], &a->blocks[i], g, x);
    }
    pool_bwd(e, g[1], g[0], B, s->Ho, s->Wo, s->O, false);
    convbn_bwd(&run, &r->stem[2], &d->stem[2], &a->stem[2], s, g[0], false, g[1], g[1],
               a->stem[1].y, ACT_RELU);
    convbn_bwd(&run, &r->stem[1], &d->stem[1], &a->stem[1], &r->stem_s[1], g[1], false,
               g[0], g[0], a->stem[0].y, ACT_RELU);
    convbn_bwd(&run, &r->stem[0], &d->stem[0], &a->stem[0], &r->stem_s[0], NULL, false,
               g[1], g[1], pixels, ACT_RELU);
}

static void update_unit(convbn *l, const convbn_acts *a, const conv_shape *s, size_t B)
{
    batchnorm_update(&l->bn, &a->bn, B * s->Ho * s->Wo, s->O, MOMENTUM);
}

static void resnet_update_stats(void *tower, const void *acts, size_t B)
{
    resnet *r = tower;
    const resnet_acts *a = acts;

    for (size_t i = 0; i < 3; i++)
        update_unit(&r->stem[i], &a->stem[i], &r->stem_s[i], B);
    for (size_t i = 0; i < r->n; i++) {
        bottleneck *b = &r->blocks[i];
        for (size_t j = 0; j < 3; j++)
            update_unit(&b->conv[j], &a->blocks[i].conv[j], &b->s[j], B);
        if (b->has_down) update_unit(&b->down, &a->blocks[i].down, &b->down_s, B);
    }
}

const image_ops resnet_ops = {.family = "resnet",
                              .make = resnet_make,
                              .destroy = resnet_destroy,
                              .params = resnet_params,
                              .init = resnet_init,
                              .acts_make = resnet_acts_make,
                              .acts_destroy = resnet_acts_destroy,
                              .scratch = resnet_scratch,
                              .fwd = resnet_fwd,
                              .bwd = resnet_bwd,
                              .update_stats = resnet_update_stats};

#include "model/headed.h"

#include <assert.h>
#include <stdlib.h>

#include "base/sizes.h"

/* Pictures whose features wait for the head. */
enum { AT_A_TIME = 32 };

typedef struct headed_acts {
    arena mem;
    size_t B;
    tower_mode mode;
    void *trunk;
    float *features; /* [B,F] */
    head_acts head;
} headed_acts;

static const image_ops *const trunk_ops = &effnet_ops;

static void headed_destroy(void *tower)
{
    headed *t = tower;

    if (!t) return;
    trunk_ops->destroy(t->trunk);
    free(t);
}

static int check(const image_cfg *c, const head_shape *s, clipc_err *err)
{
    if (c->family != IMAGE_EFFNET || c->proj != PROJ_NONE)
        return clipc_fail(err, CLIPC_ERR_FEATURE,
                          "vision config: a head of classes and a gate is supported "
                          "behind the features of an EfficientNet-Lite alone");
    return head_check(s, err);
}

static int headed_make(void **out, const image_cfg *cfg, clipc_err *err)
{
    const head_shape shape = {cfg->features, cfg->embed_dim, cfg->head};
    image_cfg trunk = *cfg;
    int rc = check(cfg, &shape, err);
    headed *t;

    *out = NULL;
    if (rc != CLIPC_OK) return rc;
    t = calloc(1, sizeof *t);
    if (!t) return clipc_fail_memory(err, "image tower", sizeof *t);
    t->cfg = *cfg;
    t->shape = shape;
    trunk.embed_dim = cfg->features;
    trunk.head = (head_cfg){0};
    rc = trunk_ops->make(&t->trunk, &trunk, err);
    if (rc == CLIPC_OK) *out = t;
    else headed_destroy(t);
    return rc;
}

static int headed_params(void *tower, param_list *l, clipc_err *err)
{
    headed *t = tower;
    const int rc = trunk_ops->params(t->trunk, l, err);

    return rc == CLIPC_OK ? head_params(&t->head, l, &t->shape, err) : rc;
}

static void headed_acts_destroy(void *acts)
{
    headed_acts *a = acts;

    if (!a) return;
    trunk_ops->acts_destroy(a->trunk);
    arena_free(&a->mem);
    free(a);
}

static void acts_take(headed_acts *a, arena *mem, const headed *t)
{
    a->features = ARENA_FLOATS(mem, a->B * t->shape.F);
    head_acts_take(&a->head, mem, &t->shape, a->B, tower_trains(a->mode));
}

/* The trunk only runs. */
static int make_parts(headed_acts *a, size_t *bytes, const headed *t, clipc_err *err)
{
    const tower_mode mode = tower_trains(a->mode) ? TOWER_EVAL : a->mode;
    arena measure = arena_measure();
    size_t part[2];
    int rc = trunk_ops->acts_make(&a->trunk, bytes ? &part[0] : NULL, t->trunk, a->B,
                                  mode, err);

    acts_take(a, &measure, t);
    if (rc == CLIPC_OK)
        rc = arena_make(&a->mem, bytes ? &part[1] : NULL, &measure,
                        "image tower's activations", err);
    if (rc != CLIPC_OK) return rc;
    if (bytes) *bytes = part[0] + part[1];
    else acts_take(a, &a->mem, t);
    return CLIPC_OK;
}

static int headed_acts_make(void **out, size_t *bytes, const void *tower, size_t B,
                            tower_mode mode, clipc_err *err)
{
    const headed *t = tower;
    headed_acts *a;
    int rc;

    *out = NULL;
    if (tower_trains(mode) && t->cfg.locked != 1)
        return clipc_fail(err, CLIPC_ERR_FEATURE,
                          "of an image tower with a head of classes and a gate the head "
                          "alone learns: lock it, but for one group");
    a = calloc(1, sizeof *a);
    if (!a) return clipc_fail_memory(err, "image tower", sizeof *a);
    a->B = tower_trains(mode) ? B : min_size(B, AT_A_TIME);
    a->mode = mode;
    rc = make_parts(a, bytes, t, err);
    if (rc == CLIPC_OK && !bytes) *out = a;
    else headed_acts_destroy(a);
    return rc;
}

static size_t headed_scratch(const void *tower)
{
    return trunk_ops->scratch(((const headed *)tower)->trunk);
}

static size_t part_width(const void *tower)
{
    return ((const headed *)tower)->shape.F;
}

static void first(exec *e, const void *tower, void *acts, float *features,
                  const void *pixels, size_t B)
{
    const headed *t = tower;
    headed_acts *a = acts;

    trunk_ops->fwd(e, t->trunk, a->trunk, features, pixels, B);
}

static void second(exec *e, const void *tower, void *acts, float *out,
                   const float *features, size_t B, const row_stream *draw)
{
    const headed *t = tower;
    headed_acts *a = acts;
    const weight_form form = tower_form(a->mode, t->cfg.form);

    assert(!tower_trains(a->mode) || B <= a->B);
    for (size_t b = 0; b < B; b += a->B)
        head_fwd(e, out + b * t->cfg.embed_dim, features + b * t->shape.F, &t->head,
                 &a->head, &t->shape, min_size(B - b, a->B), form,
                 tower_trains(a->mode) ? draw : NULL);
}

static void second_bwd(exec *e, const void *tower, void *grads, void *acts,
                       const float *dout, const float *features, size_t B)
{
    const headed *t = tower;
    headed *d = grads;
    headed_acts *a = acts;

    (void)features;
    head_bwd(e, &d->head, dout, &t->head, &a->head, &t->shape, B);
}

static void headed_fwd(exec *e, const void *tower, void *acts, float *out,
                       const float *pixels, size_t B)
{
    const headed *t = tower;
    headed_acts *a = acts;
    const size_t picture = 3 * t->cfg.image_size * image_columns(&t->cfg);

    for (size_t b = 0; b < B; b += a->B) {
        const size_t n = min_size(B - b, a->B);
        first(e, tower, acts, a->features, pixels + b * picture, n);
        second(e, tower, acts, out + b * t->cfg.embed_dim, a->features, n, NULL);
    }
}

static void headed_bwd(exec *e, const void *tower, void *grads, void *acts,
                       const float *dout, const float *pixels, size_t B)
{
    (void)pixels;
    second_bwd(e, tower, grads, acts, dout, NULL, B);
}

static const part_ops headed_parts = {
    .width = part_width, .first = first, .second = second, .second_bwd = second_bwd};

const image_ops headed_ops = {.family = "efficientnet_lite",
                              .make = headed_make,
                              .destroy = headed_destroy,
                              .params = headed_params,
                              .acts_make = headed_acts_make,
                              .acts_destroy = headed_acts_destroy,
                              .scratch = headed_scratch,
                              .fwd = headed_fwd,
                              .bwd = headed_bwd,
                              .parts = &headed_parts};

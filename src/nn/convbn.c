#include "nn/convbn.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "nn/winograd.h"
#include "tensor/narrow.h"

enum { DIM_O = 1, DIM_I, DIM_K };

static const param_row conv_rows[] = {
    {"weight", offsetof(convbn, w), {DIM_O, DIM_I, DIM_K, DIM_K}, PARAM_CONV},
};
static const param_row deep_rows[] = {
    {"weight", offsetof(convbn, w), {DIM_O, DIM_I, DIM_K, DIM_K}, PARAM_MATRIX},
};

static int unit_params(convbn *l, param_list *list, const char *prefix, const char *conv,
                       const char *bn, const param_row *row, const size_t *sizes,
                       clipc_err *err)
{
    char name[PARAM_NAME];
    int rc;

    snprintf(name, sizeof name, "%s%s", prefix, conv);
    rc = param_list_add(list, name, row, 1, l, sizes, err);
    snprintf(name, sizeof name, "%s%s", prefix, bn);
    if (rc == CLIPC_OK) rc = batchnorm_params(&l->bn, list, name, sizes[DIM_O], err);
    return rc;
}

int convbn_params(convbn *l, param_list *list, const char *prefix, const char *conv,
                  const char *bn, const conv_shape *s, clipc_err *err)
{
    const size_t sizes[] = {0, s->O, s->I, s->k};
    return unit_params(l, list, prefix, conv, bn, conv_rows, sizes, err);
}

int dwbn_params(convbn *l, param_list *list, const char *prefix, const char *conv,
                const char *bn, const dwconv_shape *s, clipc_err *err)
{
    const size_t sizes[] = {0, s->C, 1, s->k};
    return unit_params(l, list, prefix, conv, bn, deep_rows, sizes, err);
}

static void unit_init(convbn *l, size_t O, size_t fan_in, float gain, rng *r)
{
    rng_fill_normal(r, l->w, O * fan_in, 0.0f, 1.0f / sqrtf(3.0f * (float)fan_in));
    batchnorm_init(&l->bn, O, gain);
}

void convbn_init(convbn *l, const conv_shape *s, float gain, rng *r)
{
    unit_init(l, s->O, conv_depth(s), gain, r);
}

void dwbn_init(convbn *l, const dwconv_shape *s, rng *r)
{
    unit_init(l, s->C, s->k * s->k, 1.0f, r);
}

enum { PARTS_MAX = 64, PART_ROWS_MIN = 64, CACHED_FLOATS = 2048 };

size_t convbn_part_doubles(size_t C)
{
    return (size_t)PARTS_MAX * 2 * C;
}

/* Rows whose sums are kept apart; fixed by n, so that results do not depend on the number
 * of threads. */
static size_t part_rows(size_t n)
{
    const size_t rows = (n + PARTS_MAX - 1) / PARTS_MAX;
    return rows < PART_ROWS_MIN ? PART_ROWS_MIN : rows;
}

static size_t parts_of(size_t n)
{
    return (n + part_rows(n) - 1) / part_rows(n);
}

typedef struct norm_job {
    const kernels *k;
    const bn_acts *bn;
    double *part;
    float *y, *g;
    const float *z, *add;
    size_t C, rows;
    act f;
} norm_job;

static double *part_of(const norm_job *j, size_t begin)
{
    double *part = j->part + begin / j->rows * 2 * j->C;

    memset(part, 0, 2 * j->C * sizeof *part);
    return part;
}

static void moments_piece(void *arg, size_t thread, size_t begin, size_t end)
{
    const norm_job *j = arg;
    double *part = part_of(j, begin);

    (void)thread;
    j->k->col_moments(part, part + j->C, j->z + begin * j->C, end - begin, j->C);
}

static void apply_piece(void *arg, size_t thread, size_t begin, size_t end)
{
    const norm_job *j = arg;
    const size_t at = begin * j->C;

    (void)thread;
    j->k->affine(j->y + at, j->z + at, j->C, j->bn->scale, j->bn->shift,
                 j->add ? j->add + at : NULL, end - begin, j->C, j->f);
}

/* By the picture at inference, so that results do not depend on the batch. */
static bool tiled(const convbn_run *r, const conv_shape *s)
{
    if (r->form != WEIGHTS_PLAIN && r->form != WEIGHTS_F32) return false;
    if (narrow_precision(r->e->k, r->e->precision) != PRECISION_F32) return false;
    return winograd_fits(s, winograd_tiles(s) * (r->train ? r->B : 1));
}

static norm_job job_of(const convbn_run *r, const convbn_acts *a, size_t n, size_t C,
                       act f)
{
    return (norm_job){.k = r->e->k,
                      .bn = &a->bn,
                      .part = r->part,
                      .y = a->y,
                      .z = a->z,
                      .C = C,
                      .rows = part_rows(n),
                      .f = f};
}

/* a->y from a->z [n,C] in training. */
static void norm_fwd(const convbn_run *r, const convbn *l, convbn_acts *a,
                     const float *add, size_t n, size_t C, act f)
{
    norm_job j = job_of(r, a, n, C, f);

    j.add = add;
    exec_range(r->e, moments_piece, &j, n, j.rows);
    batchnorm_train(&a->bn, &l->bn, r->part, parts_of(n), n, C, r->eps);
    exec_range(r->e, apply_piece, &j, n, j.rows);
}

static void conv_either(const convbn_run *r, float *y, const convbn *l,
                        const conv_shape *s, const float *x, gemm_opts o)
{
    if (tiled(r, s)) winograd_fwd(r->e, y, r->work, x, l->w, r->form, false, s, r->B, o);
    else conv_fwd(r->e, y, x, l->w, r->form, s, r->B, o);
}

void convbn_fwd(const convbn_run *r, const convbn *l, convbn_acts *a, const conv_shape *s,
                const float *x, const float *add, act f)
{
    if (r->train) {
        conv_either(r, a->z, l, s, x, (gemm_opts){0});
        norm_fwd(r, l, a, add, r->B * s->Ho * s->Wo, s->O, f);
        return;
    }
    batchnorm_eval(&a->bn, &l->bn, s->O, r->eps);
    conv_either(
        r, a->y, l, s, x,
        (gemm_opts){.scale = a->bn.scale, .bias = a->bn.shift, .add = add, .f = f});
}

void dwbn_fwd(const convbn_run *r, const convbn *l, convbn_acts *a, const dwconv_shape *s,
              const float *x, act f)
{
    if (r->train) {
        dwconv_fwd(r->e, a->z, x, l->w, NULL, NULL, r->work, s, r->B, ACT_NONE);
        norm_fwd(r, l, a, NULL, r->B * s->Ho * s->Wo, s->C, f);
        return;
    }
    batchnorm_eval(&a->bn, &l->bn, s->C, r->eps);
    dwconv_fwd(r->e, a->y, x, l->w, a->bn.scale, a->bn.shift, r->work, s, r->B, f);
}

static void dots_piece(void *arg, size_t thread, size_t begin, size_t end)
{
    const norm_job *j = arg;
    const size_t step = j->C < CACHED_FLOATS ? CACHED_FLOATS / j->C : 1;
    double *part = part_of(j, begin);

    (void)thread;
    for (size_t row = begin, n; row < end; row += n) {
        const size_t at = row * j->C;
        n = end - row < step ? end - row : step;
        /* y is between the bounds where what went into the activation was. */
        if (j->f != ACT_NONE)
            j->k->act_bwd(j->g + at, j->g + at, j->y + at, n * j->C, j->f);
        j->k->col_dots(part, part + j->C, j->g + at, j->z + at, j->bn->mean, n, j->C);
    }
}

typedef struct dz_job {
    const norm_job *norm;
    float *dz;
} dz_job;

static void dz_piece(void *arg, size_t thread, size_t begin, size_t end)
{
    const dz_job *d = arg;
    const norm_job *j = d->norm;
    const bn_acts *bn = j->bn;
    const size_t at = begin * j->C;

    (void)thread;
    j->k->norm_bwd(d->dz + at, j->g + at, j->z + at, bn->scale, bn->avg, bn->mean,
                   bn->slope, end - begin, j->C);
}

/* dz from g [n,C], and the norm's own gradients. */
static void norm_bwd(const convbn_run *r, convbn *grad, convbn_acts *a, float *dz,
                     float *g, size_t n, size_t C, act f)
{
    norm_job j = job_of(r, a, n, C, f);
    dz_job d = {&j, dz};

    j.g = g;
    exec_range(r->e, dots_piece, &j, n, j.rows);
    batchnorm_bwd(&a->bn, &grad->bn, r->part, parts_of(n), n, C);
    exec_range(r->e, dz_piece, &d, n, j.rows);
}

void convbn_bwd(const convbn_run *r, const convbn *l, convbn *grad, convbn_acts *a,
                const conv_shape *s, float *dx, bool add_dx, float *dz, float *g,
                const float *x, act f)
{
    norm_bwd(r, grad, a, dz, g, r->B * s->Ho * s->Wo, s->O, f);
    conv_bwd(r->e, dx, add_dx, grad->w, r->work, dz, x, l->w, s, r->B);
}

void dwbn_bwd(const convbn_run *r, const convbn *l, convbn *grad, convbn_acts *a,
              const dwconv_shape *s, float *dx, float *dz, float *g, const float *x,
              act f)
{
    norm_bwd(r, grad, a, dz, g, r->B * s->Ho * s->Wo, s->C, f);
    dwconv_bwd(r->e, dx, grad->w, r->work, dz, x, l->w, s, r->B);
}

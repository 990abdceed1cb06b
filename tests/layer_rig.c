#include "layer_rig.h"

#include "check.h"

#include <stdlib.h>

static const char *const isas[] = {"ref", "avx2", "avx512", "avx512vnni"};

enum { THREADS = 2 };

float *floats_of(layer *l, size_t n, float std)
{
    float *x = calloc(n + 1, sizeof *x);

    assert_non_null(x);
    assert_true(l->n_mem < sizeof l->mem / sizeof l->mem[0]);
    if (std > 0.0f) rng_fill_normal(&l->r, x, n, 0.0f, std);
    return l->mem[l->n_mem++] = x;
}

field *add_field(layer *l, const char *name, size_t n)
{
    field *f = &l->f[l->n_fields++];

    assert_true(l->n_fields <= FIELDS);
    *f = (field){name, floats_of(l, n, 0.7f), floats_of(l, n, 0.0f), n};
    return f;
}

void set_output(layer *l, size_t n)
{
    l->y = floats_of(l, n, 0.0f);
    l->dy = floats_of(l, n, 1.0f);
    l->n_y = n;
}

void add_params(layer *l, const param_list *list, const param_list *grads)
{
    for (size_t i = 0; i < list->n; i++) {
        const field *f = add_field(l, list->v[i].name, list->v[i].n);
        *list->v[i].slot = f->x;
        *grads->v[i].slot = f->g;
    }
}

static double objective(layer *l)
{
    double sum = 0.0;

    l->fwd(l);
    for (size_t i = 0; i < l->n_y; i++) sum += (double)l->y[i] * (double)l->dy[i];
    return sum;
}

void check_field(layer *l, const field *f)
{
    const float h = 1e-2f / sqrtf((float)f->n);
    float *d = floats_of(l, f->n, 1.0f), *x = floats_of(l, f->n, 0.0f);
    double want, along = 0.0, size = 0.0, up, down;

    memcpy(x, f->x, f->n * sizeof *x);
    for (size_t i = 0; i < f->n; i++) {
        along += (double)f->g[i] * (double)d[i];
        size += (double)f->g[i] * (double)f->g[i];
    }
    for (size_t i = 0; i < f->n; i++) f->x[i] = x[i] + h * d[i];
    up = objective(l);
    for (size_t i = 0; i < f->n; i++) f->x[i] = x[i] - h * d[i];
    down = objective(l);
    memcpy(f->x, x, f->n * sizeof *x);
    want = (up - down) / (2.0 * (double)h);
    /* The differences carry float32's rounding and the curvature; a wrong gradient is off
     * by about its size. */
    if (!(fabs(along - want) <= 0.02 * sqrt(size) + 6e-3))
        fail_msg("%s: along a direction %g, by differences %g, |g| = %g", f->name, along,
                 want, sqrt(size));
}

void layer_free(layer *l)
{
    for (size_t i = 0; i < l->n_mem; i++) free(l->mem[i]);
    exec_free(l->e);
}

void check_layer(layer *l)
{
    objective(l);
    l->bwd(l);
    for (size_t i = 0; i < l->n_fields; i++) check_field(l, &l->f[i]);
    layer_free(l);
}

layer layer_of(const char *isa, void (*fwd)(layer *l), void (*bwd)(layer *l))
{
    layer l = {.fwd = fwd, .bwd = bwd, .r = rng_seed(7, 0)};
    clipc_err err;

    setenv("CLIPC_ISA", isa, 1);
    CHECK_OK(exec_new(&l.e, THREADS, 1 << 18, &err), err);
    unsetenv("CLIPC_ISA");
    return l;
}

void each_isa(void (*check)(const char *isa))
{
    for (size_t i = 0; i < sizeof isas / sizeof isas[0]; i++)
        if (kernels_named(isas[i])) check(isas[i]);
}

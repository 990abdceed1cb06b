#include "golden_file.h"

#include <stdlib.h>

#include "check.h"

tensor_file *golden_open(const char *folder)
{
    char path[512];
    tensor_file *f = NULL;
    clipc_err err;

    snprintf(path, sizeof path, "%s/golden.safetensors", folder);
    CHECK_OK(safetensors_open(&f, path, &err), err);
    return f;
}

static const tensor *find(const tensor_file *f, const char *name)
{
    const tensor *t = tensor_find(f, name);
    if (!t) fail_msg("no golden %s", name);
    return t;
}

float *golden_f32(const tensor_file *f, const char *name, size_t *n)
{
    const tensor *t = find(f, name);
    float *x = malloc(t->n * sizeof *x);

    assert_non_null(x);
    dtype_to_f32(kernels_named("ref"), x, t->data, t->dt, t->n);
    if (n) *n = t->n;
    return x;
}

double *golden_f64(const tensor_file *f, const char *name, size_t *n)
{
    const tensor *t = find(f, name);
    double *x = malloc(t->n * sizeof *x);

    assert_non_null(x);
    assert_int_equal(t->dt, DT_F64);
    memcpy(x, t->data, t->n * sizeof *x);
    if (n) *n = t->n;
    return x;
}

int32_t *golden_i32(const tensor_file *f, const char *name, size_t *n)
{
    const tensor *t = find(f, name);
    int32_t *x = malloc(t->n * sizeof *x);

    assert_non_null(x);
    assert_int_equal(t->dt, DT_I32);
    memcpy(x, t->data, t->n * sizeof *x);
    if (n) *n = t->n;
    return x;
}

double relative_error(const float *a, const double *b, size_t n)
{
    double diff = 0.0, most = 0.0;

    for (size_t i = 0; i < n; i++) {
        const double d = fabs((double)a[i] - b[i]);
        if (!(d <= diff)) diff = d;
        if (fabs(b[i]) > most) most = fabs(b[i]);
    }
    return diff == diff ? diff / most : INFINITY;
}

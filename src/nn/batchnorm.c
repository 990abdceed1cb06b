#include "nn/batchnorm.h"

#include <math.h>

enum { DIM_C = 1 };

static const param_row bn_rows[] = {
    {"weight", offsetof(batchnorm, w), {DIM_C}, PARAM_GAIN},
    {"bias", offsetof(batchnorm, b), {DIM_C}, PARAM_GAIN},
    {"running_mean", offsetof(batchnorm, mean), {DIM_C}, PARAM_STAT},
    {"running_var", offsetof(batchnorm, var), {DIM_C}, PARAM_STAT},
    {"num_batches_tracked", offsetof(batchnorm, count), {0}, PARAM_STAT},
};

enum { BN_ROWS = sizeof bn_rows / sizeof bn_rows[0] };
_Static_assert(BN_ROWS * sizeof(float *) == sizeof(batchnorm),
               "a weight is not in the table");

int batchnorm_params(batchnorm *bn, param_list *l, const char *prefix, size_t C,
                     clipc_err *err)
{
    const size_t sizes[] = {0, C};
    return param_list_add(l, prefix, bn_rows, BN_ROWS, bn, sizes, err);
}

void batchnorm_init(batchnorm *bn, size_t C, float gain)
{
    for (size_t c = 0; c < C; c++) {
        bn->w[c] = gain;
        bn->b[c] = bn->mean[c] = 0.0f;
        bn->var[c] = 1.0f;
    }
    *bn->count = 0.0f;
}

void bn_acts_take(bn_acts *a, arena *mem, size_t C, bool train)
{
    a->scale = ARENA_FLOATS(mem, C);
    a->shift = ARENA_FLOATS(mem, C);
    if (!train) return;
    a->mean = ARENA_FLOATS(mem, C);
    a->var = ARENA_FLOATS(mem, C);
    a->rstd = ARENA_FLOATS(mem, C);
    a->avg = ARENA_FLOATS(mem, C);
    a->slope = ARENA_FLOATS(mem, C);
}

void batchnorm_eval(bn_acts *a, const batchnorm *bn, size_t C, float eps)
{
    for (size_t c = 0; c < C; c++) {
        a->scale[c] = bn->w[c] / sqrtf(bn->var[c] + eps);
        a->shift[c] = bn->b[c] - bn->mean[c] * a->scale[c];
    }
}

/* The two sums of channel c. */
static void channel_sums(double *s, double *s2, const double *part, size_t parts,
                         size_t c, size_t C)
{
    *s = *s2 = 0.0;
    for (size_t p = 0; p < parts; p++, part += 2 * C) {
        *s += part[c];
        *s2 += part[C + c];
    }
}

void batchnorm_train(bn_acts *a, const batchnorm *bn, const double *part, size_t parts,
                     size_t n, size_t C, float eps)
{
    for (size_t c = 0; c < C; c++) {
        double s, s2;
        channel_sums(&s, &s2, part, parts, c, C);
        const double mean = s / (double)n, var = fmax(s2 / (double)n - mean * mean, 0.0);
        const double rstd = 1.0 / sqrt(var + (double)eps);
        a->mean[c] = (float)mean;
        a->var[c] = (float)var;
        a->rstd[c] = (float)rstd;
        a->scale[c] = (float)rstd * bn->w[c];
        a->shift[c] = bn->b[c] - a->mean[c] * a->scale[c];
    }
}

void batchnorm_bwd(bn_acts *a, batchnorm *grad, const double *part, size_t parts,
                   size_t n, size_t C)
{
    for (size_t c = 0; c < C; c++) {
        const double rstd = (double)a->rstd[c];
        double g, gz;
        channel_sums(&g, &gz, part, parts, c, C);
        grad->b[c] += (float)g;
        grad->w[c] += (float)(gz * rstd);
        a->avg[c] = (float)(g / (double)n);
        a->slope[c] = (float)(gz * rstd * rstd / (double)n);
    }
}

void batchnorm_update(batchnorm *bn, const bn_acts *a, size_t n, size_t C, float momentum)
{
    const float unbiased = n > 1 ? (float)n / (float)(n - 1) : 1.0f;

    for (size_t c = 0; c < C; c++) {
        bn->mean[c] += momentum * (a->mean[c] - bn->mean[c]);
        bn->var[c] += momentum * (a->var[c] * unbiased - bn->var[c]);
    }
    *bn->count += 1.0f;
}

#include "task/logistic.h"

#include <math.h>
#include <stdlib.h>

#include "base/sizes.h"
#include "task/lbfgs.h"
#include "tensor/gemm.h"

enum { ROWS = 4096, GRAIN = 64, ITERATIONS = 1000 };

typedef struct fit {
    exec *e;
    const labelled *data;
    double penalty;      /* times |W|^2 / 2 */
    logistic at;         /* the parameters in float32 */
    const size_t *label; /* of the rows at hand */
    float *p;            /* [ROWS,classes] probabilities, less 1 at the label */
    float *gradient;     /* [classes,E] of these rows */
    double *loss;        /* [ROWS] nats */
    arena memory;
} fit;

static void take_memory(fit *f, arena *a)
{
    const size_t C = f->data->classes;

    f->p = ARENA_FLOATS(a, ROWS * C);
    f->gradient = ARENA_FLOATS(a, C * f->data->E);
    f->loss = arena_take(a, ROWS, sizeof *f->loss);
}

static int logistic_new(logistic *l, const labelled *data, clipc_err *err)
{
    *l = (logistic){.w = malloc(data->classes * (data->E + 1) * sizeof *l->w)};
    if (!l->w) return clipc_fail_memory(err, "logistic regression", data->classes);
    l->b = l->w + data->classes * data->E;
    return CLIPC_OK;
}

/* x [classes (E + 1)]: as w and b lie. */
static void set_parameters(logistic *l, const double *x, const labelled *data)
{
    for (size_t i = 0; i < data->classes * (data->E + 1); i++) l->w[i] = (float)x[i];
}

static void softmax_rows(void *arg, size_t thread, size_t begin, size_t end)
{
    fit *f = arg;
    const size_t C = f->data->classes;

    (void)thread;
    for (size_t i = begin; i < end; i++) {
        float *p = f->p + i * C;
        double most = -INFINITY, sum = 0.0;
        for (size_t c = 0; c < C; c++) most = fmax(most, (double)p[c]);
        for (size_t c = 0; c < C; c++) sum += exp((double)p[c] - most);
        f->loss[i] = most + log(sum) - (double)p[f->label[i]];
        for (size_t c = 0; c < C; c++) p[c] = (float)(exp((double)p[c] - most) / sum);
        p[f->label[i]] -= 1.0f;
    }
}

/* Adds the gradients of rows [at, at + n) to g and returns the sum of their losses. */
static double add_rows(fit *f, double *g, size_t at, size_t n)
{
    const size_t C = f->data->classes, E = f->data->E;
    const float *x = f->data->x + at * E;
    double sum = 0.0;

    logistic_logits(f->p, f->e, &f->at, x, n, E, C);
    f->label = f->data->label + at;
    exec_range(f->e, softmax_rows, f, n, GRAIN);
    gemm(f->e, f->gradient, E, mat_t(f->p, C), mat_of(x, E), C, E, n, (gemm_opts){0});
    for (size_t i = 0; i < C * E; i++) g[i] += (double)f->gradient[i];
    for (size_t i = 0; i < n; i++) {
        for (size_t c = 0; c < C; c++) g[C * E + c] += (double)f->p[i * C + c];
        sum += f->loss[i];
    }
    return sum;
}

static double objective(void *user, double *g, const double *x)
{
    fit *f = user;
    const size_t N = f->data->N, weights = f->data->classes * f->data->E;
    const size_t all = weights + f->data->classes;
    double loss = 0.0, norm = 0.0;

    set_parameters(&f->at, x, f->data);
    for (size_t i = 0; i < all; i++) g[i] = 0.0;
    for (size_t i = 0; i < N; i += ROWS) loss += add_rows(f, g, i, min_size(N - i, ROWS));
    for (size_t i = 0; i < all; i++) g[i] /= (double)N;
    for (size_t i = 0; i < weights; i++) {
        g[i] += f->penalty * x[i];
        norm += x[i] * x[i];
    }
    return loss / (double)N + 0.5 * f->penalty * norm;
}

int logistic_fit(logistic *out, exec *e, const labelled *data, double C, clipc_err *err)
{
    /* scikit-learn stops at 1e-4, of a better-rounded gradient. */
    const lbfgs_limits limits = {.iterations = ITERATIONS, .gradient = 7e-5};
    const size_t all = data->classes * (data->E + 1);
    fit f = {.e = e, .data = data, .memory = arena_measure()};
    double *x = calloc(all, sizeof *x);
    int rc = x ? logistic_new(&f.at, data, err)
               : clipc_fail_memory(err, "logistic regression", all * sizeof *x);

    f.penalty = (data->classes == 2 ? 2.0 : 1.0) / (C * (double)data->N);
    take_memory(&f, &f.memory);
    if (rc == CLIPC_OK)
        rc = arena_new(&f.memory, f.memory.used, "logistic regression", err);
    if (rc == CLIPC_OK) {
        take_memory(&f, &f.memory);
        rc = lbfgs_minimise(x, all, objective, &f, &limits, &f.at.iterations, err);
        set_parameters(&f.at, x, data);
        arena_free(&f.memory);
    }
    if (rc == CLIPC_OK) *out = f.at, f.at.w = NULL;
    free(f.at.w);
    free(x);
    return rc;
}

void logistic_logits(float *logits, exec *e, const logistic *l, const float *x, size_t N,
                     size_t E, size_t classes)
{
    gemm(e, logits, classes, mat_of(x, E), mat_t(l->w, E), N, classes, E,
         (gemm_opts){.bias = l->b});
}

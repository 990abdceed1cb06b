#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/sizes.h"
#include "clip/model.h"
#include "task/logistic.h"
#include "task/tasks.h"

enum { COARSE = 7, HALVINGS = 4, HELD_OUT = 5 };

/* Features with labels that own their memory. */
typedef struct examples {
    float *x;
    size_t *label;
    bool *failed;
    labelled data;
} examples;

static void examples_free(examples *e)
{
    free(e->x);
    free(e->label);
    free(e->failed);
}

static int examples_new(examples *e, size_t n, size_t E, size_t classes, const char *what,
                        clipc_err *err)
{
    *e = (examples){.x = calloc(n, E * sizeof *e->x),
                    .label = calloc(n, sizeof *e->label),
                    .failed = calloc(n, sizeof *e->failed)};
    e->data =
        (labelled){.x = e->x, .label = e->label, .N = n, .E = E, .classes = classes};
    return e->x && e->label && e->failed
               ? CLIPC_OK
               : clipc_fail_memory(err, what, n * E * sizeof *e->x);
}

static int encode(examples *e, clipc_ctx *c, const eval_set *v, size_t classes,
                  features_progress *p, clipc_err *err)
{
    int rc = examples_new(e, v->n, c->m->info.embed_dim, classes, v->path, err);

    if (rc == CLIPC_OK) rc = features_all(e->x, e->failed, c, v, p, err);
    for (size_t i = 0; rc == CLIPC_OK && i < v->n; i++) e->label[i] = v->samples[i].label;
    return rc;
}

static void append(examples *to, const examples *from, size_t i)
{
    const size_t E = to->data.E, at = to->data.N++;

    memmove(to->x + at * E, from->x + i * E, E * sizeof *to->x);
    to->label[at] = from->label[i];
}

/* Nothing is learned from a picture that could not be encoded. */
static void drop_failed(examples *e)
{
    const size_t n = e->data.N;

    e->data.N = 0;
    for (size_t i = 0; i < n; i++)
        if (!e->failed[i]) append(e, e, i);
}

/* How many have their own class among the best `best`; a failed one has not. */
static int count_right(size_t right[2], exec *e, const logistic *l, const examples *on,
                       clipc_err *err)
{
    const size_t C = on->data.classes, E = on->data.E;
    float *logits = malloc(FEATURES_CHUNK * C * sizeof *logits);

    right[0] = right[1] = 0;
    if (!logits) return clipc_fail_memory(err, "linear probe", C);
    for (size_t i = 0; i < on->data.N; i += FEATURES_CHUNK) {
        const size_t n = min_size(on->data.N - i, FEATURES_CHUNK);
        logistic_logits(logits, e, l, on->x + i * E, n, E, C);
        for (size_t k = 0; k < n; k++) {
            const float *row = logits + k * C, own = row[on->label[i + k]];
            size_t rank = 0;
            for (size_t c = 0; c < C; c++)
                rank += c != on->label[i + k] && !(row[c] < own);
            right[0] += !on->failed[i + k] && rank < 1;
            right[1] += !on->failed[i + k] && rank < 5;
        }
    }
    free(logits);
    return CLIPC_OK;
}

/* Learns from one set and counts on another; on->failed counts as wrong. */
static int fit_and_count(size_t right[2], exec *e, const examples *from, double C,
                         const examples *on, clipc_err *err)
{
    logistic l = {0};
    int rc = logistic_fit(&l, e, &from->data, C, err);

    if (rc == CLIPC_OK) rc = count_right(right, e, &l, on, err);
    free(l.w);
    return rc;
}

/* The exponent of the best C: of those equally good the first found, from the middle on.
 */
static int sweep(double *exponent, exec *e, const examples *from, const examples *on,
                 clipc_err *err)
{
    double distance = 2.0, best = 0.0;
    size_t right[2], most = 0;
    int rc = CLIPC_OK;

    for (int i = 0; rc == CLIPC_OK && i < COARSE; i++) {
        const double x = distance * ((i + 1) / 2) * (i % 2 ? -1 : 1);
        rc = fit_and_count(right, e, from, pow(10.0, x), on, err);
        if (right[0] > most) most = right[0], best = x;
    }
    for (int h = 0; h < HALVINGS; h++) {
        const double around = best;
        distance /= 2.0;
        for (int side = -1; rc == CLIPC_OK && side <= 1; side += 2) {
            const double x = around + side * distance;
            rc = fit_and_count(right, e, from, pow(10.0, x), on, err);
            if (right[0] > most) most = right[0], best = x;
        }
    }
    *exponent = best;
    return rc;
}

/* C by how well a part of the pictures is told apart that the fit does not see. */
static int find_C(double *C, exec *e, const examples *all, clipc_err *err)
{
    const size_t N = all->data.N, E = all->data.E, classes = all->data.classes;
    rng r = rng_seed(1, 0);
    examples from = {0}, on = {0};
    double exponent = 0.0;
    int rc = examples_new(&from, N, E, classes, "linear probe", err);

    if (rc == CLIPC_OK) rc = examples_new(&on, N, E, classes, "linear probe", err);
    from.data.N = on.data.N = 0;
    for (size_t i = 0; rc == CLIPC_OK && i < N; i++)
        append(rng_below(&r, HELD_OUT) ? &from : &on, all, i);
    if (rc == CLIPC_OK && from.data.N && on.data.N)
        rc = sweep(&exponent, e, &from, &on, err);
    *C = pow(10.0, exponent);
    examples_free(&from);
    examples_free(&on);
    return rc;
}

int probe_run(clipc_eval_result *r, clipc_ctx *c, const eval_spec *s,
              features_progress *p, clipc_err *err)
{
    const size_t classes = s->classes.n;
    const int raw = c->options.raw;
    examples train = {0}, test = {0};
    size_t right[2] = {0, 0};
    int rc;

    p->total = s->train.n + s->test.n;
    c->options.raw = 1;
    rc = encode(&train, c, &s->train, classes, p, err);
    if (rc == CLIPC_OK) rc = encode(&test, c, &s->test, classes, p, err);
    c->options.raw = raw;
    r->C = s->C;
    if (rc == CLIPC_OK) {
        drop_failed(&train);
        r->trained_on = train.data.N;
        for (size_t i = 0; i < s->test.n; i++) r->failed += test.failed[i];
        if (!(r->C > 0.0)) rc = find_C(&r->C, c->e, &train, err);
    }
    if (rc == CLIPC_OK) rc = fit_and_count(right, c->e, &train, r->C, &test, err);
    r->top1 = (double)right[0] / (double)s->test.n;
    r->top5 = (double)right[1] / (double)s->test.n;
    examples_free(&train);
    examples_free(&test);
    return rc;
}

#include "task/lbfgs.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/arena.h"

enum { PAIRS = 10, HALVINGS = 50 };

typedef struct state {
    size_t n, pairs;           /* pairs: found so far; pair i is in slot i % PAIRS */
    double *s[PAIRS];          /* steps, */
    double *y[PAIRS];          /* and how the gradient changed along them */
    double sy[PAIRS];          /* their products */
    double *g, *to_g, *to, *d; /* gradient here and there; there; the direction */
} state;

static double *numbers(arena *a, size_t n)
{
    return arena_take(a, n, sizeof(double));
}

static void take_memory(state *m, arena *a)
{
    m->g = numbers(a, m->n);
    m->to_g = numbers(a, m->n);
    m->to = numbers(a, m->n);
    m->d = numbers(a, m->n);
    for (size_t i = 0; i < PAIRS; i++) {
        m->s[i] = numbers(a, m->n);
        m->y[i] = numbers(a, m->n);
    }
}

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static void add(double *to, double scale, const double *x, size_t n)
{
    for (size_t i = 0; i < n; i++) to[i] += scale * x[i];
}

static double largest(const double *x, size_t n)
{
    double most = 0.0;

    for (size_t i = 0; i < n; i++) most = fmax(most, fabs(x[i]));
    return most;
}

/* d = -H g: the two loops of the paper's algorithm 2.1. */
static void find_direction(state *m)
{
    const size_t oldest = m->pairs < PAIRS ? 0 : m->pairs - PAIRS;
    double a[PAIRS], scale = 1.0 / fmax(1.0, sqrt(dot(m->g, m->g, m->n)));

    memcpy(m->d, m->g, m->n * sizeof *m->d);
    for (size_t i = m->pairs; i-- > oldest;) {
        const size_t k = i % PAIRS;
        a[k] = dot(m->s[k], m->d, m->n) / m->sy[k];
        add(m->d, -a[k], m->y[k], m->n);
    }
    if (m->pairs) {
        const size_t last = (m->pairs - 1) % PAIRS;
        scale = m->sy[last] / dot(m->y[last], m->y[last], m->n);
    }
    for (size_t i = 0; i < m->n; i++) m->d[i] *= scale;
    for (size_t i = oldest; i < m->pairs; i++) {
        const size_t k = i % PAIRS;
        const double b = dot(m->y[k], m->d, m->n) / m->sy[k];
        add(m->d, a[k] - b, m->s[k], m->n);
    }
    for (size_t i = 0; i < m->n; i++) m->d[i] = -m->d[i];
}

/* Goes along d until f is less by a part of what the slope promises; false: nowhere. */
static bool search_line(state *m, double *f, const double *x, lbfgs_fn *fn, void *user)
{
    const double slope = dot(m->g, m->d, m->n), here = *f;
    double t = 1.0;

    for (int i = 0; i < HALVINGS; i++, t *= 0.5) {
        memcpy(m->to, x, m->n * sizeof *x);
        add(m->to, t, m->d, m->n);
        *f = fn(user, m->to_g, m->to);
        if (*f <= here + 1e-4 * t * slope) return true;
    }
    *f = here;
    return false;
}

/* Where f is convex the product is positive but for rounding, which is no curvature. */
static void keep_pair(state *m, const double *x)
{
    const size_t k = m->pairs % PAIRS;

    for (size_t i = 0; i < m->n; i++) {
        m->s[k][i] = m->to[i] - x[i];
        m->y[k][i] = m->to_g[i] - m->g[i];
    }
    m->sy[k] = dot(m->s[k], m->y[k], m->n);
    if (m->sy[k] > DBL_EPSILON * dot(m->y[k], m->y[k], m->n)) m->pairs++;
}

int lbfgs_minimise(double *x, size_t n, lbfgs_fn *f, void *user,
                   const lbfgs_limits *limits, size_t *iterations, clipc_err *err)
{
    state m = {.n = n};
    arena a = arena_measure();
    size_t i = 0;
    int rc;

    take_memory(&m, &a);
    if ((rc = arena_new(&a, a.used, "L-BFGS", err)) != CLIPC_OK) return rc;
    take_memory(&m, &a);
    double now = f(user, m.g, x);
    for (; i < limits->iterations && largest(m.g, n) > limits->gradient; i++) {
        const double before = now;
        find_direction(&m);
        if (!search_line(&m, &now, x, f, user)) break;
        keep_pair(&m, x);
        memcpy(x, m.to, n * sizeof *x);
        memcpy(m.g, m.to_g, n * sizeof *x);
        if (before - now <= 64 * DBL_EPSILON * fmax(1.0, fabs(before))) break;
    }
    *iterations = i;
    arena_free(&a);
    return CLIPC_OK;
}

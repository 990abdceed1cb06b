/* task/lbfgs.h -- the minimum of a smooth convex function by limited-memory BFGS (Liu and
 * Nocedal 1989, "On the limited memory BFGS method for large scale optimization"), ten
 * pairs kept, with a line search that halves. */
#ifndef CLIPC_TASK_LBFGS_H
#define CLIPC_TASK_LBFGS_H

#include <stddef.h>

#include "base/err.h"

/* Returns f(x), and its gradient in g [n]. */
typedef double lbfgs_fn(void *user, double *g, const double *x);

typedef struct lbfgs_limits {
    size_t iterations;
    double gradient; /* its largest entry, at which the minimum counts as reached */
} lbfgs_limits;

/* Moves x [n] to the minimum; *iterations: how many it took.  It also ends where f cannot
 * be made less any more.  Fails for lack of memory only. */
int lbfgs_minimise(double *x, size_t n, lbfgs_fn *f, void *user,
                   const lbfgs_limits *limits, size_t *iterations, clipc_err *err);

#endif

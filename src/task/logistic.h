/* task/logistic.h -- multinomial logistic regression with an L2 penalty, the function
 * that scikit-learn's LogisticRegression(C, max_iter=1000) minimises, by the same method
 * to the same tolerance:
 *
 *   mean over i of -log softmax(W x_i + b)[label_i]  +  |W|^2 / (2 C N)
 *
 * For two classes scikit-learn has one row of weights, the difference of these two: its
 * penalty is then twice as large. */
#ifndef CLIPC_TASK_LOGISTIC_H
#define CLIPC_TASK_LOGISTIC_H

#include "tensor/exec.h"

typedef struct labelled {
    const float *x;      /* [N,E] */
    const size_t *label; /* [N] below `classes` */
    size_t N, E, classes;
} labelled;

typedef struct logistic {
    float *w;          /* [classes,E]; free it, in which b lies too */
    float *b;          /* [classes] */
    size_t iterations; /* that the fit took, 1000 at most */
} logistic;

/* Starts from zeros.  Products are in float32, sums over pictures and weights in float64.
 * Fails for lack of memory only. */
int logistic_fit(logistic *out, exec *e, const labelled *data, double C, clipc_err *err);

/* logits [N,classes] of x [N,E]. */
void logistic_logits(float *logits, exec *e, const logistic *l, const float *x, size_t N,
                     size_t E, size_t classes);

#endif

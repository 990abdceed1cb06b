/* train/statistics.h -- the running statistics of a net as they were, for a step that
 * turns out to be none: a pass moves them before it is known whether its gradients are
 * numbers.
 */
#ifndef CLIPC_TRAIN_STATISTICS_H
#define CLIPC_TRAIN_STATISTICS_H

#include "clip/net.h"

typedef struct statistics {
    const net *n; /* the caller's */
    float *kept;  /* one behind the other */
} statistics;

int statistics_make(statistics *s, const net *n, clipc_err *err);
void statistics_free(statistics *s);

void statistics_keep(const statistics *s);
void statistics_restore(const statistics *s);

#endif

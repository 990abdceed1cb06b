/* train/history.h -- a run's log, read again: its curves, and what was last. */
#ifndef CLIPC_TRAIN_HISTORY_H
#define CLIPC_TRAIN_HISTORY_H

#include "clipc_train.h"

typedef struct curve {
    char name[96];    /* "loss", "learning rate", "held-out top-1", "openmoji top-1" */
    const char *unit; /* "nats", "1", "%" */
    double *x, *y;    /* steps; values */
    size_t n, cap;
} curve;

enum { CURVE_LOSS, CURVE_RATE }; /* the first two; others as they come in the log */

typedef struct history {
    curve *curves;
    size_t n;
    clipc_train_state last; /* without what is not in the log */
    size_t last_eval;       /* step of the last evaluation */
} history;

/* Half a line at the end is passed over; a log without a step is an error.  Free with
 * history_free. */
int history_read(history *h, const char *folder, clipc_err *err);
void history_free(history *h);

#endif

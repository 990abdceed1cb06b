/* train/order.h -- which sample comes when, as a file says: an index a line, from 0,
 * among the samples in the order in which sources are read (a folder's by name). */
#ifndef CLIPC_TRAIN_ORDER_H
#define CLIPC_TRAIN_ORDER_H

#include <stddef.h>

#include "base/err.h"

typedef struct sample_order {
    char *path;
    size_t *v, n; /* n 0: none given */
} sample_order;

int order_read(sample_order *o, const char *path, clipc_err *err);
void order_free(sample_order *o);

/* All of its samples are there, of n_samples? */
int order_check(const sample_order *o, size_t n_samples, clipc_err *err);

#endif

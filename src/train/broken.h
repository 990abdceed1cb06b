/* train/broken.h -- samples that are no good: how many, and the first by name and reason.
 */
#ifndef CLIPC_TRAIN_BROKEN_H
#define CLIPC_TRAIN_BROKEN_H

#include <stddef.h>

#include "base/err.h"

enum { BROKEN_TOLD = 10 };

typedef struct broken {
    size_t n;
    clipc_err first[BROKEN_TOLD]; /* the first n, or all of them */
} broken;

/* One more, for the reason that err tells. */
void broken_add(broken *b, const clipc_err *why);

#endif

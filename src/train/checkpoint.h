/* train/checkpoint.h -- what a run needs to go on: weights, both moments, their moving
 * average if there is one, counters, broken samples, what hard negatives are found by.
 * One safetensors file a checkpoint, written atomically, named by its step. */
#ifndef CLIPC_TRAIN_CHECKPOINT_H
#define CLIPC_TRAIN_CHECKPOINT_H

#include <stdbool.h>

#include "tensor/kernels.h"
#include "train/broken.h"

typedef struct checkpoint {
    float *weights;  /* [floats], the caller's, as are */
    float *m, *v;    /* [learned] of what learns */
    float *ema;      /* [floats] the weights' moving average, or NULL */
    uint16_t *near;  /* [nears] and */
    int64_t *groups; /* [n_groups], of train/neighbours.h, or NULL */
    float *maps;     /* [n_maps] what learns beside the weights (train/distill.h) */
    size_t nears, n_groups, n_maps;
    size_t floats, learned;
    account broken; /* of the data; stays as it is where the file is of other data */
    int64_t step, skipped, threads;
    double best;  /* best validation so far, -1 for none */
    char isa[16]; /* kernel table that trained it */
} checkpoint;

/* Writes folder/step-<step>.safetensors and removes all but the newest `keep`. */
int checkpoint_write(const checkpoint *c, const char *folder, size_t keep,
                     const kernels *k, clipc_err *err);

/* Is there any? */
bool checkpoint_exists(const char *folder);
/* Removes all, and what killed processes left of others; returns how many there were. */
size_t checkpoint_remove(const char *folder);
/* How many there are, and their size; *step: of the newest, -1 for none. */
size_t checkpoint_count(size_t *bytes, int64_t *step, const char *folder);

/* Reads the newest that is complete and fits; older ones are tried when it does not. */
int checkpoint_read(checkpoint *c, const char *folder, clipc_err *err);

#endif

/* train/neighbours.h -- hard negatives: batches of samples whose pictures are near to
 * each other, so that wrong texts are hard to tell from a picture's own.
 *
 * Each step keeps the unit features of its pictures, by sample, as float16.  Of so many
 * batches of the shuffled order (a group; it ends with the epoch) the first sample goes
 * into the first batch with those of the group that are nearest to it, found by an exact
 * scan, the first of the others into the next batch, and so on.  So an epoch has the
 * samples it would have, in another order; what was not seen yet is near to nothing and
 * stays in its place.
 *
 * A group is made up when its first batch is begun, that is by what was kept up to three
 * batches before.  State is what a checkpoint has to hold. */
#ifndef CLIPC_TRAIN_NEIGHBOURS_H
#define CLIPC_TRAIN_NEIGHBOURS_H

#include "tensor/exec.h"
#include "train/sampling.h"

enum { NEIGHBOURS_MOST = 1024 }; /* batches of a group */

typedef struct neighbours neighbours;

typedef struct neighbours_cfg {
    size_t samples;    /* in an epoch */
    size_t E;          /* numbers of a picture's features */
    size_t batch;      /* B */
    size_t candidates; /* batches of a group */
} neighbours_cfg;

/* With bytes (not NULL) nothing is made: *bytes is how much it would be. */
int neighbours_make(neighbours **out, size_t *bytes, const neighbours_cfg *cfg,
                    clipc_err *err);
void neighbours_free(neighbours *n);

/* img [B,E]: unit features of these samples. */
void neighbours_keep(neighbours *n, const kernels *k, const float *img,
                     const size_t *samples, size_t B);

/* samples [B] of batch `step`; batches are asked for in their order. */
void neighbours_batch(neighbours *n, exec *e, const sampling *s, size_t *samples,
                      size_t step);

/* What is kept, [samples,E], and the groups made up last. */
uint16_t *neighbours_table(neighbours *n, size_t *count);
int64_t *neighbours_groups(neighbours *n, size_t *count);
/* After these were read from a file: CLIPC_ERR_FORMAT if they are none. */
int neighbours_check(const neighbours *n, const char *path, clipc_err *err);

#endif

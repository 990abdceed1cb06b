/* train/sampling.h -- which sample stands at which place of training's order.  Both kinds
 * depend on the seed and the place alone, so that a run resumed anywhere goes on as it
 * would have: nothing is buffered, nothing remembered.
 *
 *   draw      a source by its share, of it any sample, with replacement
 *   shuffle   by epochs, each as long as all sources together: every source has its share
 *             of an epoch's places, which are in random order, and gives its samples in
 * an order that is shuffled anew each time round.  Without weights that is every sample
 * once an epoch. */
#ifndef CLIPC_TRAIN_SAMPLING_H
#define CLIPC_TRAIN_SAMPLING_H

#include <stdbool.h>

#include "base/err.h"
#include "base/rng.h"

typedef struct sampling {
    const size_t *ends; /* [n] behind the last sample of each source */
    size_t n;
    double *shares; /* [n] cumulated, the last is 1 */
    uint64_t seed;
} sampling;

/* weights [n] of the sources; NULL: by their samples, ends [n], which must outlive it. */
int sampling_init(sampling *s, const size_t *ends, const float *weights, size_t n,
                  uint64_t seed, clipc_err *err);
void sampling_free(sampling *s);

/* The next draw of r: the index of a sample. */
size_t sampling_draw(const sampling *s, rng *r);
/* The index of the sample that shuffling puts at a place, counted from training's first.
 */
size_t sampling_shuffled(const sampling *s, size_t place);

#endif

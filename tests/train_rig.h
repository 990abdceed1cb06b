/* tests/train_rig.h -- what tests of the trainer share: something to learn, and steps. */
#ifndef CLIPC_TESTS_TRAIN_RIG_H
#define CLIPC_TESTS_TRAIN_RIG_H

#include "clipc_train.h"

enum { TRAIN_PAIRS = 64 };

/* Makes a folder of 64 pictures of coloured noise blocks, 32 pixels a side, each with a
 * caption of its own. */
void train_rig_pairs(const char *folder);

/* n steps that must succeed; returns the last one's loss. */
double train_rig_steps(clipc_trainer *t, size_t n);

#endif

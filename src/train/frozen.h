/* train/frozen.h -- the features of a tower that does not learn (train/groups.h), or of
 * the first part of one whose second does (model/tower.h), each computed once and kept in
 * a file (train/feature_cache.h): texts by their ids, pictures by the number of their
 * view (train/data.h). */
#ifndef CLIPC_TRAIN_FROZEN_H
#define CLIPC_TRAIN_FROZEN_H

#include "clip/net.h"
#include "train/data.h"
#include "train/groups.h"

typedef struct frozen frozen;

/* For up to B inputs at a time of a tower of n, which must outlive it, in a file of the
 * folder that is named by what the tower is: its weights, its config and `also`, which
 * says what else its inputs depend on. */
int frozen_open(frozen **out, const net *n, tower_side side, const char *folder,
                uint64_t also, size_t B, clipc_err *err);
void frozen_close(frozen *f);

/* Bytes of that, when so many inputs are kept. */
size_t frozen_bytes(const net *n, tower_side side, size_t B, size_t inputs);

/* out [C,E] = the tower's features, not normalised, as its fwd gives them, or its first
 * part's [C,F]; acts are made for TOWER_EVAL, or for training of the second. */
void frozen_texts(frozen *f, exec *e, void *acts, float *out, const int32_t *ids,
                  size_t C);
/* Of samples [at, at + C) of the batch: pixels of a view that is kept, or whose features
 * are ready, may be anything. */
void frozen_pictures(frozen *f, exec *e, void *acts, float *out, const batch *b,
                     size_t at, size_t C);

/* Whether a view is kept; any thread may ask.  For data_cfg. */
bool frozen_has(void *f, uint64_t view);
/* Why something could not be kept, since it was opened. */
int frozen_error(const frozen *f, clipc_err *err);

#endif

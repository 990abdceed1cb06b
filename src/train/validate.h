/* train/validate.h -- how well the towers match held-out pictures with their captions,
 * while they train.  Every picture is seen once, without augmentation, on white. */
#ifndef CLIPC_TRAIN_VALIDATE_H
#define CLIPC_TRAIN_VALIDATE_H

#include "clip/net.h"
#include "clipc_train.h"
#include "train/data.h"

typedef struct validation validation;

/* Finds up to `most` samples of a source (as train/data.h), for which *bytes of memory
 * will be wanted.  n, whose weights may follow, must outlive it, as what `training`
 * points to until they are read.  Captions become texts as in training, by the first
 * template. */
int validation_open(validation **out, size_t *bytes, const net *n,
                    const data_cfg *training, const char *source, size_t most,
                    clipc_err *err);
void validation_free(validation *v);
/* Reads them. */
int validation_read(validation *v, clipc_err *err);
/* By the weights of n, a net of the same shape. */
void validation_run(validation *v, exec *e, const net *n, clipc_val_stats *stats);

#endif

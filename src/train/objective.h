/* train/objective.h -- the config's keys for the loss: see clipc_train.h. */
#ifndef CLIPC_TRAIN_OBJECTIVE_H
#define CLIPC_TRAIN_OBJECTIVE_H

#include "base/json.h"
#include "train/loss.h"

/* How scale and bias begin (open_clip's values unless the model's config has its own);
 * the scale's logarithm. */
typedef struct logit_start {
    float scale, bias;
} logit_start;

/* Of the whole config, `root`, and of its "model" (NULL: none). */
int objective_parse(objective *o, logit_start *start, const json_t *root,
                    const json_t *model, const char *where, clipc_err *err);

#endif

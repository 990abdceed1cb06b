/* train/config_start.h -- what a config says of a run that begins with a model: which,
 * changed how, and what of it learns; and of the model that it learns from. */
#ifndef CLIPC_TRAIN_CONFIG_START_H
#define CLIPC_TRAIN_CONFIG_START_H

#include "train/train_config.h"

/* "init" and "new_head", and the default rate of such a run.  Before numbers are read. */
int config_start(train_cfg *c, const json_t *root, const char *where, clipc_err *err);
/* Model and tokenizer of c->init, with the config's own templates if it has any. */
int config_start_model(train_cfg *c, const json_t *root, const char *where,
                       clipc_err *err);
/* Which groups are locked, in c->model.  After numbers and the model were read. */
int config_start_locks(train_cfg *c, const json_t *root, const char *where,
                       clipc_err *err);
/* Whether features of locked towers are kept, and where.  After that. */
int config_start_caches(train_cfg *c, const json_t *root, const char *where,
                        clipc_err *err);
/* The teacher.  After that too. */
int config_start_distill(train_cfg *c, const json_t *root, const char *where,
                         clipc_err *err);

#endif

/* train/data_config.h -- the keys of a config that say what a run learns from. */
#ifndef CLIPC_TRAIN_DATA_CONFIG_H
#define CLIPC_TRAIN_DATA_CONFIG_H

#include "base/json.h"
#include "train/train_config.h"

/* Sources, how tables are read, in what order samples come and how many may be broken,
 * augmentation, the largest picture. */
int data_config_parse(train_cfg *c, const json_t *root, const char *where,
                      clipc_err *err);
void data_config_free(train_cfg *c);

#endif

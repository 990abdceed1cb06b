/* clip/config_parts.h -- what the readers and writers of configs share. */
#ifndef CLIPC_CLIP_CONFIG_PARTS_H
#define CLIPC_CLIP_CONFIG_PARTS_H

#include "clip/config.h"

/* A channel count times a ratio, as Python's int(width * ratio). */
size_t config_times(size_t width, double ratio);

/* The family of BERT that a name tells of; what the sizes are, the tensors say. */
int config_bert_family(clip_cfg *cfg, const char *name, const char *where,
                       clipc_err *err);

#endif

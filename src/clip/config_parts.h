/* clip/config_parts.h -- what the readers and writers of configs share. */
#ifndef CLIPC_CLIP_CONFIG_PARTS_H
#define CLIPC_CLIP_CONFIG_PARTS_H

#include "clip/config.h"

/* A channel count times a ratio, as Python's int(width * ratio). */
size_t config_times(size_t width, double ratio);

/* The family of BERT that a name tells of; what the sizes are, the tensors say. */
int config_bert_family(clip_cfg *cfg, const char *name, const char *where,
                       clipc_err *err);

/* An EfficientNet-Lite's sizes from its tensors, however they are spelled; 0 where there
 * is no such tensor. */
void config_effnet_sizes(image_cfg *c, const tensor_file *f);

/* Dimension d of tensor prefix + name; 0 if it or the dimension is not there. */
size_t tensor_dim(const tensor_file *f, const char *prefix, const char *name, size_t d);
/* How many tensors there are of the names prefix + 0, 1, 2 ... + suffix. */
size_t tensor_count(const tensor_file *f, const char *prefix, const char *suffix);

#endif

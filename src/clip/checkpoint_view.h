/* clip/checkpoint_view.h -- the weights of a training checkpoint (train/checkpoint.h),
 * one list in the order of the net's parameters, as tensors that have names. */
#ifndef CLIPC_CLIP_CHECKPOINT_VIEW_H
#define CLIPC_CLIP_CHECKPOINT_VIEW_H

#include "clip/config.h"

/* Adds them to the checkpoint's own file, for the model that cfg describes. */
int checkpoint_name_tensors(tensor_file *f, const clip_cfg *cfg, const char *where,
                            clipc_err *err);

#endif

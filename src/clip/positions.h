/* clip/positions.h -- position embeddings that a file has for another grid of patches or
 * another context length than the model: interpolated as open_clip 3.3 does on loading
 * (model.py resize_pos_embed, resize_text_pos_embed; timm's resample_abs_pos_embed), in
 * float32 whatever the file holds: of halves PyTorch on a CPU interpolates no grid, and
 * rounds each step of a text's. */
#ifndef CLIPC_CLIP_POSITIONS_H
#define CLIPC_CLIP_POSITIONS_H

#include "clip/net.h"

/* Whether parameter p of n is a table of positions that t holds in another size.  Text
 * positions only where they were asked for, or open_clip would: in files that its config
 * describes. */
bool positions_differ(const net *n, const model_source *s, const param *p,
                      const tensor *t);

/* to [p->n] = t's positions on the model's grid, which n->interpolated notes. */
int positions_load(float *to, net *n, const model_source *s, const param *p,
                   const tensor *t, const kernels *k, clipc_err *err);

#endif

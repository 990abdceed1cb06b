/* train/loss.h -- symmetric contrastive loss (CLIP, arXiv:2103.00020 fig. 3), mean over
 * the batch. S[i,j] = scale * dot(img[i], txt[j]);  loss = (CE(S, i) + CE(S^T, i)) / 2
 * Pairs i != j whose captions are the same are no negatives: they are left out of both
 * sums. */
#ifndef CLIPC_TRAIN_LOSS_H
#define CLIPC_TRAIN_LOSS_H

#include "tensor/gemm.h"

/*   img, txt      [B,E]  in   unit rows; the caller normalises
 *   caption       [B]    in   equal numbers mark equal captions; NULL: all differ
 *   scale         exp(logit_scale), already clamped to <= 100
 *   dimg, dtxt    [B,E]  out  dscale [1] out (d/d scale, not d/d logit_scale)
 *   work          2 [B,B] scratch, clobbered
 * Returns the loss in nats. */
float contrastive_fwd_bwd(exec *e, float *dimg, float *dtxt, float *dscale, float *work,
                          const float *img, const float *txt, const uint64_t *caption,
                          float scale, size_t B, size_t E);

#endif

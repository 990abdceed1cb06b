/* train/distill.h -- what a student owes its teacher for a batch of pairs, and its
 * gradients, beside the contrastive loss.
 *
 * DISTILL_LOGITS (open_clip's DistillClipLoss): the teacher's probabilities of the
 *   batch's texts for each picture, and of its pictures for each text, are the targets:
 *   loss = sum over i of (H(softmax T[i,:], softmax S[i,:])
 *                         + H(softmax T[:,i], softmax S[:,i])) / 2B
 *   with S[i,j] = scale dot(img[i], txt[j]), T likewise, H(q, p) = -sum_j q_j log p_j
 * DISTILL_EMBEDDINGS: the directions themselves, of as many numbers:
 *   loss = sum over i of (2 - dot(img[i], timg[i]) - dot(txt[i], ttxt[i])) / 2B */
#ifndef CLIPC_TRAIN_DISTILL_H
#define CLIPC_TRAIN_DISTILL_H

#include "base/arena.h"
#include "tensor/gemm.h"

typedef enum distill_kind { DISTILL_LOGITS, DISTILL_EMBEDDINGS } distill_kind;

/* Scratch for batches of B pairs of E numbers: blocks of rows of S and T. */
typedef struct distill_room {
    float *s, *t, *dimg, *dtxt;
    double *loss; /* [B] of each row, so that they are added in one order */
} distill_room;

void distill_room_take(distill_room *r, arena *a, size_t B, size_t E);

/* Unit rows: of pictures and of texts [B,E]. */
typedef struct distill_side {
    const float *img, *txt;
    float scale; /* exp(logit_scale) */
    size_t E;
} distill_side;

/* dimg, dtxt [B,E], dscale [1] += weight times the gradients.  Returns weight times the
 * loss, in nats. */
float distill_fwd_bwd(exec *e, distill_kind kind, float weight, float *dimg, float *dtxt,
                      float *dscale, const distill_room *room,
                      const distill_side *student, const distill_side *teacher, size_t B);

#endif

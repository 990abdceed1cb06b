/* train/distill.h -- what a student owes its teacher for a batch of pairs, and its
 * gradients, beside the contrastive loss.  With unit rows img, txt of the student's
 * features, timg, ttxt of the teacher's, H(q, p) = -sum_j q_j log p_j:
 *
 * DISTILL_LOGITS (open_clip's DistillClipLoss): the teacher's probabilities of the
 *   batch's texts for each picture, and of its pictures for each text, are the targets:
 *   loss = sum over i of (H(softmax T[i,:], softmax S[i,:])
 *                         + H(softmax T[:,i], softmax S[:,i])) / 2B
 *   with S[i,j] = scale dot(img[i], txt[j]), T likewise
 * DISTILL_CLASSES: its probabilities of classes, of whose texts txt and ttxt [n,E] are
 * the directions: loss = sum over i of H(softmax T[i,:], softmax S[i,:]) / B
 * DISTILL_EMBEDDINGS: its directions themselves, of as many numbers:
 *   loss = sum over i of (2 - dot(img[i], timg[i]) - dot(txt[i], ttxt[i])) / 2B
 * DISTILL_FEATURES (CLIP-KD's FD, arXiv:2307.12732, where the two differ in width): the
 *   same, but of directions that linear maps, which learn too, make of the student's:
 *   of W_img img[i], W_txt txt[i] instead of img[i], txt[i]
 *
 * Of unit vectors 1 - dot is half the squared distance. */
#ifndef CLIPC_TRAIN_DISTILL_H
#define CLIPC_TRAIN_DISTILL_H

#include "train/all_pairs.h"

typedef enum distill_kind {
    DISTILL_LOGITS,
    DISTILL_EMBEDDINGS,
    DISTILL_FEATURES,
    DISTILL_CLASSES
} distill_kind;

typedef struct distillation {
    distill_kind kind;
    float weight;
    size_t classes;      /* DISTILL_CLASSES: how many, else 0 */
    size_t E, teacher_E; /* numbers of the student's features, of the teacher's */
    const float *maps;   /* DISTILL_FEATURES: W_img, W_txt [teacher_E,E] each; */
    float *maps_grads;   /* likewise */
} distillation;

/* How many numbers the maps are. */
size_t distill_maps(const distillation *d);

/* Scratch for batches of B pairs. */
typedef struct distill_room {
    pairs_room pairs;
    float *dimg, *dtxt;     /* as the gradients */
    float *y, *dy, *y_norm; /* DISTILL_FEATURES: [B,teacher_E] and [B] */
} distill_room;

void distill_room_take(distill_room *r, arena *a, const distillation *d, size_t B);

/* Unit rows [B,E], or txt of the classes. */
typedef struct distill_side {
    const float *img, *txt;
    float scale; /* exp(logit_scale) */
} distill_side;

typedef struct distill_grads {
    float *img, *txt, *scale; /* like the student's; scale [1] */
} distill_grads;

/* to, d->maps_grads += weight times the gradients.  Returns weight times the loss, in
 * nats or a number. */
float distill_fwd_bwd(exec *e, const distillation *d, distill_grads to,
                      const distill_room *room, const distill_side *student,
                      const distill_side *teacher, size_t B);

#endif

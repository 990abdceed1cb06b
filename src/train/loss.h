/* train/loss.h -- the contrastive loss of a batch of pairs and its gradients.  With
 *   S[i,j] = scale * dot(img[i], txt[j]) + bias
 *
 * LOSS_SOFTMAX (CLIP, arXiv:2103.00020 fig. 3): which text is the picture's, which
 * picture the text's.  The bias cancels.
 *   loss = sum over i of (CE(S[i,:], t[i,:]) + CE(S[:,i], t[:,i])) / 2B
 * LOSS_SIGMOID (SigLIP, arXiv:2303.15343): whether the two of a pair belong together.
 *   loss = sum over i,j of -log sigmoid(l[i,j] S[i,j]) / B
 *
 * t is 1 for i's own, l is 1 for it and -1 for others; pairs of equal captions are what
 * the objective says.  Label smoothing x, as torch's cross_entropy has it, makes t
 * (1 - x) t + x / n where n is how many the row chooses among. */
#ifndef CLIPC_TRAIN_LOSS_H
#define CLIPC_TRAIN_LOSS_H

#include "train/all_pairs.h"

typedef enum loss_kind { LOSS_SOFTMAX, LOSS_SIGMOID } loss_kind;

/* What a text is to a picture whose own caption is the same. */
typedef enum equal_captions {
    EQUAL_MASKED, /* nothing: it is left out of the sums */
    EQUAL_NEGATIVE,
    EQUAL_POSITIVE /* as good as its own: t is spread evenly over all of them */
} equal_captions;

typedef struct objective {
    loss_kind loss;
    equal_captions equal;
    float smoothing; /* below 1; LOSS_SOFTMAX alone */
} objective;

/* Scratch for batches of B pairs. */
typedef struct loss_room {
    pairs_room pairs;
    size_t *next; /* [B] the next of the same caption, at last the first again */
    double *sum;  /* [B] of each row's gradients, so that they are added in one order */
} loss_room;

void loss_room_take(loss_room *r, arena *a, size_t B);

/*   img, txt      [B,E]  in   unit rows; the caller normalises
 *   caption       [B]    in   equal numbers mark captions that count as equal; NULL: all
 *                             differ
 *   scale         exp(logit_scale), already clamped to <= 100
 *   dimg, dtxt    [B,E]  out
 *   dscale, dbias [1]    out  d/d scale (not d/d logit_scale), d/d bias
 * Returns the loss in nats. */
float contrastive_fwd_bwd(exec *e, const objective *o, float *dimg, float *dtxt,
                          float *dscale, float *dbias, const loss_room *room,
                          const float *img, const float *txt, const uint64_t *caption,
                          float scale, float bias, size_t B, size_t E);

#endif

/* train/pass.h -- one batch through both towers, the loss and back: what adds gradients.
 */
#ifndef CLIPC_TRAIN_PASS_H
#define CLIPC_TRAIN_PASS_H

#include "clip/net.h"
#include "train/data.h"
#include "train/loss.h"

typedef struct pass {
    net *net, *grads; /* the caller's */
    size_t batch;     /* B, pairs at a time */
    objective objective;
    void *image_acts, *text_acts;
    arena work;
    float *img, *txt, *img_norm, *txt_norm, *dimg, *dtxt; /* [B,E] and [B] */
    loss_room room;
} pass;

/* Memory for batches of B pairs; both nets must outlive it. */
int pass_make(pass *p, net *n, net *grads, const objective *o, size_t B, clipc_err *err);
void pass_free(pass *p);

/* What to give exec_new for a net. */
size_t pass_scratch(const net *n);

/* Adds the gradients of one batch and returns its loss in nats; where that is not finite
 * nothing was added.  Running statistics move. */
float pass_run(const pass *p, exec *e, const batch *b);

#endif

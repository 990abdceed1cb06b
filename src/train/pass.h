/* train/pass.h -- one batch through both towers, the loss and back: what adds gradients.
 */
#ifndef CLIPC_TRAIN_PASS_H
#define CLIPC_TRAIN_PASS_H

#include "clip/net.h"
#include "train/data.h"

typedef struct pass {
    net *net, *grads;                 /* the caller's */
    size_t batch;                     /* B, pairs at a time */
    tower_mode image_mode, text_mode; /* TOWER_EVAL: locked, and nothing moves */
    bool image_learns, text_learns;
    void *image_acts, *text_acts;
    arena work;
    float *img, *txt, *img_norm, *txt_norm, *dimg, *dtxt; /* [B,E] and [B] */
    float *pairs;                                         /* 2 [B,B] */
} pass;

/* Memory for batches of B pairs; both nets must outlive it. */
int pass_make(pass *p, net *n, net *grads, size_t B, clipc_err *err);
void pass_free(pass *p);

/* What to give exec_new for a net. */
size_t pass_scratch(const net *n);

/* Adds the gradients of one batch and returns its loss in nats; where that is not finite
 * nothing was added.  Running statistics move. */
float pass_run(const pass *p, exec *e, const batch *b);

#endif

/* train/pass.h -- one batch through both towers, the loss and back: what adds gradients.
 *
 * Where the activations of a whole batch are too large, a chunk of it at a time passes
 * the towers, twice (GradCache, Gao et al. 2021, arXiv:2101.06983): once for the
 * features, which are few and kept; the loss, of the whole batch, says what their
 * gradients are; and once more, now with the way back, for the weights'.  That is the
 * gradient of the whole batch, but for batch norm, whose statistics are of a chunk (the
 * same both times). */
#ifndef CLIPC_TRAIN_PASS_H
#define CLIPC_TRAIN_PASS_H

#include "clip/net.h"
#include "train/classes.h"
#include "train/data.h"
#include "train/distill.h"
#include "train/frozen.h"
#include "train/loss.h"
#include "train/neighbours.h"

typedef struct pass_cfg {
    size_t batch;   /* B, pairs that the loss sees */
    size_t chunk;   /* pairs that the towers see at a time, 1 to B */
    bool recompute; /* TOWER_RECOMPUTE */
    objective objective;
    frozen *texts,
        *pictures;    /* where features of a locked tower are kept; NULL: nowhere */
    neighbours *near; /* what keeps the pictures' unit features; NULL: nothing */
    teacher *teacher; /* NULL: none */
    distillation distill;
    classes *classes; /* with DISTILL_CLASSES */
    uint64_t seed;    /* of dropout */
} pass_cfg;

typedef struct pass {
    net *net, *grads; /* the caller's */
    pass_cfg cfg;
    tower_mode image_mode, text_mode; /* TOWER_EVAL: locked, and nothing moves */
    bool image_learns, text_learns;
    void *image_acts, *text_acts;
    arena work;
    float *img, *txt, *img_norm, *txt_norm, *dimg, *dtxt; /* [B,E] and [B] */
    /* [B,F]: what the first of a tower's two parts makes, once; F is 0 of a whole one. */
    float *img_first;
    size_t img_F;
    loss_room room;
    distill_room distill_room;
} pass;

/* Memory for batches of B pairs; both nets must outlive it.  With bytes (not NULL) none
 * is made and *bytes is how much it would be, for which n needs no memory and no grads.
 */
int pass_make(pass *p, size_t *bytes, net *n, net *grads, pass_cfg cfg, clipc_err *err);
void pass_free(pass *p);

/* What to give exec_new for a net. */
size_t pass_scratch(const net *n);

/* Adds the gradients of one batch and returns its loss in nats; where that is not finite
 * nothing was added.  Running statistics move, once for each chunk. */
float pass_run(const pass *p, exec *e, const batch *b);

#endif

/* train/optimizer.h -- AdamW (arXiv:1711.05101) over the parameters of a net: the global
 * norm of the gradients, clipping by it, the step, the schedule of its rate. */
#ifndef CLIPC_TRAIN_OPTIMIZER_H
#define CLIPC_TRAIN_OPTIMIZER_H

#include "clip/net.h"
#include "train/train_config.h"

/* Numbers that learn at one rate, and what they do so by. */
typedef struct slice {
    float *w, *m, *v;
    const float *g;
    size_t n;
    float rate; /* as a part of the schedule's */
    bool decays;
} slice;

typedef struct optimizer {
    net *net;      /* whose weights move; the caller's */
    net *grads;    /* a net of the same shape over the gradients of what learns */
    size_t n_more; /* what learns beside the net: */
    float *more, *more_grads; /* zeroes, till the caller fills them */
    float *m, *v;  /* [optimizer_moments] each: of grads->params, then of more */
    slice *slices; /* all that learns */
    size_t n_slices;
    double *sums; /* of the pieces of one slice */
    arena memory; /* of all but the gradients of the net */
} optimizer;

/* For what of n, which must outlive it, learns, and n_more numbers; as yet without
 * memory. */
int optimizer_shape(optimizer *o, net *n, size_t n_more, clipc_err *err);
/* Then zeroed gradients, net_bytes(o->grads) of them, and the rest, optimizer_bytes;
 * rates by c. */
int optimizer_room(optimizer *o, const train_cfg *c, clipc_err *err);
size_t optimizer_bytes(const optimizer *o);
size_t optimizer_moments(const optimizer *o);
void optimizer_free(optimizer *o);

/* How many numbers of the net learn. */
size_t optimizer_learns(const optimizer *o);

void optimizer_zero_grads(const optimizer *o, exec *e);

/* The norm of all gradients together. */
double optimizer_norm(const optimizer *o, exec *e);

/* One step with gradients whose norm is `norm`; `step` counts the updates, from 0, for
 * the moments' bias.  lr is the rate of schedule_lr. */
void optimizer_step(const optimizer *o, exec *e, const train_cfg *c, float lr,
                    double norm, size_t step);

/* The rate of a step: linear warm-up, then half a cosine to zero. */
float schedule_lr(const train_cfg *c, size_t step);

#endif

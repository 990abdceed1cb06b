/* train/optimizer.h -- AdamW (arXiv:1711.05101) over the parameters of a net: the global
 * norm of the gradients, clipping by it, the step, the schedule of its rate. */
#ifndef CLIPC_TRAIN_OPTIMIZER_H
#define CLIPC_TRAIN_OPTIMIZER_H

#include "clip/net.h"
#include "train/train_config.h"

typedef struct optimizer {
    net *net;     /* whose weights move; the caller's */
    net *grads;   /* a net of the same shape over the gradients of what learns */
    float *m, *v; /* [grads->params.floats] each: the moments, laid out as those */
    float *rates; /* [net->params.n] of the schedule's rate; 0: does not learn */
    double *sums; /* of the pieces of one parameter */
    arena memory; /* of all but the gradients */
} optimizer;

/* For what of n, which must outlive it, learns; as yet without memory. */
int optimizer_shape(optimizer *o, net *n, clipc_err *err);
/* Then zeroed gradients, net_bytes(o->grads) of them, and moments, optimizer_bytes; rates
 * by c. */
int optimizer_room(optimizer *o, const train_cfg *c, clipc_err *err);
size_t optimizer_bytes(const optimizer *o);
void optimizer_free(optimizer *o);

/* How many numbers learn. */
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

/* model/head.h -- the head that makes an embedding of two parts of the features f of
 * an image tower that classifies: what a trained layer sees in them, and what the tower's
 * own classes are called (ConSE, Norouzi et al. 2014, arXiv:1312.5650); a gate says how
 * much of each.
 *
 *   x = LN(sqrt(f))
 *   z = A x + O gelu(C x + c) + o                               dropout behind gelu
 *   k = sum of exp(l_i) e_i over the `top` largest of the classifier's logits l
 *   g = sigmoid(v . gelu(V x + d) + h + shift)                  shift: not in training
 *   out = (1 - g) unit(z) + g s unit(k)                         not normalised
 *
 * The classifier and the table e of what its classes are called are fixed; all else
 * learns.  exp(l) stands for the softmax: unit() takes the sum away. */
#ifndef CLIPC_MODEL_HEAD_H
#define CLIPC_MODEL_HEAD_H

#include "base/arena.h"
#include "model/tower.h"
#include "nn/param.h"

typedef struct head {
    float *ln_w, *ln_b;           /* [F] */
    float *linear;                /* A [D,F] */
    float *fc_w, *fc_b;           /* C, c [H,F], [H] */
    float *proj_w, *proj_b;       /* O, o [D,H], [D] */
    float *gate_fc_w, *gate_fc_b; /* V, d [G,F], [G] */
    float *gate_w, *gate_b;       /* v, h [G], scalar */
    float *class_scale;           /* s, scalar */
    float *classifier_w;          /* [K,F] */
    float *classifier_b;          /* [K] */
    float *classes;               /* e [K,D] */
} head;

/* Sizes of a head that makes D numbers of F features. */
typedef struct head_shape {
    size_t F, D;
    head_cfg cfg;
} head_shape;

/* What the forward pass leaves for the way back, for up to B rows, and scratch. */
typedef struct head_acts {
    float *x, *mean, *rstd;    /* [B,F], [B] */
    float *root;               /* [B,F] the square roots */
    float *fc, *act, *drop;    /* [B,H] before gelu, behind it; what dropout keeps */
    float *z, *norm;           /* [B,D] unit rows, [B] */
    float *gate_fc, *gate_act; /* [B,G] */
    float *g;                  /* [B] */
    float *logits, *k, *row;   /* [B,K], [B,D] unit rows, [D] */
    bool dropped;
    float *dz, *dfc, *dgate, *dx; /* [B,D], [B,H], [B,G], [B,F]: the way back */
    float *part;
} head_acts;

/* CLIPC_ERR_FORMAT unless every size is at least 1 and at most what files may ask for. */
int head_check(const head_shape *s, clipc_err *err);
int head_params(head *h, param_list *l, const head_shape *s, clipc_err *err);
/* The learned part: A normal, 0.7 / sqrt(F); O and v zero; C and V as torch.nn.Linear
 * has them; gains and s one. */
void head_init(head *h, const head_shape *s, rng *r);

/* Memory for B rows, or how much; for training as well if `train`. */
void head_acts_take(head_acts *a, arena *mem, const head_shape *s, size_t B, bool train);

/* out [B,D] from f [B,F].  draw: where training's dropout comes from, else NULL. */
void head_fwd(exec *e, float *out, const float *f, const head *h, head_acts *a,
              const head_shape *s, size_t B, weight_form form, const row_stream *draw);

/* Adds (+=) into d what dout [B,D] says of the learned part, behind a forward pass with
 * memory for training, whose x it clobbers; the features get no gradient. */
void head_bwd(exec *e, head *d, const float *dout, const head *h, head_acts *a,
              const head_shape *s, size_t B);

#endif

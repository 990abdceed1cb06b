/* train/init.h -- a run that begins with the weights of a model, of any format that
 * opens, instead of random ones. */
#ifndef CLIPC_TRAIN_INIT_H
#define CLIPC_TRAIN_INIT_H

#include "clip/net.h"
#include "train/objective.h"

typedef struct init_cfg {
    char *model; /* file, folder or name; NULL: random weights */
    /* What is to be other than the model has it; 0: nothing.  Positions are
     * interpolated. */
    size_t image_size, context_length;
    size_t embed_dim;                   /* with both new heads */
    bool new_image_head, new_text_head; /* projections drawn anew */
    /* The loss wants one of the logits, which the model has not: the scale, made by
     * another loss, begins anew with it. */
    bool new_bias;
} init_cfg;

/* The model's config, changed as i says and laid out for an open_clip folder, its
 * tokenizer and the files that this needs. */
int init_config(clip_cfg *cfg, tokenizer *t, token_files *files, const init_cfg *i,
                clipc_err *err);

/* The first weights of n (of such a config): the model's, new heads from r, a new bias
 * as `logits` has it; without a model all from r, and `logits`. */
int init_weights(net *n, const init_cfg *i, const logit_start *logits, rng *r,
                 const kernels *k, clipc_err *err);

#endif

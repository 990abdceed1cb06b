/* clip/net.h -- both towers and the temperature: one list of parameters, one block of
 * memory.  What training and inference share. */
#ifndef CLIPC_CLIP_NET_H
#define CLIPC_CLIP_NET_H

#include "clip/config.h"
#include "model/textnet.h"
#include "tensor/dtype.h"

typedef struct net {
    clip_cfg cfg; /* templates belong to whoever made the config */
    const image_ops *ops;
    void *image;
    textnet *text;
    float *logit_scale; /* the logarithm, as stored */
    float *logit_bias;  /* NULL unless the model has one */
    param_list params;
    dtype stored;     /* net_load: the weights' type in the file; DT_COUNT if several */
    weight_form form; /* of the weights in memory */
    arena mem;
} net;

/* Towers for cfg with zeroed memory behind every parameter; packed for TOWER_INFER.  For
 * gradients make a second one.  Free with net_free. */
int net_make(net **out, const clip_cfg *cfg, tower_mode mode, clipc_err *err);
void net_free(net *n);

/* Random weights; logit_scale = ln(1 / 0.07). */
void net_init(net *n, rng *r);

/* Loads every parameter from a folder in either layout.  Missing tensors, wrong shapes
 * and NaN or infinite weights are errors that name file and tensor. */
int net_load(net *n, const char *folder, const kernels *k, clipc_err *err);

/* Writes config and weights (plain ones: not TOWER_INFER) into a folder, in the layout of
 * cfg.layout; vocab.json and merges.txt too for LAYOUT_HF. */
int net_save(const net *n, const char *folder, dtype stored, const kernels *k,
             clipc_err *err);

/* The config of a folder, by what it holds. */
int net_config(clip_cfg *out, const char *folder, clipc_err *err);

#endif

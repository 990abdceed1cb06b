/* train/train_config.h -- the JSON config of a run, read and checked: see clipc_train.h
 * for the keys. */
#ifndef CLIPC_TRAIN_TRAIN_CONFIG_H
#define CLIPC_TRAIN_TRAIN_CONFIG_H

#include "clip/tokens.h"
#include "train/data.h"
#include "train/distill.h"
#include "train/evals.h"
#include "train/init.h"
#include "train/objective.h"

enum { SOURCES_MAX = 64, TABLE_KEYS = 3 };

typedef struct train_cfg {
    clip_cfg model;
    tokenizer tokenizer;     /* byte pairs: OpenAI's, or those of a folder, */
    token_files token_files; /* of which these were read */
    data_cfg data;           /* its pointers lead into the arrays below */
    char *paths[SOURCES_MAX];
    float weights[SOURCES_MAX];
    char *table_keys[TABLE_KEYS];
    dictionary *dictionary; /* NULL: none */
    char *val;              /* NULL: none */
    eval_list evals;
    init_cfg init;
    objective objective;
    logit_start logits;
    sample_order order;
    size_t epochs; /* 0: as many steps as it says */
    size_t steps, warmup, threads, log_every, save_every, keep, val_every, eval_every,
        val_samples, seed;
    /* With a locked tower; what is locked stands in model.image and model.text. */
    size_t lock_image_unlocked_groups, lock_text_unlocked_layers;
    char *distill; /* the teacher, or NULL */
    distill_kind distill_kind;
    char *distill_classes; /* DISTILL_CLASSES: a file */
    float distill_weight;
    bool cache_texts;        /* data.views: so many views of each picture */
    char *cache_dir;         /* NULL: inside the run's folder */
    uint64_t views;          /* what these depend on beside the model, as a number */
    float lr_image, lr_text; /* 0: lr */
    float ema;               /* decay of the weights' moving average; 0: none */
    float layer_decay;       /* of the rates, for each group away from the features */
    float lr, beta1, beta2, eps, weight_decay, grad_clip, logit_scale_max;
    dtype precision;
    size_t chunk;          /* pairs that the towers see at a time; 0: the batch */
    size_t hard_negatives; /* batches among whose samples are near ones; 0: none */
    bool recompute;
    size_t max_memory; /* bytes; 0: any */
} train_cfg;

int train_config_parse(train_cfg *out, const char *json, const char *where,
                       clipc_err *err);
void train_config_free(train_cfg *c);

#endif

/* task/eval_set.h -- labelled pictures and the classes that they are told apart by: a
 * JSON file with its list of pictures, or a WebDataset shard (clipc.h,
 * clipc_eval_zeroshot). */
#ifndef CLIPC_TASK_EVAL_SET_H
#define CLIPC_TASK_EVAL_SET_H

#include "base/json.h"
#include "io/shard.h"

typedef struct eval_sample {
    const char *name; /* path in `folder`; key in the shard */
    span picture;     /* in the shard; empty: a file */
    size_t label;
} eval_sample;

typedef struct eval_set {
    const char *path;
    char name[64];
    json_t *spec; /* NULL: a shard, which has no templates */
    char *folder;
    buf lines;
    shard shard;
    char **classes, **templates;
    size_t *set; /* [n_classes] the first of the classes that compete with this one */
    size_t n_classes, n_templates;
    eval_sample *samples;
    size_t n;
} eval_set;

/* At least one sample; path must live as long.  Free with eval_set_free. */
int eval_set_open(eval_set *v, const char *path, clipc_err *err);
void eval_set_free(eval_set *v);

#endif

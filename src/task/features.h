/* task/features.h -- the embeddings of a set's pictures, for whatever judges them. */
#ifndef CLIPC_TASK_FEATURES_H
#define CLIPC_TASK_FEATURES_H

#include "task/eval_set.h"

enum { FEATURES_CHUNK = 64 };

/* Of samples [at, at + n), n at most FEATURES_CHUNK: out [n,embed_dim], as
 * clipc_encode_image_files.  errs [n]: what is wrong with each. */
int features_chunk(float *out, clipc_ctx *c, const eval_set *v, size_t at, size_t n,
                   clipc_err *errs, clipc_err *err);

typedef struct features_progress {
    void (*on)(void *user, size_t done, size_t total); /* NULL: nobody listens */
    void (*on_failed)(void *user, const clipc_err *why);
    void *user;
    size_t done, total; /* pictures */
} features_progress;

/* n more are done; errs [n] as of features_chunk. */
void features_tell(features_progress *p, const clipc_err *errs, size_t n);

/* Of all samples: out [v->n,embed_dim]; failed [v->n] says whose rows are zeros instead.
 * Fails if all do. */
int features_all(float *out, bool *failed, clipc_ctx *c, const eval_set *v,
                 features_progress *p, clipc_err *err);

#endif

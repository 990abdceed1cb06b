/* train/evals.h -- the evaluations of a run's config, on the weights as they are: by
 * clipc_eval, on a model that is made of a copy of them.  They see no evaluation's code
 * but through clipc.h. */
#ifndef CLIPC_TRAIN_EVALS_H
#define CLIPC_TRAIN_EVALS_H

#include "clip/net.h"
#include "train/run_log.h"

typedef struct eval_list {
    char **paths; /* sets or JSON files, as clipc_eval takes them */
    size_t n;
} eval_list;

/* Key "eval" of a config: a path or a list of them, relative to dir (NULL: to where we
 * are); one that clipc_eval could not open is an error. */
int eval_list_parse(eval_list *l, const json_t *eval, const char *dir, const char *where,
                    clipc_err *err);
void eval_list_free(eval_list *l);

/* Bytes that they take, one after the other, but for the features of their pictures; n
 * needs no memory. */
int eval_list_bytes(size_t *bytes, const eval_list *l, const net *n, const tokenizer *t,
                    size_t threads, clipc_err *err);

/* Runs all of them and logs each.  One that fails is told by on_result, with r NULL, and
 * the next goes on; only what ends the run is an error. */
int eval_list_run(const eval_list *l, const net *n, const tokenizer *t, size_t threads,
                  run_log *log, size_t step, clipc_trainer_on_eval *on_result, void *user,
                  clipc_err *err);

#endif

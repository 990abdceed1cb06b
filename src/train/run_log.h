/* train/run_log.h -- log.jsonl of a run: one JSON object a line, each with its step.
 *
 * A start writes {"step", "steps", "batch", "units"}: steps done and planned, pairs a
 * step, and the unit of every number in the lines that follow ("1": a plain number or a
 * part of 1).  Steps, validations and evaluations have lines of their own. */
#ifndef CLIPC_TRAIN_RUN_LOG_H
#define CLIPC_TRAIN_RUN_LOG_H

#include <stdbool.h>
#include <stdio.h>

#include "clipc_train.h"

typedef struct run_log {
    char *path;
    FILE *file;
    size_t val_step, eval_step; /* of the last validation, evaluation in it; 0: none */
} run_log;

/* Opens folder/log.jsonl.  With `resume`, lines of steps after `step`, which will be done
 * again, are dropped, and half a line at the end; without it, all are. */
int run_log_open(run_log *l, const char *folder, bool resume, size_t step,
                 clipc_err *err);
void run_log_close(run_log *l);

int run_log_begin(const run_log *l, size_t step, size_t steps, size_t batch,
                  clipc_err *err);
int run_log_step(const run_log *l, const clipc_train_stats *s, clipc_err *err);
/* A broken sample, by name and reason. */
int run_log_broken(const run_log *l, size_t step, const char *why, clipc_err *err);
/* Of the weights and, unless it is NULL, of their moving average. */
int run_log_val(run_log *l, size_t step, const clipc_val_stats *s,
                const clipc_val_stats *averaged, clipc_err *err);
int run_log_eval(run_log *l, size_t step, const clipc_eval_result *r, clipc_err *err);

#endif

/* task/tasks.h -- the evaluations: each fills its part of a result that has its name. */
#ifndef CLIPC_TASK_TASKS_H
#define CLIPC_TASK_TASKS_H

#include "task/eval_spec.h"
#include "task/features.h"

/* The best of the classes' prompts for each picture; and what becomes of the answers from
 * a to b. */
int zeroshot_run(clipc_eval_result *r, clipc_ctx *c, const eval_spec *s,
                 features_progress *p, clipc_err *err);
int zeroshot_compare(clipc_eval_change *out, clipc_ctx *a, clipc_ctx *b,
                     const eval_spec *s, features_progress *p, clipc_err *err);

/* Pictures among the captions, captions among the pictures. */
int retrieval_run(clipc_eval_result *r, clipc_ctx *c, const eval_spec *s,
                  features_progress *p, clipc_err *err);

/* The score that 1 in 1000 of the pairs exceed that do not belong together. */
int mismatch_run(float *min_score, clipc_ctx *c, const eval_spec *s, features_progress *p,
                 clipc_err *err);

/* A linear classifier on features of s->train, as CLIP's paper has it (arXiv:2103.00020,
 * appendix A.3): features that the image tower gives, projected and not brought to unit
 * length, as in OpenAI's example; logistic regression by L-BFGS (task/logistic.h), whose
 * C is the best on a fifth of the pictures, held out at random, of those between 1e-6 and
 * 1e6: first two decades apart, then around the best at half the distance, four times. */
int probe_run(clipc_eval_result *r, clipc_ctx *c, const eval_spec *s,
              features_progress *p, clipc_err *err);

#endif

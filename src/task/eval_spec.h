/* task/eval_spec.h -- what one evaluation is: its task, its pictures, its classes; from a
 * JSON file or from a bare set and options (clipc.h, clipc_eval). */
#ifndef CLIPC_TASK_EVAL_SPEC_H
#define CLIPC_TASK_EVAL_SPEC_H

#include "base/json.h"
#include "task/eval_set.h"

typedef struct eval_spec {
    const char *path;
    char name[64];
    int task;         /* CLIPC_EVAL_* */
    double C;         /* linear probe; 0: to be found */
    json_t *json;     /* NULL: a bare set, for the model's own templates */
    char **templates; /* of the JSON file */
    size_t n_templates;
    char *train_path, *test_path;
    eval_classes classes;
    eval_set train; /* linear probe */
    eval_set test;
} eval_spec;

/* options: NULL for all defaults.  path and options must live as long.  Free with
 * eval_spec_free. */
int eval_spec_open(eval_spec *s, const char *path, const clipc_eval_options *options,
                   clipc_err *err);
void eval_spec_free(eval_spec *s);

#endif

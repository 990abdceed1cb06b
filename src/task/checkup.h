/* task/checkup.h -- clipc_check_model in parts: what is read off a model's files
 * (checkup_tensors.c, checkup_config.c) and what running it shows (checkup_run.c).  Each
 * part says what it finds through checkup_say; its return is CLIPC_ERR_MEMORY or the
 * like, never a finding. */
#ifndef CLIPC_TASK_CHECKUP_H
#define CLIPC_TASK_CHECKUP_H

#include "clip/net.h"

typedef struct checkup {
    clipc_checkup *sum;
    void (*on)(void *user, const clipc_finding *f);
    void *user;
    const kernels *k;
    size_t threads;
    bool broken; /* found what keeps the model from being run */
} checkup;

void checkup_say(checkup *c, int severity, const char *check, const char *fmt, ...)
    ATTR_PRINTF(4, 5);

/* The first few of a number of names: "a, b, c and 12 more". */
typedef struct few {
    char text[320];
    size_t n;
} few;

void few_add(few *f, const char *name);
/* The text with the number of those left out; f is used up. */
const char *few_text(few *f);

/* Missing, misshapen and unused tensors; values; the scale.  n by net_shape. */
int checkup_tensors(checkup *c, net *n, const model_source *s, clipc_err *err);
/* Activation, configs that contradict each other, preprocessing. */
int checkup_config(checkup *c, const model_source *s, clipc_err *err);
/* Tokenizer, embeddings of built-in inputs, memory, speed. */
int checkup_run(checkup *c, const clipc_model *m, clipc_err *err);

#endif

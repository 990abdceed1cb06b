/* train/budget.h -- how much memory a run takes, said by the layouts that then take it,
 * and how much of a batch passes the towers at a time so that it fits. */
#ifndef CLIPC_TRAIN_BUDGET_H
#define CLIPC_TRAIN_BUDGET_H

#include "base/json.h"
#include "train/pass.h"

/* Bytes. */
typedef struct budget {
    size_t program; /* what the process has already: the tokenizer, the data's index */
    size_t weights, gradients, moments, activations;
    size_t batches;  /* pictures and texts, made ahead */
    size_t held_out; /* validation's, its activations too */
    size_t near;     /* what hard negatives are found by; these and others 0: none */
    size_t teacher;
    size_t caches; /* features of locked towers, when all are kept */
    size_t evals;  /* but for features of their pictures */
} budget;

size_t budget_total(const budget *b);

/* Finds b->activations of a pass (whose net needs no memory), which is changed so that
 * all is within `most` bytes (0: any): as asked, else recomputing, else in smaller
 * chunks, as large as fit, recomputing if they would be too small.  CLIPC_ERR_MEMORY if
 * none fits. */
int budget_fit(budget *b, pass_cfg *how, net *n, size_t most, clipc_err *err);

/* "212 MiB of memory: weights 20, ..." */
void budget_print(char *out, size_t size, const budget *b, const pass_cfg *how);

/* The key "max_memory", bytes or "4G", K, M, G and T being powers of 1024; *out stays
 * where it is not there. */
int budget_limit(size_t *out, const json_t *config, const char *where, clipc_err *err);

#endif

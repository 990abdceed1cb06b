/* train/broken.h -- samples that are no good: how many, and the first by name and reason.
 */
#ifndef CLIPC_TRAIN_BROKEN_H
#define CLIPC_TRAIN_BROKEN_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { BROKEN_TOLD = 10 };

typedef struct broken {
    size_t n;
    clipc_err first[BROKEN_TOLD]; /* the first n, or all of them */
} broken;

/* One more, for the reason that err tells. */
void broken_add(broken *b, const clipc_err *why);

/* CLIPC_ERR_LIMIT where more are broken than `most` of `all`: a part of them if most is
 * below 1, else a number. */
int broken_check(const broken *b, double most, size_t all, clipc_err *err);

/* What workers run into, ahead of the step that is the first to know, and in any order:
 * kept until that step comes, so that a run tells the same however its threads ran. */
typedef struct fault {
    size_t step, place, sample;
    clipc_err why;
} fault;

typedef struct faults {
    fault *v;
    size_t n, cap;
    uint8_t *known; /* a bit a sample: it counts once */
} faults;

/* Of `samples` samples. */
int faults_init(faults *f, size_t samples, clipc_err *err);
size_t faults_bytes(size_t samples); /* of `known` */
void faults_free(faults *f);
int faults_add(faults *f, const fault *x, clipc_err *err);
/* What a checkpoint holds of them: the count with its first reasons, the known samples.
 */
typedef struct account {
    broken *broken;
    uint8_t *known; /* [bytes], of `samples` samples */
    size_t bytes, samples;
} account;

/* Moves those of steps up to this one to b, by step and place, where their sample is not
 * known yet. */
void faults_settle(faults *f, broken *b, size_t step);

#endif

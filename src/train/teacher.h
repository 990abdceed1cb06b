/* train/teacher.h -- a model that is distilled from: of any format that opens, with its
 * own tokenizer, size and constants.  It sees the student's texts and the same random
 * views, drawn anew at its own size (train/data.h). */
#ifndef CLIPC_TRAIN_TEACHER_H
#define CLIPC_TRAIN_TEACHER_H

#include "clip/net.h"
#include "train/data.h"

typedef struct teacher teacher;

/* For batches of B pairs. */
int teacher_open(teacher **out, const char *model, size_t B, const kernels *k,
                 clipc_err *err);
void teacher_close(teacher *t);

/* What it wants to see of each pair, for data_cfg; as long as it is open. */
const teacher_input *teacher_wants(const teacher *t);
/* How many numbers its features are; what to give exec_new. */
size_t teacher_dim(const teacher *t);
size_t teacher_scratch(const teacher *t);
/* Memory that it takes; of that so much is taken as soon as it is open. */
size_t teacher_bytes(const teacher *t, size_t *taken);

/* Its unit features of a batch's pictures [B,E], until the next call. */
const float *teacher_pictures(teacher *t, exec *e, const batch *b);
/* Of its texts likewise. */
const float *teacher_texts(teacher *t, exec *e, const batch *b);
/* exp(logit_scale) */
float teacher_scale(const teacher *t);

/* out [n,E] = those of any number of texts, ids as it wants them. */
void teacher_encode(teacher *t, exec *e, float *out, const int32_t *ids, size_t n);

#endif

/* train/classes.h -- classes by which a student learns to tell pictures apart as its
 * teacher does: each has texts, of one template or more, and a direction, that of the
 * mean of their unit features (as clipc_classifier). */
#ifndef CLIPC_TRAIN_CLASSES_H
#define CLIPC_TRAIN_CLASSES_H

#include "train/teacher.h"

typedef struct classes classes;

/* Reads a file: JSON with "classes" and, where it has any, "templates", as one for
 * clipc_eval (other keys are not looked at); or, if its name does not end in .json, a
 * class a line.  Without templates those of the student's model are taken; student must
 * live as long. */
int classes_open(classes **out, const char *path, const clip_cfg *student,
                 clipc_err *err);
void classes_free(classes *c);
size_t classes_count(const classes *c);

/* Memory for directions, of teacher_E numbers too; with bytes (not NULL) only how much.
 */
int classes_make(classes *c, size_t *bytes, size_t teacher_E, clipc_err *err);
/* Then the ids for the student and the teacher's directions. */
int classes_ask(classes *c, const tokenizer *student, teacher *t, exec *e,
                clipc_err *err);

/* The directions [count,E] of n's weights as they are, and zeroed gradients of those;
 * acts of its text tower, for up to `chunk` texts.  Once they are known of a tower that
 * does not learn, nothing is computed. */
void classes_fwd(classes *c, exec *e, const net *n, void *acts, size_t chunk,
                 bool learns);
/* Adds what the gradients of the directions make of the text tower's weights', for which
 * the texts pass it once more. */
void classes_bwd(classes *c, exec *e, const net *n, net *grads, void *acts, size_t chunk);

const float *classes_student(const classes *c); /* [count,E] */
const float *classes_teacher(const classes *c); /* [count,teacher_E] */
float *classes_grads(const classes *c);         /* [count,E] */

#endif

/* train/feature_rows.h -- features that somebody made already, instead of pictures: an
 * .npy of float32 rows [n,F], as a locked tower, or the first part of one
 * (model/tower.h), gives them, and beside it a .txt with a line of captions for each,
 * tabs between them. Rows stay in their file. */
#ifndef CLIPC_TRAIN_FEATURE_ROWS_H
#define CLIPC_TRAIN_FEATURE_ROWS_H

#include "base/file.h"

typedef struct feature_rows {
    char *path;
    span map;
    const float *v; /* [n,F], in it */
    size_t n, F;
} feature_rows;

/* Rows of other than F numbers are an error.  Free with feature_rows_free, also after a
 * failure. */
int feature_rows_open(feature_rows *r, const char *path, size_t F, clipc_err *err);
void feature_rows_free(feature_rows *r);

/* Row i, which is below n; CLIPC_ERR_NUMBER where it holds NaN or infinity. */
int feature_rows_get(const float **row, const feature_rows *r, size_t i, clipc_err *err);

#endif

/* train/survey.h -- what is known of each picture of a set, by looking at all of them. */
#ifndef CLIPC_TRAIN_SURVEY_H
#define CLIPC_TRAIN_SURVEY_H

#include "clipc_train.h"
#include "image/shrink.h"
#include "train/sources.h"

typedef struct seen {
    const char *format; /* NULL: broken */
    uint8_t hash[16];   /* of the decoded pixels */
    uint32_t w, h, bytes;
    bool alpha;
    size_t near;     /* the evaluation picture that is most like it, */
    double distance; /* and how much: shrink_distance; infinite without any */
} seen;

typedef struct survey {
    sources s, against;
    seen *v;                          /* [s.n] */
    uint8_t (*thumbs)[THUMB * THUMB]; /* [against.n] */
    bool *sound;                      /* [against.n] it has one */
    const clipc_stats_options *o;
} survey;

/* Indexes the set and what it is compared with, and decodes all; broken samples of the
 * set count in s.broken.  Free with survey_free, also after a failure. */
int survey_run(survey *v, const clipc_data_sources *of, const clipc_stats_options *o,
               clipc_err *err);
void survey_free(survey *v);

/* Numbers of all sound samples into order [s.n], sorted by hash, so that pictures with
 * the same pixels stand together; *n of them. */
int survey_by_hash(size_t *order, size_t *n, const survey *v, clipc_err *err);
/* Whether two sound pictures have the same pixels. */
bool survey_same(const survey *v, size_t a, size_t b);
/* Numbers of those nearer than o->near, nearest first; *n of them. */
int survey_near(size_t *order, size_t *n, const survey *v, clipc_err *err);

#endif

/* train/data.h -- batches of augmented pictures and tokenized captions, made by worker
 * threads ahead of the step that needs them.
 *
 * What sample k of batch s is depends on the seed, s and k alone: each draws from a
 * random stream of its own.  So batches are the same whatever the workers' number and
 * speed, and training resumed at step s sees what it would have seen. */
#ifndef CLIPC_TRAIN_DATA_H
#define CLIPC_TRAIN_DATA_H

#include "clip/tokens.h"
#include "image/augment.h"
#include "image/preprocess.h"
#include "train/dictionary.h"
#include "train/order.h"
#include "train/sampling.h"
#include "train/sources.h"

/* What another model is to see of each pair: the same view at its own size, the same
 * text by its own tokenizer. */
typedef struct teacher_input {
    const tokenizer *tokenizer;
    size_t context_length;
    preprocess_cfg preprocess;
} teacher_input;

typedef struct data_cfg {
    const char *const *sources; /* train/sources.h */
    const float *weights;       /* share of each source; NULL: by its number of samples */
    size_t n_sources;
    table_cfg tables;
    const char *const
        *templates; /* "a photo of a {}."; one drawn each time; n 0: as it is */
    size_t n_templates;
    bool shuffle;      /* train/sampling.h: each sample once an epoch, not drawn */
    double max_broken; /* train/broken.h: more of them end the run */
    float alternative; /* .25: chance of another caption than the first */
    const dictionary *dictionary; /* or NULL; by which captions are said otherwise */
    float dictionary_prob;        /* at that chance */
    bool in_order;                /* sample k of all, not one at random: for validation */
    const sample_order *order;    /* of samples in order; it begins again at its end */
    const tokenizer *tokenizer;   /* with an id for each of vocab_size or fewer */
    size_t batch, context_length, vocab_size, workers;
    uint64_t seed;
    size_t views;    /* of each picture; 0: it never looks the same twice */
    size_t features; /* with views: numbers of a ready row; 0: sources have none */
    preprocess_cfg preprocess;
    augment_cfg augment;
    double max_megapixels;
    const teacher_input *teacher; /* or NULL; not with views */
} data_cfg;

typedef struct batch {
    float *pixels;       /* [B,3,S,S]; NULL: no source has pictures */
    int32_t *ids;        /* [B,context_length] */
    uint64_t *caption;   /* [B] equal for equal captions (before templates and the
                            dictionary) */
    uint64_t *view;      /* [B] with data_cfg.views: the number of a view of a picture */
    const float **ready; /* [B] with data_cfg.features: a row of them instead of a
                            picture, or NULL */
    uint64_t *alike;     /* [B] the same, but of equal classes where samples have one */
    size_t *sample;      /* [B] which of all samples */
    size_t place;        /* of the first pair, counted from training's first */
    float *teacher_pixels; /* with data_cfg.teacher: as pixels and ids */
    int32_t *teacher_ids;
} batch;

typedef struct dataset dataset;

/* Indexes all sources; what cfg points to must stay. */
int dataset_index(dataset **out, const data_cfg *cfg, clipc_err *err);
/* Makes the batches' memory, dataset_batch_bytes of it, and starts the workers, which
 * begin with batch `first`. */
int dataset_start(dataset *d, size_t first, clipc_err *err);
size_t dataset_batch_bytes(const dataset *d);
/* Before the start: views that seen(user, view) knows, called by any thread, are not
 * made; their pixels are left as they are. */
void dataset_skip(dataset *d, bool (*seen)(void *user, uint64_t view), void *user);
/* Before the start, with data_cfg.shuffle: choose(user, sampling, samples [B], step)
 * says which samples batch `step` has.  Called by dataset_start and dataset_next. */
typedef void dataset_chooser(void *user, const sampling *s, size_t *samples, size_t step);
void dataset_choose(dataset *d, dataset_chooser *choose, void *user);
/* Indexes and starts. */
int dataset_open(dataset **out, const data_cfg *cfg, size_t first, clipc_err *err);
void dataset_close(dataset *d);

size_t dataset_count(const dataset *d); /* samples of all sources */

/* The next batch; valid until dataset_next is called again.  *waited is the seconds this
 * call had to wait.  A sample that cannot be decoded is replaced by another, drawn at
 * random; after many in a row, or with more than max_broken, the call fails. */
int dataset_next(const batch **out, dataset *d, double *waited, clipc_err *err);
/* Samples found to be broken so far, in the index or in a batch that was given out. */
const broken *dataset_broken(const dataset *d);
/* The same for a checkpoint; to be changed before the start. */
account dataset_account(dataset *d);

#endif

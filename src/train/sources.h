/* train/sources.h -- what there is to train on: an index of pictures with their captions.
 *
 * In memory are the captions, the names and some 40 bytes a sample; a picture stays in
 * its file until it is wanted, so that a set may be larger than memory and what is read
 * again comes from the system's cache.  Only compressed shards are held unpacked.
 *
 * A source is a path, or a pattern of braces (train/patterns.h), of
 *   shards    tar files (io/shard.h): a picture with captions in .txt or .json
 *   tables    .csv, .tsv: a record a picture, its path and its caption by the header's
 * names lists     .txt, .list: a source a line, relative to the list
 *   features  .npy, with a .txt beside it (train/feature_rows.h)
 *   folders   of any of these but lists and features; of pictures with a .txt or .json
 * beside them; or, if no picture in it has that, of classes: the name of the folder that
 * a picture lies in, underscores as spaces, is its caption */
#ifndef CLIPC_TRAIN_SOURCES_H
#define CLIPC_TRAIN_SOURCES_H

#include "io/shard.h"
#include "train/broken.h"
#include "train/captions.h"
#include "train/feature_rows.h"

/* open_clip's options of the same names. */
typedef struct table_cfg {
    const char *img_key;     /* "filepath" */
    const char *caption_key; /* "title" */
    const char *separator;   /* one character; NULL: a tab if the header has one, else a
                                comma */
    bool bare;               /* pictures need no captions: evaluation sets */
    size_t features;         /* numbers of a row of ready ones; 0: there are none */
} table_cfg;

struct clipc_data_sources;

/* With open_clip's defaults for what is NULL. */
table_cfg sources_tables(const struct clipc_data_sources *from);

typedef struct sample {
    uint64_t offset;   /* of the picture in its file; SAMPLE_ROW: number of the row */
    uint64_t texts;    /* offset of its name, behind which its captions follow */
    uint64_t class;    /* as captions have it */
    uint32_t size;     /* of the picture; 0: the whole file; SAMPLE_ROW: of which file */
    uint32_t shard;    /* which holds it; SAMPLE_LOOSE: the file that is its name;
                          SAMPLE_ROW: it is no picture but its features */
    uint16_t captions; /* how many; 1 or more, unless they are not needed */
    bool tint;         /* a monochrome drawing that may be coloured */
} sample;

enum { SAMPLE_LOOSE = UINT32_MAX, SAMPLE_ROW = UINT32_MAX - 1 };

typedef struct source_shard {
    char *path;
    shard unpacked; /* without samples if the file is not compressed */
} source_shard;

typedef struct sources {
    sample *v;
    size_t n, cap;
    size_t *ends; /* [n_sources] behind the last sample of each */
    size_t n_sources;
    source_shard *shards;
    size_t n_shards, cap_shards;
    feature_rows *rows;
    size_t n_rows, cap_rows;
    buf texts;
    broken broken; /* what could not be made a sample */
} sources;

/* Indexes n sources.  One that cannot be read at all, or holds no sample, is an error;
 * what is wrong with a single sample only counts in `broken`.  Free with sources_free,
 * also after a failure. */
int sources_open(sources *s, const char *const *paths, size_t n, const table_cfg *tables,
                 clipc_err *err);
void sources_free(sources *s);

/* Of the index and what is unpacked, in bytes. */
size_t sources_memory(const sources *s);

/* A sample's name: key in its shard, or path. */
const char *sources_name(const sources *s, const sample *x);
/* For messages: "shard: key", or the path. */
void sources_where(char *out, size_t size, const sources *s, const sample *x);
/* The i-th of its captions. */
const char *sources_caption(const sources *s, const sample *x, size_t i);

/* A picture's bytes: in `keep`, which is cleared first, or in an unpacked shard.  Threads
 * may read at the same time, each with a `keep` of its own. */
int sources_read(span *out, buf *keep, const sources *s, const sample *x, clipc_err *err);
/* The features of a sample of SAMPLE_ROW. */
int sources_row(const float **row, const sources *s, const sample *x, clipc_err *err);

#endif

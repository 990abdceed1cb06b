/* index/batch.h -- some files at a time: read, known again by their content or encoded,
 * and put into the index as one write. */
#ifndef CLIPC_INDEX_BATCH_H
#define CLIPC_INDEX_BATCH_H

#include <sys/stat.h>

#include "base/file.h"
#include "image/facts.h"
#include "index/index.h"

enum { BATCH = 32 }; /* files */

typedef enum batch_state {
    BATCH_BUSY,   /* changed while it was read: nothing is put */
    BATCH_FAILED, /* why */
    BATCH_KNOWN,  /* its content has a vector, or gets one in this batch */
    BATCH_NEW     /* row */
} batch_state;

typedef struct batch_file {
    const char *key;
    batch_state state;
    bool was_read; /* bytes, size, st, hash and facts hold */
    buf bytes;
    size_t size; /* of the file */
    struct stat st;
    store_hash hash;
    image_facts facts;
    clipc_err why;
    const float *row;
} batch_file;

typedef struct batch {
    batch_file v[BATCH];
    size_t n;
    float *rows; /* [BATCH,dim] */
} batch;

int batch_init(batch *b, size_t dim, clipc_err *err);
void batch_free(batch *b);

/* Reads file i of that path, which lives as long as the batch's turn. */
void batch_read(batch *b, size_t i, const char *path);
/* What the bytes of file i, which are there, tell. */
void batch_look(batch *b, size_t i);
/* Finds the vectors of the files that were read, or makes them. */
int batch_encode(batch *b, clipc_index *x, clipc_ctx *ctx, clipc_err *err);
/* What the index is to hold of a file. */
store_item batch_item(const batch_file *f, const clipc_index *x, const char *meta);
/* Puts the items, those that failed too, with `meta` (NULL: none), as one write. */
int batch_put(const batch *b, clipc_index *x, const char *meta, clipc_err *err);

#endif

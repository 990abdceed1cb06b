/* train/feature_cache.h -- rows of numbers by key, in a mapped file that grows: what a
 * tower that does not learn makes of its inputs, computed once.
 *
 *   file     64 bytes: "clipcfeatures1", at 16 the signature, at 24 the row's length E;
 *            then records
 *   record   key, check (of key and numbers), E floats
 *
 * A record that a crash tore has another check: it and what is behind it is free again.
 * A file is one process's at a time. */
#ifndef CLIPC_TRAIN_FEATURE_CACHE_H
#define CLIPC_TRAIN_FEATURE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct feature_cache feature_cache;

/* Opens a file or makes it, with its folder.  CLIPC_ERR_FORMAT says that it is of another
 * signature or length. */
int feature_cache_open(feature_cache **out, const char *path, uint64_t signature,
                       size_t E, clipc_err *err);
void feature_cache_close(feature_cache *c);

/* Bytes of so many records of E numbers, and of their table. */
size_t feature_cache_bytes(size_t records, size_t E);

size_t feature_cache_count(const feature_cache *c);
/* Any thread may ask. */
bool feature_cache_has(feature_cache *c, uint64_t key);
/* [E], until the next put; NULL: there is none.  Of the thread that puts. */
const float *feature_cache_get(feature_cache *c, uint64_t key);
/* Keeps a row; one of a key that is there already is left as it is. */
int feature_cache_put(feature_cache *c, uint64_t key, const float *row, clipc_err *err);

#endif

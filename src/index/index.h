/* index/index.h -- an open index from inside. */
#ifndef CLIPC_INDEX_INDEX_H
#define CLIPC_INDEX_INDEX_H

#include <pthread.h>

#include "clipc_index.h"
#include "store/store.h"

struct clipc_index {
    char *folder;
    store *s;             /* one thread's at a time: under the lock */
    exec *e;              /* the scan's; likewise */
    pthread_mutex_t lock; /* held for a batch, never while pictures are encoded */
    int64_t root;         /* of all items; 0: an empty index that is only read */
    int64_t space;        /* of the handle's model; 0: likewise */
    size_t dim;
    bool read_only;
    size_t searched; /* times, that a graph would have answered */
};

/* The root's path: keys are absolute paths, or what callers choose. */
#define INDEX_ROOT "items"

void index_lock(clipc_index *x);
void index_unlock(clipc_index *x);

/* Locks and begins a write; on success end with index_write_end, which commits or, if rc
 * is a failure, takes all of it back, and returns the first failure. */
int index_write_begin(clipc_index *x, clipc_err *err);
int index_write_end(clipc_index *x, int rc, clipc_err *err);

/* XXH3-128. */
store_hash content_hash(const void *data, size_t size);

static inline store_bytes bytes_of(const char *text, size_t len)
{
    return (store_bytes){text, len};
}

/* Items of a file, a video's later pictures too, or below a folder (NULL: all), in order
 * of key.  fn as for store_each_item; under the lock. */
int index_each_below(clipc_index *x, const char *folder, store_filter f, store_item_fn fn,
                     void *arg, clipc_err *err);
/* Within a write: the later pictures of a video go (index/frames.h). */
int index_remove_frames(clipc_index *x, const char *path, clipc_err *err);

#endif

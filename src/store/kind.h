/* store/kind.h -- where a store is kept: each kind has these functions of store.h.  For
 * store/ alone. */
#ifndef CLIPC_STORE_KIND_H
#define CLIPC_STORE_KIND_H

#include "base/buf.h"
#include "store/store.h"

typedef struct store_kind {
    void (*close)(store *s);
    int (*begin)(store *s, clipc_err *err);
    int (*commit)(store *s, clipc_err *err);
    void (*rollback)(store *s);
    int (*bytes)(store *s, uint64_t *bytes, clipc_err *err);

    int (*root_add)(store *s, int64_t *id, store_bytes path, clipc_err *err);
    int (*root_set_meta)(store *s, int64_t id, const char *meta, clipc_err *err);
    int (*root_remove)(store *s, int64_t id, clipc_err *err);
    int (*each_root)(store *s, int (*fn)(void *arg, const store_root *root), void *arg,
                     clipc_err *err);

    int (*space_find)(store *s, int64_t *id, const store_hash *fingerprint,
                      clipc_err *err);
    int (*space_add)(store *s, int64_t *id, const store_space *want, clipc_err *err);
    int (*space_head)(store *s, store_space *out, int64_t id, clipc_err *err);
    int (*space_get)(store *s, store_space *out, int64_t id, clipc_err *err);
    int (*space_remove)(store *s, int64_t id, clipc_err *err);
    int (*each_space)(store *s, int (*fn)(void *arg, const store_space *space), void *arg,
                      clipc_err *err);

    int (*item_put)(store *s, int64_t *id, const store_item *item, clipc_err *err);
    int (*item_remove)(store *s, int64_t id, clipc_err *err);
    int (*item_move)(store *s, int64_t id, int64_t root, store_bytes key, clipc_err *err);
    int (*each_item)(store *s, const store_filter *f, store_item_fn fn, void *arg,
                     clipc_err *err);

    int (*vector_find)(store *s, uint64_t *slot, bool *there, int64_t space,
                       const store_hash *hash, clipc_err *err);
    int (*vector_put)(store *s, int64_t space, const store_hash *hash, const float *row,
                      clipc_err *err);
    int (*vector_get)(store *s, float *row, store_hash *hash, int64_t space,
                      uint64_t slot, clipc_err *err);
    int (*each_item_of)(store *s, int64_t space, uint64_t slot, store_item_fn fn,
                        void *arg, clipc_err *err);
    /* NULL: scanned instead. */
    int (*search)(store *s, const store_query *q, store_scored_fn fn, void *arg,
                  clipc_err *err);
} store_kind;

/* A folder on this machine. */
extern const store_kind disk_kind;
int disk_open(store **out, const char *folder, store_mode mode, clipc_err *err);

/* A database of a PostgreSQL server. */
extern const store_kind pg_kind;
int pg_open(store **out, const char *url, store_mode mode, clipc_err *err);

/* What several kinds share: CLIPC_ERR_ARG or CLIPC_ERR_LIMIT for a space that none can
 * have; the first bytes behind all that begin with a prefix, empty if there are none. */
int store_check_space(const char *name, const store_space *want, clipc_err *err);
int store_behind_prefix(buf *out, store_bytes prefix, clipc_err *err);

#endif

/* store/pgstore.h -- a store in a PostgreSQL database with pgvector, from inside.  The
 * tables are described in FORMAT.md; a space's vectors are a table of their own, for an
 * HNSW index is of one length.
 *
 * What is put within a transaction is gathered in the form that COPY takes, and sent when
 * there is enough of it, before the transaction reads, and before it commits: into
 * temporary tables, and from there in order of key, so that two writers wait for each
 * other and do not lock each other out.  For store/ alone, built with libpq only. */
#ifndef CLIPC_STORE_PGSTORE_H
#define CLIPC_STORE_PGSTORE_H

#include "store/catalogue.h"
#include "store/pglink.h"

/* A space's table. */
typedef struct pg_space {
    int64_t id; /* 0: none */
    size_t dim;
    dtype type;
    const char *sql_type; /* "halfvec" or "vector" */
} pg_space;

struct pg {
    pglink link;
    pg_space space;     /* the last one that was asked for */
    buf items, vectors; /* what COPY is to take; empty: nothing */
    int64_t vectors_of; /* the space of those vectors */
    unsigned cursors;   /* made so far */
    char model[VECTORS_MODEL_MOST + 1];
};

/* Tables that are wanted and not there are made: pgtables.c. */
int pg_make_tables(struct pg *p, clipc_err *err);
/* CLIPC_ERR_IO: there is no index; CLIPC_ERR_FORMAT: it is of another version. */
int pg_check_tables(struct pg *p, bool *there, clipc_err *err);

/* The table of a space, from memory if it was asked for before. */
int pg_space_of(struct pg *p, pg_space *out, int64_t id, clipc_err *err);
int pg_space_find(store *s, int64_t *id, const store_hash *fingerprint, clipc_err *err);
int pg_space_add(store *s, int64_t *id, const store_space *want, clipc_err *err);
int pg_space_head(store *s, store_space *out, int64_t id, clipc_err *err);
int pg_space_get(store *s, store_space *out, int64_t id, clipc_err *err);
int pg_space_remove(store *s, int64_t id, clipc_err *err);
int pg_each_space(store *s, int (*fn)(void *arg, const store_space *space), void *arg,
                  clipc_err *err);

/* ---- pgitems.c ---- */

/* Of a table or a view "i", in the order of pg_item. */
#define PG_ITEM_COLUMNS                                                         \
    "i.id, i.root, i.key, i.size, i.mtime, i.inode, i.hash, i.width, i.height," \
    " i.time, i.orientation, i.meta, i.error"
enum { PG_ITEM_N = 13 };
store_item pg_item(const pg_rows *rows, int row);

int pg_item_put(store *s, int64_t *id, const store_item *item, clipc_err *err);
int pg_item_remove(store *s, int64_t id, clipc_err *err);
int pg_item_move(store *s, int64_t id, int64_t root, store_bytes key, clipc_err *err);
int pg_each_item(store *s, const store_filter *f, store_item_fn fn, void *arg,
                 clipc_err *err);
int pg_vector_find(store *s, uint64_t *slot, bool *there, int64_t space,
                   const store_hash *hash, clipc_err *err);
int pg_vector_put(store *s, int64_t space, const store_hash *hash, const float *row,
                  clipc_err *err);
int pg_vector_get(store *s, float *row, store_hash *hash, int64_t space, uint64_t slot,
                  clipc_err *err);
int pg_each_item_of(store *s, int64_t space, uint64_t slot, store_item_fn fn, void *arg,
                    clipc_err *err);
/* Sends what was put. */
int pg_settle(struct pg *p, clipc_err *err);
/* " AND i.key ..": keys that begin with prefix, if its size is not 0; `behind` lives
 * until the statement has run. */
int pg_where_prefix(buf *sql, pg_args *a, buf *behind, store_bytes prefix,
                    clipc_err *err);

/* ---- pgsearch.c ---- */

int pg_search(store *s, const store_query *q, store_scored_fn fn, void *arg,
              clipc_err *err);

#endif

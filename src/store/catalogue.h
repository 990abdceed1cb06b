/* store/catalogue.h -- the catalogue's database: opened, its tables, its statements, and
 * what all of store/ knows of a store.  For store/ alone. */
#ifndef CLIPC_STORE_CATALOGUE_H
#define CLIPC_STORE_CATALOGUE_H

#include <sqlite3.h>

#include "store/kind.h"
#include "store/vectors.h"

/* Statements that are prepared once. */
typedef enum statement {
    SQL_ROOT_FIND,
    SQL_ROOT_ADD,
    SQL_ROOT_SET_META,
    SQL_ROOT_REMOVE,
    SQL_ROOT_CLEAR,
    SQL_SPACE_FIND,
    SQL_SPACE_ADD,
    SQL_SPACE_GET,
    SQL_SPACE_USED,
    SQL_SPACE_GROW,
    SQL_SPACE_REMOVE,
    SQL_SPACE_CLEAR,
    SQL_SPACE_RENEW,
    SQL_ITEM_PUT,
    SQL_ITEM_REMOVE,
    SQL_ITEM_REMOVE_KEY,
    SQL_ITEM_MOVE,
    SQL_VECTOR_FIND,
    SQL_VECTOR_ADD,
    SQL_VECTOR_DROP,
    SQL_COUNT
} statement;

struct approx;

/* A space's file, while the catalogue names it so. */
typedef struct space_file {
    int64_t id, generation;
    vectors v;
    struct approx *near; /* FAISS's of these vectors; NULL: not loaded */
} space_file;

struct store {
    const store_kind *kind;
    struct pg *pg; /* of a server, which beside this has a name alone: */
    char *folder;
    store_mode mode;
    bool begun;
    sqlite3 *db;
    const kernels *k;
    sqlite3_stmt *prepared[SQL_COUNT]; /* NULL: not yet */
    space_file *files;
    size_t n_files;
    char model[VECTORS_MODEL_MOST + 1]; /* what store_space_get shows */
};

/* Records what SQLite says went wrong, and returns the code for it. */
int catalogue_error(const store *s, clipc_err *err);

/* A statement ready for its parameters; NULL and *err if it could not be made. */
sqlite3_stmt *catalogue_ready(store *s, statement which, clipc_err *err);
/* The same of a text, for sqlite3_finalize. */
sqlite3_stmt *catalogue_prepare(store *s, const char *sql, clipc_err *err);
/* The next row: *row false behind the last, when the statement is reset. */
int catalogue_step(store *s, sqlite3_stmt *st, bool *row, clipc_err *err);
/* A statement that gives no rows, or of which none are wanted. */
int catalogue_run(store *s, sqlite3_stmt *st, clipc_err *err);
int catalogue_exec(store *s, const char *sql, clipc_err *err);

void catalogue_bind(sqlite3_stmt *st, int i, store_bytes b);
void catalogue_bind_hash(sqlite3_stmt *st, int i, const store_hash *hash);
store_bytes catalogue_bytes(sqlite3_stmt *st, int column);
/* False: it is NULL, or no hash. */
bool catalogue_hash(store_hash *out, sqlite3_stmt *st, int column);

/* One state of the catalogue for what follows: *own says that catalogue_release is to end
 * what store_begin had not begun. */
int catalogue_hold(store *s, bool *own, clipc_err *err);
void catalogue_release(store *s, bool own);

/* A new, empty catalogue in the folder of s, or the one that is there. */
int catalogue_open(store *s, bool create, clipc_err *err);
void catalogue_close(store *s);
#define CATALOGUE_NAME "catalogue.db"
enum { CATALOGUE_BUSY_MS = 5000 };

/* ---- nearest.c ---- */

/* The best first, equal ones by slot. */
void hits_sort(store_hit *hits, size_t n);
/* Scores hits by the stored vectors, all in one way, and brings them into order. wide
 * [dim] is scratch. */
void hits_rank(store_hit *hits, size_t n, const vectors *v, const kernels *k,
               const float *query, float *wide);
/* CLIPC_ERR_NUMBER: a query [dim] of Q holds what is none. */
int queries_check(const kernels *k, const float *queries, size_t Q, size_t dim,
                  clipc_err *err);

/* What a search sees of a space: its file, one state of it, and which slots are asked. */
typedef struct space_view {
    store *s;
    space_file *f;
    const slot_set *among;
    slot_set used; /* all that an item has, where none are named */
    bool own;
} space_view;

/* among: NULL for all; CLIPC_ERR_ARG: slots of a later state.  To be closed in any case.
 */
int space_view_open(space_view *v, store *s, int64_t space, const slot_set *among,
                    clipc_err *err);
void space_view_close(space_view *v);

/* ---- items.c ---- */

/* An empty set of slots. */
int slot_set_new(slot_set *set, uint64_t slots, clipc_err *err);

/* ---- spaces.c ---- */

/* The file of a space and how many slots of it are in use, as the catalogue has it. */
int space_open(store *s, space_file **out, store_space *space, int64_t id,
               clipc_err *err);
/* The catalogue's row; the name of the model lies in the store, until the next call. */
int space_row(store *s, store_space *out, int64_t *generation, int64_t id,
              clipc_err *err);
/* CLIPC_ERR_FORMAT: a file holds other vectors than a space. */
int space_fits(const vectors *v, const store_space *space, clipc_err *err);
void spaces_close(store *s);
/* "folder/ID.GENERATION.vectors" and an ending, malloc'd; NULL when memory is out. */
char *space_path(const store *s, int64_t id, int64_t generation, const char *ending);
#define SPACE_UNFINISHED ".tmp" /* what compaction still writes */
/* After a file was made there: its name outlives the machine's fall only so. */
int space_sync_folder(const store *s, clipc_err *err);
/* Calls fn for each file in the folder that is named so. */
int spaces_each_file(const char *folder,
                     int (*fn)(void *arg, int64_t id, int64_t generation), void *arg,
                     clipc_err *err);
/* Removes files that the catalogue names no more, or names not yet. */
void spaces_tidy(store *s);

/* ---- what disk_kind has ---- */

int disk_begin(store *s, clipc_err *err);
int disk_commit(store *s, clipc_err *err);
void disk_rollback(store *s);
void disk_close(store *s);
int disk_root_add(store *s, int64_t *id, store_bytes path, clipc_err *err);
int disk_root_set_meta(store *s, int64_t id, const char *meta, clipc_err *err);
int disk_root_remove(store *s, int64_t id, clipc_err *err);
int disk_each_root(store *s, int (*fn)(void *arg, const store_root *root), void *arg,
                   clipc_err *err);
int disk_item_put(store *s, int64_t *id, const store_item *item, clipc_err *err);
int disk_item_remove(store *s, int64_t id, clipc_err *err);
int disk_item_move(store *s, int64_t id, int64_t root, store_bytes key, clipc_err *err);
int disk_each_item(store *s, const store_filter *f, store_item_fn fn, void *arg,
                   clipc_err *err);
int disk_space_find(store *s, int64_t *id, const store_hash *fingerprint, clipc_err *err);
int disk_space_add(store *s, int64_t *id, const store_space *want, clipc_err *err);
int disk_space_head(store *s, store_space *out, int64_t id, clipc_err *err);
int disk_space_get(store *s, store_space *out, int64_t id, clipc_err *err);
int disk_space_remove(store *s, int64_t id, clipc_err *err);
int disk_each_space(store *s, int (*fn)(void *arg, const store_space *space), void *arg,
                    clipc_err *err);
int disk_vector_find(store *s, uint64_t *slot, bool *there, int64_t space,
                     const store_hash *hash, clipc_err *err);
int disk_vector_put(store *s, int64_t space, const store_hash *hash, const float *row,
                    clipc_err *err);
int disk_vector_get(store *s, float *row, store_hash *hash, int64_t space, uint64_t slot,
                    clipc_err *err);
int disk_each_item_of(store *s, int64_t space, uint64_t slot, store_item_fn fn, void *arg,
                      clipc_err *err);

#endif

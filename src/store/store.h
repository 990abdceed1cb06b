/* store/store.h -- an index: what items there are (files, or whatever its
 * user gives keys to), and the vectors of their contents.
 *
 * A folder holds a catalogue, an SQLite database, and beside it one file of vectors for
 * each space; or a PostgreSQL server holds tables with all of it (FORMAT.md).  A space is
 * where the vectors of one model lie, float16 unless it was made otherwise; several lie
 * side by side.
 *
 *   root    where items come from: a folder, say; its path is bytes
 *   item    key within its root (a path's bytes), what tells whether it changed, the
 *           hash of its content, what filters want to know, or why it failed
 *   vector  of a content, by its hash: items of the same content share it.  Its slot, the
 *           place in its space's file, is never given to another; vectors that no item
 *           has any more are kept, and found again, until the space is compacted
 *
 * A store is one thread's at a time; any number may be open, in any number of processes,
 * and one of them may write at a time, to a server several.  What belongs together is
 * done between store_begin and store_commit: of a writer it is there as a whole or not at
 * all, whatever ends the process; a reader sees one state of the index.  Functions
 * outside do so each for itself. Functions that change something must be within a
 * writer's.
 *
 * What callbacks and store_space get points into the store, until they return and until
 * the next call.  A callback may read other things from the store; not change it.  It
 * returns CLIPC_OK to go on; all else ends the walk, which returns it. */
#ifndef CLIPC_STORE_STORE_H
#define CLIPC_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "clipc_index.h"
#include "tensor/dtype.h"
#include "tensor/exec.h"

typedef struct store store;

/* Of a content or a model: whatever the caller takes for one. */
typedef struct store_hash {
    uint8_t byte[16];
} store_hash;

/* Bytes that need no NUL. */
typedef struct store_bytes {
    const void *data;
    size_t size;
} store_bytes;

/* ---- opening ---- */

/* STORE_READ needs an index that is there, STORE_WRITE makes a missing one with its
 * folders.  One that has lost its catalogue, or a part of its vectors, is
 * CLIPC_ERR_FORMAT: store_repair. */
typedef enum store_mode { STORE_READ, STORE_WRITE } store_mode;

/* place: a folder, or a database's address, "postgresql://USER@HOST/DATABASE". */
int store_open(store **out, const char *place, store_mode mode, clipc_err *err);
void store_close(store *s);
bool store_is_url(const char *place);
/* For messages: the place, without the password that an address may hold. */
const char *store_name(const store *s);
/* That it takes, all of it. */
int store_bytes_of(store *s, uint64_t *bytes, clipc_err *err);

/* Whether a folder holds an index, sound or not. */
bool store_exists(const char *folder);

/* CLIPC_ERR_EXISTS: another process has been writing for five seconds. */
int store_begin(store *s, clipc_err *err);
/* After a failure nothing of it is there, and the store as it was before. */
int store_commit(store *s, clipc_err *err);
/* What follows a failure between the two.  Also where nothing was begun. */
void store_rollback(store *s);

/* ---- roots ---- */

typedef struct store_root {
    int64_t id;
    store_bytes path;
    const char *meta; /* the caller's, JSON; NULL: none */
    uint64_t items;
} store_root;

/* The root of that path, made if missing. */
int store_root_add(store *s, int64_t *id, store_bytes path, clipc_err *err);
int store_root_set_meta(store *s, int64_t id, const char *meta, clipc_err *err);
/* And all its items. */
int store_root_remove(store *s, int64_t id, clipc_err *err);
int store_each_root(store *s, int (*fn)(void *arg, const store_root *root), void *arg,
                    clipc_err *err);

/* ---- spaces ---- */

typedef struct store_space {
    int64_t id;
    const char *model;
    store_hash fingerprint;
    size_t dim;
    dtype type;     /* DT_F16, DT_F32 or DT_I8, which has a scale for each row */
    uint64_t slots; /* in its file; the largest slot + 1 */
    uint64_t used;  /* vectors that an item has */
} store_space;

/* The model's space, by its fingerprint alone; *id is 0 if there is none. */
int store_space_find(store *s, int64_t *id, const store_hash *fingerprint,
                     clipc_err *err);
/* Makes one.  want: all but id, slots and used. */
int store_space_add(store *s, int64_t *id, const store_space *want, clipc_err *err);
int store_space_get(store *s, store_space *out, int64_t id, clipc_err *err);
/* The same without `used`, which takes long to count where there are many. */
int store_space_head(store *s, store_space *out, int64_t id, clipc_err *err);
/* And all its vectors. */
int store_space_remove(store *s, int64_t id, clipc_err *err);
/* In the order they were made. */
int store_each_space(store *s, int (*fn)(void *arg, const store_space *space), void *arg,
                     clipc_err *err);

/* ---- items ---- */

typedef struct store_item {
    int64_t id; /* given by store_item_put; never given again */
    int64_t root;
    store_bytes key;
    int64_t size, mtime; /* bytes; nanoseconds since 1970 */
    uint64_t inode;
    bool hashed; /* whether hash is known */
    store_hash hash;
    int64_t width, height; /* as shown; 0: not known */
    int64_t time;          /* seconds since 1970: EXIF's, or the file's */
    int64_t orientation;   /* EXIF's 1 to 8; 0: not known */
    const char *meta;      /* the caller's, JSON; NULL: none */
    const char *error;     /* why it has no vector; NULL: nothing is wrong */
    const float *row;      /* of a walk with row_of: its vector there; NULL: none */
} store_item;

typedef int (*store_item_fn)(void *arg, const store_item *item);

/* Adds an item or replaces the one of its root and key, which keeps its id.  *id may be
 * NULL.  What it points to is copied. */
int store_item_put(store *s, int64_t *id, const store_item *item, clipc_err *err);
/* Not being there is no error. */
int store_item_remove(store *s, int64_t id, clipc_err *err);
/* Gives it another root or key (a file that was moved); one that is there makes way. */
int store_item_move(store *s, int64_t id, int64_t root, store_bytes key, clipc_err *err);

/* Which items.  Zeroed: all. */
typedef struct store_filter {
    int64_t root;           /* 0: any */
    store_bytes key;        /* with root: this key alone; data NULL: any */
    store_bytes prefix;     /* with root: keys that begin so */
    const store_hash *hash; /* of this content; NULL: any */
    int64_t missing_in; /* a space: items with a hash that have no vector there; 0: any */
    bool failed;        /* those with an error alone */
    int64_t row_of;     /* a space whose vectors come with the items; 0: none */
    /* Called last, for what the others let through; NULL: all of it. */
    bool (*accept)(void *arg, const store_item *item);
    void *arg;
} store_filter;

/* Each item that f (NULL: all) lets through.  With a root in the order of keys, compared
 * byte by byte. */
int store_each_item(store *s, const store_filter *f, store_item_fn fn, void *arg,
                    clipc_err *err);

/* ---- vectors ---- */

/* The slot of a content's vector; *there false, and not an error, without one. */
int store_vector_find(store *s, uint64_t *slot, bool *there, int64_t space,
                      const store_hash *hash, clipc_err *err);
/* Keeps a content's vector [dim]; of one that is there already nothing changes.
 * CLIPC_ERR_NUMBER: it holds what the space's type cannot. */
int store_vector_put(store *s, int64_t space, const store_hash *hash, const float *row,
                     clipc_err *err);
/* A slot's vector [dim], as the file kept it, and its content. hash may be NULL. */
int store_vector_get(store *s, float *row, store_hash *hash, int64_t space, uint64_t slot,
                     clipc_err *err);
/* The items of a slot's content. */
int store_each_item_of(store *s, int64_t space, uint64_t slot, store_item_fn fn,
                       void *arg, clipc_err *err);

/* ---- a search by the store itself ---- */

/* Whether it does that; of others the slots are selected and scanned, which of this one
 * they are not. */
bool store_searches(const store *s);

typedef struct store_query {
    int64_t root, space;
    store_bytes prefix;                  /* of keys; size 0: any */
    const float *vector;                 /* [dim], of unit length */
    const clipc_index_search_options *o; /* but for folder and min_score */
} store_query;

typedef int (*store_scored_fn)(void *arg, const store_item *item, float score);

/* The items of the o->k largest inner products, largest first, of those that the query
 * lets through; found by the server's HNSW index, or exactly where that gives too few. */
int store_search(store *s, const store_query *q, store_scored_fn fn, void *arg,
                 clipc_err *err);

/* ---- slots, of an index in a folder ---- */

/* Slots, a bit for each: slot i is bit i % 64 of bits[i / 64]. */
typedef struct slot_set {
    uint64_t *bits;
    uint64_t slots, count; /* bits there are; that are set */
} slot_set;

void slot_set_free(slot_set *set);
/* Slots whose content an item has that f (NULL: all) lets through. */
int store_select(store *s, slot_set *out, int64_t space, const store_filter *f,
                 clipc_err *err);

/* ---- the exact scan ---- */

typedef struct store_hit {
    uint64_t slot;
    float score; /* the inner product with the stored vector, in float32 */
} store_hit;

/* For each of Q queries [Q,dim] the k slots of the largest inner products, largest
 * first, equal ones by slot.  `among` (NULL: all that an item has) limits the slots.
 *   hits    [Q,k]  out
 *   n_hits  [Q]    out: how many there are, fewer than k where slots are
 * The same for any number of threads; for any Q, but for slots at the end whose scores
 * differ by rounding alone.  x may be the caller's for other things as well. */
int store_scan(store *s, exec *x, store_hit *hits, size_t *n_hits, int64_t space,
               const float *queries, size_t Q, size_t k, const slot_set *among,
               clipc_err *err);

/* ---- the approximate search ---- */

/* By FAISS, an optional library: an index of a space's vectors in a file of its own,
 * which answers without reading most of them.  It is as good as it was when it was made:
 * vectors that came later are scanned, and those that no item has are passed over. */
typedef enum approx_kind { APPROX_HNSW, APPROX_IVF_PQ } approx_kind;

/* What the file of a space says of itself. */
typedef struct store_approx {
    approx_kind kind;
    uint64_t vectors; /* that it holds */
    uint64_t slots;   /* of the state it covers: all that an item had below */
    uint64_t trained; /* how many it held when it was made anew */
    uint64_t bytes;
    size_t effort; /* of a search: vectors of a graph, or lists, that are looked at */
    double recall; /* the part of the exact scan's 10 best that it found, in the mean */
} store_approx;

/* CLIPC_ERR_IO: there is no file; CLIPC_ERR_FORMAT: it is damaged, or of another space;
 * one line either way. */
int store_approx_get(store *s, store_approx *out, int64_t space, clipc_err *err);

/* As store_scan for one query.  Scores are those of the stored vectors.  Failures are
 * those of store_approx_get, and CLIPC_ERR_IO where FAISS is not installed. */
int store_near(store *s, exec *x, store_hit *hits, size_t *n_hits, int64_t space,
               const float *query, size_t k, const slot_set *among, clipc_err *err);

/* What there is to do for the file of a space. */
typedef enum approx_need { APPROX_SOUND, APPROX_GROW, APPROX_ANEW } approx_need;

typedef struct store_approx_options {
    const approx_kind *kind; /* NULL: the one that is there, else by size */
    uint64_t least;          /* a space of fewer vectors gets none */
    bool due;                /* only if so much has changed that it is worth it */
    int (*stop)(void *user); /* asked between pieces; NULL: never */
    void (*on_progress)(void *user, size_t done, size_t total); /* NULL allowed */
    void *user;
} store_approx_options;

typedef struct store_approx_built {
    approx_need did;
    store_approx is;
    double seconds;
    double exact_ms, near_ms; /* one query */
} store_approx_built;

/* Whether store_approx_build would do anything. */
int store_approx_needs(store *s, approx_need *out, int64_t space,
                       const store_approx_options *o, clipc_err *err);
/* Makes the file of a space, adds to it what is new, or makes it anew if too much of it
 * is gone.  Outside of store_begin, of a store that need only be read; others go on
 * reading and writing.  CLIPC_ERR_EXISTS: another process is at it; CLIPC_ERR_STOPPED. */
int store_approx_build(store *s, exec *x, store_approx_built *out, int64_t space,
                       const store_approx_options *o, clipc_err *err);

/* When that began last, for whichever space; seconds since 1970, 0: never. */
int64_t store_approx_began(const store *s);

/* ---- care ---- */

/* What is wrong with an index; sums over all spaces. */
typedef struct store_report {
    uint64_t vectors; /* checked */
    uint64_t bad;     /* whose checksum, or whose hash in the catalogue, is another */
    uint64_t lost;    /* in the catalogue, behind the end of a file of vectors */
    uint64_t dropped; /* repaired: of those, taken out, to be embedded again */
    uint64_t found;   /* repaired: vectors put into the catalogue again */
    bool catalogue;   /* the catalogue itself is broken or gone */
    bool made_again;  /* repaired: a new catalogue, from the files of vectors; roots and
                         items are to be added again, and find their vectors */
} store_report;

/* Reads everything.  note (NULL allowed) is told one line for each thing that is wrong.
 * What is wrong is no failure. */
int store_verify(const char *folder, store_report *out,
                 void (*note)(void *arg, const char *line), void *arg, clipc_err *err);
/* The same, and mends what can be: bad and lost vectors are dropped, a broken catalogue
 * is put aside as "catalogue.broken" and made again. */
int store_repair(const char *folder, store_report *out,
                 void (*note)(void *arg, const char *line), void *arg, clipc_err *err);

/* Writes a space's file anew without the vectors that no item has.  Slots are others
 * afterwards.  Outside of store_begin.  Readers that have looked into the space since
 * they began go on undisturbed. */
int store_compact(store *s, int64_t space, clipc_err *err);

#endif

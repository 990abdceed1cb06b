/* store/approx.h -- the approximate search from inside: FAISS's index of a space's
 * vectors, and its file "ID.GENERATION.vectors.faiss" beside theirs (FORMAT.md).
 *
 *   head     [4096]   what it is of, and of which state of the store
 *   slots    [n]      uint64: a vector's slot, by position
 *   FAISS's part
 *
 * A file is only ever replaced by a whole one.  What it does not hold, vectors that are
 * newer, is for the exact scan; what it holds and no item has any more, a search passes
 * over.  For store/ alone. */
#ifndef CLIPC_STORE_APPROX_H
#define CLIPC_STORE_APPROX_H

#include "base/dynlib.h"
#include "store/catalogue.h"
#include "store/faiss_shim.h"

#define APPROX_ENDING ".faiss" /* of space_path */
enum { APPROX_BEST = 10 };     /* that recall is measured of */

/* ---- approx_file.c ---- */

typedef struct approx {
    store_approx is;
    uint64_t *slot; /* [is.vectors], by position, with room for `room` */
    uint64_t room;
    slot_set covered; /* the same as a set */
    shim_index *faiss;
    uint64_t file; /* which one it was read from, as approx_file_mark tells */
} approx;

/* Of what a file must be. */
typedef struct approx_of {
    char *path;
    store_space space;
    int64_t generation;
} approx_of;

/* The file of a space as the catalogue has that now.  Free the path. */
int approx_of_space(approx_of *out, store *s, int64_t space, clipc_err *err);

/* What the file's head says.  CLIPC_ERR_IO: there is no file; CLIPC_ERR_FORMAT: it is
 * damaged, or of another space. */
int approx_head_read(store_approx *out, const approx_of *of, clipc_err *err);
/* All of it.  grows: to be added to. */
int approx_load(approx **out, const approx_of *of, bool grows, clipc_err *err);
/* Sets is.bytes, too. */
int approx_save(approx *a, const approx_of *of, clipc_err *err);
/* Changes with the file; 0: there is none. */
uint64_t approx_file_mark(const char *path);

/* Without vectors, of a space of so many slots. */
int approx_new(approx **out, approx_kind kind, uint64_t slots, clipc_err *err);
void approx_free(approx *a);
/* Gives the position behind the last a slot. */
int approx_add_slot(approx *a, uint64_t slot, clipc_err *err);

static inline bool slot_set_has(const slot_set *set, uint64_t slot)
{
    return slot < set->slots && (set->bits[slot / 64] >> slot % 64 & 1);
}

/* ---- approx_find.c ---- */

/* Whose vectors FAISS works on. */
typedef struct approx_rows {
    const approx *a;
    const vectors *v;
    const kernels *k;
    const slot_set *among; /* that a search is to find */
} approx_rows;

shim_host approx_host(const approx_rows *rows);
/* As store_near, of what the file holds alone. */
int approx_find(const approx_rows *rows, store_hit *hits, size_t *n, const float *query,
                size_t k, clipc_err *err);

/* ---- approx_faiss.c ---- */

#define APPROX_FUNCTIONS(X) \
    X(clipc_faiss_new)      \
    X(clipc_faiss_free)     \
    X(clipc_faiss_sample)   \
    X(clipc_faiss_train)    \
    X(clipc_faiss_add)      \
    X(clipc_faiss_write)    \
    X(clipc_faiss_read)     \
    X(clipc_faiss_search)

typedef struct faiss {
    DYNLIB_POINTERS(APPROX_FUNCTIONS)
} faiss;

/* NULL and CLIPC_ERR_IO in *err, in the name of `path`, where it is not installed. */
const faiss *faiss_need(const char *path, clipc_err *err);

#endif

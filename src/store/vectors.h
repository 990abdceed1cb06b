/* store/vectors.h -- a file of vectors, which tells by itself what it holds (FORMAT.md):
 * a header of 4096 bytes, then blocks of 256 slots,
 *
 *   keys    [256] 16 bytes     of what the vector is
 *   checks  [256] uint64       hash_bytes of key, scale and row
 *   scales  [256] float        1 but for int8
 *   (1024 bytes)
 *   rows    [256,dim]          float16, float32 or int8
 *
 * of which the last may end behind any row.  Rows are only ever appended; the catalogue
 * says how many there are.  Any number of readers map them, while one writes. */
#ifndef CLIPC_STORE_VECTORS_H
#define CLIPC_STORE_VECTORS_H

#include "store/store.h"

enum { VECTORS_HEAD = 4096, VECTORS_BLOCK = 256, VECTORS_DIM_MOST = 1 << 16 };
enum { VECTORS_MODEL_MOST = 255 };

typedef struct vectors_head {
    char model[VECTORS_MODEL_MOST + 1];
    store_hash fingerprint;
    size_t dim;
    dtype type;
} vectors_head;

/* CLIPC_ERR_FORMAT, in the name of `path`, unless these are the first VECTORS_HEAD bytes
 * of such a file. */
int vectors_parse(vectors_head *out, const uint8_t *head, const char *path,
                  clipc_err *err);

typedef struct vectors {
    char *path;
    int fd;
    vectors_head head;
    const uint8_t *map; /* of bytes [0, mapped) of the file; NULL: nothing yet */
    size_t mapped;
    /* Rows not yet written, all of one block: slots [first, first + n). */
    uint8_t *pending; /* as in the file; NULL: none were appended yet */
    uint64_t first;
    size_t n;
    bool dirty; /* written and not synced */
} vectors;

/* A file that is there.  On failure there is nothing to close. */
int vectors_open(vectors *v, const char *path, bool write, clipc_err *err);
/* A new one, whatever was there. */
int vectors_create(vectors *v, const char *path, const vectors_head *head,
                   clipc_err *err);
/* One with a damaged header, which is written anew, or an empty one if it is gone. */
int vectors_mend(vectors *v, const char *path, const vectors_head *head, clipc_err *err);
/* Makes it as long as so many slots need, with holes for those that are not there. */
int vectors_extend(vectors *v, uint64_t slots, clipc_err *err);
/* What is pending is forgotten. */
void vectors_close(vectors *v);

/* Bytes of a row. */
size_t vectors_row_bytes(const vectors *v);
/* Slots that lie in the file with all their bytes, some maybe not meant to. */
int vectors_room(const vectors *v, uint64_t *slots, clipc_err *err);

/* Makes the next functions good for slots [0, slots), at addresses that may be others
 * than before.  CLIPC_ERR_FORMAT: the file ends before. */
int vectors_reach(vectors *v, uint64_t slots, clipc_err *err);
const store_hash *vectors_key(const vectors *v, uint64_t slot);
float vectors_scale(const vectors *v, uint64_t slot);
const void *vectors_row(const vectors *v, uint64_t slot);
/* Whether its checksum is right. */
bool vectors_sound(const vectors *v, uint64_t slot);
/* x [dim] = its row, with scale. */
void vectors_read(const vectors *v, const kernels *k, float *x, uint64_t slot);

/* Adds a row x [dim] at a slot, the first or the one behind the last appended.
 * CLIPC_ERR_NUMBER: a number is none, or too large for the type. */
int vectors_append(vectors *v, const kernels *k, uint64_t slot, const store_hash *key,
                   const float *x, clipc_err *err);
/* The same of a slot of another file of the same head, its bytes as they are. */
int vectors_copy(vectors *v, uint64_t slot, const vectors *from, uint64_t from_slot,
                 clipc_err *err);
/* Writes what is pending; and so that it outlives the machine's fall. */
int vectors_flush(vectors *v, clipc_err *err);
int vectors_sync(vectors *v, clipc_err *err);

#endif

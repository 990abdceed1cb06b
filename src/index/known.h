/* index/known.h -- the files that a catalogue has, by path, for a walk to be compared
 * with: all of them by one query, each looked up without another. */
#ifndef CLIPC_INDEX_KNOWN_H
#define CLIPC_INDEX_KNOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/buf.h"

typedef struct known_file {
    size_t path; /* offset in the table's text */
    int64_t id, size, mtime_ns;
    uint64_t inode;
    bool failed;  /* there is a reason why it has no vector */
    bool missing; /* its content has no vector of this model */
    bool seen;    /* by the walk */
} known_file;

typedef struct known {
    known_file *v;
    size_t n, cap;
    buf text;        /* paths, each with its NUL */
    uint32_t *slots; /* number in v plus 1; 0: free */
    size_t n_slots;  /* a power of 2, more than n by half */
} known;

void known_free(known *k);
/* Adds a file of a path of len bytes, which is copied; the other members as given. */
int known_add(known *k, const char *path, size_t len, known_file f, clipc_err *err);
/* NULL if there is none. */
known_file *known_find(const known *k, const char *path, size_t len);
static inline const char *known_path(const known *k, const known_file *f)
{
    return k->text.data + f->path;
}

int64_t mtime_ns(const struct stat *st);
/* Size, time and inode are as they were. */
bool known_same(const known_file *f, const struct stat *st);

#endif

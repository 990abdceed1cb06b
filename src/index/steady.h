/* index/steady.h -- a file's bytes, all of one moment. */
#ifndef CLIPC_INDEX_STEADY_H
#define CLIPC_INDEX_STEADY_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/file.h"
#include "store/store.h"

/* Reads a regular file into *out, which is cleared first, and its state into *st.
 * *busy: it changed meanwhile, so the bytes are of no use; no error. */
int steady_read(buf *out, struct stat *st, bool *busy, const char *path, clipc_err *err);
/* The content_hash of a file of any size, in the same way. */
int steady_hash(store_hash *out, struct stat *st, bool *busy, const char *path,
                clipc_err *err);
/* Whether a file is still in the state st. */
bool steady_still(const struct stat *st, const char *path);

#endif

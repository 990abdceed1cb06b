/* index/steady.h -- a file's bytes, all of one moment. */
#ifndef CLIPC_INDEX_STEADY_H
#define CLIPC_INDEX_STEADY_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/file.h"

/* Reads a regular file into *out, which is cleared first, and its state into *st.
 * *busy: it changed meanwhile, so the bytes are of no use; no error. */
int steady_read(buf *out, struct stat *st, bool *busy, const char *path, clipc_err *err);

#endif

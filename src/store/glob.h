/* store/glob.h -- patterns of the shell as regular expressions, for servers to match
 * bytes by. */
#ifndef CLIPC_STORE_GLOB_H
#define CLIPC_STORE_GLOB_H

#include "base/buf.h"

/* Adds to *out what matches as fnmatch(glob, .., 0) does in the C locale: an advanced
 * regular expression of PostgreSQL, without anchors, for text that was decoded from
 * LATIN1, so that each character is a byte; UTF-8. */
int glob_regex(buf *out, const char *glob, clipc_err *err);

#endif

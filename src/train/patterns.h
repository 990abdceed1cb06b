/* train/patterns.h -- many paths in one, as WebDataset users write them:
 * "shards/{00000..00012}.tar", "{train,extra}/{0..9}.tar". */
#ifndef CLIPC_TRAIN_PATTERNS_H
#define CLIPC_TRAIN_PATTERNS_H

#include "base/err.h"

/* Of one pattern, at most. */
enum { PATTERN_PATHS = 1000000, PATTERN_BRACES = 64 };

/* Calls on(user, path) for each path of a pattern, the last braces counting fastest, as
 * the shell does.  A range has as many digits as its first number; braces with neither a
 * range nor a comma stand for themselves.  What `on` returns other than CLIPC_OK ends it;
 * more than PATTERN_PATHS or PATTERN_BRACES is CLIPC_ERR_LIMIT. */
int pattern_each(const char *pattern, int (*on)(void *user, const char *path), void *user,
                 clipc_err *err);

#endif

/* base/walk.h -- the pictures of a folder and all below it, in order of name. */
#ifndef CLIPC_BASE_WALK_H
#define CLIPC_BASE_WALK_H

#include <sys/stat.h>

#include "base/err.h"

/* Calls on(user, path, st) for each file that ends as a picture does, until that returns
 * another than CLIPC_OK, which is then returned.  Links are followed; a folder is walked
 * once, however many links lead to it, so circles end.  Names that begin with a dot are
 * left out; st is NULL for a link that leads nowhere.  A folder that cannot be read is
 * CLIPC_ERR_IO. */
int walk_pictures(const char *folder,
                  int (*on)(void *user, const char *path, const struct stat *st),
                  void *user, clipc_err *err);

#endif

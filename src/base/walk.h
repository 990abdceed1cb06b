/* base/walk.h -- the pictures of a folder and all below it, in order of name. */
#ifndef CLIPC_BASE_WALK_H
#define CLIPC_BASE_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/err.h"

/* Zeroed means what walk_pictures does. */
typedef struct walk_options {
    bool hidden;   /* names that begin with a dot, too */
    bool videos;   /* and files that end as a video does */
    bool one_disk; /* folders of another file system than the first are left out */
    const char *const *exclude; /* [n_exclude] patterns of the shell: what has such a
                                   name, or such a path below the folder if it holds a
                                   '/', is left out, and all below it */
    size_t n_exclude;
    size_t exclude_from; /* bytes of the first folder's path that such paths are below; 0:
                            all */
    /* Hears of a folder that cannot be read, and the walk goes on; NULL: that ends it.
     * What it returns other than CLIPC_OK ends it, too. */
    int (*on_lost)(void *user, const char *folder, const clipc_err *why);
} walk_options;

/* Calls on(user, path, st) for each file that ends as a picture does, until that returns
 * another than CLIPC_OK, which is then returned.  Links are followed; a folder is walked
 * once, however many links lead to it, so circles end.  Names that begin with a dot are
 * left out; st is NULL for a link that leads nowhere.  A folder that cannot be read is
 * CLIPC_ERR_IO. */
int walk_pictures(const char *folder,
                  int (*on)(void *user, const char *path, const struct stat *st),
                  void *user, clipc_err *err);

/* The same with options (NULL: none).  The first folder must be readable. */
int walk_pictures_with(const char *folder, const walk_options *options,
                       int (*on)(void *user, const char *path, const struct stat *st),
                       void *user, clipc_err *err);

#endif

#include "index/emptied.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

static bool is_empty(const char *folder)
{
    DIR *d = opendir(folder);
    size_t n = 0;

    while (d && n < 3 && readdir(d)) n++;
    if (d) closedir(d);
    return d && n == 2; /* "." and ".." */
}

/* The nearest folder above `path` that is there, malloc'd, if it is empty; else NULL. */
static char *empty_above(const char *path)
{
    char *folder = strdup(path), *slash;

    while (folder && (slash = strrchr(folder, '/')) != NULL) {
        *slash = '\0';
        if (file_is_dir(folder)) break;
    }
    if (folder && is_empty(folder)) return folder;
    free(folder);
    return NULL;
}

void emptied_end(emptied *e)
{
    clipc_err what;

    if (e->folder && e->on) {
        clipc_fail(&what, CLIPC_ERR_IO,
                   "%s: is empty; %zu picture%s not in the index any more (if a drive is "
                   "not mounted there, update again when it is)",
                   e->folder, e->n, e->n == 1 ? " of it is" : "s of it are");
        e->on(e->user, e->folder, &what);
    }
    free(e->folder);
    e->folder = NULL;
    e->n = 0;
}

void emptied_add(emptied *e, const char *path)
{
    const size_t len = e->folder ? strlen(e->folder) : 0;

    if (!len || strncmp(path, e->folder, len) != 0 || path[len] != '/') {
        emptied_end(e);
        e->folder = empty_above(path);
    }
    e->n++;
}

#define _GNU_SOURCE
#include "base/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

/* A folder that was entered. */
typedef struct place {
    dev_t dev;
    ino_t ino;
} place;

typedef struct walk {
    int (*on)(void *user, const char *path, const struct stat *st);
    void *user;
    walk_options options;
    size_t root_len; /* of the first folder's path */
    dev_t disk;
    place *seen;
    size_t n, cap;
    clipc_err *err;
} walk;

/* *first: it was not entered before; now it is. */
static int enter(walk *w, bool *first, const struct stat *st)
{
    *first = false;
    for (size_t i = 0; i < w->n; i++)
        if (w->seen[i].dev == st->st_dev && w->seen[i].ino == st->st_ino) return CLIPC_OK;
    if (w->n == w->cap) {
        const size_t cap = w->cap ? 2 * w->cap : 64;
        place *seen = realloc(w->seen, cap * sizeof *seen);
        if (!seen) return clipc_fail_memory(w->err, "folders", cap * sizeof *seen);
        w->seen = seen, w->cap = cap;
    }
    w->seen[w->n++] = (place){st->st_dev, st->st_ino};
    *first = true;
    return CLIPC_OK;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int walk_folder(walk *w, const char *folder);

/* What patterns with a '/' are compared with. */
static const char *below(const walk *w, const char *path)
{
    path += w->options.exclude_from ? w->options.exclude_from : w->root_len;
    return path + strspn(path, "/");
}

static bool excluded(const walk *w, const char *path)
{
    for (size_t i = 0; i < w->options.n_exclude; i++) {
        const char *pattern = w->options.exclude[i];
        const char *what = strchr(pattern, '/') ? below(w, path) : path_base(path);
        if (fnmatch(pattern, what, FNM_PATHNAME) == 0) return true;
    }
    return false;
}

static bool ends_right(const walk *w, const char *path)
{
    const char *ending = path_ending(path);

    return ending_is_picture(ending) || (w->options.videos && ending_is_video(ending));
}

static int walk_entry(walk *w, const char *path, unsigned char type)
{
    struct stat st;
    bool first;

    /* Most of what lies in a folder needs no stat, where the folder tells its kind. */
    if (type == DT_REG && !ends_right(w, path)) return CLIPC_OK;
    if (w->options.n_exclude && excluded(w, path)) return CLIPC_OK;
    const bool there = stat(path, &st) == 0;
    if (there && S_ISDIR(st.st_mode)) {
        if (w->options.one_disk && st.st_dev != w->disk) return CLIPC_OK;
        const int rc = enter(w, &first, &st);
        return rc == CLIPC_OK && first ? walk_folder(w, path) : rc;
    }
    if (!ends_right(w, path)) return CLIPC_OK;
    return w->on(w->user, path, there ? &st : NULL);
}

static int lost(walk *w, const char *folder)
{
    clipc_err why;
    const int rc = clipc_fail(&why, CLIPC_ERR_IO, "%s: cannot read folder: %s", folder,
                              strerror(errno));

    /* The first folder is not lost, but wrong. */
    if (w->options.on_lost && folder[w->root_len])
        return w->options.on_lost(w->user, folder, &why);
    if (w->err) *w->err = why;
    return rc;
}

static int walk_folder(walk *w, const char *folder)
{
    struct dirent **names = NULL;
    const int n = scandir(folder, &names, NULL, by_name);
    int rc = CLIPC_OK;

    if (n < 0) return lost(w, folder);
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        const bool self = strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
        if (rc == CLIPC_OK && !self && (w->options.hidden || name[0] != '.')) {
            char *path = path_join(folder, name);
            rc = path ? walk_entry(w, path, names[i]->d_type)
                      : clipc_fail_memory(w->err, folder, strlen(folder));
            free(path);
        }
        free(names[i]);
    }
    free(names);
    return rc;
}

int walk_pictures_with(const char *folder, const walk_options *options,
                       int (*on)(void *user, const char *path, const struct stat *st),
                       void *user, clipc_err *err)
{
    walk w = {.on = on, .user = user, .root_len = strlen(folder), .err = err};
    struct stat st;
    bool first;
    int rc = CLIPC_OK;

    if (options) w.options = *options;
    if (stat(folder, &st) == 0) {
        w.disk = st.st_dev;
        rc = enter(&w, &first, &st);
    }
    if (rc == CLIPC_OK) rc = walk_folder(&w, folder);
    free(w.seen);
    return rc;
}

int walk_pictures(const char *folder,
                  int (*on)(void *user, const char *path, const struct stat *st),
                  void *user, clipc_err *err)
{
    return walk_pictures_with(folder, NULL, on, user, err);
}

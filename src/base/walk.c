#define _GNU_SOURCE
#include "base/walk.h"

#include <dirent.h>
#include <errno.h>
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

static int walk_entry(walk *w, const char *path)
{
    struct stat st;
    const bool there = stat(path, &st) == 0;
    bool first;

    if (there && S_ISDIR(st.st_mode)) {
        const int rc = enter(w, &first, &st);
        return rc == CLIPC_OK && first ? walk_folder(w, path) : rc;
    }
    if (!ending_is_picture(path_ending(path))) return CLIPC_OK;
    return w->on(w->user, path, there ? &st : NULL);
}

static int walk_folder(walk *w, const char *folder)
{
    struct dirent **names = NULL;
    const int n = scandir(folder, &names, NULL, by_name);
    int rc = CLIPC_OK;

    if (n < 0)
        return clipc_fail(w->err, CLIPC_ERR_IO, "%s: cannot read folder: %s", folder,
                          strerror(errno));
    for (int i = 0; i < n; i++) {
        if (rc == CLIPC_OK && names[i]->d_name[0] != '.') {
            char *path = path_join(folder, names[i]->d_name);
            rc = path ? walk_entry(w, path)
                      : clipc_fail_memory(w->err, folder, strlen(folder));
            free(path);
        }
        free(names[i]);
    }
    free(names);
    return rc;
}

int walk_pictures(const char *folder,
                  int (*on)(void *user, const char *path, const struct stat *st),
                  void *user, clipc_err *err)
{
    walk w = {.on = on, .user = user, .err = err};
    struct stat st;
    bool first;
    int rc = CLIPC_OK;

    if (stat(folder, &st) == 0) rc = enter(&w, &first, &st);
    if (rc == CLIPC_OK) rc = walk_folder(&w, folder);
    free(w.seen);
    return rc;
}

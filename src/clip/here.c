/* clip/here.c -- clipc_models_here: every model that has a name. */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "clip/find.h"
#include "clipc_hub.h"
#include "hub/cache.h"

typedef struct listing {
    int (*on)(void *user, const clipc_here *model);
    void *user;
    clipc_err *err;
    int rc;
} listing;

/* The first of a name along the path hides the others. */
static bool is_hidden(const char *name, const char *path)
{
    char *found = NULL;
    const bool first =
        find_model(&found, name, NULL) == CLIPC_OK && strcmp(found, path) == 0;

    free(found);
    return !first;
}

static int list_entry(const listing *l, const char *folder, const char *name)
{
    char *path = path_join(folder, name);
    int rc = CLIPC_OK;

    if (!path) return clipc_fail_memory(l->err, name, 0);
    const bool is_model =
        file_is_dir(path) ? find_is_model_folder(path) : find_is_model_file(name);
    if (is_model && !is_hidden(name, path)) {
        const clipc_here m = {.name = name, .path = path, .size = cache_size(path)};
        rc = l->on(l->user, &m);
    }
    free(path);
    return rc;
}

static bool list_folder(void *user, const char *folder)
{
    listing *l = user;
    struct dirent **names = NULL;
    const int n = scandir(folder, &names, NULL, alphasort);

    for (int i = 0; i < n; i++) {
        if (l->rc == CLIPC_OK && names[i]->d_name[0] != '.')
            l->rc = list_entry(l, folder, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    return l->rc != CLIPC_OK;
}

static int list_cached(void *user, const cached_model *m)
{
    const listing *l = user;
    const clipc_here here = {m->repo, m->path, m->revision, m->commit, m->size};

    return l->on(l->user, &here);
}

int clipc_models_here(int (*on)(void *user, const clipc_here *model), void *user,
                      clipc_err *err)
{
    listing l = {on, user, err, CLIPC_OK};

    find_along_path(list_folder, &l);
    return l.rc == CLIPC_OK ? cache_each(list_cached, &l, err) : l.rc;
}

#define _GNU_SOURCE
#include "clip/find.h"

#include <dirent.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hub/cache.h"

#ifndef CLIPC_PREFIX
#define CLIPC_PREFIX "/usr/local"
#endif

static const char bundled[] = "clipc-default";
static const char eval_set[] = "eval.tar.gz", with_eval_set[] = "clipc-drawings";
static const char installed[] = CLIPC_PREFIX "/share/clipc/models";

/* dir/name if it is there. */
static char *in_folder(const char *dir, const char *name)
{
    char *path = path_join(dir, name);

    if (path && file_exists(path)) return path;
    free(path);
    return NULL;
}

/* ---- the search path -----------------------------------------------------------------
 */

static bool along(const char *list, bool (*on)(void *user, const char *folder),
                  void *user)
{
    bool found = false;

    while (list && *list && !found) {
        const size_t len = strcspn(list, ":");
        char *folder = len ? strndup(list, len) : NULL;
        if (folder) found = on(user, folder);
        free(folder);
        list += len + (list[len] == ':');
    }
    return found;
}

/* In models/ beside the executable, or, where that was installed in PREFIX/bin, in
 * PREFIX/share/clipc/models, wherever PREFIX is now. */
static bool near_executable(bool (*on)(void *user, const char *folder), void *user)
{
    static const char *const folders[] = {"models", "../share/clipc/models"};
    char exe[4096];
    bool found = false;
    const ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);

    if (n <= 0) return false;
    exe[n] = '\0';
    char *slash = strrchr(exe, '/');
    if (slash) *slash = '\0';
    for (size_t i = 0; !found && i < sizeof folders / sizeof folders[0]; i++) {
        char *folder = path_join(exe, folders[i]);
        if (folder) found = on(user, folder);
        free(folder);
    }
    return found;
}

bool find_along_path(bool (*on)(void *user, const char *folder), void *user)
{
    return along(getenv("CLIPC_MODEL_PATH"), on, user) || near_executable(on, user) ||
           on(user, installed);
}

/* ---- what a model looks like ---------------------------------------------------------
 */

bool find_is_model_file(const char *name)
{
    for (size_t i = 0; cache_model_files[i]; i++)
        if (fnmatch(cache_model_files[i], name, 0) == 0) return true;
    return false;
}

bool find_is_model_folder(const char *path)
{
    static const char *const configs[] = {"open_clip_config.json", "config.json",
                                          "modules.json"};
    char *config = NULL;

    for (size_t i = 0; !config && i < sizeof configs / sizeof configs[0]; i++)
        config = in_folder(path, configs[i]);
    free(config);
    return config != NULL;
}

static int is_model_file(const struct dirent *entry)
{
    return find_is_model_file(entry->d_name);
}

/* The only model file of a folder without configs; NULL where there is none or more. */
static char *lone_file(const char *folder)
{
    struct dirent **names = NULL;
    const int n =
        find_is_model_folder(folder) ? 0 : scandir(folder, &names, is_model_file, NULL);
    char *path = n == 1 ? path_join(folder, names[0]->d_name) : NULL;

    for (int i = 0; i < n; i++) free(names[i]);
    free(names);
    return path;
}

/* ---- finding -------------------------------------------------------------------------
 */

static int find_path(char **out, const char *path, clipc_err *err)
{
    *out = strdup(path);
    return *out ? CLIPC_OK : clipc_fail_memory(err, path, strlen(path));
}

/* "org/name" in the cache of Hugging Face models. */
static int find_cached(char **out, const char *name, clipc_err *err)
{
    hub_name hub;
    char *file;
    int rc;

    if (!hub_name_parse(&hub, name))
        return clipc_fail(err, CLIPC_ERR_IO, "%s: no such model", name);
    rc = cache_find(out, &hub, err);
    if (rc != CLIPC_OK) return rc;
    if (!*out)
        return clipc_fail(err, CLIPC_ERR_IO,
                          "%.100s: no such file, and no such model in the cache: "
                          "`clipc pull %.100s` fetches it",
                          name, name);
    file = lone_file(*out);
    if (file) {
        free(*out);
        *out = file;
    }
    return CLIPC_OK;
}

typedef struct search {
    const char *name;
    char *found;
} search;

static bool try_folder(void *user, const char *folder)
{
    search *s = user;
    char *file;

    s->found = in_folder(folder, s->name);
    if (!s->found && asprintf(&file, "%s.clipc", s->name) >= 0) {
        s->found = in_folder(folder, file);
        free(file);
    }
    return s->found != NULL;
}

int find_model(char **out, const char *name, clipc_err *err)
{
    search s = {.name = name && *name ? name : bundled};

    *out = NULL;
    if (file_exists(s.name)) return find_path(out, s.name, err);
    if (strchr(s.name, '/')) return find_cached(out, s.name, err);
    if (find_along_path(try_folder, &s)) return *out = s.found, CLIPC_OK;
    return clipc_fail(
        err, CLIPC_ERR_IO,
        "%s: no such model here, in CLIPC_MODEL_PATH, in models/ beside the "
        "executable or in %s",
        s.name, installed);
}

int find_eval(char **out, const char *model, clipc_err *err)
{
    char *folder = NULL;
    int rc;

    *out = in_folder(model, eval_set);
    if (*out) return CLIPC_OK;
    rc = find_model(&folder, with_eval_set, err);
    if (rc != CLIPC_OK) return rc;
    *out = in_folder(folder, eval_set);
    if (!*out) rc = clipc_fail(err, CLIPC_ERR_IO, "%s: no %s in it", folder, eval_set);
    free(folder);
    return rc;
}

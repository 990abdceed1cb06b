#include "clip/find.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef CLIPC_PREFIX
#define CLIPC_PREFIX "/usr/local"
#endif

static const char bundled[] = "clipc-drawings", eval_set[] = "eval.tar.gz";

/* dir/name if it is there. */
static char *in_folder(const char *dir, size_t len, const char *name)
{
    char *folder = strndup(dir, len), *path = folder ? path_join(folder, name) : NULL;

    free(folder);
    if (path && file_exists(path)) return path;
    free(path);
    return NULL;
}

static char *along(const char *list, const char *name)
{
    char *found = NULL;

    while (list && *list && !found) {
        const size_t len = strcspn(list, ":");
        if (len) found = in_folder(list, len, name);
        list += len + (list[len] == ':');
    }
    return found;
}

/* In models/ beside the executable, or, where that was installed in PREFIX/bin, in
 * PREFIX/share/clipc/models, wherever PREFIX is now. */
static char *near_executable(const char *name)
{
    static const char *const folders[] = {"models", "../share/clipc/models"};
    char exe[4096], *found = NULL;
    const ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);

    if (n <= 0) return NULL;
    exe[n] = '\0';
    char *slash = strrchr(exe, '/');
    if (slash) *slash = '\0';
    for (size_t i = 0; !found && i < sizeof folders / sizeof folders[0]; i++) {
        char *folder = path_join(exe, folders[i]);
        if (folder) found = in_folder(folder, strlen(folder), name);
        free(folder);
    }
    return found;
}

int find_model(char **out, const char *name, clipc_err *err)
{
    const char *installed = CLIPC_PREFIX "/share/clipc/models";
    const bool path = name && strchr(name, '/');

    *out = NULL;
    if (!name || !*name) name = bundled;
    if (path || file_exists(name)) {
        *out = strdup(name);
        if (!*out) return clipc_fail_memory(err, name, strlen(name));
        if (file_exists(name)) return CLIPC_OK;
        free(*out);
        *out = NULL;
        return clipc_fail(err, CLIPC_ERR_IO, "%s: no such model", name);
    }
    *out = along(getenv("CLIPC_MODEL_PATH"), name);
    if (!*out) *out = near_executable(name);
    if (!*out) *out = in_folder(installed, strlen(installed), name);
    if (*out) return CLIPC_OK;
    return clipc_fail(
        err, CLIPC_ERR_IO,
        "%s: no such model here, in CLIPC_MODEL_PATH, in models/ beside the "
        "executable or in %s",
        name, installed);
}

int find_eval(char **out, const char *model, clipc_err *err)
{
    char *folder = NULL;
    int rc;

    *out = in_folder(model, strlen(model), eval_set);
    if (*out) return CLIPC_OK;
    rc = find_model(&folder, NULL, err);
    if (rc != CLIPC_OK) return rc;
    *out = in_folder(folder, strlen(folder), eval_set);
    if (!*out) rc = clipc_fail(err, CLIPC_ERR_IO, "%s: no %s in it", folder, eval_set);
    free(folder);
    return rc;
}

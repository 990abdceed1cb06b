#include "clip/find.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef CLIPC_PREFIX
#define CLIPC_PREFIX "/usr/local"
#endif

static const char bundled[] = "clipc-drawings";

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

static char *beside_executable(const char *name)
{
    char exe[4096];
    const ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);

    if (n <= 0) return NULL;
    exe[n] = '\0';
    char *slash = strrchr(exe, '/');
    if (!slash || (size_t)(slash - exe) + sizeof "/models" > sizeof exe) return NULL;
    memcpy(slash, "/models", sizeof "/models");
    return in_folder(exe, strlen(exe), name);
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
    if (!*out) *out = beside_executable(name);
    if (!*out) *out = in_folder(installed, strlen(installed), name);
    if (*out) return CLIPC_OK;
    return clipc_fail(
        err, CLIPC_ERR_IO,
        "%s: no such model here, in CLIPC_MODEL_PATH, in models/ beside the "
        "executable or in %s",
        name, installed);
}

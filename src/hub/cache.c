#define _GNU_SOURCE
#include "hub/cache.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"

static const char prefix[] = "models--";

/* ---- names ---------------------------------------------------------------------------
 */

/* One of the two parts of "org/name". */
static bool part_ok(const char *s, size_t n)
{
    if (!n || strchr("-.", s[0]) || strchr("-.", s[n - 1])) return false;
    for (size_t i = 0; i < n; i++) {
        if (!isalnum((unsigned char)s[i]) && !strchr("-_.", s[i])) return false;
        /* "--" stands for "/" in the cache. */
        if (i && s[i] == s[i - 1] && strchr("-.", s[i])) return false;
    }
    return !(n >= 4 && memcmp(s + n - 4, ".git", 4) == 0);
}

/* A branch, a tag or a commit: it becomes a path below refs/. */
static bool revision_ok(const char *s)
{
    bool first = true; /* of a component */

    for (const char *p = s; *p; first = *p == '/', p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f || strchr("\\:?*[~^@", *p) ||
            (first && (*p == '/' || *p == '.')))
            return false;
    return !first;
}

bool hub_name_parse(hub_name *out, const char *text)
{
    const char *slash = strchr(text, '/'), *at = strchr(text, '@');
    const size_t len = at ? (size_t)(at - text) : strlen(text);
    const char *revision = at ? at + 1 : "main";

    if (!slash || (at && slash > at) || len > HUB_REPO_MAX ||
        strlen(revision) > HUB_REVISION_MAX)
        return false;
    const size_t org = (size_t)(slash - text);
    if (!part_ok(text, org) || !part_ok(slash + 1, len - org - 1) ||
        !revision_ok(revision))
        return false;
    snprintf(out->repo, sizeof out->repo, "%.*s", (int)len, text);
    snprintf(out->revision, sizeof out->revision, "%s", revision);
    return true;
}

bool hub_is_hex(const char *text, size_t n)
{
    return strlen(text) == n && strspn(text, "0123456789abcdef") == n;
}

/* ---- folders -------------------------------------------------------------------------
 */

char *cache_env_path(const char *variable)
{
    const char *value = getenv(variable), *home = getenv("HOME");

    if (!value || !*value) return NULL;
    return value[0] == '~' && value[1] == '/' && home ? path_join(home, value + 2)
                                                      : strdup(value);
}

/* dir/name, of a dir that is freed. */
static char *inside(char *dir, const char *name)
{
    char *path = dir ? path_join(dir, name) : NULL;

    free(dir);
    return path;
}

int cache_home(char **out, const char *what, clipc_err *err)
{
    const char *home = getenv("HOME");

    *out = cache_env_path("HF_HOME");
    if (!*out) *out = inside(cache_env_path("XDG_CACHE_HOME"), "huggingface");
    if (!*out && home && *home) *out = path_join(home, ".cache/huggingface");
    return *out ? CLIPC_OK
                : clipc_fail(err, CLIPC_ERR_IO, "%s: neither HF_HOME nor HOME is set",
                             what);
}

int cache_root(char **out, const char *what, clipc_err *err)
{
    char *home = NULL;
    int rc;

    *out = cache_env_path("HF_HUB_CACHE");
    if (!*out) *out = cache_env_path("HUGGINGFACE_HUB_CACHE");
    if (*out) return CLIPC_OK;
    rc = cache_home(&home, what, err);
    if (rc != CLIPC_OK) return rc;
    *out = inside(home, "hub");
    return *out ? CLIPC_OK : clipc_fail_memory(err, what, 0);
}

int cache_repo(char **out, const char *repo, clipc_err *err)
{
    const char *slash = strchr(repo, '/');
    char folder[sizeof prefix + HUB_REPO_MAX + 2];
    const int rc = cache_root(out, repo, err);

    if (rc != CLIPC_OK) return rc;
    snprintf(folder, sizeof folder, "%s%.*s--%s", prefix, (int)(slash - repo), repo,
             slash + 1);
    *out = inside(*out, folder);
    return *out ? CLIPC_OK : clipc_fail_memory(err, repo, 0);
}

/* ---- finding -------------------------------------------------------------------------
 */

/* The commit in a file below refs/; false: there is none. */
static bool read_ref(char commit[HUB_COMMIT + 1], const char *path)
{
    buf text = {0};
    bool ok = file_exists(path) && !file_is_dir(path) &&
              file_read(&text, path, HUB_COMMIT + 2, NULL) == CLIPC_OK && text.len;

    if (ok) {
        text.data[strcspn(text.data, "\r\n")] = '\0';
        ok = hub_is_hex(text.data, HUB_COMMIT);
    }
    if (ok) memcpy(commit, text.data, HUB_COMMIT + 1);
    buf_free(&text);
    return ok;
}

int cache_find(char **out, const hub_name *name, clipc_err *err)
{
    char *repo = NULL, *ref = NULL, commit[HUB_COMMIT + 1] = "";
    const int rc = cache_repo(&repo, name->repo, err);

    *out = NULL;
    if (rc != CLIPC_OK) return rc;
    ref = inside(path_join(repo, "refs"), name->revision);
    if (hub_is_hex(name->revision, HUB_COMMIT))
        memcpy(commit, name->revision, sizeof commit);
    else if (ref && !read_ref(commit, ref)) commit[0] = '\0';
    if (*commit) *out = inside(path_join(repo, "snapshots"), commit);
    if (*out && !file_is_dir(*out)) {
        free(*out);
        *out = NULL;
    }
    free(ref);
    free(repo);
    return CLIPC_OK;
}

const char *const cache_model_files[] = {"*.clipc", "*.safetensors", "*.pt", "*.gguf",
                                         NULL};

/* ---- listing -------------------------------------------------------------------------
 */

enum { DEPTH = 8 }; /* of folders that are walked */

/* Calls on(user, path) for each file below a folder, in order of name, until it returns
 * false; links in circles end at the depth. */
static bool walk(const char *folder, int depth, bool (*on)(void *user, const char *path),
                 void *user)
{
    struct dirent **names = NULL;
    const int n = depth < DEPTH ? scandir(folder, &names, NULL, alphasort) : 0;
    bool more = true;

    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        char *path = more && name[0] != '.' ? path_join(folder, name) : NULL;
        if (path)
            more = file_is_dir(path) ? walk(path, depth + 1, on, user) : on(user, path);
        free(path);
        free(names[i]);
    }
    free(names);
    return more;
}

static bool add_size(void *user, const char *path)
{
    uint64_t *sum = user;
    struct stat st;

    if (stat(path, &st) == 0) *sum += (uint64_t)st.st_size;
    return true;
}

uint64_t cache_size(const char *path)
{
    uint64_t sum = 0;

    if (file_is_dir(path)) walk(path, 0, add_size, &sum);
    else add_size(&sum, path);
    return sum;
}

typedef struct ref_search {
    const char *commit;
    size_t skip; /* length of "…/refs/" */
    char found[HUB_REVISION_MAX + 1];
} ref_search;

static bool same_commit(void *user, const char *path)
{
    ref_search *s = user;
    char commit[HUB_COMMIT + 1];

    if (!read_ref(commit, path) || strcmp(commit, s->commit) != 0) return true;
    if (!*s->found || strcmp(path + s->skip, "main") == 0)
        snprintf(s->found, sizeof s->found, "%s", path + s->skip);
    return true;
}

typedef struct listing {
    int (*on)(void *user, const cached_model *m);
    void *user;
    clipc_err *err;
} listing;

static int list_snapshot(const listing *l, const char *name, const char *folder,
                         const char *commit)
{
    char *refs = path_join(folder, "refs"),
         *path = inside(path_join(folder, "snapshots"), commit);
    ref_search s = {.commit = commit, .skip = refs ? strlen(refs) + 1 : 0};
    cached_model m = {name, s.found, commit, path, 0};
    int rc = CLIPC_OK;

    if (!refs || !path) {
        rc = clipc_fail_memory(l->err, name, 0);
    } else if (file_is_dir(path)) {
        walk(refs, 0, same_commit, &s);
        m.size = cache_size(path);
        rc = l->on(l->user, &m);
    }
    free(refs);
    free(path);
    return rc;
}

/* The snapshots of ROOT/models--org--name. */
static int list_repo(const listing *l, const char *root, const char *folder)
{
    const char *org = folder + sizeof prefix - 1, *dashes = strstr(org, "--");
    char name[HUB_REPO_MAX + 1];
    char *repo = path_join(root, folder),
         *snapshots = inside(path_join(root, folder), "snapshots");
    struct dirent **commits = NULL;
    int rc = CLIPC_OK, n = 0;

    snprintf(name, sizeof name, "%.*s%s%s", dashes ? (int)(dashes - org) : HUB_REPO_MAX,
             org, dashes ? "/" : "", dashes ? dashes + 2 : "");
    if (!repo || !snapshots) rc = clipc_fail_memory(l->err, name, 0);
    else n = scandir(snapshots, &commits, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        if (rc == CLIPC_OK && hub_is_hex(commits[i]->d_name, HUB_COMMIT))
            rc = list_snapshot(l, name, repo, commits[i]->d_name);
        free(commits[i]);
    }
    free(commits);
    free(snapshots);
    free(repo);
    return rc;
}

int cache_each(int (*on)(void *user, const cached_model *m), void *user, clipc_err *err)
{
    const listing l = {on, user, err};
    char *root = NULL;
    struct dirent **names = NULL;
    int rc = cache_root(&root, "cache", err);
    const int n = rc == CLIPC_OK ? scandir(root, &names, NULL, alphasort) : 0;

    for (int i = 0; i < n; i++) {
        if (rc == CLIPC_OK && strncmp(names[i]->d_name, prefix, sizeof prefix - 1) == 0)
            rc = list_repo(&l, root, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    free(root);
    return rc;
}

/* Any bytes as a hub's answer and, behind the first NUL, as the name of a model: what is
 * accepted stays in its folder of the cache. */
#include <stdlib.h>
#include <string.h>

#include "hub/repo.h"

/* No absolute path, no component that is empty or a dot or two. */
static void check_path(const char *path)
{
    size_t n;

    for (const char *p = path;; p += n + 1) {
        n = strcspn(p, "/");
        if (!n || (n <= 2 && strspn(p, ".") >= n)) abort();
        if (!p[n]) return;
    }
}

static void check_repo(const json_t *root)
{
    static const char *const globs[] = {"*.bin", "[a-m]*"};
    repo r;

    for (size_t n = 0; n <= 2; n++) {
        if (repo_read(&r, root, "org/name", NULL) == CLIPC_OK) {
            repo_choose(&r, globs, n, "org/name", NULL);
            for (size_t i = 0; i < r.n; i++) {
                const size_t len = strlen(r.files[i].hash);
                check_path(r.files[i].name);
                if (len && !hub_is_hex(r.files[i].hash, len)) abort();
            }
        }
        repo_free(&r);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    const size_t json = nul ? (size_t)(nul - data) : size;
    json_t *root = NULL;

    if (nul) {
        char *text = strndup((const char *)nul + 1, size - json - 1);
        hub_name name;
        if (!text) return 0;
        if (hub_name_parse(&name, text)) {
            check_path(name.repo);
            check_path(name.revision);
        }
        free(text);
    }
    if (json_parse(&root, (const char *)data, json, "answer", NULL) == CLIPC_OK)
        check_repo(root);
    json_decref(root);
    return 0;
}

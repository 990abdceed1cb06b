/* hub/cache.h -- the cache that Hugging Face's libraries keep, as huggingface_hub 2.4
 * lays it out, so that what one of them fetched is there for the others:
 *
 *   ROOT/models--org--name/blobs/HASH              a file's bytes; HASH as the hub has it
 *                                  HASH.incomplete what came of them so far
 *                          refs/main               the commit that a branch or tag means
 *                          snapshots/COMMIT/FILE   a link to ../../blobs/HASH
 *        .locks/models--org--name/HASH.lock        held (flock) while a blob is fetched
 *
 * ROOT: HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME/hub, XDG_CACHE_HOME/huggingface/hub,
 * ~/.cache/huggingface/hub.  Nothing here touches the network. */
#ifndef CLIPC_HUB_CACHE_H
#define CLIPC_HUB_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { HUB_REPO_MAX = 96, HUB_REVISION_MAX = 200, HUB_COMMIT = 40 };

/* "org/name@revision"; revision "main" where none is given. */
typedef struct hub_name {
    char repo[HUB_REPO_MAX + 1];
    char revision[HUB_REVISION_MAX + 1];
} hub_name;

/* Whether a text is the name of a model on a hub, by huggingface_hub's rules. */
bool hub_name_parse(hub_name *out, const char *text);

/* n hexadecimal digits, lower case, and nothing else. */
bool hub_is_hex(const char *text, size_t n);

/* Paths in malloc'd memory.  `what` names the model in messages. */
int cache_home(char **out, const char *what, clipc_err *err); /* HF_HOME: holds "token" */
int cache_root(char **out, const char *what, clipc_err *err);
/* ROOT/models--org--name */
int cache_repo(char **out, const char *repo, clipc_err *err);
/* A path of Hugging Face's environment variables, with "~/" expanded; NULL: not set. */
char *cache_env_path(const char *variable);

/* The folder of a model that is here; *out NULL, and no error, where it is not. */
int cache_find(char **out, const hub_name *name, clipc_err *err);

/* A snapshot; strings live as long as the call. */
typedef struct cached_model {
    const char *repo;     /* "org/name" */
    const char *revision; /* a branch or tag that means it, main before others; or "" */
    const char *commit, *path;
    uint64_t size; /* of its files */
} cached_model;

/* Every snapshot in the cache, in order of name; `on` returns CLIPC_OK to go on. */
int cache_each(int (*on)(void *user, const cached_model *m), void *user, clipc_err *err);

/* Globs over the names of models in one file, the best first; NULL at the end. */
extern const char *const cache_model_files[];

/* The bytes of a file, or of all files below a folder, links followed. */
uint64_t cache_size(const char *path);

#endif

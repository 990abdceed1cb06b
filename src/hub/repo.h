/* hub/repo.h -- what a hub says is in a model's repository, and which of it to fetch. */
#ifndef CLIPC_HUB_REPO_H
#define CLIPC_HUB_REPO_H

#include "base/json.h"
#include "hub/cache.h"

typedef struct repo_file {
    char *name;    /* "1_Pooling/config.json": a relative path, checked */
    uint64_t size; /* bytes */
    /* SHA-256 of large files (64 digits), git's SHA-1 of the others (40): the name that
     * the blob has in the cache. */
    char hash[65];
    bool wanted;
} repo_file;

typedef struct repo {
    char commit[HUB_COMMIT + 1];
    repo_file *files;
    size_t n;
} repo;

/* Reads the answer to GET /api/models/NAME/revision/REVISION?blobs=true, none of which is
 * trusted.  Release with repo_free, also after a failure. */
int repo_read(repo *r, const json_t *answer, const char *name, clipc_err *err);
void repo_free(repo *r);

/* Takes what the headers of a file say where the listing of a mirror says nothing. */
int repo_identify(repo_file *f, const char *etag, uint64_t size, const char *name,
                  clipc_err *err);

/* Marks as wanted: configs, the tokenizer's files, and in each folder the first kind of
 * weights that is there, in open_clip's order, then transformers', then single files; or
 * instead of those weights all that match one of the globs.  CLIPC_ERR_IO: no weights, or
 * several to choose from. */
int repo_choose(repo *r, const char *const *globs, size_t n_globs, const char *name,
                clipc_err *err);

#endif

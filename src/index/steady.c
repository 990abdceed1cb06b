#include "index/steady.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { FILE_LIMIT = 1 << 30 };

static bool same(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_ino == b->st_ino && a->st_dev == b->st_dev &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

bool steady_still(const struct stat *st, const char *path)
{
    struct stat after;

    return stat(path, &after) == 0 && same(st, &after);
}

static int look_at(struct stat *st, const char *path, clipc_err *err)
{
    if (stat(path, st) != 0)
        return clipc_fail(err, CLIPC_ERR_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st->st_mode)) /* a pipe would be waited for */
        return clipc_fail(err, CLIPC_ERR_IO, "%s: not a regular file", path);
    return CLIPC_OK;
}

int steady_read(buf *out, struct stat *st, bool *busy, const char *path, clipc_err *err)
{
    int rc = look_at(st, path, err);

    *busy = false;
    if (rc == CLIPC_OK) rc = file_read(out, path, FILE_LIMIT, err);
    if (rc == CLIPC_OK)
        *busy = !steady_still(st, path) || out->len != (size_t)st->st_size;
    return rc;
}

/* *size: how many bytes there were. */
static int hash_open(XXH3_state_t *h, uint64_t *size, FILE *f, const char *path,
                     clipc_err *err)
{
    enum { PART = 1 << 18 };
    uint8_t *part = malloc(PART);

    if (!part) return clipc_fail_memory(err, path, PART);
    XXH3_128bits_reset(h);
    *size = 0;
    for (size_t n; (n = fread(part, 1, PART, f)) > 0; *size += n)
        XXH3_128bits_update(h, part, n);
    free(part);
    return ferror(f) ? clipc_fail(err, CLIPC_ERR_IO, "%s: %s", path, strerror(errno))
                     : CLIPC_OK;
}

int steady_hash(store_hash *out, struct stat *st, bool *busy, const char *path,
                clipc_err *err)
{
    XXH3_state_t *h = XXH3_createState();
    FILE *f = NULL;
    uint64_t size = 0;
    int rc = h ? look_at(st, path, err) : clipc_fail_memory(err, path, 0);

    *busy = false;
    if (rc == CLIPC_OK && !(f = fopen(path, "rb")))
        rc = clipc_fail(err, CLIPC_ERR_IO, "%s: %s", path, strerror(errno));
    if (rc == CLIPC_OK) rc = hash_open(h, &size, f, path, err);
    if (rc == CLIPC_OK) {
        XXH128_canonical_t x;
        XXH128_canonicalFromHash(&x, XXH3_128bits_digest(h));
        memcpy(out->byte, x.digest, sizeof out->byte);
        *busy = !steady_still(st, path) || size != (uint64_t)st->st_size;
    }
    if (f) fclose(f);
    XXH3_freeState(h);
    return rc;
}

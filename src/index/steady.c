#include "index/steady.h"

#include <errno.h>
#include <string.h>

enum { FILE_LIMIT = 1 << 30 };

static bool same(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_ino == b->st_ino && a->st_dev == b->st_dev &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

int steady_read(buf *out, struct stat *st, bool *busy, const char *path, clipc_err *err)
{
    struct stat after;
    int rc;

    *busy = false;
    if (stat(path, st) != 0)
        return clipc_fail(err, CLIPC_ERR_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st->st_mode)) /* a pipe would be waited for */
        return clipc_fail(err, CLIPC_ERR_IO, "%s: not a regular file", path);
    rc = file_read(out, path, FILE_LIMIT, err);
    if (rc != CLIPC_OK) return rc;
    *busy =
        stat(path, &after) != 0 || !same(st, &after) || out->len != (size_t)st->st_size;
    return CLIPC_OK;
}

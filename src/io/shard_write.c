#include "io/shard_write.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>

static la_ssize_t write_bytes(struct archive *a, void *user, const void *data, size_t n)
{
    shard_writer *w = user;

    if (atomic_write(&w->file, data, n, &w->why) != CLIPC_OK) {
        archive_set_error(a, EIO, "cannot write");
        return -1;
    }
    w->bytes += n;
    return (la_ssize_t)n;
}

static int failed(const shard_writer *w, clipc_err *err)
{
    const char *why = archive_error_string(w->archive);

    if (w->why.code) return clipc_fail(err, w->why.code, "%s", w->why.msg);
    return clipc_fail(err, CLIPC_ERR_IO, "%s: %s", w->file.path,
                      why ? why : "cannot write");
}

int shard_create(shard_writer *w, const char *path, clipc_err *err)
{
    *w = (shard_writer){0};
    const int rc = atomic_open(&w->file, path, true, err);

    if (rc != CLIPC_OK) return rc;
    w->archive = archive_write_new();
    w->entry = archive_entry_new();
    if (!w->archive || !w->entry) {
        shard_abort(w);
        return clipc_fail_memory(err, path, 0);
    }
    archive_write_set_format_ustar(w->archive);
    if (archive_write_open(w->archive, w, NULL, write_bytes, NULL) == ARCHIVE_OK)
        return CLIPC_OK;
    const int code = failed(w, err);
    shard_abort(w);
    return code;
}

int shard_put(shard_writer *w, const char *name, const void *data, size_t size,
              clipc_err *err)
{
    archive_entry_clear(w->entry);
    archive_entry_set_pathname(w->entry, name);
    archive_entry_set_filetype(w->entry, AE_IFREG);
    archive_entry_set_perm(w->entry, 0644);
    archive_entry_set_size(w->entry, (la_int64_t)size);
    archive_entry_set_mtime(w->entry, 0, 0);
    if (archive_write_header(w->archive, w->entry) == ARCHIVE_OK &&
        archive_write_data(w->archive, data, size) == (la_ssize_t)size)
        return CLIPC_OK;
    return failed(w, err);
}

int shard_commit(shard_writer *w, clipc_err *err)
{
    if (archive_write_close(w->archive) != ARCHIVE_OK) return failed(w, err);
    const int rc = atomic_commit(&w->file, err);
    shard_abort(w);
    return rc;
}

void shard_abort(shard_writer *w)
{
    if (w->archive) archive_write_free(w->archive);
    if (w->entry) archive_entry_free(w->entry);
    atomic_abort(&w->file);
    *w = (shard_writer){0};
}

#define _GNU_SOURCE
#include "hub/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

/* ---- the hash ------------------------------------------------------------------------
 */

typedef struct blob_hash {
    bool git; /* SHA-1 of "blob SIZE\0" and the bytes; else SHA-256 of the bytes */
    struct sha1_ctx sha1;
    struct sha256_ctx sha256;
} blob_hash;

static void hash_start(blob_hash *h, const repo_file *f)
{
    char head[32];

    h->git = strlen(f->hash) == 2 * SHA1_DIGEST_SIZE;
    sha1_init(&h->sha1);
    sha256_init(&h->sha256);
    if (!h->git) return;
    const int n = snprintf(head, sizeof head, "blob %" PRIu64, f->size);
    sha1_update(&h->sha1, (size_t)n + 1, (const uint8_t *)head);
}

static void hash_take(blob_hash *h, const void *data, size_t size)
{
    if (h->git) sha1_update(&h->sha1, size, data);
    else sha256_update(&h->sha256, size, data);
}

static void hash_end(char hex[65], blob_hash *h)
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    const size_t n = h->git ? SHA1_DIGEST_SIZE : SHA256_DIGEST_SIZE;

    if (h->git) sha1_digest(&h->sha1, n, digest);
    else sha256_digest(&h->sha256, n, digest);
    for (size_t i = 0; i < n; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

/* ---- a blob under way ----------------------------------------------------------------
 */

typedef struct blob {
    const blob_store *store;
    const repo_file *file;
    char *path, *partial, *lock;
    int fd, lock_fd; /* -1: not open */
    http_sink sink;
    blob_hash hash;
    uint64_t *have; /* the caller's copy of sink.have */
} blob;

static void set_have(blob *b, uint64_t have)
{
    *b->have = b->sink.have = have;
}

static int fail_errno(const blob *b, const char *doing, const char *path, clipc_err *err)
{
    return clipc_fail(err, CLIPC_ERR_IO, "%s: %s: cannot %s %s: %s", b->store->name,
                      b->file->name, doing, path, strerror(errno));
}

static int restart(void *user, clipc_err *err)
{
    blob *b = user;

    hash_start(&b->hash, b->file);
    set_have(b, 0);
    return ftruncate(b->fd, 0) == 0 && lseek(b->fd, 0, SEEK_SET) == 0
               ? CLIPC_OK
               : fail_errno(b, "write", b->partial, err);
}

static int take(void *user, const void *data, size_t size, clipc_err *err)
{
    blob *b = user;
    const char *p = data;

    if (size > b->file->size - b->sink.have)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: %s: more than the %" PRIu64 " bytes announced",
                          b->store->name, b->file->name, b->file->size);
    while (size) {
        const ssize_t n = write(b->fd, p, size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(b, "write", b->partial, err);
        hash_take(&b->hash, p, (size_t)n);
        set_have(b, b->sink.have + (uint64_t)n);
        p += n, size -= (size_t)n;
    }
    return CLIPC_OK;
}

/* Opens what an earlier run left, if it did, and takes it into the hash. */
static int take_up(blob *b, clipc_err *err)
{
    enum { STEP = 1 << 18 };
    char *bytes = malloc(STEP);
    ssize_t n = 0;

    if (!bytes) return clipc_fail_memory(err, b->file->name, STEP);
    b->fd = open(b->partial, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    hash_start(&b->hash, b->file);
    while (b->fd >= 0 && (n = read(b->fd, bytes, STEP)) > 0) {
        hash_take(&b->hash, bytes, (size_t)n);
        set_have(b, b->sink.have + (uint64_t)n);
    }
    free(bytes);
    if (b->fd < 0 || n < 0) return fail_errno(b, "open", b->partial, err);
    /* Longer than the file is: it can be no beginning of it. */
    return b->sink.have > b->file->size ? restart(b, err) : CLIPC_OK;
}

/* Waits for another process that fetches the same blob.  A file system without locks has
 * none: the hash still tells. */
static int take_lock(blob *b, http *h, clipc_err *err)
{
    int rc = file_mkdirs(b->store->locks, err);

    if (rc != CLIPC_OK) return rc;
    b->lock_fd = open(b->lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0664);
    if (b->lock_fd < 0) return fail_errno(b, "open", b->lock, err);
    while (rc == CLIPC_OK && flock(b->lock_fd, LOCK_EX | LOCK_NB) != 0 &&
           (errno == EWOULDBLOCK || errno == EINTR))
        rc = http_pause(h, 0.2, err);
    return rc;
}

static int check(blob *b, clipc_err *err)
{
    char hash[65];

    if (b->sink.have != b->file->size)
        return clipc_fail(err, CLIPC_ERR_IO,
                          "%s: %s: the server ends after %" PRIu64 " of %" PRIu64
                          " bytes",
                          b->store->name, b->file->name, b->sink.have, b->file->size);
    hash_end(hash, &b->hash);
    if (strcmp(hash, b->file->hash) != 0)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: %s: wrong checksum, removed: wanted %.16s.., have %.16s..",
                          b->store->name, b->file->name, b->file->hash, hash);
    return CLIPC_OK;
}

static int fetch_locked(blob *b, http *h, const char *url, long patience, clipc_err *err)
{
    int rc = take_up(b, err);

    if (rc == CLIPC_OK && (b->sink.have < b->file->size || !b->file->size))
        rc = http_get(h, url, b->file->name, patience, &b->sink, err);
    if (rc == CLIPC_OK) rc = check(b, err);
    if (rc == CLIPC_OK && (fsync(b->fd) != 0 || rename(b->partial, b->path) != 0))
        rc = fail_errno(b, "write", b->path, err);
    if (rc == CLIPC_ERR_FORMAT) {
        unlink(b->partial);
        set_have(b, 0);
    }
    return rc;
}

/* dir/HASH and an ending */
static char *hash_path(const char *dir, const repo_file *f, const char *ending)
{
    char name[sizeof f->hash + 16];

    snprintf(name, sizeof name, "%s%s", f->hash, ending);
    return path_join(dir, name);
}

/* The size of a regular file; false: there is none. */
static bool size_of(uint64_t *size, const char *path)
{
    struct stat st;
    const bool there = path && stat(path, &st) == 0 && S_ISREG(st.st_mode);

    *size = there ? (uint64_t)st.st_size : 0;
    return there;
}

uint64_t blob_here(const blob_store *s, const repo_file *f, bool *whole)
{
    char *path = hash_path(s->blobs, f, ""),
         *partial = hash_path(s->blobs, f, ".incomplete");
    uint64_t size;

    *whole = size_of(&size, path) && size == f->size;
    if (!*whole && (!size_of(&size, partial) || size > f->size)) size = 0;
    free(path);
    free(partial);
    return size;
}

int blob_fetch(const blob_store *s, const repo_file *f, http *h, const char *url,
               long patience, uint64_t *have, clipc_err *err)
{
    blob b = {.store = s,
              .file = f,
              .path = hash_path(s->blobs, f, ""),
              .partial = hash_path(s->blobs, f, ".incomplete"),
              .lock = hash_path(s->locks, f, ".lock"),
              .fd = -1,
              .lock_fd = -1,
              .have = have};
    bool whole = false;
    int rc = CLIPC_OK;

    b.sink = (http_sink){.user = &b, .restart = restart, .take = take};
    *have = 0;
    if (!b.path || !b.partial || !b.lock) rc = clipc_fail_memory(err, f->name, 0);
    if (rc == CLIPC_OK) rc = take_lock(&b, h, err);
    if (rc == CLIPC_OK) blob_here(s, f, &whole);
    if (rc == CLIPC_OK && !whole) rc = fetch_locked(&b, h, url, patience, err);
    if (rc == CLIPC_OK) *have = f->size;
    if (b.fd >= 0) close(b.fd);
    if (b.lock_fd >= 0) close(b.lock_fd); /* which unlocks */
    free(b.path);
    free(b.partial);
    free(b.lock);
    return rc;
}

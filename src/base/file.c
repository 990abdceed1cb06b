#define _GNU_SOURCE
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rng.h"

static int fail_errno(clipc_err *err, const char *path, const char *doing)
{
    return clipc_fail(err, CLIPC_ERR_IO, "%s: cannot %s: %s", path, doing,
                      strerror(errno));
}

int file_map(span *out, const char *path, clipc_err *err)
{
    struct stat st;
    int rc = CLIPC_OK;

    *out = (span){0};
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail_errno(err, path, "open");
    if (fstat(fd, &st) != 0) {
        rc = fail_errno(err, path, "stat");
    } else if (!S_ISREG(st.st_mode)) {
        rc = clipc_fail(err, CLIPC_ERR_IO, "%s: not a regular file", path);
    } else if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED) rc = fail_errno(err, path, "map");
        else *out = (span){p, (size_t)st.st_size};
    }
    close(fd);
    return rc;
}

void file_unmap(span *s)
{
    if (s && s->data) munmap((void *)(uintptr_t)s->data, s->size);
    if (s) *s = (span){0};
}

void file_forget(span bytes)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)bytes.data;
    const uintptr_t first = (at + page - 1) / page * page;
    const uintptr_t last = (at + bytes.size) / page * page;

    if (first < last) madvise((void *)first, last - first, MADV_DONTNEED);
}

static int read_all(buf *out, int fd, const char *path, size_t limit, clipc_err *err)
{
    enum { STEP = 1 << 16 };

    for (;;) {
        const int rc = buf_reserve(out, STEP, err);
        if (rc != CLIPC_OK) return rc;
        const ssize_t n = read(fd, out->data + out->len, STEP);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(err, path, "read");
        if (n == 0) break;
        out->len += (size_t)n;
        if (out->len > limit)
            return clipc_fail(err, CLIPC_ERR_LIMIT, "%s: larger than %zu bytes", path,
                              limit);
    }
    out->data[out->len] = '\0';
    return CLIPC_OK;
}

int file_read(buf *out, const char *path, size_t limit, clipc_err *err)
{
    buf_clear(out);
    if (strcmp(path, "-") == 0) return read_all(out, STDIN_FILENO, "-", limit, err);

    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail_errno(err, path, "open");
    const int rc = read_all(out, fd, path, limit, err);
    close(fd);
    return rc;
}

int file_read_part(buf *out, const char *path, uint64_t offset, size_t size,
                   clipc_err *err)
{
    buf_clear(out);
    int rc = buf_reserve(out, size, err);
    if (rc != CLIPC_OK) return rc;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail_errno(err, path, "open");
    while (rc == CLIPC_OK && out->len < size) {
        const ssize_t n =
            pread(fd, out->data + out->len, size - out->len, (off_t)(offset + out->len));
        if (n > 0) out->len += (size_t)n;
        else if (n == 0) rc = clipc_fail(err, CLIPC_ERR_IO, "%s: ends too early", path);
        else if (errno != EINTR) rc = fail_errno(err, path, "read");
    }
    close(fd);
    out->data[out->len] = '\0';
    return rc;
}

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool file_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool file_is_regular(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

int file_mkdirs(const char *path, clipc_err *err)
{
    char *copy = strdup(path);
    int rc = CLIPC_OK;

    if (!copy) return clipc_fail_memory(err, path, strlen(path));
    for (char *p = copy + 1; rc == CLIPC_OK && *p; p++) {
        if (*p != '/') continue;
        *p = '\0';
        if (mkdir(copy, 0777) != 0 && errno != EEXIST)
            rc = fail_errno(err, copy, "create");
        *p = '/';
    }
    if (rc == CLIPC_OK && mkdir(copy, 0777) != 0 && errno != EEXIST)
        rc = fail_errno(err, copy, "create");
    if (rc == CLIPC_OK && !file_is_dir(copy))
        rc = clipc_fail(err, CLIPC_ERR_IO, "%s: not a folder", copy);
    free(copy);
    return rc;
}

/* As mkostemp, but with the permissions of any new file, which the umask and the folder
 * shape; it would make it 0600. */
static int make_temporary(char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    char *x = name + strlen(name) - strlen("XXXXXX");
    rng r = rng_seed((uint64_t)getpid(), (uint64_t)(clock_now() * 1e9));
    int fd = -1;

    for (int tries = 0; tries < 100; tries++) {
        for (char *p = x; *p; p++) *p = letters[rng_below(&r, sizeof letters - 1)];
        fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST) break;
    }
    return fd;
}

/* A file that takes another's place is open to the same people. */
static bool keep_mode(int fd, const char *path)
{
    struct stat st;

    return stat(path, &st) != 0 || fchmod(fd, st.st_mode & 0777) == 0;
}

int atomic_open(atomic_file *a, const char *path, bool overwrite, clipc_err *err)
{
    int fd = -1, rc = CLIPC_OK;

    *a = (atomic_file){0};
    if (!overwrite && file_exists(path))
        return clipc_fail(err, CLIPC_ERR_EXISTS, "%s: exists already", path);
    if (file_is_dir(path))
        return clipc_fail(err, CLIPC_ERR_EXISTS, "%s: is a folder", path);
    if (file_exists(path) && !file_is_regular(path)) /* /dev/null would be gone */
        return clipc_fail(err, CLIPC_ERR_EXISTS, "%s: is no regular file", path);
    a->path = strdup(path);
    if (!a->path || asprintf(&a->tmp, "%s.XXXXXX", path) < 0) {
        a->tmp = NULL;
        rc = clipc_fail_memory(err, path, strlen(path));
    } else if ((fd = make_temporary(a->tmp)) < 0) {
        rc = fail_errno(err, path, "write beside");
        free(a->tmp); /* nothing was made, so nothing is to be removed */
        a->tmp = NULL;
    } else if (!keep_mode(fd, path) || !(a->f = fdopen(fd, "wb"))) {
        rc = fail_errno(err, path, "write");
        close(fd);
    }
    if (rc != CLIPC_OK) atomic_abort(a);
    return rc;
}

int atomic_write(atomic_file *a, const void *data, size_t size, clipc_err *err)
{
    if (size && fwrite(data, 1, size, a->f) != size)
        return fail_errno(err, a->path, "write");
    return CLIPC_OK;
}

/* The rename itself lives in the folder: without this a crash could bring back the old
 * one. */
static void sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    const int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(dir);
}

int atomic_commit(atomic_file *a, clipc_err *err)
{
    const bool flushed = fflush(a->f) == 0 && fsync(fileno(a->f)) == 0;
    int rc = flushed ? CLIPC_OK : fail_errno(err, a->path, "write");

    if (fclose(a->f) != 0 && rc == CLIPC_OK) rc = fail_errno(err, a->path, "write");
    a->f = NULL;
    if (rc == CLIPC_OK && rename(a->tmp, a->path) != 0)
        rc = fail_errno(err, a->path, "replace");
    if (rc == CLIPC_OK) {
        sync_folder(a->path);
        free(a->tmp); /* renamed away: nothing left to remove */
        a->tmp = NULL;
    }
    atomic_abort(a);
    return rc;
}

void atomic_abort(atomic_file *a)
{
    if (a->f) fclose(a->f);
    if (a->tmp) unlink(a->tmp);
    free(a->tmp);
    free(a->path);
    *a = (atomic_file){0};
}

int atomic_check(const char *path, bool overwrite, clipc_err *err)
{
    atomic_file a;
    const int rc = atomic_open(&a, path, overwrite, err);

    atomic_abort(&a);
    return rc;
}

int file_replace(const char *path, const void *data, size_t size, clipc_err *err)
{
    atomic_file a;
    int rc = atomic_open(&a, path, true, err);

    if (rc != CLIPC_OK) return rc;
    rc = atomic_write(&a, data, size, err);
    if (rc == CLIPC_OK) return atomic_commit(&a, err);
    atomic_abort(&a);
    return rc;
}

char *path_join(const char *dir, const char *name)
{
    char *out = NULL;
    const size_t len = strlen(dir);
    const char *slash = len && dir[len - 1] != '/' ? "/" : "";

    return asprintf(&out, "%s%s%s", dir, slash, name) < 0 ? NULL : out;
}

const char *path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

const char *path_ending(const char *path)
{
    const char *dot = strrchr(path_base(path), '.');
    return dot ? dot + 1 : "";
}

static bool is_one_of(const char *ending, const char *const *known, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(ending, known[i]) == 0) return true;
    return false;
}

bool ending_is_picture(const char *ending)
{
    static const char *const known[] = {
        "jpg", "jpeg", "png",  "webp", "gif",  "bmp",  "pbm", "pgm", "ppm",
        "pnm", "tif",  "tiff", "heic", "heif", "avif", "jxl", "3fr", "arw",
        "cr2", "cr3",  "crw",  "dcr",  "dng",  "erf",  "kdc", "mrw", "nef",
        "nrw", "orf",  "pef",  "raf",  "rw2",  "sr2",  "srf", "srw", "x3f"};

    return is_one_of(ending, known, sizeof known / sizeof known[0]);
}

bool ending_is_video(const char *ending)
{
    static const char *const known[] = {"3gp", "asf", "avi", "flv",  "m2ts",
                                        "m4v", "mkv", "mov", "mp4",  "mpeg",
                                        "mpg", "mts", "ogv", "webm", "wmv"};

    return is_one_of(ending, known, sizeof known / sizeof known[0]);
}

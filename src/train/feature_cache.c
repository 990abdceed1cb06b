#include "train/feature_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ckd.h"
#include "base/file.h"
#include "base/hash.h"

enum { HEADER = 64, ROOM_FIRST = 256, NUMBERS_MAX = 1 << 20 };
static const char MAGIC[16] = "clipcfeatures1";

typedef struct record {
    uint64_t key, check;
    float row[];
} record;

struct feature_cache {
    char *path;
    int fd;
    char *map;
    size_t bytes; /* of it */
    uint64_t signature;
    size_t E, n, room; /* records: there; that fit */
    size_t *slots;     /* [n_slots] open addressing: a record's number + 1; 0: free */
    size_t n_slots;    /* a power of two, more than twice n */
    pthread_mutex_t lock;
};

static int io_error(const feature_cache *c, const char *what, int why, clipc_err *err)
{
    return clipc_fail(err, CLIPC_ERR_IO, "%s: cannot %s: %s", c->path, what,
                      strerror(why));
}

static size_t bytes_of(size_t E)
{
    /* An even number of floats, so that keys are aligned. */
    return sizeof(record) + (E + 1) / 2 * 2 * sizeof(float);
}

static size_t record_bytes(const feature_cache *c)
{
    return bytes_of(c->E);
}

size_t feature_cache_bytes(size_t records, size_t E)
{
    return records * (bytes_of(E) + 3 * sizeof(size_t)); /* slots: two to four a record */
}

static record *record_at(const feature_cache *c, size_t i)
{
    return (record *)(void *)(c->map + HEADER + i * record_bytes(c));
}

static uint64_t check_of(const feature_cache *c, uint64_t key, const float *row)
{
    return hash_bytes(hash_bytes(1, &key, sizeof key), row, c->E * sizeof *row);
}

/* ---- the table ---- */

static size_t *slot_of(const feature_cache *c, uint64_t key)
{
    size_t i = (size_t)(key ^ key >> 32) & (c->n_slots - 1);

    while (c->slots[i] && record_at(c, c->slots[i] - 1)->key != key)
        i = (i + 1) & (c->n_slots - 1);
    return &c->slots[i];
}

static int reserve(feature_cache *c, clipc_err *err)
{
    const size_t n = c->n_slots ? 2 * c->n_slots : 1024;
    size_t *old = c->slots;

    if (2 * (c->n + 1) < c->n_slots) return CLIPC_OK;
    if (!(c->slots = calloc(n, sizeof *c->slots))) {
        c->slots = old;
        return clipc_fail_memory(err, c->path, n * sizeof *c->slots);
    }
    c->n_slots = n;
    free(old);
    for (size_t i = 0; i < c->n; i++) *slot_of(c, record_at(c, i)->key) = i + 1;
    return CLIPC_OK;
}

/* ---- the file ---- */

static int map_file(feature_cache *c, size_t bytes, clipc_err *err)
{
    void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, 0);

    if (map == MAP_FAILED) return io_error(c, "map", errno, err);
    if (c->map) munmap(c->map, c->bytes);
    c->map = map;
    c->bytes = bytes;
    return CLIPC_OK;
}

/* The room is taken from the disk before anything is written into the mapping: where
 * that is full, this fails and not the write. */
static int grow(feature_cache *c, clipc_err *err)
{
    const size_t room = c->room ? 2 * c->room : ROOM_FIRST;
    size_t bytes;
    int why, rc;

    if (ckd_mul_size(&bytes, room, record_bytes(c)) ||
        ckd_add_size(&bytes, bytes, HEADER))
        return clipc_fail(err, CLIPC_ERR_LIMIT, "%s: too large", c->path);
    if ((why = posix_fallocate(c->fd, 0, (off_t)bytes)) != 0)
        return io_error(c, "grow", why, err);
    if ((rc = map_file(c, bytes, err)) == CLIPC_OK) c->room = room;
    return rc;
}

static void write_header(feature_cache *c)
{
    const uint64_t numbers[2] = {c->signature, c->E};

    memcpy(c->map + sizeof MAGIC, numbers, sizeof numbers);
    memcpy(c->map, MAGIC, sizeof MAGIC);
}

static int check_header(const feature_cache *c, clipc_err *err)
{
    uint64_t numbers[2];

    memcpy(numbers, c->map + sizeof MAGIC, sizeof numbers);
    if (memcmp(c->map, MAGIC, sizeof MAGIC) != 0)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: holds no features", c->path);
    if (numbers[0] != c->signature || numbers[1] != c->E)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: holds features of another model",
                          c->path);
    return CLIPC_OK;
}

/* All sound records from the first on. */
static int read_records(feature_cache *c, clipc_err *err)
{
    int rc = CLIPC_OK;

    while (rc == CLIPC_OK && c->n < c->room) {
        const record *r = record_at(c, c->n);
        if (r->check != check_of(c, r->key, r->row)) break;
        if ((rc = reserve(c, err)) == CLIPC_OK) *slot_of(c, r->key) = ++c->n;
    }
    return rc;
}

static int open_file(feature_cache *c, clipc_err *err)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct stat st;
    int rc;

    c->fd = open(c->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (c->fd < 0 || fstat(c->fd, &st) != 0) return io_error(c, "open", errno, err);
    if (fcntl(c->fd, F_SETLK, &lock) != 0) return io_error(c, "lock", errno, err);
    if (st.st_size < HEADER) {
        if ((rc = grow(c, err)) == CLIPC_OK) write_header(c);
        return rc;
    }
    c->room = ((size_t)st.st_size - HEADER) / record_bytes(c);
    if ((rc = map_file(c, (size_t)st.st_size, err)) != CLIPC_OK) return rc;
    if ((rc = check_header(c, err)) != CLIPC_OK) return rc;
    return read_records(c, err);
}

static int make_folder(const char *path, clipc_err *err)
{
    const size_t len = (size_t)(path_base(path) - path);
    char *folder = strdup(path);
    int rc = folder ? CLIPC_OK : clipc_fail_memory(err, path, len);

    if (folder && len) {
        folder[len - 1] = '\0';
        rc = *folder ? file_mkdirs(folder, err) : CLIPC_OK;
    }
    free(folder);
    return rc;
}

int feature_cache_open(feature_cache **out, const char *path, uint64_t signature,
                       size_t E, clipc_err *err)
{
    feature_cache *c = calloc(1, sizeof *c);
    int rc = make_folder(path, err);

    *out = NULL;
    if (!c) return clipc_fail_memory(err, path, sizeof *c);
    pthread_mutex_init(&c->lock, NULL);
    c->fd = -1, c->signature = signature, c->E = E;
    c->path = strdup(path);
    if (rc == CLIPC_OK && !c->path) rc = clipc_fail_memory(err, path, 0);
    if (rc == CLIPC_OK && (E < 1 || E > NUMBERS_MAX))
        rc = clipc_fail(err, CLIPC_ERR_LIMIT, "%s: rows of %zu numbers", path, E);
    if (rc == CLIPC_OK) rc = open_file(c, err);
    if (rc == CLIPC_OK) rc = reserve(c, err);
    if (rc == CLIPC_OK) *out = c;
    else feature_cache_close(c);
    return rc;
}

void feature_cache_close(feature_cache *c)
{
    if (!c) return;
    if (c->map) munmap(c->map, c->bytes);
    if (c->fd >= 0) close(c->fd);
    pthread_mutex_destroy(&c->lock);
    free(c->slots);
    free(c->path);
    free(c);
}

size_t feature_cache_count(const feature_cache *c)
{
    return c->n;
}

const float *feature_cache_get(feature_cache *c, uint64_t key)
{
    pthread_mutex_lock(&c->lock);
    const size_t found = *slot_of(c, key);
    pthread_mutex_unlock(&c->lock);
    return found ? record_at(c, found - 1)->row : NULL;
}

bool feature_cache_has(feature_cache *c, uint64_t key)
{
    pthread_mutex_lock(&c->lock);
    const bool there = *slot_of(c, key) != 0;
    pthread_mutex_unlock(&c->lock);
    return there;
}

static int put(feature_cache *c, uint64_t key, const float *row, clipc_err *err)
{
    int rc;

    if (*slot_of(c, key)) return CLIPC_OK;
    if (c->n == c->room && (rc = grow(c, err)) != CLIPC_OK) return rc;
    if ((rc = reserve(c, err)) != CLIPC_OK) return rc;
    record *r = record_at(c, c->n);
    r->key = key;
    memcpy(r->row, row, c->E * sizeof *row);
    r->check = check_of(c, key, row);
    *slot_of(c, key) = ++c->n;
    return CLIPC_OK;
}

int feature_cache_put(feature_cache *c, uint64_t key, const float *row, clipc_err *err)
{
    pthread_mutex_lock(&c->lock);
    const int rc = put(c, key, row, err);
    pthread_mutex_unlock(&c->lock);
    return rc;
}

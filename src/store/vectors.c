#include "store/vectors.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ckd.h"
#include "base/hash.h"

enum { TAGS = 8192, CHECKS_AT = 4096, SCALES_AT = 6144, VERSION = 1 };
static const char MAGIC[16] = "clipc vectors 1";
static const float HALF_MOST = 65504.0f;

/* The header's bytes; zeros follow. */
typedef struct raw_head {
    char magic[16];
    store_hash fingerprint;
    uint32_t version, type, dim, block;
    char model[VECTORS_MODEL_MOST + 1];
    uint64_t check; /* hash_bytes of all above */
} raw_head;

static int io_error(const vectors *v, const char *what, int why, clipc_err *err)
{
    return clipc_fail(err, CLIPC_ERR_IO, "%s: cannot %s: %s", v->path, what,
                      strerror(why));
}

/* ---- where things lie ---- */

size_t vectors_row_bytes(const vectors *v)
{
    return v->head.dim * dtype_size(v->head.type);
}

static uint64_t block_bytes(const vectors *v)
{
    return TAGS + (uint64_t)VECTORS_BLOCK * vectors_row_bytes(v);
}

static uint64_t block_at(const vectors *v, uint64_t slot)
{
    return VECTORS_HEAD + slot / VECTORS_BLOCK * block_bytes(v);
}

/* Within its block. */
static size_t key_at(uint64_t slot)
{
    return slot % VECTORS_BLOCK * sizeof(store_hash);
}

static size_t check_at(uint64_t slot)
{
    return CHECKS_AT + slot % VECTORS_BLOCK * sizeof(uint64_t);
}

static size_t scale_at(uint64_t slot)
{
    return SCALES_AT + slot % VECTORS_BLOCK * sizeof(float);
}

static size_t row_at(const vectors *v, uint64_t slot)
{
    return TAGS + slot % VECTORS_BLOCK * vectors_row_bytes(v);
}

/* ---- the header ---- */

_Static_assert(DT_F32 == 0 && DT_F16 == 1 && DT_I8 == 7, "as FORMAT.md has them");

static uint64_t head_check(const raw_head *h)
{
    return hash_bytes(1, h, offsetof(raw_head, check));
}

int vectors_parse(vectors_head *out, const uint8_t *head, const char *path,
                  clipc_err *err)
{
    raw_head h;

    memcpy(&h, head, sizeof h);
    if (memcmp(h.magic, MAGIC, sizeof MAGIC) != 0)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no file of vectors", path);
    if (h.check != head_check(&h))
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: the header is damaged", path);
    if (h.version != VERSION || h.block != VECTORS_BLOCK)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: version %u, not %d", path,
                          (unsigned)h.version, VERSION);
    if (h.type != DT_F16 && h.type != DT_F32 && h.type != DT_I8)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: vectors of type %u", path,
                          (unsigned)h.type);
    if (h.dim < 1 || h.dim > VECTORS_DIM_MOST)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: vectors of %u numbers", path,
                          (unsigned)h.dim);
    if (!memchr(h.model, '\0', sizeof h.model))
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: the model's name is endless", path);
    *out = (vectors_head){.fingerprint = h.fingerprint, .dim = h.dim, .type = h.type};
    memcpy(out->model, h.model, sizeof h.model);
    return CLIPC_OK;
}

static int write_at(vectors *v, uint64_t at, const void *data, size_t size,
                    clipc_err *err)
{
    const char *p = data;

    v->dirty = true;
    while (size) {
        const ssize_t n = pwrite(v->fd, p, size, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return io_error(v, "write", n < 0 ? errno : ENOSPC, err);
        p += n, at += (uint64_t)n, size -= (size_t)n;
    }
    return CLIPC_OK;
}

static int write_head(vectors *v, clipc_err *err)
{
    raw_head h = {.fingerprint = v->head.fingerprint,
                  .version = VERSION,
                  .type = v->head.type,
                  .dim = (uint32_t)v->head.dim,
                  .block = VECTORS_BLOCK};
    uint8_t page[VECTORS_HEAD] = {0};

    memcpy(h.magic, MAGIC, sizeof MAGIC);
    memcpy(h.model, v->head.model, sizeof h.model);
    h.check = head_check(&h);
    memcpy(page, &h, sizeof h);
    return write_at(v, 0, page, sizeof page, err);
}

static int read_head(vectors *v, clipc_err *err)
{
    uint8_t page[VECTORS_HEAD];
    const ssize_t n = pread(v->fd, page, sizeof page, 0);

    if (n < 0) return io_error(v, "read", errno, err);
    if (n < VECTORS_HEAD)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: ends within its header", v->path);
    return vectors_parse(&v->head, page, v->path, err);
}

/* ---- opening ---- */

static int open_with(vectors *v, const char *path, int flags, clipc_err *err)
{
    *v = (vectors){.fd = -1, .path = strdup(path)};
    if (!v->path) return clipc_fail_memory(err, path, strlen(path));
    v->fd = open(path, flags | O_CLOEXEC, 0666);
    return v->fd >= 0 ? CLIPC_OK : io_error(v, "open", errno, err);
}

int vectors_open(vectors *v, const char *path, bool write, clipc_err *err)
{
    int rc = open_with(v, path, write ? O_RDWR : O_RDONLY, err);

    if (rc == CLIPC_OK) rc = read_head(v, err);
    if (rc != CLIPC_OK) vectors_close(v);
    return rc;
}

static int open_with_head(vectors *v, const char *path, int flags,
                          const vectors_head *head, clipc_err *err)
{
    int rc = open_with(v, path, O_RDWR | O_CREAT | flags, err);

    v->head = *head;
    if (rc == CLIPC_OK) rc = write_head(v, err);
    if (rc != CLIPC_OK) vectors_close(v);
    return rc;
}

int vectors_create(vectors *v, const char *path, const vectors_head *head, clipc_err *err)
{
    return open_with_head(v, path, O_TRUNC, head, err);
}

int vectors_mend(vectors *v, const char *path, const vectors_head *head, clipc_err *err)
{
    return open_with_head(v, path, 0, head, err);
}

void vectors_close(vectors *v)
{
    if (v->map) munmap((void *)v->map, v->mapped);
    if (v->path && v->fd >= 0) close(v->fd);
    free(v->pending);
    free(v->path);
    *v = (vectors){.fd = -1};
}

/* ---- reading ---- */

static int file_bytes(const vectors *v, uint64_t *bytes, clipc_err *err)
{
    struct stat st;

    if (fstat(v->fd, &st) != 0) return io_error(v, "examine", errno, err);
    *bytes = (uint64_t)st.st_size;
    return CLIPC_OK;
}

int vectors_room(const vectors *v, uint64_t *slots, clipc_err *err)
{
    uint64_t bytes;
    const int rc = file_bytes(v, &bytes, err);

    *slots = 0;
    if (rc != CLIPC_OK || bytes < VECTORS_HEAD) return rc;
    const uint64_t rest = (bytes - VECTORS_HEAD) % block_bytes(v);
    *slots = (bytes - VECTORS_HEAD) / block_bytes(v) * VECTORS_BLOCK;
    if (rest > TAGS) *slots += (rest - TAGS) / vectors_row_bytes(v);
    return CLIPC_OK;
}

/* Behind the row of the last of so many slots.  A catalogue may say any number. */
static int end_of(const vectors *v, size_t *end, uint64_t slots, clipc_err *err)
{
    uint64_t bytes;

    if (ckd_mul_u64(&bytes, slots / VECTORS_BLOCK + 1, block_bytes(v)) ||
        bytes > SIZE_MAX / 2)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: %llu vectors are too many", v->path,
                          (unsigned long long)slots);
    *end = slots ? (size_t)block_at(v, slots - 1) + row_at(v, slots - 1) +
                       vectors_row_bytes(v)
                 : VECTORS_HEAD;
    return CLIPC_OK;
}

int vectors_extend(vectors *v, uint64_t slots, clipc_err *err)
{
    uint64_t bytes = 0;
    size_t end = 0;
    int rc = end_of(v, &end, slots, err);

    if (rc == CLIPC_OK) rc = file_bytes(v, &bytes, err);
    if (rc != CLIPC_OK || bytes >= end) return rc;
    v->dirty = true;
    return ftruncate(v->fd, (off_t)end) == 0 ? CLIPC_OK
                                             : io_error(v, "extend", errno, err);
}

int vectors_reach(vectors *v, uint64_t slots, clipc_err *err)
{
    uint64_t bytes;
    size_t end = 0;
    int rc = end_of(v, &end, slots, err);

    if (rc == CLIPC_OK) rc = vectors_flush(v, err);
    if (rc == CLIPC_OK) rc = file_bytes(v, &bytes, err);
    if (rc != CLIPC_OK) return rc;
    if (end > bytes) /* mapped, what is behind the end would kill who touches it */
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: cut short: %llu bytes, not the %zu of %llu vectors",
                          v->path, (unsigned long long)bytes, end,
                          (unsigned long long)slots);
    if (v->map && v->mapped >= end) return CLIPC_OK;
    void *map = mmap(NULL, end, PROT_READ, MAP_SHARED, v->fd, 0);
    if (map == MAP_FAILED) return io_error(v, "map", errno, err);
    if (v->map) munmap((void *)v->map, v->mapped);
    v->map = map;
    v->mapped = end;
    return CLIPC_OK;
}

const store_hash *vectors_key(const vectors *v, uint64_t slot)
{
    return (const store_hash *)(v->map + block_at(v, slot) + key_at(slot));
}

float vectors_scale(const vectors *v, uint64_t slot)
{
    float scale;

    memcpy(&scale, v->map + block_at(v, slot) + scale_at(slot), sizeof scale);
    return scale;
}

const void *vectors_row(const vectors *v, uint64_t slot)
{
    return v->map + block_at(v, slot) + row_at(v, slot);
}

static uint64_t check_of(const vectors *v, const uint8_t *block, uint64_t slot)
{
    uint64_t h = hash_bytes(1, block + key_at(slot), sizeof(store_hash));

    h = hash_bytes(h, block + scale_at(slot), sizeof(float));
    return hash_bytes(h, block + row_at(v, slot), vectors_row_bytes(v));
}

bool vectors_sound(const vectors *v, uint64_t slot)
{
    const uint8_t *block = v->map + block_at(v, slot);
    const uint64_t check = check_of(v, block, slot);

    return memcmp(&check, block + check_at(slot), sizeof check) == 0;
}

void vectors_read(const vectors *v, const kernels *k, float *x, uint64_t slot)
{
    dtype_to_f32(k, x, vectors_row(v, slot), v->head.type, v->head.dim);
    if (v->head.type == DT_I8) k->scale(x, vectors_scale(v, slot), v->head.dim);
}

/* ---- appending ---- */

/* row = x in the type, and what it is to be multiplied by. */
static float encode(const vectors *v, const kernels *k, uint8_t *row, const float *x,
                    float most)
{
    const float step = most / 127.0f, scale = step > 0.0f ? step : 1.0f;

    if (v->head.type != DT_I8) {
        dtype_from_f32(k, row, v->head.type, x, v->head.dim);
        return 1.0f;
    }
    for (size_t i = 0; i < v->head.dim; i++)
        row[i] = (uint8_t)(int8_t)lrintf(x[i] / scale);
    return scale;
}

/* The pending block, with room for this slot. */
static int pending_for(vectors *v, uint64_t slot, clipc_err *err)
{
    const bool follows = v->n && slot == v->first + v->n && slot % VECTORS_BLOCK;
    int rc = CLIPC_OK;

    if (!v->pending && !(v->pending = calloc(1, (size_t)block_bytes(v))))
        return clipc_fail_memory(err, v->path, (size_t)block_bytes(v));
    if (v->n && !follows) rc = vectors_flush(v, err);
    if (rc == CLIPC_OK && !v->n) v->first = slot;
    return rc;
}

/* Of what was written to the pending block. */
static void add_pending(vectors *v, uint64_t slot, const store_hash *key, float scale)
{
    memcpy(v->pending + key_at(slot), key, sizeof *key);
    memcpy(v->pending + scale_at(slot), &scale, sizeof scale);
    const uint64_t check = check_of(v, v->pending, slot);
    memcpy(v->pending + check_at(slot), &check, sizeof check);
    v->n++;
}

int vectors_append(vectors *v, const kernels *k, uint64_t slot, const store_hash *key,
                   const float *x, clipc_err *err)
{
    const float most = k->max_abs(x, v->head.dim);
    int rc;

    if (!(most <= (v->head.type == DT_F16 ? HALF_MOST : 3e38f)))
        return clipc_fail(err, CLIPC_ERR_NUMBER,
                          "%s: a vector holds a number that is none or too large",
                          v->path);
    if ((rc = pending_for(v, slot, err)) != CLIPC_OK) return rc;
    add_pending(v, slot, key, encode(v, k, v->pending + row_at(v, slot), x, most));
    return CLIPC_OK;
}

int vectors_copy(vectors *v, uint64_t slot, const vectors *from, uint64_t from_slot,
                 clipc_err *err)
{
    const int rc = pending_for(v, slot, err);

    if (rc != CLIPC_OK) return rc;
    memcpy(v->pending + row_at(v, slot), vectors_row(from, from_slot),
           vectors_row_bytes(v));
    add_pending(v, slot, vectors_key(from, from_slot), vectors_scale(from, from_slot));
    return CLIPC_OK;
}

int vectors_flush(vectors *v, clipc_err *err)
{
    const uint64_t block = block_at(v, v->first);
    const size_t n = v->n;
    const struct {
        size_t at, size;
    } parts[] = {{key_at(v->first), n * sizeof(store_hash)},
                 {check_at(v->first), n * sizeof(uint64_t)},
                 {scale_at(v->first), n * sizeof(float)},
                 {row_at(v, v->first), n * vectors_row_bytes(v)}};
    int rc = CLIPC_OK;

    for (size_t i = 0; n && rc == CLIPC_OK && i < sizeof parts / sizeof *parts; i++)
        rc = write_at(v, block + parts[i].at, v->pending + parts[i].at, parts[i].size,
                      err);
    if (rc == CLIPC_OK) v->n = 0;
    return rc;
}

int vectors_sync(vectors *v, clipc_err *err)
{
    const int rc = vectors_flush(v, err);

    if (rc != CLIPC_OK || !v->dirty) return rc;
    if (fdatasync(v->fd) != 0) return io_error(v, "write", errno, err);
    v->dirty = false;
    return CLIPC_OK;
}

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/ckd.h"
#include "base/file.h"
#include "base/hash.h"
#include "store/approx.h"

enum { HEAD = 4096, VERSION = 1 };
static const char MAGIC[16] = "clipc faiss 1";

_Static_assert(APPROX_HNSW == (int)SHIM_HNSW && APPROX_IVF_PQ == (int)SHIM_IVF_PQ,
               "FORMAT.md's numbers");

/* The header's bytes; zeros follow. */
typedef struct raw_head {
    char magic[16];
    store_hash fingerprint;
    uint32_t version, kind, dim, effort;
    int64_t generation;
    uint64_t vectors, slots, trained;
    uint64_t bytes;  /* of the whole file */
    uint64_t tested; /* of those, behind the header, what body_check is of */
    double recall;
    uint64_t body_check; /* XXH3 */
    uint64_t check;      /* hash_bytes of all above */
} raw_head;

static uint64_t head_check(const raw_head *h)
{
    return hash_bytes(1, h, offsetof(raw_head, check));
}

int approx_of_space(approx_of *out, store *s, int64_t space, clipc_err *err)
{
    int rc;

    *out = (approx_of){0};
    if ((rc = space_row(s, &out->space, &out->generation, space, err)) != CLIPC_OK)
        return rc;
    out->path = space_path(s, space, out->generation, APPROX_ENDING);
    return out->path ? CLIPC_OK : clipc_fail_memory(err, s->folder, 0);
}

uint64_t approx_file_mark(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0) return 0;
    const int64_t parts[] = {(int64_t)st.st_ino, st.st_mtim.tv_sec, st.st_mtim.tv_nsec};
    return hash_bytes(1, parts, sizeof parts) | 1;
}

/* ---- memory ---- */

int approx_new(approx **out, approx_kind kind, uint64_t slots, clipc_err *err)
{
    approx *a = calloc(1, sizeof *a);

    *out = a;
    if (!a) return clipc_fail_memory(err, "an approximate index", sizeof *a);
    a->is.kind = kind;
    return slot_set_new(&a->covered, slots, err);
}

void approx_free(approx *a)
{
    if (!a) return;
    /* It can have been made by nobody else. */
    if (a->faiss) faiss_need("", NULL)->clipc_faiss_free(a->faiss);
    slot_set_free(&a->covered);
    free(a->slot);
    free(a);
}

int approx_add_slot(approx *a, uint64_t slot, clipc_err *err)
{
    if (a->is.vectors == a->room) {
        const uint64_t room = a->room ? 2 * a->room : 1024;
        uint64_t *grown = realloc(a->slot, (size_t)room * sizeof *grown);
        if (!grown) return clipc_fail_memory(err, "slots", (size_t)room * sizeof *grown);
        a->slot = grown, a->room = room;
    }
    a->slot[a->is.vectors++] = slot;
    a->covered.bits[slot / 64] |= UINT64_C(1) << slot % 64;
    a->covered.count++;
    return CLIPC_OK;
}

/* ---- the head ---- */

static int wrong(const approx_of *of, const char *why, clipc_err *err)
{
    return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: %s", of->path, why);
}

/* Every size in it is bounded by the file's. */
static int check_head(const raw_head *h, uint64_t bytes, const approx_of *of,
                      clipc_err *err)
{
    if (memcmp(h->magic, MAGIC, sizeof MAGIC) != 0)
        return wrong(of, "no approximate index of clipc", err);
    if (h->check != head_check(h)) return wrong(of, "the header is damaged", err);
    if (h->version != VERSION) return wrong(of, "made by a later clipc", err);
    if (h->bytes != bytes) return wrong(of, "cut short, or grown", err);
    if (memcmp(&h->fingerprint, &of->space.fingerprint, sizeof h->fingerprint) != 0 ||
        h->dim != of->space.dim || h->generation != of->generation ||
        h->slots > of->space.slots)
        return wrong(of, "belongs to other vectors", err);
    if (h->kind > APPROX_IVF_PQ || !h->effort || h->effort > INT32_MAX || !h->vectors ||
        h->vectors > h->slots || h->vectors > bytes / sizeof(uint64_t) ||
        h->tested > bytes - HEAD || h->tested < h->vectors * sizeof(uint64_t))
        return wrong(of, "the header makes no sense", err);
    return CLIPC_OK;
}

static int read_head(raw_head *h, int fd, const approx_of *of, clipc_err *err)
{
    struct stat st;
    const ssize_t n = pread(fd, h, sizeof *h, 0);

    if (n < 0 || fstat(fd, &st) != 0)
        return clipc_fail(err, CLIPC_ERR_IO, "%s: cannot read: %s", of->path,
                          strerror(errno));
    if (n < (ssize_t)sizeof *h || st.st_size < HEAD)
        return wrong(of, "ends within its header", err);
    return check_head(h, (uint64_t)st.st_size, of, err);
}

static store_approx shown(const raw_head *h)
{
    return (store_approx){.kind = (approx_kind)h->kind,
                          .vectors = h->vectors,
                          .slots = h->slots,
                          .trained = h->trained,
                          .bytes = h->bytes,
                          .effort = h->effort,
                          .recall = h->recall};
}

static int open_file(int *fd, const approx_of *of, clipc_err *err)
{
    *fd = open(of->path, O_RDONLY | O_CLOEXEC);
    return *fd >= 0 ? CLIPC_OK
                    : clipc_fail(err, CLIPC_ERR_IO, "%s: cannot open: %s", of->path,
                                 strerror(errno));
}

int approx_head_read(store_approx *out, const approx_of *of, clipc_err *err)
{
    raw_head h;
    int fd, rc = open_file(&fd, of, err);

    if (rc != CLIPC_OK) return rc;
    rc = read_head(&h, fd, of, err);
    close(fd);
    if (rc == CLIPC_OK) *out = shown(&h);
    return rc;
}

/* ---- the body ---- */

static int take_slots(approx *a, const uint8_t *body, const raw_head *h,
                      const approx_of *of, clipc_err *err)
{
    int rc = CLIPC_OK;

    for (uint64_t i = 0; rc == CLIPC_OK && i < h->vectors; i++) {
        uint64_t slot;
        memcpy(&slot, body + i * sizeof slot, sizeof slot);
        rc = slot < h->slots ? approx_add_slot(a, slot, err)
                             : wrong(of, "holds vectors that are not there", err);
    }
    return rc;
}

/* `path` names the very file that the head was read from, whatever has replaced it. */
static int take_faiss(approx *a, const char *path, const raw_head *h, bool grows,
                      const approx_of *of, clipc_err *err)
{
    const faiss *f = faiss_need(of->path, err);
    shim_why why;

    if (!f) return CLIPC_ERR_IO;
    if (f->clipc_faiss_read(&a->faiss, (int)h->kind, h->dim, (size_t)h->vectors, path,
                            HEAD + (size_t)h->vectors * sizeof(uint64_t), grows,
                            &why) == 0)
        return CLIPC_OK;
    return wrong(of, why.text, err);
}

static int check_body(span file, const raw_head *h, const approx_of *of, clipc_err *err)
{
    return XXH3_64bits(file.data + HEAD, (size_t)h->tested) == h->body_check
               ? CLIPC_OK
               : wrong(of, "damaged", err);
}

static int load_body(approx *a, int fd, const raw_head *h, bool grows,
                     const approx_of *of, clipc_err *err)
{
    char path[40];
    span file = {0};
    int rc;

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    a->is = shown(h);
    a->is.vectors = 0; /* counted as they come */
    rc = file_map(&file, path, err);
    if (rc == CLIPC_OK) rc = check_body(file, h, of, err);
    if (rc == CLIPC_OK) rc = take_slots(a, file.data + HEAD, h, of, err);
    file_unmap(&file);
    return rc == CLIPC_OK ? take_faiss(a, path, h, grows, of, err) : rc;
}

int approx_load(approx **out, const approx_of *of, bool grows, clipc_err *err)
{
    raw_head h;
    approx *a = NULL;
    const uint64_t mark = approx_file_mark(of->path);
    int fd, rc = open_file(&fd, of, err);

    *out = NULL;
    if (rc != CLIPC_OK) return rc;
    rc = read_head(&h, fd, of, err);
    if (rc == CLIPC_OK) rc = approx_new(&a, (approx_kind)h.kind, of->space.slots, err);
    if (rc == CLIPC_OK) rc = load_body(a, fd, &h, grows, of, err);
    close(fd);
    if (rc != CLIPC_OK) return approx_free(a), rc;
    a->file = mark;
    *out = a;
    return CLIPC_OK;
}

/* ---- writing ---- */

static int put(void *arg, const void *data, size_t size)
{
    return atomic_write(arg, data, size, NULL);
}

static int write_failed(const approx_of *of, clipc_err *err)
{
    return clipc_fail(err, CLIPC_ERR_IO, "%s: cannot write: %s", of->path,
                      strerror(errno));
}

static int write_body(atomic_file *f, size_t *loose, const approx *a, const approx_of *of,
                      clipc_err *err)
{
    static const uint8_t head[HEAD];
    shim_why why;
    int rc = atomic_write(f, head, sizeof head, err);

    if (rc == CLIPC_OK)
        rc = atomic_write(f, a->slot, (size_t)a->is.vectors * sizeof *a->slot, err);
    if (rc != CLIPC_OK) return rc;
    errno = 0;
    if (faiss_need(of->path, NULL)->clipc_faiss_write(a->faiss, loose, put, f, &why) == 0)
        return fflush(f->f) == 0 ? CLIPC_OK : write_failed(of, err);
    return errno ? write_failed(of, err)
                 : clipc_fail(err, CLIPC_ERR_IO, "%s: cannot write: %s", of->path,
                              why.text);
}

/* The check is of what was written, read again: nothing of it is held in memory. */
static int write_head(atomic_file *f, const approx *a, size_t loose, const approx_of *of,
                      clipc_err *err)
{
    raw_head h = {.fingerprint = of->space.fingerprint,
                  .version = VERSION,
                  .kind = a->is.kind,
                  .dim = (uint32_t)of->space.dim,
                  .effort = (uint32_t)a->is.effort,
                  .generation = of->generation,
                  .vectors = a->is.vectors,
                  .slots = a->is.slots,
                  .trained = a->is.trained,
                  .recall = a->is.recall};
    span file = {0};
    const int rc = file_map(&file, f->tmp, err);

    if (rc != CLIPC_OK) return rc;
    memcpy(h.magic, MAGIC, sizeof MAGIC);
    h.bytes = file.size;
    h.tested = file.size - HEAD - loose;
    h.body_check = XXH3_64bits(file.data + HEAD, (size_t)h.tested);
    h.check = head_check(&h);
    file_unmap(&file);
    if (fseek(f->f, 0, SEEK_SET) != 0) return write_failed(of, err);
    return atomic_write(f, &h, sizeof h, err);
}

int approx_save(approx *a, const approx_of *of, clipc_err *err)
{
    atomic_file f = {0};
    size_t loose = 0;
    struct stat st;
    int rc = atomic_open(&f, of->path, true, err);

    if (rc == CLIPC_OK) rc = write_body(&f, &loose, a, of, err);
    if (rc == CLIPC_OK) rc = write_head(&f, a, loose, of, err);
    if (rc == CLIPC_OK) rc = atomic_commit(&f, err);
    atomic_abort(&f);
    if (rc == CLIPC_OK && stat(of->path, &st) == 0) a->is.bytes = (uint64_t)st.st_size;
    return rc;
}

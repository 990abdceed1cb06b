#include "io/zip.h"

#include <stdlib.h>
#include <string.h>

#include "base/ckd.h"

/* Sizes and marks of the fixed parts of a ZIP archive's records. */
enum {
    LOCAL_SIZE = 30,
    ENTRY_SIZE = 46,
    END_SIZE = 22,
    END64_SIZE = 56,
    LOCATOR_SIZE = 20,
    COMMENT_MAX = 0xffff,
    EXTRA_64 = 1,
    FLAG_ENCRYPTED = 1
};
#define LOCAL_MARK   0x04034b50u
#define ENTRY_MARK   0x02014b50u
#define END_MARK     0x06054b50u
#define END64_MARK   0x06064b50u
#define LOCATOR_MARK 0x07064b50u
#define IN_64_BITS   0xffffffffu /* instead of a size: see the extra field */

static uint64_t number(const uint8_t *p, size_t bytes)
{
    uint64_t x = 0;

    for (size_t i = 0; i < bytes; i++) x |= (uint64_t)p[i] << 8 * i;
    return x;
}

static unsigned u16(const uint8_t *p)
{
    return (unsigned)number(p, 2);
}

static uint32_t u32(const uint8_t *p)
{
    return (uint32_t)number(p, 4);
}

static int bad(clipc_err *err, const char *where, const char *why)
{
    return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: ZIP archive: %s", where, why);
}

static int bad_entry(clipc_err *err, int code, const char *where, const zip_entry *e,
                     const char *why)
{
    return clipc_fail(err, code, "%s: record %.*s: %s", where,
                      e->name.size < 100 ? (int)e->name.size : 100,
                      (const char *)e->name.data, why);
}

/* ---- opening -------------------------------------------------------------------------
 */

/* What the records at the end say about the directory. */
typedef struct directory {
    uint64_t at, size, n;
} directory;

/* The end record: before it nothing, behind it only its comment.  NULL if not there. */
static const uint8_t *find_end(span b)
{
    for (size_t comment = 0; comment <= COMMENT_MAX; comment++) {
        if (b.size < END_SIZE + comment) return NULL;
        const uint8_t *p = b.data + (b.size - END_SIZE - comment);
        if (u32(p) == END_MARK && u16(p + 20) == comment) return p;
    }
    return NULL;
}

/* The 64-bit end record, if a locator right before the other one leads to it. */
static int read_end64(directory *d, span b, const uint8_t *end, const char *where,
                      clipc_err *err)
{
    const size_t before = (size_t)(end - b.data);

    if (before < LOCATOR_SIZE || u32(end - LOCATOR_SIZE) != LOCATOR_MARK) return CLIPC_OK;
    const uint64_t at = number(end - LOCATOR_SIZE + 8, 8);
    if (before < END64_SIZE || at > before - END64_SIZE || u32(b.data + at) != END64_MARK)
        return bad(err, where, "its ZIP64 end record is not where it should be");
    const uint8_t *p = b.data + at;
    *d = (directory){number(p + 48, 8), number(p + 40, 8), number(p + 32, 8)};
    return CLIPC_OK;
}

static int find_directory(directory *d, span b, const char *where, clipc_err *err)
{
    const uint8_t *end = find_end(b);

    if (!end) return bad(err, where, "no directory at its end (cut off?)");
    *d = (directory){u32(end + 16), u32(end + 12), u16(end + 10)};
    const int rc = read_end64(d, b, end, where, err);
    if (rc != CLIPC_OK) return rc;
    if (d->at > b.size || d->size > b.size - d->at)
        return bad(err, where, "its directory lies outside");
    if (d->n > d->size / ENTRY_SIZE)
        return bad(err, where, "more entries than its directory has room for");
    return CLIPC_OK;
}

/* Replaces those sizes that did not fit 32 bits, in the order of the specification. */
static bool read_extra64(zip_entry *e, span extra)
{
    uint64_t *const wide[] = {&e->size, &e->packed, &e->header};

    while (extra.size >= 4) {
        const unsigned id = u16(extra.data), len = u16(extra.data + 2);
        if (len > extra.size - 4) return false;
        if (id == EXTRA_64) {
            const uint8_t *p = extra.data + 4, *stop = p + len;
            for (size_t i = 0; i < 3; i++) {
                if (*wide[i] != IN_64_BITS) continue;
                if (stop - p < 8) return false;
                *wide[i] = number(p, 8);
                p += 8;
            }
        }
        extra = (span){extra.data + 4 + len, extra.size - 4 - len};
    }
    return true;
}

/* Reads the entry at the head of `d` and steps behind it. */
static int read_entry(zip_entry *e, span *d, const char *where, clipc_err *err)
{
    const uint8_t *p = d->data;

    if (d->size < ENTRY_SIZE || u32(p) != ENTRY_MARK)
        return bad(err, where, "its directory is damaged");
    const size_t name = u16(p + 28), extra = u16(p + 30), comment = u16(p + 32);
    if (name + extra + comment > d->size - ENTRY_SIZE)
        return bad(err, where, "its directory is damaged");
    *e = (zip_entry){.name = {p + ENTRY_SIZE, name},
                     .header = u32(p + 42),
                     .packed = u32(p + 20),
                     .size = u32(p + 24),
                     .method = u16(p + 10),
                     .flags = u16(p + 8)};
    if (!read_extra64(e, (span){p + ENTRY_SIZE + name, extra}))
        return bad_entry(err, CLIPC_ERR_FORMAT, where, e, "damaged extra field");
    const size_t all = ENTRY_SIZE + name + extra + comment;
    *d = (span){p + all, d->size - all};
    return CLIPC_OK;
}

static int compare(span a, span b)
{
    const size_t least = a.size < b.size ? a.size : b.size;
    const int order = least ? memcmp(a.data, b.data, least) : 0;

    return order ? order : (a.size > b.size) - (a.size < b.size);
}

static int by_name(const void *a, const void *b)
{
    return compare(((const zip_entry *)a)->name, ((const zip_entry *)b)->name);
}

/* Readers differ in which of two entries of one name they take: none is taken. */
static int sort_entries(zip *z, const char *where, clipc_err *err)
{
    if (z->n) qsort(z->v, z->n, sizeof *z->v, by_name);
    for (size_t i = 1; i < z->n; i++)
        if (by_name(&z->v[i - 1], &z->v[i]) == 0)
            return bad_entry(err, CLIPC_ERR_FORMAT, where, &z->v[i], "stored twice");
    return CLIPC_OK;
}

int zip_open(zip *out, span bytes, const char *where, clipc_err *err)
{
    directory d = {0};
    int rc;

    *out = (zip){.bytes = bytes};
    if ((rc = find_directory(&d, bytes, where, err)) != CLIPC_OK) return rc;
    span rest = {bytes.data + d.at, (size_t)d.size};
    out->v = calloc(d.n ? (size_t)d.n : 1, sizeof *out->v);
    if (!out->v) return clipc_fail_memory(err, where, (size_t)d.n * sizeof *out->v);
    while (rc == CLIPC_OK && out->n < d.n)
        rc = read_entry(&out->v[out->n++], &rest, where, err);
    if (rc == CLIPC_OK) rc = sort_entries(out, where, err);
    if (rc != CLIPC_OK) zip_close(out);
    return rc;
}

void zip_close(zip *z)
{
    free(z->v);
    *z = (zip){0};
}

/* ---- looking -------------------------------------------------------------------------
 */

const zip_entry *zip_find(const zip *z, span name)
{
    const zip_entry key = {.name = name};

    return z->n ? bsearch(&key, z->v, z->n, sizeof *z->v, by_name) : NULL;
}

int zip_stored(span *out, const zip *z, const zip_entry *e, const char *where,
               clipc_err *err)
{
    const size_t size = z->bytes.size;

    if (e->flags & FLAG_ENCRYPTED)
        return bad_entry(err, CLIPC_ERR_FEATURE, where, e, "encrypted");
    if (e->method != 0)
        return bad_entry(err, CLIPC_ERR_FEATURE, where, e,
                         "compressed; only archives without compression can be read");
    if (e->packed != e->size)
        return bad_entry(err, CLIPC_ERR_FORMAT, where, e, "two sizes");
    if (size < LOCAL_SIZE || e->header > size - LOCAL_SIZE ||
        u32(z->bytes.data + e->header) != LOCAL_MARK)
        return bad_entry(err, CLIPC_ERR_FORMAT, where, e, "not where it should be");
    /* Name and extra field of the local header may differ from the directory's. */
    const uint8_t *p = z->bytes.data + e->header;
    const size_t at = (size_t)e->header + LOCAL_SIZE + u16(p + 26) + u16(p + 28);
    if (at > size || e->size > size - at)
        return bad_entry(err, CLIPC_ERR_FORMAT, where, e, "reaches beyond the file");
    *out = (span){z->bytes.data + at, (size_t)e->size};
    return CLIPC_OK;
}

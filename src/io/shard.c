#include "io/shard.h"

#include <archive.h>
#include <archive_entry.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Members in the order of the archive.  Names, and the data of a compressed archive, are
 * offsets first, since the bytes move as they grow. */
typedef struct member {
    size_t name, data, size;
    const uint8_t *mapped; /* the data, where it lies in the file; NULL: unpacked */
} member;

typedef struct reading {
    struct archive *a;
    const char *path;
    size_t limit;
    span map;
    bool plain; /* not compressed */
    buf bytes;
    member *v;
    size_t n, cap;
} reading;

void shard_free(shard *s)
{
    if (!s) return;
    free(s->samples);
    free(s->bytes);
    file_unmap(&s->map);
    *s = (shard){0};
}

const shard_part *shard_find(const shard_sample *s, const char *ext)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->parts[i].ext, ext) == 0) return &s->parts[i];
    return NULL;
}

bool shard_is(const char *path)
{
    static const char *const ends[] = {".tar",     ".tgz",    ".tar.gz",
                                       ".tar.bz2", ".tar.xz", ".tar.zst"};
    const size_t len = strlen(path);

    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        const size_t n = strlen(ends[i]);
        if (len > n && strcasecmp(path + len - n, ends[i]) == 0) return true;
    }
    return false;
}

static int damaged(const reading *r, clipc_err *err)
{
    const char *why = archive_error_string(r->a);
    return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: damaged tar file: %s", r->path,
                      why ? why : "unknown reason");
}

/* UTF-8 as stored: the other form depends on the locale. */
static const char *member_name(struct archive_entry *e)
{
    const char *name = archive_entry_pathname_utf8(e);

    if (!name) name = archive_entry_pathname(e);
    return name ? name : "";
}

/* Length of a member's key: up to the first dot of its last path component.  0 for names
 * that have no dot, or nothing before it: they belong to no sample. */
static size_t key_length(const char *name)
{
    const char *base = path_base(name), *dot = strchr(base, '.');
    return dot && dot > base ? (size_t)(dot - name) : 0;
}

/* libarchive gives the member as it lies in the mapping, which it was told to read. */
static int find_mapped(member *m, const reading *r, clipc_err *err)
{
    const void *data = NULL;
    size_t size = 0;
    int64_t offset = 0;

    if (m->size && archive_read_data_block(r->a, &data, &size, &offset) != ARCHIVE_OK)
        return damaged(r, err);
    m->mapped = m->size ? data : r->map.data;
    if (m->size && (size != m->size || offset || m->mapped < r->map.data ||
                    size > (size_t)(r->map.data + r->map.size - m->mapped)))
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: damaged tar file: a member is cut or in pieces", r->path);
    return CLIPC_OK;
}

static int unpack(member *m, reading *r, clipc_err *err)
{
    int rc;

    if (m->size > r->limit || r->bytes.len > r->limit - m->size)
        return clipc_fail(err, CLIPC_ERR_LIMIT, "%s: more than %zu bytes", r->path,
                          r->limit);
    m->data = r->bytes.len;
    if ((rc = buf_reserve(&r->bytes, m->size, err)) != CLIPC_OK) return rc;
    if (archive_read_data(r->a, r->bytes.data + m->data, m->size) != (la_ssize_t)m->size)
        return damaged(r, err);
    r->bytes.len += m->size;
    return CLIPC_OK;
}

static int read_member(reading *r, struct archive_entry *e, clipc_err *err)
{
    const char *name = member_name(e);
    const int64_t size = archive_entry_size(e);
    int rc;

    if (archive_entry_filetype(e) != AE_IFREG || !key_length(name)) return CLIPC_OK;
    if (size < 0) return damaged(r, err);
    if (r->n == r->cap) {
        const size_t cap = r->cap ? 2 * r->cap : 1024;
        member *v = realloc(r->v, cap * sizeof *v);
        if (!v) return clipc_fail_memory(err, r->path, cap * sizeof *v);
        r->v = v, r->cap = cap;
    }
    member *m = &r->v[r->n];
    *m = (member){.name = r->bytes.len, .size = (size_t)size};
    if ((rc = buf_add(&r->bytes, name, strlen(name) + 1, err)) != CLIPC_OK) return rc;
    rc = r->plain ? find_mapped(m, r, err) : unpack(m, r, err);
    if (rc == CLIPC_OK) r->n++;
    return rc;
}

static int read_members(reading *r, clipc_err *err)
{
    struct archive *a = r->a = archive_read_new();
    struct archive_entry *e;
    int rc = CLIPC_OK, step;

    if (!a) return clipc_fail_memory(err, r->path, 0);
    archive_read_support_format_tar(a);
    /* Not all filters: some run another program. */
    archive_read_support_filter_gzip(a);
    archive_read_support_filter_bzip2(a);
    archive_read_support_filter_xz(a);
    archive_read_support_filter_zstd(a);
    if (archive_read_open_memory(a, r->map.data, r->map.size) != ARCHIVE_OK)
        rc = damaged(r, err);
    while (rc == CLIPC_OK && (step = archive_read_next_header(a, &e)) != ARCHIVE_EOF) {
        r->plain = archive_filter_code(a, 0) == ARCHIVE_FILTER_NONE;
        rc = step == ARCHIVE_OK || step == ARCHIVE_WARN ? read_member(r, e, err)
                                                        : damaged(r, err);
    }
    archive_read_free(a);
    return rc;
}

static void add_part(shard_sample *s, const char *ext, span bytes)
{
    shard_part *p = &s->parts[s->n];

    if (s->n == SHARD_PARTS || strlen(ext) >= SHARD_EXT) return;
    for (size_t i = 0; ext[i]; i++) p->ext[i] = (char)tolower((unsigned char)ext[i]);
    p->bytes = bytes;
    s->n++;
}

static int group(shard *out, reading *r, const char *path, clipc_err *err)
{
    out->samples = calloc(r->n ? r->n : 1, sizeof *out->samples);
    if (!out->samples) return clipc_fail_memory(err, path, r->n * sizeof *out->samples);
    for (size_t i = 0; i < r->n; i++) {
        char *name = r->bytes.data + r->v[i].name;
        char *dot = name + key_length(name);
        shard_sample *s = out->n ? &out->samples[out->n - 1] : NULL;

        *dot = '\0';
        if (!s || strcmp(s->key, name) != 0) {
            s = &out->samples[out->n++];
            s->key = name;
        }
        const member *m = &r->v[i];
        add_part(s, dot + 1,
                 (span){m->mapped ? m->mapped : (const uint8_t *)r->bytes.data + m->data,
                        m->size});
    }
    if (r->plain) {
        out->map = r->map;
        r->map = (span){0};
    }
    out->bytes = r->bytes.data;
    out->size = r->bytes.len;
    r->bytes = (buf){0};
    return CLIPC_OK;
}

int shard_open(shard *out, const char *path, size_t limit, clipc_err *err)
{
    reading r = {.path = path, .limit = limit};
    int rc;

    *out = (shard){0};
    if ((rc = file_map(&r.map, path, err)) != CLIPC_OK) return rc;
    rc = read_members(&r, err);
    if (rc == CLIPC_OK) rc = group(out, &r, path, err);
    buf_free(&r.bytes);
    free(r.v);
    file_unmap(&r.map);
    if (rc != CLIPC_OK) shard_free(out);
    return rc;
}

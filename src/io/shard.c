#include "io/shard.h"

#include <archive.h>
#include <archive_entry.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Members in the order of the archive; offsets first, since the bytes move as they grow.
 */
typedef struct member {
    size_t name, data, size;
} member;

typedef struct reading {
    buf bytes;
    member *v;
    size_t n, cap;
} reading;

void shard_free(shard *s)
{
    if (!s) return;
    free(s->samples);
    free(s->bytes);
    *s = (shard){0};
}

const shard_part *shard_find(const shard_sample *s, const char *ext)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->parts[i].ext, ext) == 0) return &s->parts[i];
    return NULL;
}

static int damaged(struct archive *a, const char *path, clipc_err *err)
{
    const char *why = archive_error_string(a);
    return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: damaged tar file: %s", path,
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

static int read_member(reading *r, struct archive *a, struct archive_entry *e,
                       size_t limit, const char *path, clipc_err *err)
{
    const char *name = member_name(e);
    const int64_t size = archive_entry_size(e);
    int rc;

    if (archive_entry_filetype(e) != AE_IFREG || !key_length(name)) return CLIPC_OK;
    if (size < 0 || (uint64_t)size > limit || r->bytes.len > limit - (size_t)size)
        return clipc_fail(err, CLIPC_ERR_LIMIT, "%s: more than %zu bytes", path, limit);
    if (r->n == r->cap) {
        const size_t cap = r->cap ? 2 * r->cap : 1024;
        member *v = realloc(r->v, cap * sizeof *v);
        if (!v) return clipc_fail_memory(err, path, cap * sizeof *v);
        r->v = v, r->cap = cap;
    }
    member *m = &r->v[r->n];
    m->name = r->bytes.len;
    if ((rc = buf_add(&r->bytes, name, strlen(name) + 1, err)) != CLIPC_OK) return rc;
    m->data = r->bytes.len, m->size = (size_t)size;
    if ((rc = buf_reserve(&r->bytes, m->size, err)) != CLIPC_OK) return rc;
    if (archive_read_data(a, r->bytes.data + m->data, m->size) != (la_ssize_t)m->size)
        return damaged(a, path, err);
    r->bytes.len += m->size;
    r->n++;
    return CLIPC_OK;
}

static int read_members(reading *r, const char *path, size_t limit, clipc_err *err)
{
    struct archive *a = archive_read_new();
    struct archive_entry *e;
    int rc = CLIPC_OK, step;

    if (!a) return clipc_fail_memory(err, path, 0);
    archive_read_support_format_tar(a);
    /* Not all filters: some run another program. */
    archive_read_support_filter_gzip(a);
    archive_read_support_filter_bzip2(a);
    archive_read_support_filter_xz(a);
    archive_read_support_filter_zstd(a);
    if (archive_read_open_filename(a, path, 1 << 16) != ARCHIVE_OK) {
        const char *why = archive_error_string(a);
        rc = clipc_fail(err, CLIPC_ERR_IO, "%s: %s", path, why ? why : "cannot open");
    }
    while (rc == CLIPC_OK && (step = archive_read_next_header(a, &e)) != ARCHIVE_EOF)
        rc = step == ARCHIVE_OK || step == ARCHIVE_WARN
                 ? read_member(r, a, e, limit, path, err)
                 : damaged(a, path, err);
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
        add_part(s, dot + 1,
                 (span){(const uint8_t *)r->bytes.data + r->v[i].data, r->v[i].size});
    }
    out->bytes = r->bytes.data;
    r->bytes = (buf){0};
    return CLIPC_OK;
}

int shard_open(shard *out, const char *path, size_t limit, clipc_err *err)
{
    reading r = {0};
    int rc;

    *out = (shard){0};
    rc = read_members(&r, path, limit, err);
    if (rc == CLIPC_OK) rc = group(out, &r, path, err);
    buf_free(&r.bytes);
    free(r.v);
    if (rc != CLIPC_OK) shard_free(out);
    return rc;
}

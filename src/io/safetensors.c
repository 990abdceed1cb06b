#include "io/safetensors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/ckd.h"
#include "base/json.h"

enum { HEADER_MAX = 100 << 20, PARTS_MAX = 1024, WRITE_STEP = 1 << 12 };

/* One mapped file and its header, whose strings the tensors' names are. */
typedef struct part {
    span map;
    json_t *header;
} part;

struct tensor_file {
    part *parts;
    size_t n_parts;
    tensor *v; /* sorted by name */
    size_t n, cap;
};

void tensor_file_free(tensor_file *f)
{
    if (!f) return;
    for (size_t i = 0; i < f->n_parts; i++) {
        file_unmap(&f->parts[i].map);
        json_decref(f->parts[i].header);
    }
    free(f->parts);
    free(f->v);
    free(f);
}

static int bad(clipc_err *err, const char *where, const char *name, const char *why)
{
    return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: tensor %.64s: %s", where, name, why);
}

static int parse_shape(tensor *t, const json_t *shape, const char *where, clipc_err *err)
{
    if (!json_is_array(shape) || json_array_size(shape) > TENSOR_DIMS)
        return bad(err, where, t->name, "no shape, or more than 8 dimensions");
    t->n_dims = json_array_size(shape);
    t->n = 1;
    for (size_t i = 0; i < t->n_dims; i++) {
        const json_t *d = json_array_get(shape, i);
        if (!json_is_integer(d) || json_integer_value(d) < 0)
            return bad(err, where, t->name, "a dimension is no whole number");
        t->dims[i] = (size_t)json_integer_value(d);
        if (ckd_mul_size(&t->n, t->n, t->dims[i]))
            return bad(err, where, t->name, "shape overflows");
    }
    return CLIPC_OK;
}

static int parse_offsets(tensor *t, const json_t *offsets, span data, const char *where,
                         clipc_err *err)
{
    const json_t *b = json_array_get(offsets, 0), *e = json_array_get(offsets, 1);
    size_t want;

    if (!json_is_array(offsets) || json_array_size(offsets) != 2 || !json_is_integer(b) ||
        !json_is_integer(e) || json_integer_value(b) < 0)
        return bad(err, where, t->name, "no data_offsets");
    const json_int_t begin = json_integer_value(b), end = json_integer_value(e);
    if (begin > end || (uint64_t)end > data.size)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: tensor %.64s: bytes [%" PRId64 ", %" PRId64
                          ") outside data of %zu",
                          where, t->name, (int64_t)begin, (int64_t)end, data.size);
    if (ckd_mul_size(&want, t->n, dtype_size(t->dt)))
        return bad(err, where, t->name, "shape overflows");
    if (want != (size_t)(end - begin))
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: tensor %.64s: shape needs %zu bytes, file has %zu", where,
                          t->name, want, (size_t)(end - begin));
    t->data = data.data ? data.data + begin : NULL;
    return CLIPC_OK;
}

static int add_tensor(tensor_file *f, const char *name, const json_t *v, span data,
                      const char *where, clipc_err *err)
{
    tensor t = {.name = name};
    const json_t *dt = json_object_get(v, "dtype");
    int rc;

    t.dt = json_is_string(dt) ? dtype_named(json_string_value(dt)) : DT_COUNT;
    if (t.dt == DT_COUNT) return bad(err, where, name, "dtype missing or unknown");
    if ((rc = parse_shape(&t, json_object_get(v, "shape"), where, err)) != CLIPC_OK)
        return rc;
    rc = parse_offsets(&t, json_object_get(v, "data_offsets"), data, where, err);
    if (rc != CLIPC_OK) return rc;

    if (f->n == f->cap) {
        const size_t cap = f->cap ? 2 * f->cap : 64;
        tensor *grown = realloc(f->v, cap * sizeof *grown);
        if (!grown) return clipc_fail_memory(err, where, cap * sizeof *grown);
        f->v = grown, f->cap = cap;
    }
    f->v[f->n++] = t;
    return CLIPC_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const tensor *)a)->name, ((const tensor *)b)->name);
}

static int sort_tensors(tensor_file *f, const char *where, clipc_err *err)
{
    if (f->n) qsort(f->v, f->n, sizeof *f->v, by_name);
    for (size_t i = 1; i < f->n; i++)
        if (strcmp(f->v[i - 1].name, f->v[i].name) == 0)
            return bad(err, where, f->v[i].name, "stored twice");
    return CLIPC_OK;
}

/* Adds all tensors of one file's bytes; the header goes to p. */
static int add_part(tensor_file *f, part *p, span bytes, const char *where,
                    clipc_err *err)
{
    uint64_t len = 0;
    const char *name;
    json_t *value;
    int rc;

    for (size_t i = 0; i < 8 && bytes.size >= 8; i++)
        len |= (uint64_t)bytes.data[i] << 8 * i;
    if (bytes.size < 8 || len > bytes.size - 8 || len > HEADER_MAX)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: no safetensors file: %zu bytes, header of %" PRIu64, where,
                          bytes.size, len);
    rc = json_parse(&p->header, (const char *)bytes.data + 8, (size_t)len, where, err);
    if (rc != CLIPC_OK) return rc;
    if (!json_is_object(p->header))
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: header is no JSON object", where);

    const span data = {bytes.data + 8 + len, bytes.size - 8 - (size_t)len};
    json_object_foreach(p->header, name, value)
    {
        if (strcmp(name, "__metadata__") == 0) continue;
        if ((rc = add_tensor(f, name, value, data, where, err)) != CLIPC_OK) return rc;
    }
    return CLIPC_OK;
}

static int new_file(tensor_file **out, size_t n_parts, const char *where, clipc_err *err)
{
    *out = calloc(1, sizeof **out);
    if (*out) (*out)->parts = calloc(n_parts, sizeof *(*out)->parts);
    if (*out && (*out)->parts) return CLIPC_OK;
    tensor_file_free(*out);
    *out = NULL;
    return clipc_fail_memory(err, where, n_parts * sizeof(part));
}

int safetensors_parse(tensor_file **out, const void *data, size_t size, const char *name,
                      clipc_err *err)
{
    tensor_file *f;
    int rc;

    *out = NULL;
    if ((rc = new_file(&f, 1, name, err)) != CLIPC_OK) return rc;
    f->n_parts = 1;
    rc = add_part(f, &f->parts[0], (span){data, size}, name, err);
    if (rc == CLIPC_OK) rc = sort_tensors(f, name, err);
    if (rc == CLIPC_OK) *out = f;
    else tensor_file_free(f);
    return rc;
}

static int open_part(tensor_file *f, const char *path, clipc_err *err)
{
    part *p = &f->parts[f->n_parts];
    const int rc = file_map(&p->map, path, err);

    if (rc != CLIPC_OK) return rc;
    f->n_parts++;
    return add_part(f, p, p->map, path, err);
}

/* Opens one file of an index, in the folder of the index, unless it is among `seen`, the
 * names of those opened so far. */
static int open_named(tensor_file *f, const char **seen, const char *name,
                      const char *index_path, clipc_err *err)
{
    const size_t dir_len = (size_t)(path_base(index_path) - index_path);
    buf full = {0};
    int rc;

    for (size_t i = 0; i < f->n_parts; i++)
        if (strcmp(seen[i], name) == 0) return CLIPC_OK;
    if (f->n_parts == PARTS_MAX)
        return clipc_fail(err, CLIPC_ERR_LIMIT, "%s: more than %d files", index_path,
                          PARTS_MAX);
    seen[f->n_parts] = name;
    rc = buf_add(&full, index_path, dir_len, err);
    if (rc == CLIPC_OK) rc = buf_puts(&full, name, err);
    if (rc == CLIPC_OK) rc = open_part(f, full.data, err);
    buf_free(&full);
    return rc;
}

/* All files that an index's weight_map names; each must be a plain name. */
static int open_all(tensor_file *f, json_t *map, const char *path, clipc_err *err)
{
    const char *seen[PARTS_MAX], *key;
    json_t *value;
    int rc;

    json_object_foreach(map, key, value)
    {
        const char *name = json_string_value(value);
        if (!name || !*name || strchr(name, '/') || name[0] == '.')
            return bad(err, path, key, "its file is no plain file name");
        if ((rc = open_named(f, seen, name, path, err)) != CLIPC_OK) return rc;
    }
    return CLIPC_OK;
}

static int open_indexed(tensor_file **out, const char *path, clipc_err *err)
{
    json_t *index = NULL, *map = NULL;
    tensor_file *f = NULL;
    int rc = json_read(&index, path, err);

    if (rc == CLIPC_OK && !json_is_object(map = json_object_get(index, "weight_map")))
        rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no weight_map", path);
    if (rc == CLIPC_OK) rc = new_file(&f, PARTS_MAX, path, err);
    if (rc == CLIPC_OK) rc = open_all(f, map, path, err);
    if (rc == CLIPC_OK) rc = sort_tensors(f, path, err);
    if (rc == CLIPC_OK) *out = f;
    else tensor_file_free(f);
    json_decref(index);
    return rc;
}

int safetensors_open(tensor_file **out, const char *path, clipc_err *err)
{
    const char *tail = ".index.json";
    const size_t len = strlen(path), tail_len = strlen(tail);
    tensor_file *f;
    int rc;

    *out = NULL;
    if (len > tail_len && strcmp(path + len - tail_len, tail) == 0)
        return open_indexed(out, path, err);
    if ((rc = new_file(&f, 1, path, err)) != CLIPC_OK) return rc;
    rc = open_part(f, path, err);
    if (rc == CLIPC_OK) rc = sort_tensors(f, path, err);
    if (rc == CLIPC_OK) *out = f;
    else tensor_file_free(f);
    return rc;
}

size_t tensor_file_count(const tensor_file *f)
{
    return f->n;
}

const tensor *tensor_file_at(const tensor_file *f, size_t i)
{
    return &f->v[i];
}

const tensor *tensor_find(const tensor_file *f, const char *name)
{
    const tensor key = {.name = name};
    return f->n ? bsearch(&key, f->v, f->n, sizeof *f->v, by_name) : NULL;
}

const char *tensor_file_metadata(const tensor_file *f, const char *key)
{
    const char *value = NULL;

    for (size_t i = 0; !value && i < f->n_parts; i++)
        value = json_string_value(
            json_object_get(json_object_get(f->parts[i].header, "__metadata__"), key));
    return value;
}

/* ---- writing -------------------------------------------------------------------------
 */

static dtype stored_type(const tensor *t, dtype stored)
{
    return t->dt == DT_F32 ? stored : t->dt;
}

static size_t padded(size_t bytes)
{
    return (bytes + 7) / 8 * 8;
}

static int header_text(buf *out, const tensor *t, size_t n, const char *format,
                       dtype stored, clipc_err *err)
{
    size_t at = 0;
    int rc = buf_printf(out, err, "{\"__metadata__\":{\"format\":\"%s\"}", format);

    for (size_t i = 0; rc == CLIPC_OK && i < n; i++) {
        const dtype dt = stored_type(&t[i], stored);
        const size_t bytes = t[i].n * dtype_size(dt);
        rc = buf_printf(out, err, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", t[i].name,
                        dtype_name(dt));
        for (size_t d = 0; rc == CLIPC_OK && d < t[i].n_dims; d++)
            rc = buf_printf(out, err, "%s%zu", d ? "," : "", t[i].dims[d]);
        if (rc == CLIPC_OK)
            rc = buf_printf(out, err, "],\"data_offsets\":[%zu,%zu]}", at, at + bytes);
        at += bytes;
    }
    if (rc == CLIPC_OK) rc = buf_puts(out, "}", err);
    /* Spaces behind the header align the data, as the format allows. */
    while (rc == CLIPC_OK && padded(out->len) != out->len) rc = buf_puts(out, " ", err);
    return rc;
}

static int write_data(atomic_file *a, const tensor *t, dtype stored, const kernels *k,
                      clipc_err *err)
{
    const dtype dt = stored_type(t, stored);
    unsigned char piece[WRITE_STEP * sizeof(float)];
    int rc = CLIPC_OK;

    if (dt == t->dt) return atomic_write(a, t->data, t->n * dtype_size(dt), err);
    for (size_t i = 0; rc == CLIPC_OK && i < t->n; i += WRITE_STEP) {
        const size_t m = t->n - i < WRITE_STEP ? t->n - i : WRITE_STEP;
        dtype_from_f32(k, piece, dt, (const float *)t->data + i, m);
        rc = atomic_write(a, piece, m * dtype_size(dt), err);
    }
    return rc;
}

int safetensors_write(const char *path, const tensor *t, size_t n, const char *format,
                      dtype stored, const kernels *k, clipc_err *err)
{
    atomic_file a = {0};
    buf header = {0};
    unsigned char len[8];
    int rc = header_text(&header, t, n, format, stored, err);

    if (rc == CLIPC_OK) rc = atomic_open(&a, path, true, err);
    for (size_t i = 0; i < 8; i++)
        len[i] = (unsigned char)((uint64_t)header.len >> 8 * i);
    if (rc == CLIPC_OK) rc = atomic_write(&a, len, sizeof len, err);
    if (rc == CLIPC_OK) rc = atomic_write(&a, header.data, header.len, err);
    for (size_t i = 0; rc == CLIPC_OK && i < n; i++)
        rc = write_data(&a, &t[i], stored, k, err);
    if (rc == CLIPC_OK) rc = atomic_commit(&a, err);
    else if (a.path) atomic_abort(&a);
    buf_free(&header);
    return rc;
}

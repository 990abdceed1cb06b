#include "io/safetensors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_MAX = 100 << 20, WRITE_STEP = 1 << 12, DATA_ALIGN = 64 };

static int bad(clipc_err *err, const char *where, const char *name, const char *why)
{
    return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: tensor %.64s: %s", where, name, why);
}

static int parse_shape(tensor *t, const json_t *shape, const char *where, clipc_err *err)
{
    if (!json_is_array(shape) || json_array_size(shape) > TENSOR_DIMS)
        return bad(err, where, t->name, "no shape, or more than 8 dimensions");
    t->n_dims = json_array_size(shape);
    for (size_t i = 0; i < t->n_dims; i++) {
        const json_t *d = json_array_get(shape, i);
        if (!json_is_integer(d) || json_integer_value(d) < 0)
            return bad(err, where, t->name, "a dimension is no whole number");
        t->dims[i] = (size_t)json_integer_value(d);
    }
    return CLIPC_OK;
}

static int parse_offsets(tensor *t, size_t *have, const json_t *offsets, span data,
                         const char *where, clipc_err *err)
{
    const json_t *b = json_array_get(offsets, 0), *e = json_array_get(offsets, 1);

    if (!json_is_array(offsets) || json_array_size(offsets) != 2 || !json_is_integer(b) ||
        !json_is_integer(e) || json_integer_value(b) < 0)
        return bad(err, where, t->name, "no data_offsets");
    const json_int_t begin = json_integer_value(b), end = json_integer_value(e);
    if (begin > end || (uint64_t)end > data.size)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: tensor %.64s: bytes [%" PRId64 ", %" PRId64
                          ") outside data of %zu",
                          where, t->name, (int64_t)begin, (int64_t)end, data.size);
    *have = (size_t)(end - begin);
    t->data = data.data ? data.data + begin : NULL;
    return CLIPC_OK;
}

/* `name` lives as long as f. */
static int add_tensor(tensor_file *f, const char *name, const json_t *v, span data,
                      const char *where, clipc_err *err)
{
    tensor t = {.name = name};
    const json_t *dt = json_object_get(v, "dtype");
    size_t have = 0;
    int rc;

    t.dt = json_is_string(dt) ? dtype_named(json_string_value(dt)) : DT_COUNT;
    if (t.dt == DT_COUNT) return bad(err, where, name, "dtype missing or unknown");
    if ((rc = parse_shape(&t, json_object_get(v, "shape"), where, err)) != CLIPC_OK)
        return rc;
    rc = parse_offsets(&t, &have, json_object_get(v, "data_offsets"), data, where, err);
    return rc == CLIPC_OK ? tensor_file_add(f, t, have, false, where, err) : rc;
}

/* Names in memory of f, one behind the other, in the order of the header. */
static int copy_names(tensor_file *f, char **out, json_t *header, const char *where,
                      clipc_err *err)
{
    const char *name;
    json_t *value;
    size_t bytes = 0;

    json_object_foreach(header, name, value) bytes += strlen(name) + 1;
    char *at = *out = tensor_file_alloc(f, bytes, where, err);
    if (!at) return CLIPC_ERR_MEMORY;
    json_object_foreach(header, name, value)
    {
        const size_t len = strlen(name) + 1;
        memcpy(at, name, len);
        at += len;
    }
    return CLIPC_OK;
}

static int add_header(tensor_file *f, json_t *header, span data, const char *where,
                      clipc_err *err)
{
    const char *key;
    json_t *value;
    char *name;
    int rc = copy_names(f, &name, header, where, err);

    if (rc != CLIPC_OK) return rc;
    json_object_foreach(header, key, value)
    {
        if (strcmp(key, "__metadata__") == 0)
            rc = tensor_file_describe(f, value, where, err);
        else rc = add_tensor(f, name, value, data, where, err);
        if (rc != CLIPC_OK) return rc;
        name += strlen(name) + 1;
    }
    return CLIPC_OK;
}

/* Adds all tensors of one file's bytes. */
static int add_bytes(tensor_file *f, span bytes, const char *where, clipc_err *err)
{
    uint64_t len = 0;
    json_t *header;
    int rc;

    for (size_t i = 0; i < 8 && bytes.size >= 8; i++)
        len |= (uint64_t)bytes.data[i] << 8 * i;
    if (bytes.size < 8 || len > bytes.size - 8 || len > HEADER_MAX)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: no safetensors file: %zu bytes, header of %" PRIu64, where,
                          bytes.size, len);
    rc = json_parse(&header, (const char *)bytes.data + 8, (size_t)len, where, err);
    if (rc != CLIPC_OK) return rc;
    const span data = {bytes.data + 8 + len, bytes.size - 8 - (size_t)len};
    if (json_is_object(header)) rc = add_header(f, header, data, where, err);
    else rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s: header is no JSON object", where);
    json_decref(header);
    return rc;
}

int safetensors_parse(tensor_file **out, const void *data, size_t size, const char *name,
                      clipc_err *err)
{
    return tensor_file_parse(out, (span){data, size}, name, add_bytes, err);
}

int safetensors_open(tensor_file **out, const char *path, clipc_err *err)
{
    return tensor_file_open(out, path, add_bytes, err);
}

/* ---- writing -------------------------------------------------------------------------
 */

static dtype stored_type(const tensor *t, dtype stored)
{
    return t->dt == DT_F32 ? stored : t->dt;
}

static int header_text(buf *out, const tensor *t, size_t n, const json_t *metadata,
                       dtype stored, clipc_err *err)
{
    char *about = json_dumps(metadata, JSON_COMPACT);
    size_t at = 0;
    int rc = about ? buf_printf(out, err, "{\"__metadata__\":%s", about)
                   : clipc_fail_memory(err, "header", 0);

    free(about);

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
    while (rc == CLIPC_OK && (out->len + 8) % DATA_ALIGN) rc = buf_puts(out, " ", err);
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

int safetensors_write(const char *path, const tensor *t, size_t n, const json_t *metadata,
                      dtype stored, const kernels *k, clipc_err *err)
{
    atomic_file a = {0};
    buf header = {0};
    unsigned char len[8];
    int rc = header_text(&header, t, n, metadata, stored, err);

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

#include "io/tensor_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ckd.h"

struct tensor_file {
    span *maps;
    size_t n_maps;
    void **blocks;
    size_t n_blocks;
    json_t *metadata;
    tensor *v; /* sorted by name */
    size_t n, cap;
    tensor_file *joined; /* the last that was taken over, which has its own */
};

void tensor_file_free(tensor_file *f)
{
    if (!f) return;
    tensor_file_free(f->joined);
    for (size_t i = 0; i < f->n_maps; i++) file_unmap(&f->maps[i]);
    for (size_t i = 0; i < f->n_blocks; i++) free(f->blocks[i]);
    json_decref(f->metadata);
    free(f->maps);
    free(f->blocks);
    free(f->v);
    free(f);
}

int tensor_file_new(tensor_file **out, const char *where, clipc_err *err)
{
    tensor_file *f = calloc(1, sizeof *f);

    *out = NULL;
    if (f) f->metadata = json_object();
    if (!f || !f->metadata) {
        tensor_file_free(f);
        return clipc_fail_memory(err, where, sizeof *f);
    }
    *out = f;
    return CLIPC_OK;
}

int tensor_file_map(tensor_file *f, span *out, const char *path, clipc_err *err)
{
    span *grown = realloc(f->maps, (f->n_maps + 1) * sizeof *grown);
    int rc;

    if (!grown) return clipc_fail_memory(err, path, sizeof *grown);
    f->maps = grown;
    if ((rc = file_map(out, path, err)) == CLIPC_OK) f->maps[f->n_maps++] = *out;
    return rc;
}

void *tensor_file_alloc(tensor_file *f, size_t bytes, const char *where, clipc_err *err)
{
    void **grown = NULL, *block = calloc(1, bytes ? bytes : 1);

    /* Doubled at each power of two. */
    if (block && (f->n_blocks & (f->n_blocks - 1)) == 0) {
        grown = realloc(f->blocks, (f->n_blocks ? 2 * f->n_blocks : 1) * sizeof *grown);
        if (grown) f->blocks = grown;
        else free(block), block = NULL;
    }
    if (block) f->blocks[f->n_blocks++] = block;
    else clipc_fail_memory(err, where, bytes);
    return block;
}

int tensor_file_add(tensor_file *f, tensor t, size_t have, bool at_least,
                    const char *where, clipc_err *err)
{
    size_t want = 0;

    bool overflow = false;

    t.n = 1;
    for (size_t i = 0; i < t.n_dims; i++) overflow |= ckd_mul_size(&t.n, t.n, t.dims[i]);
    if (overflow || dtype_bytes(&want, t.dt, t.n))
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: tensor %.64s: shape overflows",
                          where, t.name);
    if (at_least ? want > have : want != have)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: tensor %.64s: shape needs %zu bytes, file has %zu", where,
                          t.name, want, have);
    if (f->n == f->cap) {
        const size_t cap = f->cap ? 2 * f->cap : 64;
        tensor *grown = realloc(f->v, cap * sizeof *grown);
        if (!grown) return clipc_fail_memory(err, where, cap * sizeof *grown);
        f->v = grown, f->cap = cap;
    }
    f->v[f->n++] = t;
    return CLIPC_OK;
}

int tensor_file_describe(tensor_file *f, json_t *object, const char *where,
                         clipc_err *err)
{
    if (!json_is_object(object) || json_object_update(f->metadata, object) == 0)
        return CLIPC_OK;
    return clipc_fail_memory(err, where, 0);
}

int tensor_file_join(tensor_file *f, tensor_file *other, const char *prefix,
                     const char *where, clipc_err *err)
{
    const size_t len = strlen(prefix);
    tensor_file **last = &f->joined;
    int rc;

    while (*last) last = &(*last)->joined;
    *last = other;
    rc = tensor_file_describe(f, other->metadata, where, err);
    for (size_t i = 0; rc == CLIPC_OK && i < other->n; i++) {
        tensor t = other->v[i];
        size_t bytes = 0;
        char *name = tensor_file_alloc(f, len + strlen(t.name) + 1, where, err);
        if (!name) return CLIPC_ERR_MEMORY;
        memcpy(name, prefix, len);
        strcpy(name + len, t.name);
        t.name = name;
        dtype_bytes(&bytes, t.dt, t.n);
        rc = tensor_file_add(f, t, bytes, false, where, err);
    }
    return rc;
}

void tensor_file_drop(tensor_file *f, const bool *gone)
{
    size_t kept = 0;

    for (size_t i = 0; i < f->n; i++)
        if (!gone[i]) f->v[kept++] = f->v[i];
    f->n = kept;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const tensor *)a)->name, ((const tensor *)b)->name);
}

int tensor_file_finish(tensor_file *f, const char *where, clipc_err *err)
{
    if (f->n) qsort(f->v, f->n, sizeof *f->v, by_name);
    for (size_t i = 1; i < f->n; i++)
        if (strcmp(f->v[i - 1].name, f->v[i].name) == 0)
            return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: tensor %.64s: stored twice",
                              where, f->v[i].name);
    return CLIPC_OK;
}

/* Finished, or freed. */
static int end(tensor_file **out, int rc, const char *where, clipc_err *err)
{
    if (rc == CLIPC_OK) rc = tensor_file_finish(*out, where, err);
    if (rc != CLIPC_OK) tensor_file_free(*out), *out = NULL;
    return rc;
}

int tensor_file_open(tensor_file **out, const char *path, tensor_reader *read,
                     clipc_err *err)
{
    span bytes;
    int rc = tensor_file_new(out, path, err);

    if (rc == CLIPC_OK) rc = tensor_file_map(*out, &bytes, path, err);
    if (rc == CLIPC_OK) rc = read(*out, bytes, path, err);
    return end(out, rc, path, err);
}

int tensor_file_parse(tensor_file **out, span bytes, const char *name,
                      tensor_reader *read, clipc_err *err)
{
    int rc = tensor_file_new(out, name, err);

    if (rc == CLIPC_OK) rc = read(*out, bytes, name, err);
    return end(out, rc, name, err);
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

void tensor_shape(char *to, size_t size, const size_t *dims, size_t n_dims)
{
    size_t at = 0;

    *to = '\0';
    for (size_t i = 0; i < n_dims && at < size; i++)
        at += (size_t)snprintf(to + at, size - at, "%s%zu", i ? "," : "", dims[i]);
}

void tensor_forget(const tensor_file *f, const tensor *t)
{
    const uintptr_t at = (uintptr_t)t->data;
    size_t bytes = 0;

    dtype_bytes(&bytes, t->dt, t->n);
    for (; f; f = f->joined)
        for (size_t i = 0; i < f->n_maps; i++) {
            const uintptr_t start = (uintptr_t)f->maps[i].data;
            if (at >= start && at < start + f->maps[i].size)
                file_forget((span){t->data, bytes});
        }
}

const json_t *tensor_file_metadata(const tensor_file *f)
{
    return f->metadata;
}

const char *tensor_file_string(const tensor_file *f, const char *key)
{
    return json_string_value(json_object_get(f->metadata, key));
}

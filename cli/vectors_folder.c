#include "cli/vectors_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/sizes.h"
#include "cli/cli.h"

/* The folder's files. */
typedef struct files {
    char *npy, *keys;
} files;

static int files_of(files *f, const char *folder, clipc_err *err)
{
    f->npy = path_join(folder, "vectors.npy");
    f->keys = path_join(folder, "keys.jsonl");
    return f->npy && f->keys ? CLIPC_OK : clipc_fail_memory(err, folder, strlen(folder));
}

static void files_free(files *f)
{
    free(f->npy);
    free(f->keys);
}

/* ---- out ---- */

typedef struct exporting {
    float *rows;
    size_t n, cap, dim;
    buf keys;
    clipc_err *err;
} exporting;

static int add_row(exporting *x, const float *vector)
{
    if (x->n == x->cap) {
        const size_t cap = x->cap ? 2 * x->cap : 1024;
        float *rows = realloc(x->rows, cap * x->dim * sizeof *rows);
        if (!rows)
            return clipc_fail_memory(x->err, "vectors", cap * x->dim * sizeof *rows);
        x->rows = rows, x->cap = cap;
    }
    memcpy(x->rows + x->n++ * x->dim, vector, x->dim * sizeof *x->rows);
    return CLIPC_OK;
}

static int export_entry(void *user, const clipc_index_entry *e)
{
    exporting *x = user;
    int rc = CLIPC_OK;

    /* A video's have no key of their own that could come back. */
    if (!e->vector || e->seconds >= 0.0) return CLIPC_OK;
    json_t *line =
        json_pack("{s:o, s:I}", "key", json_text(e->key), "row", (json_int_t)x->n);
    if (line && e->meta)
        json_object_set_new(line, "meta", json_loads(e->meta, JSON_DECODE_ANY, NULL));
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    rc = text ? buf_printf(&x->keys, x->err, "%s\n", text)
              : clipc_fail_memory(x->err, "keys", x->keys.len);
    free(text);
    json_decref(line);
    return rc == CLIPC_OK ? add_row(x, e->vector) : rc;
}

static int write_files(const exporting *x, const files *f, const char *folder)
{
    int rc = file_mkdirs(folder, x->err);

    if (rc == CLIPC_OK && file_exists(f->keys))
        rc = clipc_fail(x->err, CLIPC_ERR_EXISTS, "%s: exists already", f->keys);
    if (rc == CLIPC_OK) rc = clipc_write_npy(f->npy, x->rows, x->n, x->dim, 0, x->err);
    return rc == CLIPC_OK ? file_replace(f->keys, x->keys.data, x->keys.len, x->err) : rc;
}

int vectors_export(size_t *n, clipc_index *x, size_t dim, const char *folder,
                   clipc_err *err)
{
    exporting e = {.dim = dim, .err = err};
    files f = {0};
    int rc = files_of(&f, folder, err);

    if (rc == CLIPC_OK) rc = clipc_index_each(x, NULL, export_entry, &e, err);
    if (rc == CLIPC_OK && !e.n)
        rc = clipc_fail(err, CLIPC_ERR_ARG, "the index has no vector to export");
    if (rc == CLIPC_OK) rc = write_files(&e, &f, folder);
    *n = e.n;
    free(e.rows);
    buf_free(&e.keys);
    files_free(&f);
    return rc;
}

/* ---- in ---- */

enum { TOGETHER = 1024 }; /* rows that are added as one write */

typedef struct importing {
    const files *f;
    const float *data;
    size_t rows, dim;
    json_t *lines;
    clipc_err *err;
} importing;

/* The key and the row of line i. */
static int read_line(const char **key, size_t *row, const importing *m, size_t i)
{
    const json_t *line = json_array_get(m->lines, i);
    char where[300];
    int rc;

    snprintf(where, sizeof where, "%.250s: line %zu", m->f->keys, i + 1);
    *key = NULL;
    *row = i;
    rc = json_get_string(key, line, "key", where, m->err);
    if (rc == CLIPC_OK) rc = json_get_size(row, line, "row", where, m->err);
    if (rc == CLIPC_OK && !*key)
        rc = clipc_fail(m->err, CLIPC_ERR_FORMAT, "%s: no \"key\"", where);
    if (rc == CLIPC_OK && *row >= m->rows)
        rc = clipc_fail(m->err, CLIPC_ERR_FORMAT, "%s: row %zu of %zu", where, *row,
                        m->rows);
    return rc;
}

static int add_some(clipc_index *x, const importing *m, float *rows, size_t from,
                    size_t n)
{
    const char *keys[TOGETHER];
    char *metas[TOGETHER] = {0};
    int rc = CLIPC_OK;

    for (size_t i = 0, row; rc == CLIPC_OK && i < n; i++) {
        const json_t *meta = json_object_get(json_array_get(m->lines, from + i), "meta");
        rc = read_line(&keys[i], &row, m, from + i);
        if (rc != CLIPC_OK) break;
        memcpy(rows + i * m->dim, m->data + row * m->dim, m->dim * sizeof *rows);
        if (meta) metas[i] = json_dumps(meta, JSON_COMPACT | JSON_ENCODE_ANY);
    }
    if (rc == CLIPC_OK)
        rc =
            clipc_index_add_vectors(x, keys, rows, (const char *const *)metas, n, m->err);
    for (size_t i = 0; i < n; i++) free(metas[i]);
    return rc;
}

int vectors_import(size_t *n, clipc_index *x, size_t dim, const char *folder,
                   clipc_err *err)
{
    importing m = {.dim = dim, .lines = json_array(), .err = err};
    float *data = NULL, *rows = malloc(TOGETHER * dim * sizeof *rows);
    size_t dims[8] = {0}, n_dims = 0;
    files f = {0};
    int rc = files_of(&f, folder, err);

    if (rc == CLIPC_OK && !(rows && m.lines))
        rc = clipc_fail_memory(err, "vectors", TOGETHER * dim * sizeof *rows);
    if (rc == CLIPC_OK) rc = clipc_read_npy(f.npy, &data, dims, &n_dims, err);
    if (rc == CLIPC_OK && (n_dims != 2 || dims[1] != dim))
        rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s: wanted rows of %zu numbers", f.npy,
                        dim);
    if (rc == CLIPC_OK) rc = jsonl_read(m.lines, f.keys, err);
    m.f = &f, m.data = data, m.rows = dims[0];
    const size_t all = json_array_size(m.lines);
    for (*n = 0; rc == CLIPC_OK && *n < all;) {
        const size_t some = min_size(TOGETHER, all - *n);
        rc = add_some(x, &m, rows, *n, some);
        if (rc == CLIPC_OK) *n += some;
    }
    json_decref(m.lines);
    free(data);
    free(rows);
    files_free(&f);
    return rc;
}

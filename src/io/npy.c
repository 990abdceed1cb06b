#include "io/npy.h"

#include <stdlib.h>
#include <string.h>

#include "base/ckd.h"

enum {
    HEADER = 128, /* of files that we write: a multiple of 64, as the format asks */
    PREFIX = 10   /* magic, version, length of the rest of the header */
};

/* ---- writing -------------------------------------------------------------------------
 */

/* The number of rows can be written over: whatever it is, blanks fill the rest. */
static int put_header(npy_writer *w, clipc_err *err)
{
    char head[HEADER + 1];
    int n;

    memcpy(head, "\x93NUMPY\x01\x00", 8);
    head[8] = HEADER - PREFIX;
    head[9] = 0;
    n = PREFIX;
    n += snprintf(head + n, sizeof head - (size_t)n,
                  "{'descr': '%s', 'fortran_order': False, 'shape': (%zu, ",
                  w->dt == DT_U8 ? "|u1" : "<f4", w->rows);
    for (size_t i = 0; i < w->n_dims && n < HEADER; i++)
        n += snprintf(head + n, sizeof head - (size_t)n, "%s%zu", i ? ", " : "",
                      w->dims[i]);
    if (n < HEADER) n += snprintf(head + n, sizeof head - (size_t)n, "), }");
    if (n >= HEADER)
        return clipc_fail(err, CLIPC_ERR_LIMIT, "%s: a shape too long for its header",
                          w->file.path);
    memset(head + n, ' ', (size_t)(HEADER - n));
    head[HEADER - 1] = '\n';
    return atomic_write(&w->file, head, HEADER, err);
}

int npy_begin(npy_writer *w, const char *path, dtype dt, const size_t *dims,
              size_t n_dims, bool overwrite, clipc_err *err)
{
    int rc;

    *w = (npy_writer){.dt = dt, .n_dims = n_dims};
    memcpy(w->dims, dims, n_dims * sizeof *dims);
    rc = atomic_open(&w->file, path, overwrite, err);
    if (rc == CLIPC_OK) rc = put_header(w, err);
    if (rc != CLIPC_OK) npy_abort(w);
    return rc;
}

int npy_add(npy_writer *w, const void *data, size_t rows, clipc_err *err)
{
    size_t bytes = rows * dtype_size(w->dt);
    int rc;

    for (size_t i = 0; i < w->n_dims; i++) bytes *= w->dims[i];
    rc = atomic_write(&w->file, data, bytes, err);
    if (rc == CLIPC_OK) w->rows += rows;
    return rc;
}

int npy_commit(npy_writer *w, clipc_err *err)
{
    int rc = CLIPC_OK;

    if (fseek(w->file.f, 0, SEEK_SET) != 0)
        rc = clipc_fail(err, CLIPC_ERR_IO, "%s: cannot go back to its header",
                        w->file.path);
    if (rc == CLIPC_OK) rc = put_header(w, err);
    if (rc == CLIPC_OK) return atomic_commit(&w->file, err);
    npy_abort(w);
    return rc;
}

void npy_abort(npy_writer *w)
{
    atomic_abort(&w->file);
}

int npy_write(const char *path, const void *data, dtype dt, const size_t *dims,
              size_t n_dims, bool overwrite, clipc_err *err)
{
    npy_writer w;
    int rc = npy_begin(&w, path, dt, dims + 1, n_dims - 1, overwrite, err);

    if (rc != CLIPC_OK) return rc;
    if ((rc = npy_add(&w, data, dims[0], err)) == CLIPC_OK) return npy_commit(&w, err);
    npy_abort(&w);
    return rc;
}

/* ---- reading -------------------------------------------------------------------------
 */

/* The header's dict, being read. */
typedef struct cursor {
    const char *s, *end;
} cursor;

static void skip_blanks(cursor *c)
{
    while (c->s < c->end && (*c->s == ' ' || *c->s == '\n')) c->s++;
}

/* Takes one character if it comes next. */
static bool take(cursor *c, char wanted)
{
    skip_blanks(c);
    if (c->s == c->end || *c->s != wanted) return false;
    c->s++;
    return true;
}

static bool take_word(cursor *c, const char *word)
{
    const size_t len = strlen(word);

    skip_blanks(c);
    if ((size_t)(c->end - c->s) < len || memcmp(c->s, word, len) != 0) return false;
    c->s += len;
    return true;
}

/* A quoted string of at most size - 1 characters. */
static bool take_string(cursor *c, char *out, size_t size)
{
    const char quote = take(c, '\'') ? '\'' : take(c, '"') ? '"' : 0;
    size_t n = 0;

    while (quote && c->s < c->end && *c->s != quote && n + 1 < size) out[n++] = *c->s++;
    out[n] = '\0';
    return quote && take(c, quote);
}

static bool take_size(cursor *c, size_t *out)
{
    const char *first;

    skip_blanks(c);
    *out = 0;
    for (first = c->s; c->s < c->end && *c->s >= '0' && *c->s <= '9'; c->s++)
        if (ckd_mul_size(out, *out, 10) || ckd_add_size(out, *out, (size_t)(*c->s - '0')))
            return false;
    return c->s > first;
}

static bool take_shape(cursor *c, npy *a)
{
    if (!take(c, '(')) return false;
    a->n_dims = 0;
    a->n = 1;
    while (!take(c, ')')) {
        if (a->n_dims == NPY_DIMS || !take_size(c, &a->dims[a->n_dims]) ||
            ckd_mul_size(&a->n, a->n, a->dims[a->n_dims]))
            return false;
        a->n_dims++;
        if (!take(c, ',')) return take(c, ')');
    }
    return true;
}

static dtype type_named(const char *descr)
{
    static const struct {
        const char *descr;
        dtype dt;
    } types[] = {{"<f4", DT_F32}, {"<f2", DT_F16}, {"<f8", DT_F64}, {"<i8", DT_I64},
                 {"<i4", DT_I32}, {"<i2", DT_I16}, {"|i1", DT_I8},  {"|u1", DT_U8}};

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(descr, types[i].descr) == 0) return types[i].dt;
    return DT_COUNT;
}

static int bad(clipc_err *err, const char *where, const char *why)
{
    return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: %s", where, why);
}

static int parse_dict(npy *a, dtype *dt, cursor c, const char *where, clipc_err *err)
{
    bool c_order = false, shape = false;
    char key[16], descr[16];

    *dt = DT_COUNT;
    if (!take(&c, '{')) return bad(err, where, "npy header is no dict");
    while (!take(&c, '}')) {
        if (!take_string(&c, key, sizeof key) || !take(&c, ':'))
            return bad(err, where, "npy header is damaged");
        if (strcmp(key, "descr") == 0) {
            if (!take_string(&c, descr, sizeof descr) ||
                (*dt = type_named(descr)) == DT_COUNT)
                return bad(err, where, "npy elements of a type that is not read");
        } else if (strcmp(key, "fortran_order") == 0) {
            if (!(c_order = take_word(&c, "False")))
                return bad(err, where, "npy array is not in C order");
        } else if (strcmp(key, "shape") == 0) {
            if (!(shape = take_shape(&c, a)))
                return bad(err, where, "npy shape is damaged or too large");
        } else {
            return bad(err, where, "npy header has an unknown key");
        }
        take(&c, ',');
    }
    return *dt != DT_COUNT && c_order && shape
               ? CLIPC_OK
               : bad(err, where, "npy header lacks descr, fortran_order or shape");
}

/* The dict's place in the file; data behind it. */
static int find_header(cursor *dict, span *data, const uint8_t *p, size_t size,
                       const char *where, clipc_err *err)
{
    if (size < PREFIX || memcmp(p, "\x93NUMPY", 6) != 0 || p[6] < 1 || p[6] > 3)
        return bad(err, where, "no npy file");
    const size_t prefix = p[6] == 1 ? PREFIX : PREFIX + 2;
    if (size < prefix) return bad(err, where, "npy header is cut off");
    size_t len = p[8] | (size_t)p[9] << 8;
    if (p[6] > 1) len |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
    if (len > size - prefix) return bad(err, where, "npy header is cut off");
    const char *s = (const char *)p + prefix;
    *dict = (cursor){s, s + len};
    *data = (span){p + prefix + len, size - prefix - len};
    return CLIPC_OK;
}

/* Shape and type, and where the elements lie. */
static int parse(npy *a, dtype *dt, span *body, span file, const char *name,
                 clipc_err *err)
{
    cursor dict = {0};
    size_t bytes;
    int rc = find_header(&dict, body, file.data, file.size, name, err);

    if (rc == CLIPC_OK) rc = parse_dict(a, dt, dict, name, err);
    if (rc != CLIPC_OK) return rc;
    if (ckd_mul_size(&bytes, a->n, dtype_size(*dt)) || bytes != body->size)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: npy shape of %zu elements, file has %zu bytes of them",
                          name, a->n, body->size);
    return CLIPC_OK;
}

int npy_parse(npy *out, const void *data, size_t size, const char *name, const kernels *k,
              clipc_err *err)
{
    npy a = {0};
    span body = {0};
    dtype dt = DT_COUNT;
    const int rc = parse(&a, &dt, &body, (span){data, size}, name, err);

    *out = (npy){0};
    if (rc != CLIPC_OK) return rc;
    a.data =
        a.n <= SIZE_MAX / sizeof *a.data ? malloc(a.n ? a.n * sizeof *a.data : 1) : NULL;
    if (!a.data) return clipc_fail_memory(err, name, body.size);
    dtype_to_f32(k, a.data, body.data, dt, a.n);
    *out = a;
    return CLIPC_OK;
}

int npy_in_place(const float **data, npy *shape, span file, const char *name,
                 clipc_err *err)
{
    span body = {0};
    dtype dt = DT_COUNT;
    int rc;

    *shape = (npy){0};
    if ((rc = parse(shape, &dt, &body, file, name, err)) != CLIPC_OK) return rc;
    if (dt != DT_F32 || (uintptr_t)body.data % sizeof(float))
        return bad(err, name, "npy elements are no float32 on a boundary of four bytes");
    *data = (const float *)(const void *)body.data;
    return CLIPC_OK;
}

int npy_read(npy *out, const char *path, const kernels *k, clipc_err *err)
{
    span map = {0};
    int rc = file_map(&map, path, err);

    *out = (npy){0};
    if (rc == CLIPC_OK) rc = npy_parse(out, map.data, map.size, path, k, err);
    file_unmap(&map);
    return rc;
}

void npy_free(npy *a)
{
    if (!a) return;
    free(a->data);
    *a = (npy){0};
}

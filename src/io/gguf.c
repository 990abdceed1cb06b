#include "io/gguf.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum {
    HEADER_MAX = 256 << 20, /* bytes before the data: metadata takes memory */
    VALUES_MAX = 1 << 22,   /* ... some 50 bytes each, however short in the file */
    DEPTH_MAX = 4,          /* arrays in arrays */
    NAME_LIMIT = 65535,     /* of a key, by the format; of a tensor's name, by us */
    DEFAULT_ALIGN = 32,
    ALIGN_MAX = 1 << 20,
    PAIR_MIN = 8 + 4 + 1,       /* bytes of the shortest pair */
    TENSOR_MIN = 8 + 4 + 4 + 8, /* ... and of the shortest tensor's entry */
    U8 = 0,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    BOOL,
    STRING,
    ARRAY,
    U64,
    I64,
    F64,
    TYPES
};

/* Bytes of a value; the fewest of a string or an array. */
static const uint8_t value_size[TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};

/* Where we are in the header, and the key or tensor that messages name. */
typedef struct reader {
    span bytes;
    size_t at, values;
    const char *kind; /* "key" or "tensor", NULL before the first */
    span name;
    const char *where;
    clipc_err *err;
} reader;

static int refuse(const reader *r, const char *why)
{
    const int len = r->name.size < 64 ? (int)r->name.size : 64;

    if (!r->kind) return clipc_fail(r->err, CLIPC_ERR_FORMAT, "%s: %s", r->where, why);
    return clipc_fail(r->err, CLIPC_ERR_FORMAT, "%s: %s %.*s: %s", r->where, r->kind, len,
                      len ? (const char *)r->name.data : "", why);
}

static size_t left(const reader *r)
{
    return r->bytes.size - r->at;
}

static int take(const uint8_t **out, reader *r, size_t n)
{
    if (n > left(r))
        return refuse(r, r->bytes.size == HEADER_MAX ? "header of more than 256 MB"
                                                     : "the file ends inside the header");
    *out = r->bytes.data + r->at;
    r->at += n;
    return CLIPC_OK;
}

/* A little-endian number of 1 to 8 bytes. */
static int take_uint(uint64_t *out, reader *r, size_t size)
{
    const uint8_t *p = NULL;
    const int rc = take(&p, r, size);

    *out = 0;
    for (size_t i = 0; rc == CLIPC_OK && i < size; i++) *out |= (uint64_t)p[i] << 8 * i;
    return rc;
}

static int take_string(span *out, reader *r)
{
    uint64_t len;
    int rc = take_uint(&len, r, 8);

    if (rc != CLIPC_OK) return rc;
    if (len > left(r)) return refuse(r, "a string is longer than the rest of the header");
    rc = take(&out->data, r, (size_t)len);
    out->size = (size_t)len;
    return rc;
}

/* A key or a tensor's name, which messages name from here on. */
static int take_name(reader *r, const char *kind)
{
    r->kind = kind;
    r->name = (span){0};
    const int rc = take_string(&r->name, r);
    if (rc != CLIPC_OK) return rc;
    if (r->name.size == 0 || r->name.size > NAME_LIMIT)
        return refuse(r, "its name is empty or longer than 65535 bytes");
    return memchr(r->name.data, 0, r->name.size) ? refuse(r, "a NUL in its name")
                                                 : CLIPC_OK;
}

/* ---- key-value pairs ------------------------------------------------------------- */

static json_t *real_or_null(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

/* The value of `bits`; NULL when memory is out. */
static json_t *number(uint64_t bits, int type)
{
    const uint32_t low = (uint32_t)bits;
    float f;
    double d;

    switch (type) {
    case I8: return json_integer((int8_t)bits);
    case I16: return json_integer((int16_t)bits);
    case I32: return json_integer((int32_t)bits);
    case F32: return memcpy(&f, &low, sizeof f), real_or_null((double)f);
    case F64: return memcpy(&d, &bits, sizeof d), real_or_null(d);
    case BOOL: return json_boolean(bits);
    case U64:
        if (bits > INT64_MAX) return json_real((double)bits);
        return json_integer((json_int_t)bits);
    default: return json_integer((json_int_t)bits);
    }
}

static int take_number(json_t **out, reader *r, int type)
{
    uint64_t bits;
    const int rc = take_uint(&bits, r, value_size[type]);

    if (rc != CLIPC_OK) return rc;
    if (type == BOOL && bits > 1) return refuse(r, "a bool that is neither 0 nor 1");
    *out = number(bits, type);
    return *out ? CLIPC_OK : clipc_fail_memory(r->err, r->where, 0);
}

static int take_text(json_t **out, reader *r)
{
    span s = {0};
    const int rc = take_string(&s, r);

    if (rc != CLIPC_OK) return rc;
    *out = json_stringn_nocheck((const char *)s.data, s.size);
    return *out ? CLIPC_OK : clipc_fail_memory(r->err, r->where, s.size);
}

static int take_type(int *out, reader *r)
{
    uint64_t type;
    const int rc = take_uint(&type, r, 4);

    *out = type < TYPES ? (int)type : TYPES;
    return rc == CLIPC_OK && *out == TYPES ? refuse(r, "a value of unknown type") : rc;
}

static int take_array(json_t **out, reader *r, int depth);

static int take_value(json_t **out, reader *r, int type, int depth)
{
    *out = NULL;
    if (++r->values > VALUES_MAX) return refuse(r, "more than 4194304 values");
    if (type == STRING) return take_text(out, r);
    return type == ARRAY ? take_array(out, r, depth + 1) : take_number(out, r, type);
}

static int take_array(json_t **out, reader *r, int depth)
{
    json_t *value;
    uint64_t n;
    int type = 0, rc;

    if (depth > DEPTH_MAX) return refuse(r, "arrays more than 4 deep");
    if ((rc = take_type(&type, r)) != CLIPC_OK) return rc;
    if ((rc = take_uint(&n, r, 8)) != CLIPC_OK) return rc;
    if (n > left(r) / value_size[type])
        return refuse(r, "an array is longer than the rest of the header");
    json_t *a = json_array();
    if (!a) return clipc_fail_memory(r->err, r->where, 0);
    for (uint64_t i = 0; rc == CLIPC_OK && i < n; i++)
        if ((rc = take_value(&value, r, type, depth)) == CLIPC_OK &&
            json_array_append_new(a, value) != 0)
            rc = clipc_fail_memory(r->err, r->where, 0);
    if (rc == CLIPC_OK) *out = a;
    else json_decref(a);
    return rc;
}

/* r->name as a string in *key. */
static int check_key(buf *key, const json_t *pairs, const reader *r)
{
    for (size_t i = 0; i < r->name.size; i++)
        if (r->name.data[i] < 0x20 || r->name.data[i] > 0x7e)
            return refuse(r, "no printable ASCII");
    buf_clear(key);
    const int rc = buf_add(key, r->name.data, r->name.size, r->err);
    if (rc != CLIPC_OK) return rc;
    return json_object_get(pairs, key->data) ? refuse(r, "stored twice") : CLIPC_OK;
}

static int take_pairs(json_t *pairs, reader *r, uint64_t n)
{
    buf key = {0};
    json_t *value;
    int type = 0, rc = CLIPC_OK;

    for (uint64_t i = 0; rc == CLIPC_OK && i < n; i++) {
        if ((rc = take_name(r, "key")) != CLIPC_OK) break;
        if ((rc = check_key(&key, pairs, r)) != CLIPC_OK) break;
        if ((rc = take_type(&type, r)) != CLIPC_OK) break;
        if ((rc = take_value(&value, r, type, 0)) != CLIPC_OK) break;
        if (json_object_set_new_nocheck(pairs, key.data, value) != 0)
            rc = clipc_fail_memory(r->err, r->where, 0);
    }
    buf_free(&key);
    return rc;
}

static int find_alignment(size_t *out, const json_t *pairs, const reader *r)
{
    const json_t *v = json_object_get(pairs, "general.alignment");
    const json_int_t a = v ? json_integer_value(v) : DEFAULT_ALIGN; /* no integer: 0 */

    if (a < 1 || a > ALIGN_MAX || (a & (a - 1)))
        return clipc_fail(r->err, CLIPC_ERR_FORMAT,
                          "%s: general.alignment is no power of two of at most %d",
                          r->where, ALIGN_MAX);
    *out = (size_t)a;
    return CLIPC_OK;
}

/* ---- tensors --------------------------------------------------------------------- */

static dtype type_of(uint64_t ggml_type)
{
    static const struct {
        uint8_t number, type;
    } known[] = {{0, DT_F32},  {1, DT_F16},  {2, DT_Q4_0}, {3, DT_Q4_1}, {6, DT_Q5_0},
                 {7, DT_Q5_1}, {8, DT_Q8_0}, {24, DT_I8},  {25, DT_I16}, {26, DT_I32},
                 {27, DT_I64}, {28, DT_F64}, {30, DT_BF16}};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].number == ggml_type) return (dtype)known[i].type;
    return DT_COUNT;
}

static int take_dims(tensor *t, reader *r)
{
    uint64_t n, d;
    int rc = take_uint(&n, r, 4);

    if (rc != CLIPC_OK) return rc;
    if (n > TENSOR_DIMS) return refuse(r, "more than 8 dimensions");
    t->n_dims = (size_t)n;
    for (size_t i = t->n_dims; rc == CLIPC_OK && i-- > 0;) {
        if ((rc = take_uint(&d, r, 8)) == CLIPC_OK && d > SIZE_MAX)
            rc = refuse(r, "shape overflows");
        t->dims[i] = (size_t)d;
    }
    return rc;
}

/* An entry but for its name, which is in r->name. */
static int take_tensor(tensor *t, uint64_t *offset, reader *r)
{
    uint64_t type;
    size_t row_bytes;
    int rc;

    *t = (tensor){0};
    if ((rc = take_name(r, "tensor")) != CLIPC_OK) return rc;
    if ((rc = take_dims(t, r)) != CLIPC_OK) return rc;
    if ((rc = take_uint(&type, r, 4)) != CLIPC_OK) return rc;
    if ((rc = take_uint(offset, r, 8)) != CLIPC_OK) return rc;
    if ((t->dt = type_of(type)) == DT_COUNT)
        return clipc_fail(r->err, CLIPC_ERR_FEATURE,
                          "%s: tensor %.*s: no reader for ggml type %" PRIu64, r->where,
                          r->name.size < 64 ? (int)r->name.size : 64,
                          (const char *)r->name.data, type);
    /* Blocks do not reach across rows. */
    if (dtype_bytes(&row_bytes, t->dt, t->n_dims ? t->dims[t->n_dims - 1] : 1))
        return refuse(r, "a row is too long, or no whole number of blocks");
    return CLIPC_OK;
}

/* Reads past the entries: the data begins behind them, and where that is must be known
 * before any can be added. */
static int measure_tensors(size_t *name_bytes, reader *r, uint64_t n)
{
    tensor t;
    uint64_t offset;

    *name_bytes = 0;
    for (uint64_t i = 0; i < n; i++) {
        const int rc = take_tensor(&t, &offset, r);
        if (rc != CLIPC_OK) return rc;
        *name_bytes += r->name.size + 1;
    }
    return CLIPC_OK;
}

static int add_tensors(tensor_file *f, reader *r, uint64_t n, char *names, span data,
                       size_t align)
{
    tensor t;
    uint64_t offset;

    for (uint64_t i = 0; i < n; i++) {
        int rc = take_tensor(&t, &offset, r);
        if (rc != CLIPC_OK) return rc;
        if (offset % align) return refuse(r, "its offset is not aligned");
        if (offset > data.size) return refuse(r, "its offset lies behind the data");
        memcpy(names, r->name.data, r->name.size); /* the block is zeroed: ends in NUL */
        t.name = names;
        names += r->name.size + 1;
        t.data = data.data + offset;
        rc = tensor_file_add(f, t, data.size - (size_t)offset, true, r->where, r->err);
        if (rc != CLIPC_OK) return rc;
    }
    return CLIPC_OK;
}

static int read_tensors(tensor_file *f, reader *r, uint64_t n, size_t align, span bytes)
{
    const size_t begin = r->at;
    size_t name_bytes;
    int rc = measure_tensors(&name_bytes, r, n);

    if (rc != CLIPC_OK) return rc;
    /* At the end of the file, not behind it, if nothing follows the entries. */
    size_t at = (r->at + align - 1) / align * align;
    if (at > bytes.size) at = bytes.size;
    char *names = tensor_file_alloc(f, name_bytes, r->where, r->err);
    if (!names) return CLIPC_ERR_MEMORY;
    r->at = begin;
    return add_tensors(f, r, n, names, (span){bytes.data + at, bytes.size - at}, align);
}

/* ---- the file -------------------------------------------------------------------- */

bool gguf_is(const void *data, size_t size)
{
    return size >= 4 && memcmp(data, "GGUF", 4) == 0;
}

static int take_start(uint64_t *n_tensors, uint64_t *n_pairs, reader *r)
{
    uint64_t version;
    int rc;

    if (!gguf_is(r->bytes.data, r->bytes.size)) return refuse(r, "no GGUF file");
    r->at = 4;
    if ((rc = take_uint(&version, r, 4)) != CLIPC_OK) return rc;
    if ((version & 0xffff) == 0 && version) return refuse(r, "a big-endian GGUF file");
    if (version != 2 && version != 3)
        return clipc_fail(r->err, CLIPC_ERR_FEATURE,
                          "%s: GGUF version %" PRIu64 ", wanted 2 or 3", r->where,
                          version);
    if ((rc = take_uint(n_tensors, r, 8)) != CLIPC_OK) return rc;
    if ((rc = take_uint(n_pairs, r, 8)) != CLIPC_OK) return rc;
    if (*n_tensors > left(r) / TENSOR_MIN || *n_pairs > left(r) / PAIR_MIN)
        return clipc_fail(r->err, CLIPC_ERR_FORMAT,
                          "%s: %" PRIu64 " tensors and %" PRIu64
                          " keys do not fit into %zu bytes",
                          r->where, *n_tensors, *n_pairs, left(r));
    return CLIPC_OK;
}

static int add_bytes(tensor_file *f, span bytes, const char *where, clipc_err *err)
{
    reader r = {.bytes = bytes, .where = where, .err = err};
    uint64_t n_tensors, n_pairs;
    size_t align = DEFAULT_ALIGN;
    int rc;

    if (r.bytes.size > HEADER_MAX) r.bytes.size = HEADER_MAX;
    if ((rc = take_start(&n_tensors, &n_pairs, &r)) != CLIPC_OK) return rc;
    json_t *pairs = json_object();
    if (!pairs) return clipc_fail_memory(err, where, 0);
    rc = take_pairs(pairs, &r, n_pairs);
    if (rc == CLIPC_OK) rc = find_alignment(&align, pairs, &r);
    if (rc == CLIPC_OK) rc = read_tensors(f, &r, n_tensors, align, bytes);
    if (rc == CLIPC_OK) rc = tensor_file_describe(f, pairs, where, err);
    json_decref(pairs);
    return rc;
}

int gguf_parse(tensor_file **out, const void *data, size_t size, const char *name,
               clipc_err *err)
{
    return tensor_file_parse(out, (span){data, size}, name, add_bytes, err);
}

int gguf_open(tensor_file **out, const char *path, clipc_err *err)
{
    return tensor_file_open(out, path, add_bytes, err);
}

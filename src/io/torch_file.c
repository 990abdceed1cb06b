#include "io/torch_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/ckd.h"
#include "io/pickle.h"
#include "io/zip.h"

enum {
    NAME_MAX_LEN = 512, /* of a tensor, and of a record */
    DEPTH_MAX = 64,     /* of modules in modules */
    WRAPS_MAX = 8,      /* parameters of parameters of ... */
    OLD_PROTOCOL = 1001
};

/* A part of the file that tensors share. */
typedef struct storage {
    span key;
    size_t element;
    const uint8_t *data; /* NULL: not seen yet */
    size_t bytes;
} storage;

/* A tensor that was found, not yet looked at. */
typedef struct found {
    const char *name;
    const pkl_value *v;
} found;

typedef struct reader {
    tensor_file *f;
    span file;
    const char *where;
    clipc_err *err;
    zip z;      /* of an archive */
    span root;  /* "NAME/", before all its records' names */
    storage *v; /* of an old file, sorted by key */
    size_t n;
    found *found;
    size_t n_found, cap_found;
    /* What sharing within a hostile pickle could multiply, each linear in its file. */
    size_t visits_left, name_bytes_left, copy_left;
} reader;

static int bad(const reader *r, const char *why)
{
    return clipc_fail(r->err, CLIPC_ERR_FORMAT, "%s: %s", r->where, why);
}

static int bad_tensor(const reader *r, const char *name, const char *why)
{
    return clipc_fail(r->err, CLIPC_ERR_FORMAT, "%s: tensor %.64s: %s", r->where, name,
                      why);
}

static int short_len(span s)
{
    return s.size < 80 ? (int)s.size : 80;
}

/* A tensor that needs something that is not there: a global, by its name. */
static int lacks(const reader *r, const char *name, const pkl_value *global)
{
    const span unknown = {(const uint8_t *)"?", 1};
    const bool known = global && global->kind == PKL_GLOBAL;
    const span m = known ? global->global.module : unknown;
    const span n = known ? global->global.name : unknown;

    return clipc_fail(r->err, CLIPC_ERR_FEATURE,
                      "%s: tensor %.64s: %.*s.%.*s is not supported", r->where, name,
                      short_len(m), (const char *)m.data, short_len(n),
                      (const char *)n.data);
}

/* ---- element types -------------------------------------------------------------------
 */

/* Storages' classes and, for storages without a type, torch's names of types. */
typedef struct element_type {
    const char *storage, *name;
    size_t size;
    dtype dt; /* DT_COUNT: only its size is known */
} element_type;

static const element_type element_types[] = {
    {"FloatStorage", "float32", 4, DT_F32},
    {"HalfStorage", "float16", 2, DT_F16},
    {"BFloat16Storage", "bfloat16", 2, DT_BF16},
    {"DoubleStorage", "float64", 8, DT_F64},
    {"LongStorage", "int64", 8, DT_I64},
    {"IntStorage", "int32", 4, DT_I32},
    {"ShortStorage", "int16", 2, DT_I16},
    {"CharStorage", "int8", 1, DT_I8},
    {"ByteStorage", "uint8", 1, DT_U8},
    {"BoolStorage", "bool", 1, DT_BOOL},
    {"UntypedStorage", "", 1, DT_COUNT},
    {"_UntypedStorage", "", 1, DT_COUNT},
    {"ComplexFloatStorage", "complex64", 8, DT_COUNT},
    {"ComplexDoubleStorage", "complex128", 16, DT_COUNT},
    {"QInt8Storage", "qint8", 1, DT_COUNT},
    {"QUInt8Storage", "quint8", 1, DT_COUNT},
    {"QInt32Storage", "qint32", 4, DT_COUNT},
};

/* Whether the global is in module torch or in one within. */
static bool in_torch(const pkl_value *v)
{
    if (!v || v->kind != PKL_GLOBAL) return false;
    const span m = v->global.module;
    return m.size >= 5 && memcmp(m.data, "torch", 5) == 0 &&
           (m.size == 5 || m.data[5] == '.');
}

/* NULL for any other global. */
static const element_type *type_named(const pkl_value *v, bool of_storage)
{
    const size_t n = sizeof element_types / sizeof *element_types;

    for (size_t i = 0; in_torch(v) && i < n; i++) {
        const element_type *e = &element_types[i];
        if (span_is(v->global.name, of_storage ? e->storage : e->name)) return e;
    }
    return NULL;
}

/* ---- storages ------------------------------------------------------------------------
 */

/* ('storage', class, key, device, count[, part of another]) */
typedef struct storage_id {
    const pkl_value *type;
    span key;
    size_t count;
} storage_id;

static bool read_storage_id(storage_id *id, const pkl_value *v)
{
    if (!v || v->kind != PKL_OUTSIDE || v->id->kind != PKL_TUPLE ||
        !pkl_is_string(pkl_item(v->id, 0), "storage"))
        return false;
    const pkl_value *key = pkl_item(v->id, 2), *count = pkl_item(v->id, 4);
    const pkl_value *part = pkl_item(v->id, 5);
    if (!key || key->kind != PKL_STR || !count || count->kind != PKL_INT ||
        count->i < 0 || (part && part->kind != PKL_NONE))
        return false;
    *id = (storage_id){pkl_item(v->id, 1), key->s, (size_t)count->i};
    return true;
}

/* A record of the archive; *out is {NULL, 0} if there is none. */
static int find_record(const reader *r, span *out, const char *folder, span key)
{
    char name[NAME_MAX_LEN];
    const size_t folder_len = strlen(folder), root_len = r->root.size;

    *out = (span){0};
    if (key.size > sizeof name || root_len > sizeof name - folder_len ||
        key.size > sizeof name - folder_len - root_len)
        return CLIPC_OK;
    if (root_len) memcpy(name, r->root.data, root_len);
    memcpy(name + root_len, folder, folder_len);
    if (key.size) memcpy(name + root_len + folder_len, key.data, key.size);
    const span all = {(const uint8_t *)name, root_len + folder_len + key.size};
    const zip_entry *e = zip_find(&r->z, all);
    return e ? zip_stored(out, &r->z, e, r->where, r->err) : CLIPC_OK;
}

static int by_key(const void *a, const void *b)
{
    const span x = ((const storage *)a)->key, y = ((const storage *)b)->key;
    const size_t least = x.size < y.size ? x.size : y.size;
    const int order = least ? memcmp(x.data, y.data, least) : 0;

    return order ? order : (x.size > y.size) - (x.size < y.size);
}

static storage *find_old(const reader *r, span key)
{
    const storage want = {.key = key};

    return r->n ? bsearch(&want, r->v, r->n, sizeof *r->v, by_key) : NULL;
}

/* The bytes of a storage, `count` elements as its id said. */
static int find_storage(const reader *r, span *out, const storage_id *id, size_t element,
                        const char *tensor_name)
{
    size_t want;
    int rc = CLIPC_OK;

    *out = (span){0};
    if (r->z.v) {
        rc = find_record(r, out, "data/", id->key);
    } else {
        const storage *s = find_old(r, id->key);
        if (s) *out = (span){s->data, s->bytes};
    }
    if (rc != CLIPC_OK) return rc;
    if (!out->data) return bad_tensor(r, tensor_name, "its data is not in the file");
    if (ckd_mul_size(&want, id->count, element) || want > out->size)
        return clipc_fail(r->err, CLIPC_ERR_FORMAT,
                          "%s: tensor %.64s: storage of %zu elements in %zu bytes",
                          r->where, tensor_name, id->count, out->size);
    out->size = want;
    return CLIPC_OK;
}

/* ---- dicts ---------------------------------------------------------------------------
 */

/* The PKL_DICT behind a dict or one of its kin; NULL otherwise. */
static const pkl_value *dict_of(const pkl_value *v)
{
    if (!v || v->kind == PKL_DICT) return v;
    if (v->kind != PKL_CALL) return NULL;
    const pkl_value *c = v->call.callee, *filled = v->call.filled;
    if (!pkl_is_global(c, "collections", "OrderedDict") &&
        !pkl_is_global(c, "collections", "defaultdict"))
        return NULL;
    return filled && filled->kind == PKL_DICT ? filled : NULL;
}

/* The last value under a key. */
static const pkl_value *dict_get(const pkl_value *dict, const char *key)
{
    for (size_t i = dict->items.n; i > 0; i -= 2)
        if (pkl_is_string(dict->items.v[i - 2], key)) return dict->items.v[i - 1];
    return NULL;
}

/* ---- tensors -------------------------------------------------------------------------
 */

/* A call that makes a tensor. */
typedef struct maker {
    const pkl_value *callee, *args;
} maker;

static bool wraps_first(const pkl_value *callee)
{
    return pkl_is_global(callee, "torch._utils", "_rebuild_parameter") ||
           pkl_is_global(callee, "torch._utils", "_rebuild_parameter_with_state") ||
           pkl_is_global(callee, "torch.jit._pickle", "restore_type_tag");
}

/* Whether v is a tensor of any kind; m: what makes it, without what is around it. */
static bool find_maker(maker *m, const pkl_value *v)
{
    for (int i = 0; i < WRAPS_MAX && v && v->kind == PKL_CALL; i++) {
        *m = (maker){v->call.callee, v->call.args};
        if (pkl_is_global(m->callee, "torch._tensor", "_rebuild_from_type_v2"))
            *m = (maker){pkl_item(m->args, 0), pkl_item(m->args, 2)};
        if (!in_torch(m->callee)) return false;
        if (!wraps_first(m->callee)) {
            const span name = m->callee->global.name;
            return name.size > 9 && memcmp(name.data, "_rebuild_", 9) == 0;
        }
        v = pkl_item(m->args, 0);
    }
    return false;
}

static bool is_tensor(const pkl_value *v)
{
    maker m;
    return find_maker(&m, v);
}

/* A tensor on its way, in elements of its storage. */
typedef struct view {
    tensor t;
    size_t stride[TENSOR_DIMS];
    size_t offset;
    size_t element;
    span data;
} view;

/* A tuple of n whole numbers of 0 or more; SIZE_MAX: it is none. */
static size_t read_sizes(size_t out[TENSOR_DIMS], const pkl_value *v)
{
    if (!v || (v->kind != PKL_TUPLE && v->kind != PKL_LIST) || v->items.n > TENSOR_DIMS)
        return SIZE_MAX;
    for (size_t i = 0; i < v->items.n; i++) {
        const pkl_value *d = v->items.v[i];
        if (d->kind != PKL_INT || d->i < 0) return SIZE_MAX;
        out[i] = (size_t)d->i;
    }
    return v->items.n;
}

/* torch.Size((1, 2)) is a tuple too. */
static const pkl_value *plain_size(const pkl_value *v)
{
    const bool called = v && v->kind == PKL_CALL;

    return called && pkl_is_global(v->call.callee, "torch", "Size")
               ? pkl_item(v->call.args, 0)
               : v;
}

static int read_shape(const reader *r, view *w, const pkl_value *args)
{
    const pkl_value *offset = pkl_item(args, 1);

    w->t.n_dims = read_sizes(w->t.dims, plain_size(pkl_item(args, 2)));
    if (w->t.n_dims == SIZE_MAX ||
        read_sizes(w->stride, plain_size(pkl_item(args, 3))) != w->t.n_dims)
        return bad_tensor(r, w->t.name, "no shape and strides of 8 dimensions or fewer");
    if (!offset || offset->kind != PKL_INT || offset->i < 0)
        return bad_tensor(r, w->t.name, "no offset");
    w->offset = (size_t)offset->i;
    return CLIPC_OK;
}

/* The type is the storage's, or that of _rebuild_tensor_v3. */
static int read_type(const reader *r, view *w, const pkl_value *args, bool v3)
{
    storage_id id;

    if (!read_storage_id(&id, pkl_item(args, 0)))
        return bad_tensor(r, w->t.name, "its storage is not described");
    const pkl_value *named = v3 ? pkl_item(args, 6) : id.type;
    const element_type *held = type_named(id.type, true);
    const element_type *e = type_named(named, !v3);
    if (!held) return lacks(r, w->t.name, id.type);
    if (!e || e->dt == DT_COUNT) return lacks(r, w->t.name, named);
    w->t.dt = e->dt;
    w->element = e->size;
    return find_storage(r, &w->data, &id, held->size, w->t.name);
}

/* Tensors that are negated on the fly have a flag here. */
static int check_flags(const reader *r, const view *w, const pkl_value *flags)
{
    const pkl_value *d = dict_of(flags), *neg = d ? dict_get(d, "neg") : NULL;

    if (!neg || (neg->kind == PKL_BOOL && !neg->i)) return CLIPC_OK;
    return clipc_fail(r->err, CLIPC_ERR_FEATURE,
                      "%s: tensor %.64s: stored without its minus sign", r->where,
                      w->t.name);
}

/* Checks that the last element lies within the storage. */
static int check_reach(const reader *r, const view *w)
{
    const size_t have = w->data.size / w->element;
    size_t last = w->offset;

    for (size_t i = 0; i < w->t.n_dims; i++) {
        size_t step;
        if (w->t.dims[i] == 0) return CLIPC_OK;
        if (ckd_mul_size(&step, w->t.dims[i] - 1, w->stride[i]) ||
            ckd_add_size(&last, last, step))
            last = SIZE_MAX - 1;
    }
    if (last < have) return CLIPC_OK;
    return clipc_fail(r->err, CLIPC_ERR_FORMAT,
                      "%s: tensor %.64s: reaches element %zu of a storage of %zu",
                      r->where, w->t.name, last, have);
}

/* Of a view whose product of dimensions fits size_t.  The stride of a dimension of 1
 * means nothing. */
static bool is_row_major(const view *w)
{
    size_t want = 1;

    for (size_t i = w->t.n_dims; i-- > 0;) {
        if (w->t.dims[i] != 1 && w->stride[i] != want) return false;
        want *= w->t.dims[i];
    }
    return true;
}

static void copy_row(uint8_t *to, const uint8_t *from, size_t n, size_t step, size_t size)
{
    for (size_t i = 0; i < n; i++, to += size, from += step) switch (size) {
        case 1: *to = *from; break;
        case 2: memcpy(to, from, 2); break;
        case 4: memcpy(to, from, 4); break;
        default: memcpy(to, from, 8); break;
        }
}

/* All rows of at least one dimension, none of them empty. */
static void copy_rows(uint8_t *to, const view *w)
{
    const size_t last = w->t.n_dims - 1, row = w->t.dims[last] * w->element;
    size_t at[TENSOR_DIMS] = {0}, d;

    do {
        size_t from = w->offset;
        for (size_t i = 0; i < last; i++) from += at[i] * w->stride[i];
        copy_row(to, w->data.data + from * w->element, w->t.dims[last],
                 w->stride[last] * w->element, w->element);
        to += row;
        for (d = last; d-- > 0;) {
            if (++at[d] < w->t.dims[d]) break;
            at[d] = 0;
        }
    } while (d != SIZE_MAX);
}

static int copy_tensor(reader *r, view *w, size_t bytes)
{
    if (bytes > r->copy_left)
        return clipc_fail(r->err, CLIPC_ERR_LIMIT,
                          "%s: tensor %.64s: its strides blow %zu bytes up to %zu",
                          r->where, w->t.name, w->data.size, bytes);
    r->copy_left -= bytes;
    uint8_t *to = tensor_file_alloc(r->f, bytes, r->where, r->err);
    if (!to) return CLIPC_ERR_MEMORY;
    copy_rows(to, w);
    w->t.data = to;
    return CLIPC_OK;
}

/* Sets the data of a checked view and adds it. */
static int add_view(reader *r, view *w)
{
    size_t n = 1, bytes;
    int rc = CLIPC_OK;

    for (size_t i = 0; i < w->t.n_dims; i++)
        if (ckd_mul_size(&n, n, w->t.dims[i]))
            return bad_tensor(r, w->t.name, "shape overflows");
    if (dtype_bytes(&bytes, w->t.dt, n))
        return bad_tensor(r, w->t.name, "shape overflows");
    if (n == 0) w->t.data = w->data.data;
    else if (is_row_major(w)) w->t.data = w->data.data + w->offset * w->element;
    else rc = copy_tensor(r, w, bytes);
    return rc == CLIPC_OK ? tensor_file_add(r->f, w->t, bytes, false, r->where, r->err)
                          : rc;
}

static int add_tensor(reader *r, const found *it)
{
    view w = {.t = {.name = it->name}};
    maker m = {0};
    int rc;

    find_maker(&m, it->v);
    const bool v1 = pkl_is_global(m.callee, "torch._utils", "_rebuild_tensor");
    const bool v2 = pkl_is_global(m.callee, "torch._utils", "_rebuild_tensor_v2");
    const bool v3 = pkl_is_global(m.callee, "torch._utils", "_rebuild_tensor_v3");
    if (!v1 && !v2 && !v3) return lacks(r, w.t.name, m.callee);
    if ((rc = read_type(r, &w, m.args, v3)) != CLIPC_OK) return rc;
    if ((rc = read_shape(r, &w, m.args)) != CLIPC_OK) return rc;
    if ((rc = check_flags(r, &w, pkl_item(m.args, v3 ? 7 : 6))) != CLIPC_OK) return rc;
    if ((rc = check_reach(r, &w)) != CLIPC_OK) return rc;
    return add_view(r, &w);
}

/* ---- finding them --------------------------------------------------------------------
 */

/* The name of an attribute behind the name of its module. */
static int join_name(const reader *r, char out[NAME_MAX_LEN + 1], const char *module,
                     span attr)
{
    const size_t len = strlen(module), dot = len > 0;

    if (attr.size > NAME_MAX_LEN || len + dot + attr.size > NAME_MAX_LEN)
        return bad(r, "a tensor's name is longer than 512 bytes");
    for (size_t i = 0; i < attr.size; i++)
        if (attr.data[i] < ' ') return bad(r, "a tensor's name is no plain text");
    memcpy(out, module, len);
    out[len] = '.';
    if (attr.size) memcpy(out + len + dot, attr.data, attr.size);
    out[len + dot + attr.size] = '\0';
    return CLIPC_OK;
}

static int keep(reader *r, const char *name, const pkl_value *v)
{
    const size_t len = strlen(name) + 1;

    if (len > r->name_bytes_left) return bad(r, "names too long for its size");
    r->name_bytes_left -= len;
    if (r->n_found == r->cap_found) {
        const size_t cap = r->cap_found ? 2 * r->cap_found : 64;
        found *grown = realloc(r->found, cap * sizeof *grown);
        if (!grown) return clipc_fail_memory(r->err, r->where, cap * sizeof *grown);
        r->found = grown, r->cap_found = cap;
    }
    char *copy = tensor_file_alloc(r->f, len, r->where, r->err);
    if (!copy) return CLIPC_ERR_MEMORY;
    memcpy(copy, name, len);
    r->found[r->n_found++] = (found){copy, v};
    return CLIPC_OK;
}

static int keep_dict(reader *r, const pkl_value *dict)
{
    char name[NAME_MAX_LEN + 1];
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < dict->items.n; i += 2) {
        const pkl_value *key = dict->items.v[i], *v = dict->items.v[i + 1];
        if (key->kind != PKL_STR || !is_tensor(v)) continue;
        rc = join_name(r, name, "", key->s);
        if (rc == CLIPC_OK) rc = keep(r, name, v);
    }
    return rc;
}

/* An object of a class that TorchScript compiled. */
static bool is_module(const pkl_value *v)
{
    if (!v || v->kind != PKL_CALL || v->call.callee->kind != PKL_GLOBAL) return false;
    const span m = v->call.callee->global.module;
    return m.size >= 9 && memcmp(m.data, "__torch__", 9) == 0;
}

/* Members of a model's top: numbers and strings describe it. */
static int describe(const reader *r, const char *key, const pkl_value *v)
{
    json_t *o, *value = NULL;
    int rc = CLIPC_OK;

    if (v->kind == PKL_INT) value = json_integer(v->i);
    else if (v->kind == PKL_BOOL) value = json_boolean(v->i);
    else if (v->kind == PKL_STR && v->s.size)
        value = json_stringn((const char *)v->s.data, v->s.size);
    if (!value) return CLIPC_OK;
    o = json_object();
    /* A key that is no UTF-8 is dropped like the values that are not. */
    if (o && json_object_set(o, key, value) == 0)
        rc = tensor_file_describe(r->f, o, r->where, r->err);
    json_decref(value);
    json_decref(o);
    return rc;
}

static int keep_module(reader *r, const pkl_value *v, const char *name, int depth);

static int keep_attribute(reader *r, const pkl_value *v, const char *name, int depth)
{
    if (is_tensor(v)) return keep(r, name, v);
    if (is_module(v)) return keep_module(r, v, name, depth + 1);
    return depth == 0 ? describe(r, name, v) : CLIPC_OK;
}

/* Attributes in the order of the file, modules within modules by recursion. */
static int keep_module(reader *r, const pkl_value *v, const char *name, int depth)
{
    char full[NAME_MAX_LEN + 1];
    const pkl_value *state = v->call.state;
    const char *packed = "__torch__.torch.classes.quantized";
    const span class = v->call.callee->global.module;
    int rc = CLIPC_OK;

    if (depth > DEPTH_MAX) return bad(r, "modules nested deeper than 64");
    if (class.size >= strlen(packed) && memcmp(class.data, packed, strlen(packed)) == 0)
        return lacks(r, name, v->call.callee);
    if (!state || state->kind != PKL_DICT) return CLIPC_OK;
    for (size_t i = 0; rc == CLIPC_OK && i < state->items.n; i += 2) {
        const pkl_value *key = state->items.v[i];
        if (r->visits_left-- == 0) return bad(r, "modules shared too often for its size");
        if (key->kind != PKL_STR) continue;
        rc = join_name(r, full, name, key->s);
        if (rc == CLIPC_OK) rc = keep_attribute(r, state->items.v[i + 1], full, depth);
    }
    return rc;
}

static bool holds_tensors(const pkl_value *dict)
{
    for (size_t i = 1; i < dict->items.n; i += 2)
        if (is_tensor(dict->items.v[i])) return true;
    return false;
}

/* The dict to read: a member of v that is known to hold the model, or v; or NULL. */
static const pkl_value *choose_dict(const pkl_value *v, int depth)
{
    static const char *const keys[] = {"state_dict", "model_state_dict", "model",
                                       "module"};
    const pkl_value *dict = dict_of(v);

    if (!dict) return NULL;
    for (size_t i = 0; depth < 2 && i < sizeof keys / sizeof *keys; i++) {
        const pkl_value *member = dict_get(dict, keys[i]);
        const pkl_value *chosen = member ? choose_dict(member, depth + 1) : NULL;
        if (chosen) return chosen;
    }
    return holds_tensors(dict) ? dict : NULL;
}

/* Globals that a checkpoint may hold beside its tensors. */
static bool is_familiar(const pkl_value *g)
{
    const span m = g->global.module, n = g->global.name;

    return in_torch(g) || span_is(m, "collections") || span_is(m, "datetime") ||
           span_is(m, "_codecs") || span_is(m, "numpy") ||
           (m.size > 6 && memcmp(m.data, "numpy.", 6) == 0) ||
           (span_is(m, "argparse") && span_is(n, "Namespace"));
}

static int no_tensors(const reader *r, const pkl *p)
{
    const pkl_value *g = NULL;

    for (size_t i = 0; i < p->globals.n && !g; i++)
        if (!is_familiar(p->globals.v[i])) g = p->globals.v[i];
    if (!g) return bad(r, "no dict of tensors in it, nor a TorchScript module");
    const span m = g->global.module, n = g->global.name;
    return clipc_fail(r->err, CLIPC_ERR_FORMAT,
                      "%s: no dict of tensors in it; it asks for %.*s.%.*s, which is not "
                      "run",
                      r->where, short_len(m), (const char *)m.data, short_len(n),
                      (const char *)n.data);
}

/* Takes a prefix off all names, if all have it and something behind it. */
static bool strip(reader *r, const char *prefix)
{
    const size_t len = strlen(prefix);

    for (size_t i = 0; i < r->n_found; i++)
        if (strncmp(r->found[i].name, prefix, len) != 0 || !r->found[i].name[len])
            return false;
    for (size_t i = 0; i < r->n_found; i++) r->found[i].name += len;
    return r->n_found > 0;
}

/* "torch.kind": "torchscript", "state_dict", or "checkpoint" for one that training left:
 * inside another dict, or of a wrapped module. */
static int say_kind(reader *r, const pkl *p, const pkl_value *dict)
{
    const bool nested = dict && dict != dict_of(p->root);
    const bool wrapped = r->n_found && strncmp(r->found[0].name, "module.", 7) == 0;
    json_t *o = json_pack("{s:s}", "torch.kind",
                          !dict               ? "torchscript"
                          : nested || wrapped ? "checkpoint"
                                              : "state_dict");
    const int rc = o ? tensor_file_describe(r->f, o, r->where, r->err)
                     : clipc_fail_memory(r->err, r->where, 0);

    json_decref(o);
    return rc;
}

/* Adds the tensors of a pickle whose storages are known. */
static int add_pickle(reader *r, const pkl *p)
{
    const pkl_value *dict = choose_dict(p->root, 0);
    int rc = CLIPC_OK;

    r->visits_left = 4 * p->used + 1024;
    r->name_bytes_left = 16 * p->used + (64 << 10);
    if (dict) rc = keep_dict(r, dict);
    else if (is_module(p->root)) rc = keep_module(r, p->root, "", 0);
    if (rc == CLIPC_OK && r->n_found == 0) rc = no_tensors(r, p);
    if (rc == CLIPC_OK) rc = say_kind(r, p, dict);
    while (rc == CLIPC_OK && (strip(r, "module.") || strip(r, "_orig_mod."))) continue;
    for (size_t i = 0; rc == CLIPC_OK && i < r->n_found; i++)
        rc = add_tensor(r, &r->found[i]);
    return rc;
}

/* ---- archives ------------------------------------------------------------------------
 */

/* The first "NAME/data.pkl" or "data.pkl"; NULL if there is none. */
static const zip_entry *find_pickle(const zip *z, span *root)
{
    static const char file[] = "data.pkl";
    const size_t len = sizeof file - 1;

    for (size_t i = 0; i < z->n; i++) {
        const span name = z->v[i].name;
        if (name.size < len || memcmp(name.data + name.size - len, file, len) != 0)
            continue;
        *root = (span){name.data, name.size - len};
        const uint8_t *slash = root->size ? memchr(root->data, '/', root->size) : NULL;
        if (!root->size || slash == root->data + root->size - 1) return &z->v[i];
    }
    return NULL;
}

static int check_byte_order(const reader *r)
{
    span order;
    const int rc = find_record(r, &order, "byteorder", (span){0});

    if (rc != CLIPC_OK || !order.data || span_is(order, "little")) return rc;
    return clipc_fail(r->err, CLIPC_ERR_FEATURE, "%s: its byte order is not \"little\"",
                      r->where);
}

static int add_archive(reader *r)
{
    pkl p = {0};
    span bytes;
    int rc = zip_open(&r->z, r->file, r->where, r->err);

    if (rc != CLIPC_OK) return rc;
    const zip_entry *e = find_pickle(&r->z, &r->root);
    if (!e) return bad(r, "a ZIP archive without data.pkl, so none of PyTorch");
    if ((rc = check_byte_order(r)) != CLIPC_OK) return rc;
    if ((rc = zip_stored(&bytes, &r->z, e, r->where, r->err)) != CLIPC_OK) return rc;
    if ((rc = pkl_parse(&p, bytes, r->where, r->err)) != CLIPC_OK) return rc;
    rc = add_pickle(r, &p);
    pkl_free(&p);
    return rc;
}

/* ---- before 1.6 ----------------------------------------------------------------------
 */

/* 0x1950a86a20f9469cfc6c as a pickled number. */
static const uint8_t old_magic[] = {0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
                                    0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};

static bool is_old(span b)
{
    if (b.size < 16 || b.data[0] != 0x80) return false;
    /* Protocol 4 puts a frame of 8 bytes' length around it. */
    const size_t at = b.data[2] == 0x95 ? 11 : 2;
    return b.size - at >= sizeof old_magic &&
           memcmp(b.data + at, old_magic, sizeof old_magic) == 0;
}

/* The next pickle of the file. */
static int next_pickle(const reader *r, pkl *p, span *rest)
{
    const int rc = pkl_parse(p, *rest, r->where, r->err);

    if (rc == CLIPC_OK) *rest = (span){rest->data + p->used, rest->size - p->used};
    return rc;
}

/* Magic number, protocol and machine. */
static int skip_head(const reader *r, span *rest)
{
    pkl p;
    int rc = next_pickle(r, &p, rest);

    if (rc == CLIPC_OK) pkl_free(&p), rc = next_pickle(r, &p, rest);
    if (rc == CLIPC_OK && (p.root->kind != PKL_INT || p.root->i != OLD_PROTOCOL))
        rc = bad(r, "its protocol is not 1001");
    pkl_free(&p);
    if (rc == CLIPC_OK) rc = next_pickle(r, &p, rest);
    if (rc != CLIPC_OK) return rc;
    const pkl_value *little =
        p.root->kind == PKL_DICT ? dict_get(p.root, "little_endian") : NULL;
    if (!little || little->kind != PKL_BOOL || !little->i)
        rc = clipc_fail(r->err, CLIPC_ERR_FEATURE,
                        "%s: not written by a little-endian machine", r->where);
    pkl_free(&p);
    return rc;
}

/* Sorts, and drops what is there twice. */
static int sort_storages(reader *r)
{
    size_t n = 0;

    if (r->n) qsort(r->v, r->n, sizeof *r->v, by_key);
    for (size_t i = 0; i < r->n; i++) {
        if (n == 0 || by_key(&r->v[n - 1], &r->v[i]) != 0) r->v[n++] = r->v[i];
        else if (r->v[n - 1].element != r->v[i].element)
            return bad(r, "a storage of two types");
    }
    r->n = n;
    return CLIPC_OK;
}

/* All storages that the pickle names, without their data. */
static int list_storages(reader *r, const pkl *p)
{
    r->v = calloc(p->outside.n ? p->outside.n : 1, sizeof *r->v);
    if (!r->v) return clipc_fail_memory(r->err, r->where, p->outside.n * sizeof *r->v);
    for (size_t i = 0; i < p->outside.n; i++) {
        const pkl_value *v = p->outside.v[i];
        storage_id id;
        if (!read_storage_id(&id, v)) {
            /* Modules' sources stand outside as well. */
            if (pkl_is_string(pkl_item(v->id, 0), "module")) continue;
            return bad(r, "a storage that is not described");
        }
        const element_type *e = type_named(id.type, true);
        if (!e) return lacks(r, "(storage)", id.type);
        r->v[r->n++] = (storage){.key = id.key, .element = e->size};
    }
    return sort_storages(r);
}

/* One storage: its count and elements. */
static int place_storage(const reader *r, const pkl_value *key, span *rest)
{
    storage *s = key->kind == PKL_STR ? find_old(r, key->s) : NULL;
    uint64_t count = 0;

    if (!s) return bad(r, "data of an unknown storage");
    if (s->data) return bad(r, "a storage that is stored twice");
    if (rest->size < 8) return bad(r, "cut off");
    for (size_t i = 0; i < 8; i++) count |= (uint64_t)rest->data[i] << 8 * i;
    const size_t left = rest->size - 8;
    if (count > left / s->element) {
        return clipc_fail(r->err, CLIPC_ERR_FORMAT,
                          "%s: storage %.*s: %" PRIu64 " elements, %zu bytes are left",
                          r->where, short_len(s->key), (const char *)s->key.data, count,
                          left);
    }
    s->data = rest->data + 8;
    s->bytes = (size_t)count * s->element;
    *rest = (span){s->data + s->bytes, left - s->bytes};
    return CLIPC_OK;
}

static int place_storages(const reader *r, span *rest)
{
    pkl keys;
    int rc = next_pickle(r, &keys, rest);

    if (rc != CLIPC_OK) return rc;
    if (keys.root->kind != PKL_LIST) rc = bad(r, "no list of its storages");
    for (size_t i = 0; rc == CLIPC_OK && i < keys.root->items.n; i++)
        rc = place_storage(r, keys.root->items.v[i], rest);
    pkl_free(&keys);
    return rc;
}

static int add_old(reader *r)
{
    span rest = r->file;
    pkl p = {0};
    int rc = skip_head(r, &rest);

    if (rc == CLIPC_OK) rc = next_pickle(r, &p, &rest);
    if (rc == CLIPC_OK) rc = list_storages(r, &p);
    if (rc == CLIPC_OK) rc = place_storages(r, &rest);
    if (rc == CLIPC_OK) rc = add_pickle(r, &p);
    pkl_free(&p);
    return rc;
}

/* ---- files ---------------------------------------------------------------------------
 */

static bool is_zip(span b)
{
    return b.size >= 4 && memcmp(b.data, "PK\3\4", 4) == 0;
}

bool torch_is(const void *data, size_t size)
{
    const span b = {data, size};
    span root;
    zip z;

    if (is_old(b)) return true;
    if (!is_zip(b) || zip_open(&z, b, "", NULL) != CLIPC_OK) return false;
    const bool is = find_pickle(&z, &root) != NULL;
    zip_close(&z);
    return is;
}

static int add_bytes(tensor_file *f, span bytes, const char *where, clipc_err *err)
{
    reader r = {.f = f, .file = bytes, .where = where, .err = err};
    int rc;

    if (ckd_mul_size(&r.copy_left, bytes.size, 4)) r.copy_left = SIZE_MAX;
    if (is_zip(bytes)) rc = add_archive(&r);
    else if (is_old(bytes)) rc = add_old(&r);
    else rc = bad(&r, "no checkpoint of PyTorch");
    zip_close(&r.z);
    free(r.v);
    free(r.found);
    return rc;
}

int torch_parse(tensor_file **out, const void *data, size_t size, const char *name,
                clipc_err *err)
{
    return tensor_file_parse(out, (span){data, size}, name, add_bytes, err);
}

int torch_open(tensor_file **out, const char *path, clipc_err *err)
{
    return tensor_file_open(out, path, add_bytes, err);
}

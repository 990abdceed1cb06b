#include "io/pickle.h"

#include <stdlib.h>
#include <string.h>

enum { PROTO_MAX = 5, CHUNK_MIN = 1 << 12, CHUNK_MAX = 1 << 18 };

/* Memory that is released all at once. */
typedef struct pkl_chunk {
    struct pkl_chunk *next;
    size_t used, size;
    max_align_t mem[];
} pkl_chunk;

typedef struct parser {
    pkl *out;
    const uint8_t *start, *at, *end;
    pkl_list stack; /* NULL in it is a mark */
    pkl_list memo;  /* by index; NULL: not set */
    pkl_value *none, *yes, *no, *unit;
    const char *where;
    clipc_err *err;
} parser;

static int bad(const parser *p, const char *why)
{
    return clipc_fail(p->err, CLIPC_ERR_FORMAT, "%s: pickle, byte %zu: %s", p->where,
                      (size_t)(p->at - p->start), why);
}

/* ---- memory --------------------------------------------------------------------------
 */

static void *take_memory(parser *p, size_t bytes)
{
    const size_t unit = sizeof(max_align_t), size = (bytes + unit - 1) / unit * unit;
    pkl_chunk *c = p->out->chunks;

    if (!c || c->size - c->used < size) {
        size_t room = c ? c->size * 2 : CHUNK_MIN;
        if (room > CHUNK_MAX) room = CHUNK_MAX;
        if (room < size) room = size;
        c = malloc(sizeof *c + room);
        if (!c) return clipc_fail_memory(p->err, p->where, room), NULL;
        *c = (pkl_chunk){.next = p->out->chunks, .size = room};
        p->out->chunks = c;
    }
    void *mem = (char *)c->mem + c->used;
    c->used += size;
    return mem;
}

/* NULL, with the error set, if memory is out. */
static pkl_value *new_value(parser *p, pkl_kind kind)
{
    pkl_value *v = take_memory(p, sizeof *v);

    if (v) memset(v, 0, sizeof *v), v->kind = kind;
    return v;
}

static int list_add(parser *p, pkl_list *l, pkl_value *v)
{
    if (l->n == l->cap) {
        const size_t cap = l->cap ? 2 * l->cap : 32;
        pkl_value **grown = realloc(l->v, cap * sizeof *grown);
        if (!grown) return clipc_fail_memory(p->err, p->where, cap * sizeof *grown);
        l->v = grown, l->cap = cap;
    }
    l->v[l->n++] = v;
    return CLIPC_OK;
}

void pkl_free(pkl *p)
{
    for (pkl_chunk *c = p->chunks, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    free(p->globals.v);
    free(p->outside.v);
    *p = (pkl){0};
}

/* ---- bytes ---------------------------------------------------------------------------
 */

static int take(parser *p, span *out, uint64_t n)
{
    if (n > (size_t)(p->end - p->at)) return bad(p, "cut off");
    *out = (span){p->at, (size_t)n};
    p->at += n;
    return CLIPC_OK;
}

static int take_number(parser *p, uint64_t *out, size_t bytes)
{
    span s = {0};
    const int rc = take(p, &s, bytes);

    *out = 0;
    for (size_t i = 0; rc == CLIPC_OK && i < bytes; i++)
        *out |= (uint64_t)s.data[i] << 8 * i;
    return rc;
}

/* Bytes behind their count, which has `width` bytes. */
static int take_counted(parser *p, span *out, size_t width)
{
    uint64_t n;
    const int rc = take_number(p, &n, width);

    return rc == CLIPC_OK ? take(p, out, n) : rc;
}

static int take_line(parser *p, span *out)
{
    const uint8_t *eol = memchr(p->at, '\n', (size_t)(p->end - p->at));

    if (!eol) return bad(p, "cut off");
    *out = (span){p->at, (size_t)(eol - p->at)};
    p->at = eol + 1;
    return CLIPC_OK;
}

/* ---- the stack -----------------------------------------------------------------------
 */

static int push(parser *p, pkl_value *v)
{
    return v ? list_add(p, &p->stack, v) : CLIPC_ERR_MEMORY;
}

static int pop(parser *p, pkl_value **out)
{
    if (!p->stack.n || !p->stack.v[p->stack.n - 1]) return bad(p, "its stack is empty");
    *out = p->stack.v[--p->stack.n];
    return CLIPC_OK;
}

static int top(const parser *p, pkl_value **out)
{
    if (!p->stack.n || !p->stack.v[p->stack.n - 1]) return bad(p, "its stack is empty");
    *out = p->stack.v[p->stack.n - 1];
    return CLIPC_OK;
}

/* Takes everything down to the last mark, and the mark.  *v stays in the stack's memory,
 * until the next push. */
static int pop_mark(parser *p, pkl_value ***v, size_t *n)
{
    size_t at = p->stack.n;

    while (at && p->stack.v[at - 1]) at--;
    if (!at) return bad(p, "no mark");
    *v = p->stack.v + at;
    *n = p->stack.n - at;
    p->stack.n = at - 1;
    return CLIPC_OK;
}

/* ---- values --------------------------------------------------------------------------
 */

static int push_int(parser *p, size_t bytes, bool is_signed)
{
    uint64_t x;
    const int rc = take_number(p, &x, bytes);

    if (rc != CLIPC_OK) return rc;
    pkl_value *v = new_value(p, PKL_INT);
    if (v) v->i = is_signed ? (int32_t)(uint32_t)x : (int64_t)x;
    return push(p, v);
}

static int push_string(parser *p, pkl_kind kind, size_t width)
{
    span s = {0};
    const int rc = take_counted(p, &s, width);

    if (rc != CLIPC_OK) return rc;
    pkl_value *v = new_value(p, kind);
    if (v) v->s = s;
    return push(p, v);
}

/* A number in two's complement of any length. */
static int push_long(parser *p, size_t width)
{
    span s = {0};
    const int rc = take_counted(p, &s, width);

    if (rc != CLIPC_OK) return rc;
    pkl_value *v = new_value(p, s.size > 8 ? PKL_LONG : PKL_INT);
    if (v && s.size > 8) {
        v->s = s;
    } else if (v) {
        uint64_t x = s.size && s.data[s.size - 1] & 0x80 ? UINT64_MAX : 0;
        for (size_t i = s.size; i-- > 0;) x = x << 8 | s.data[i];
        v->i = (int64_t)x;
    }
    return push(p, v);
}

static int push_float(parser *p)
{
    span s = {0};
    uint64_t bits = 0;
    const int rc = take(p, &s, 8);

    if (rc != CLIPC_OK) return rc;
    for (size_t i = 0; i < 8; i++) bits = bits << 8 | s.data[i];
    pkl_value *v = new_value(p, PKL_FLOAT);
    if (v) memcpy(&v->f, &bits, sizeof v->f);
    return push(p, v);
}

static int push_items(parser *p, pkl_kind kind, pkl_value *const *from, size_t n)
{
    pkl_value *v = new_value(p, kind);

    if (!v) return CLIPC_ERR_MEMORY;
    v->items.v = n ? take_memory(p, n * sizeof *from) : NULL;
    if (n && !v->items.v) return CLIPC_ERR_MEMORY;
    if (n) memcpy(v->items.v, from, n * sizeof *from);
    v->items.n = v->items.cap = n;
    return push(p, v);
}

/* All values above the mark. */
static int push_marked(parser *p, pkl_kind kind)
{
    pkl_value **v = NULL;
    size_t n = 0;
    const int rc = pop_mark(p, &v, &n);

    return rc == CLIPC_OK ? push_items(p, kind, v, n) : rc;
}

/* A tuple of the last 1 to 3 values. */
static int push_tuple(parser *p, size_t n)
{
    pkl_value *v[3] = {0};

    for (size_t i = n; i-- > 0;) {
        const int rc = pop(p, &v[i]);
        if (rc != CLIPC_OK) return rc;
    }
    return push_items(p, PKL_TUPLE, v, n);
}

static int push_global(parser *p, span module, span name)
{
    pkl_value *v = new_value(p, PKL_GLOBAL);

    if (!v) return CLIPC_ERR_MEMORY;
    v->global.module = module;
    v->global.name = name;
    const int rc = list_add(p, &p->out->globals, v);
    return rc == CLIPC_OK ? push(p, v) : rc;
}

static int do_global(parser *p)
{
    span module, name;
    int rc = take_line(p, &module);

    if (rc == CLIPC_OK) rc = take_line(p, &name);
    return rc == CLIPC_OK ? push_global(p, module, name) : rc;
}

static int do_stack_global(parser *p)
{
    pkl_value *module = NULL, *name = NULL;
    int rc = pop(p, &name);

    if (rc == CLIPC_OK) rc = pop(p, &module);
    if (rc != CLIPC_OK) return rc;
    if (module->kind != PKL_STR || name->kind != PKL_STR)
        return bad(p, "a global whose name is no string");
    return push_global(p, module->s, name->s);
}

/* ---- objects -------------------------------------------------------------------------
 */

/* A call that is only written down.  Protocol 4's named arguments are dropped. */
static int do_call(parser *p, bool named_args)
{
    pkl_value *callee = NULL, *args = NULL, *named;
    int rc = named_args ? pop(p, &named) : CLIPC_OK;

    if (rc == CLIPC_OK) rc = pop(p, &args);
    if (rc == CLIPC_OK) rc = pop(p, &callee);
    if (rc != CLIPC_OK) return rc;
    pkl_value *v = new_value(p, PKL_CALL);
    if (v) v->call.callee = callee, v->call.args = args;
    return push(p, v);
}

static int do_build(parser *p)
{
    pkl_value *state = NULL, *v = NULL;
    int rc = pop(p, &state);

    if (rc == CLIPC_OK) rc = top(p, &v);
    if (rc == CLIPC_OK && v->kind == PKL_CALL) v->call.state = state;
    return rc;
}

static int do_outside(parser *p)
{
    pkl_value *id = NULL;
    int rc = pop(p, &id);

    if (rc != CLIPC_OK) return rc;
    pkl_value *v = new_value(p, PKL_OUTSIDE);
    if (!v) return CLIPC_ERR_MEMORY;
    v->id = id;
    rc = list_add(p, &p->out->outside, v);
    return rc == CLIPC_OK ? push(p, v) : rc;
}

/* ---- filling lists and dicts ---------------------------------------------------------
 */

/* *v: instead of a call, what is filled in its place. */
static int find_filled(parser *p, pkl_value **v, pkl_kind kind)
{
    if ((*v)->kind == PKL_CALL) {
        pkl_value *call = *v;
        if (!call->call.filled) call->call.filled = new_value(p, kind);
        if (!call->call.filled) return CLIPC_ERR_MEMORY;
        *v = call->call.filled;
    }
    return (*v)->kind == kind ? CLIPC_OK : bad(p, "items for something that takes none");
}

/* Old arrays stay behind in the chunk, half of the memory at most. */
static int grow_items(parser *p, pkl_value *to, size_t more)
{
    if (more <= to->items.cap - to->items.n) return CLIPC_OK;
    size_t cap = to->items.cap ? 2 * to->items.cap : 4;
    if (cap < to->items.n + more) cap = to->items.n + more;
    pkl_value **v = take_memory(p, cap * sizeof *v);
    if (!v) return CLIPC_ERR_MEMORY;
    if (to->items.n) memcpy(v, to->items.v, to->items.n * sizeof *v);
    to->items.v = v, to->items.cap = cap;
    return CLIPC_OK;
}

static int fill(parser *p, pkl_kind kind, pkl_value *const *from, size_t n)
{
    pkl_value *v = NULL;
    int rc = top(p, &v);

    if (rc != CLIPC_OK) return rc;
    if (kind == PKL_DICT && n % 2) return bad(p, "a key without a value");
    if ((rc = find_filled(p, &v, kind)) != CLIPC_OK) return rc;
    if ((rc = grow_items(p, v, n)) != CLIPC_OK) return rc;
    if (n) memcpy(v->items.v + v->items.n, from, n * sizeof *from);
    v->items.n += n;
    return CLIPC_OK;
}

static int fill_marked(parser *p, pkl_kind kind)
{
    pkl_value **v = NULL;
    size_t n = 0;
    const int rc = pop_mark(p, &v, &n);

    return rc == CLIPC_OK ? fill(p, kind, v, n) : rc;
}

/* The last value, or the last key and value. */
static int fill_one(parser *p, pkl_kind kind)
{
    const size_t n = kind == PKL_DICT ? 2 : 1;
    pkl_value *v[2] = {0};

    for (size_t i = n; i-- > 0;) {
        const int rc = pop(p, &v[i]);
        if (rc != CLIPC_OK) return rc;
    }
    return fill(p, kind, v, n);
}

/* ---- the memo ------------------------------------------------------------------------
 */

/* Every memoised value took a byte at least, so an index beyond all bytes is a lie. */
static int memo_put(parser *p, uint64_t index)
{
    pkl_value *v = NULL;
    int rc = top(p, &v);

    if (rc == CLIPC_OK && index >= (size_t)(p->end - p->start))
        rc = bad(p, "its memo has gaps");
    while (rc == CLIPC_OK && p->memo.n <= index) rc = list_add(p, &p->memo, NULL);
    if (rc != CLIPC_OK) return rc;
    p->memo.v[index] = v;
    return CLIPC_OK;
}

static int do_put(parser *p, size_t width)
{
    uint64_t index;
    const int rc = take_number(p, &index, width);

    return rc == CLIPC_OK ? memo_put(p, index) : rc;
}

static int do_get(parser *p, size_t width)
{
    uint64_t index;
    const int rc = take_number(p, &index, width);

    if (rc != CLIPC_OK) return rc;
    if (index >= p->memo.n || !p->memo.v[index])
        return bad(p, "takes from its memo what is not there");
    return push(p, p->memo.v[index]);
}

/* ---- opcodes -------------------------------------------------------------------------
 */

static int do_protocol(parser *p)
{
    uint64_t version;
    const int rc = take_number(p, &version, 1);

    if (rc == CLIPC_OK && version > PROTO_MAX) return bad(p, "unknown protocol");
    return rc;
}

static int do_dup(parser *p)
{
    pkl_value *v = NULL;
    const int rc = top(p, &v);

    return rc == CLIPC_OK ? push(p, v) : rc;
}

static int do_frame(parser *p)
{
    uint64_t size;
    return take_number(p, &size, 8); /* only a hint for reading ahead */
}

static int do_pop(parser *p)
{
    if (!p->stack.n) return bad(p, "its stack is empty");
    p->stack.n--;
    return CLIPC_OK;
}

static int do_pop_mark(parser *p)
{
    pkl_value **v = NULL;
    size_t n = 0;

    return pop_mark(p, &v, &n);
}

static int unknown(const parser *p, uint8_t op)
{
    return clipc_fail(p->err, CLIPC_ERR_FORMAT,
                      "%s: pickle, byte %zu: opcode 0x%02x is "
                      "not read",
                      p->where, (size_t)(p->at - p->start) - 1, op);
}

/* All opcodes but STOP. */
static int step(parser *p, uint8_t op)
{
    switch (op) {
    case 0x80: return do_protocol(p);
    case 0x95: return do_frame(p);
    case '(': return list_add(p, &p->stack, NULL);
    case '0': return do_pop(p);
    case '1': return do_pop_mark(p);
    case '2': return do_dup(p);
    case 'N': return push(p, p->none);
    case 0x88: return push(p, p->yes);
    case 0x89: return push(p, p->no);
    case 'J': return push_int(p, 4, true);
    case 'K': return push_int(p, 1, false);
    case 'M': return push_int(p, 2, false);
    case 0x8a: return push_long(p, 1);
    case 0x8b: return push_long(p, 4);
    case 'G': return push_float(p);
    case 'U': return push_string(p, PKL_STR, 1);
    case 0x8c: return push_string(p, PKL_STR, 1);
    case 'T': return push_string(p, PKL_STR, 4);
    case 'X': return push_string(p, PKL_STR, 4);
    case 0x8d: return push_string(p, PKL_STR, 8);
    case 'C': return push_string(p, PKL_BYTES, 1);
    case 'B': return push_string(p, PKL_BYTES, 4);
    case 0x8e: return push_string(p, PKL_BYTES, 8);
    case 0x96: return push_string(p, PKL_BYTES, 8);
    case ')': return push(p, p->unit);
    case 0x85: return push_tuple(p, 1);
    case 0x86: return push_tuple(p, 2);
    case 0x87: return push_tuple(p, 3);
    case 't': return push_marked(p, PKL_TUPLE);
    case ']': return push(p, new_value(p, PKL_LIST));
    case 0x8f: return push(p, new_value(p, PKL_LIST));
    case 0x91: return push_marked(p, PKL_LIST);
    case '}': return push(p, new_value(p, PKL_DICT));
    case 'a': return fill_one(p, PKL_LIST);
    case 'e': return fill_marked(p, PKL_LIST);
    case 0x90: return fill_marked(p, PKL_LIST);
    case 's': return fill_one(p, PKL_DICT);
    case 'u': return fill_marked(p, PKL_DICT);
    case 'c': return do_global(p);
    case 0x93: return do_stack_global(p);
    case 'R': return do_call(p, false);
    case 0x81: return do_call(p, false);
    case 0x92: return do_call(p, true);
    case 'b': return do_build(p);
    case 'Q': return do_outside(p);
    case 'q': return do_put(p, 1);
    case 'r': return do_put(p, 4);
    case 0x94: return memo_put(p, p->memo.n);
    case 'h': return do_get(p, 1);
    case 'j': return do_get(p, 4);
    default: return unknown(p, op);
    }
}

/* Values that need not be made twice. */
static int make_constants(parser *p)
{
    p->none = new_value(p, PKL_NONE);
    p->yes = new_value(p, PKL_BOOL);
    p->no = new_value(p, PKL_BOOL);
    p->unit = new_value(p, PKL_TUPLE);
    if (!p->none || !p->yes || !p->no || !p->unit) return CLIPC_ERR_MEMORY;
    p->yes->i = 1;
    return CLIPC_OK;
}

static int run(parser *p)
{
    int rc = make_constants(p);

    while (rc == CLIPC_OK) {
        if (p->at == p->end) return bad(p, "cut off, or larger than is read");
        const uint8_t op = *p->at++;
        if (op == '.') break;
        rc = step(p, op);
    }
    pkl_value *root = NULL;
    if (rc == CLIPC_OK) rc = pop(p, &root);
    p->out->root = root;
    p->out->used = (size_t)(p->at - p->start);
    return rc;
}

int pkl_parse(pkl *out, span bytes, const char *where, clipc_err *err)
{
    const size_t size = bytes.size < PKL_MAX ? bytes.size : PKL_MAX;
    parser p = {.out = out,
                .start = bytes.data,
                .at = bytes.data,
                .end = size ? bytes.data + size : bytes.data,
                .where = where,
                .err = err};

    *out = (pkl){0};
    const int rc = run(&p);
    free(p.stack.v);
    free(p.memo.v);
    if (rc != CLIPC_OK) pkl_free(out);
    return rc;
}

/* ---- looking -------------------------------------------------------------------------
 */

bool span_is(span s, const char *text)
{
    return s.size == strlen(text) && memcmp(s.data, text, s.size) == 0;
}

bool pkl_is_string(const pkl_value *v, const char *s)
{
    return v && v->kind == PKL_STR && span_is(v->s, s);
}

bool pkl_is_global(const pkl_value *v, const char *module, const char *name)
{
    return v && v->kind == PKL_GLOBAL && span_is(v->global.module, module) &&
           span_is(v->global.name, name);
}

const pkl_value *pkl_item(const pkl_value *v, size_t i)
{
    if (!v || (v->kind != PKL_TUPLE && v->kind != PKL_LIST) || i >= v->items.n)
        return NULL;
    return v->items.v[i];
}

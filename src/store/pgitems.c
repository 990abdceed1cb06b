/* Items and vectors: put by COPY, read by cursors. */
#ifdef CLIPC_HAVE_PQ

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "store/pgstore.h"

/* ---- what COPY takes ---- */

enum { ENOUGH = 8 << 20 }; /* bytes to be sent at a time */

/* The signature of the binary format, with flags and an empty extension. */
static int begin_copy(buf *b, clipc_err *err)
{
    static const char head[19] = "PGCOPY\n\377\r\n\0";

    return b->len ? CLIPC_OK : buf_add(b, head, sizeof head, err);
}

static int add_field(buf *b, const void *data, size_t size, clipc_err *err)
{
    const int rc = pg_add_u32(b, data ? (uint32_t)size : UINT32_MAX, err);

    return rc == CLIPC_OK && data ? buf_add(b, data, size, err) : rc;
}

static int add_number(buf *b, int64_t x, clipc_err *err)
{
    int rc = pg_add_u32(b, 8, err);

    if (rc == CLIPC_OK) rc = pg_add_u32(b, (uint32_t)((uint64_t)x >> 32), err);
    return rc == CLIPC_OK ? pg_add_u32(b, (uint32_t)x, err) : rc;
}

/* As text has to be: UTF-8.  NULL: NULL. */
static int add_text(buf *b, const char *text, clipc_err *err)
{
    json_t *sound = text ? json_text(text) : NULL;
    const char *s = json_string_value(sound);
    const int rc = text && !s ? clipc_fail_memory(err, "text", strlen(text))
                              : add_field(b, s, s ? strlen(s) : 0, err);

    json_decref(sound);
    return rc;
}

static int add_key(buf *b, store_bytes key, clipc_err *err)
{
    char *path = strndup(key.data, key.size);
    int rc = path ? add_field(b, key.data, key.size, err)
                  : clipc_fail_memory(err, "key", key.size);

    if (rc == CLIPC_OK) rc = add_text(b, path, err);
    free(path);
    return rc;
}

/* In the order of COPY_ITEMS. */
static int add_item(buf *b, const store_item *it, clipc_err *err)
{
    const int64_t before[] = {it->size, it->mtime, (int64_t)it->inode};
    const int64_t behind[] = {it->width, it->height, it->time, it->orientation};
    int rc = begin_copy(b, err);

    if (rc == CLIPC_OK) rc = pg_add_u16(b, PG_ITEM_N, err);
    if (rc == CLIPC_OK) rc = add_number(b, it->root, err);
    if (rc == CLIPC_OK) rc = add_key(b, it->key, err);
    for (int i = 0; i < 3 && rc == CLIPC_OK; i++) rc = add_number(b, before[i], err);
    if (rc == CLIPC_OK)
        rc = add_field(b, it->hashed ? &it->hash : NULL, sizeof it->hash, err);
    for (int i = 0; i < 4 && rc == CLIPC_OK; i++) rc = add_number(b, behind[i], err);
    if (rc == CLIPC_OK) rc = add_text(b, it->meta, err);
    return rc == CLIPC_OK ? add_text(b, it->error, err) : rc;
}

#define COPY_ITEMS                                                                 \
    "root, key, path, size, mtime, inode, hash, width, height, time, orientation," \
    " meta, error"

static int add_vector(buf *b, const store_hash *hash, const float *row, size_t dim,
                      clipc_err *err)
{
    int rc = begin_copy(b, err);

    if (rc == CLIPC_OK) rc = pg_add_u16(b, 2, err);
    if (rc == CLIPC_OK) rc = add_field(b, hash, sizeof *hash, err);
    if (rc == CLIPC_OK) rc = pg_add_u32(b, (uint32_t)(4 + 4 * dim), err);
    if (rc == CLIPC_OK) rc = pg_add_u32(b, (uint32_t)dim << 16, err);
    for (size_t d = 0; d < dim && rc == CLIPC_OK; d++) {
        uint32_t bits;
        memcpy(&bits, &row[d], sizeof bits);
        rc = pg_add_u32(b, bits, err);
    }
    return rc;
}

/* ---- sending it ---- */

/* Of the same key twice the later counts. */
static const char put_items[] =
    "INSERT INTO clipc.item (" COPY_ITEMS ") SELECT DISTINCT ON (root, key) " COPY_ITEMS
    " FROM pg_temp.clipc_items ORDER BY root, key, n DESC"
    " ON CONFLICT (root, key) DO UPDATE SET size = excluded.size,"
    " mtime = excluded.mtime, inode = excluded.inode, hash = excluded.hash,"
    " width = excluded.width, height = excluded.height, time = excluded.time,"
    " orientation = excluded.orientation, meta = excluded.meta, error = excluded.error";

/* make, COPY what is there, put, empty again. */
static int send(struct pg *p, buf *what, const char *make, const char *copy,
                const char *put, const char *empty, clipc_err *err)
{
    int rc = pg_add_u16(what, UINT16_MAX, err); /* the end of the data */

    if (rc == CLIPC_OK) rc = pg_run(&p->link, NULL, make, NULL, err);
    if (rc == CLIPC_OK) rc = pg_copy(&p->link, copy, what, err);
    if (rc == CLIPC_OK) rc = pg_run(&p->link, NULL, put, NULL, err);
    if (rc == CLIPC_OK) rc = pg_run(&p->link, NULL, empty, NULL, err);
    buf_clear(what);
    return rc;
}

static int send_items(struct pg *p, clipc_err *err)
{
    return send(p, &p->items,
                "CREATE TEMPORARY TABLE IF NOT EXISTS clipc_items ("
                "n bigint GENERATED ALWAYS AS IDENTITY, root bigint, key bytea,"
                " path text, size bigint, mtime bigint, inode bigint, hash bytea,"
                " width bigint, height bigint, time bigint, orientation bigint,"
                " meta text, error text) ON COMMIT DELETE ROWS",
                "COPY pg_temp.clipc_items (" COPY_ITEMS
                ") FROM STDIN WITH (FORMAT binary)",
                put_items, "TRUNCATE pg_temp.clipc_items", err);
}

static int send_vectors(struct pg *p, clipc_err *err)
{
    pg_space is;
    char put[320];
    const int rc = pg_space_of(p, &is, p->vectors_of, err);

    if (rc != CLIPC_OK) return rc;
    snprintf(put, sizeof put,
             "INSERT INTO clipc.vector_%" PRId64 " (hash, embedding)"
             " SELECT DISTINCT ON (hash) hash, embedding::%s FROM pg_temp.clipc_vectors"
             " ORDER BY hash ON CONFLICT (hash) DO NOTHING",
             is.id, is.sql_type);
    return send(p, &p->vectors,
                "CREATE TEMPORARY TABLE IF NOT EXISTS clipc_vectors (hash bytea,"
                " embedding vector) ON COMMIT DELETE ROWS",
                "COPY pg_temp.clipc_vectors (hash, embedding) FROM STDIN"
                " WITH (FORMAT binary)",
                put, "TRUNCATE pg_temp.clipc_vectors", err);
}

int pg_settle(struct pg *p, clipc_err *err)
{
    int rc = p->vectors.len ? send_vectors(p, err) : CLIPC_OK;

    if (rc == CLIPC_OK && p->items.len) rc = send_items(p, err);
    return rc;
}

/* ---- items ---- */

store_item pg_item(const pg_rows *rows, int row)
{
    store_item it = {.id = pg_number(rows, row, 0),
                     .root = pg_number(rows, row, 1),
                     .key = pg_bytes(rows, row, 2),
                     .size = pg_number(rows, row, 3),
                     .mtime = pg_number(rows, row, 4),
                     .inode = (uint64_t)pg_number(rows, row, 5),
                     .width = pg_number(rows, row, 7),
                     .height = pg_number(rows, row, 8),
                     .time = pg_number(rows, row, 9),
                     .orientation = pg_number(rows, row, 10),
                     .meta = pg_text(rows, row, 11),
                     .error = pg_text(rows, row, 12)};

    it.hashed = pg_hash(&it.hash, rows, row, 6);
    return it;
}

/* The id of a root's key. */
static int find_item(struct pg *p, int64_t *id, const store_item *item, clipc_err *err)
{
    pg_args a = {0};
    pg_rows *rows;
    int rc = pg_settle(p, err);

    if (rc != CLIPC_OK) return rc;
    pg_arg_number(&a, item->root);
    pg_arg_bytes(&a, item->key);
    rc = pg_run(&p->link, &rows, "SELECT id FROM clipc.item WHERE root = $1 AND key = $2",
                &a, err);
    if (rc == CLIPC_OK && pg_count(rows)) *id = pg_number(rows, 0, 0);
    pg_rows_free(rows);
    return rc;
}

int pg_item_put(store *s, int64_t *id, const store_item *item, clipc_err *err)
{
    int rc = s->pg->items.len > ENOUGH ? pg_settle(s->pg, err) : CLIPC_OK;

    if (rc == CLIPC_OK) rc = add_item(&s->pg->items, item, err);
    return rc == CLIPC_OK && id ? find_item(s->pg, id, item, err) : rc;
}

int pg_item_remove(store *s, int64_t id, clipc_err *err)
{
    pg_args a = {0};
    const int rc = pg_settle(s->pg, err);

    pg_arg_number(&a, id);
    return rc == CLIPC_OK ? pg_run(&s->pg->link, NULL,
                                   "DELETE FROM clipc.item WHERE id = $1", &a, err)
                          : rc;
}

int pg_item_move(store *s, int64_t id, int64_t root, store_bytes key, clipc_err *err)
{
    pg_args a = {0};
    const store_item to = {.root = root, .key = key};
    json_t *path = NULL;
    int64_t there = id;
    int rc = find_item(s->pg, &there, &to, err);

    if (rc == CLIPC_OK && there != id) rc = pg_item_remove(s, there, err);
    char *name = strndup(key.data, key.size);
    if (rc == CLIPC_OK && !(name && (path = json_text(name))))
        rc = clipc_fail_memory(err, "key", key.size);
    pg_arg_number(&a, id);
    pg_arg_number(&a, root);
    pg_arg_bytes(&a, key);
    pg_arg_text(&a, json_string_value(path));
    if (rc == CLIPC_OK)
        rc = pg_run(&s->pg->link, NULL,
                    "UPDATE clipc.item SET root = $2, key = $3, path = $4 WHERE id = $1",
                    &a, err);
    json_decref(path);
    free(name);
    return rc;
}

/* ---- walks ---- */

typedef struct walking {
    store *s;
    const store_filter *f;
    store_item_fn fn;
    void *arg;
    float *vector; /* [dim], where the filter has row_of */
    size_t dim;
    clipc_err *err;
} walking;

static int tell_row(const walking *w, const pg_rows *rows, int row)
{
    store_item it = pg_item(rows, row);
    int rc = CLIPC_OK;

    if (w->f->row_of && !pg_null(rows, row, PG_ITEM_N)) {
        rc = pg_vector(&w->s->pg->link, w->vector, w->dim, rows, row, PG_ITEM_N, w->err);
        it.row = w->vector;
    }
    if (rc != CLIPC_OK || (w->f->accept && !w->f->accept(w->f->arg, &it))) return rc;
    return w->fn(w->arg, &it);
}

static int walk_rows(const walking *w, const char *cursor)
{
    char fetch[64];
    int rc = CLIPC_OK, n = 1;

    snprintf(fetch, sizeof fetch, "FETCH 2000 FROM %s", cursor);
    while (rc == CLIPC_OK && n) {
        pg_rows *rows;
        rc = pg_run(&w->s->pg->link, &rows, fetch, NULL, w->err);
        n = rc == CLIPC_OK ? pg_count(rows) : 0;
        for (int i = 0; rc == CLIPC_OK && i < n; i++) rc = tell_row(w, rows, i);
        pg_rows_free(rows);
    }
    return rc;
}

/* A cursor has one state of the tables, though the callback reads others between. */
static int walk(const walking *w, const buf *sql, const pg_args *a)
{
    pglink *link = &w->s->pg->link;
    char cursor[32], text[64];
    buf declare = {0};
    const bool own = !w->s->begun;
    int rc = own ? pg_run(link, NULL, "BEGIN READ ONLY", NULL, w->err) : CLIPC_OK;

    w->s->begun = true;
    snprintf(cursor, sizeof cursor, "clipc_walk_%u", w->s->pg->cursors++);
    if (rc == CLIPC_OK)
        rc = buf_printf(&declare, w->err, "DECLARE %s NO SCROLL CURSOR FOR %s", cursor,
                        sql->data);
    if (rc == CLIPC_OK) rc = pg_run(link, NULL, declare.data, a, w->err);
    if (rc == CLIPC_OK) rc = walk_rows(w, cursor);
    snprintf(text, sizeof text, "CLOSE %s", cursor);
    if (rc == CLIPC_OK && !own) rc = pg_run(link, NULL, text, NULL, w->err);
    if (own) pg_run(link, NULL, "ROLLBACK", NULL, NULL);
    if (own) w->s->begun = false;
    buf_free(&declare);
    return rc;
}

int pg_where_prefix(buf *sql, pg_args *a, buf *behind, store_bytes prefix, clipc_err *err)
{
    int rc = store_behind_prefix(behind, prefix, err);

    if (rc == CLIPC_OK && prefix.size)
        rc = buf_printf(sql, err, " AND i.key >= $%d", pg_arg_bytes(a, prefix));
    if (rc == CLIPC_OK && behind->len)
        rc = buf_printf(sql, err, " AND i.key < $%d",
                        pg_arg_bytes(a, (store_bytes){behind->data, behind->len}));
    return rc;
}

static int print_filter(buf *sql, pg_args *a, buf *behind, const store_filter *f,
                        clipc_err *err)
{
    int rc = buf_puts(sql, "SELECT " PG_ITEM_COLUMNS, err);

    if (rc == CLIPC_OK && f->row_of)
        rc = buf_printf(sql, err,
                        ", w.embedding::vector FROM clipc.item i LEFT JOIN"
                        " clipc.vector_%" PRId64 " w ON w.hash = i.hash WHERE true",
                        f->row_of);
    else if (rc == CLIPC_OK) rc = buf_puts(sql, " FROM clipc.item i WHERE true", err);
    if (rc == CLIPC_OK && f->root)
        rc = buf_printf(sql, err, " AND i.root = $%d", pg_arg_number(a, f->root));
    if (rc == CLIPC_OK && f->key.data)
        rc = buf_printf(sql, err, " AND i.key = $%d", pg_arg_bytes(a, f->key));
    if (rc == CLIPC_OK) rc = pg_where_prefix(sql, a, behind, f->prefix, err);
    if (rc == CLIPC_OK && f->hash)
        rc = buf_printf(sql, err, " AND i.hash = $%d", pg_arg_hash(a, f->hash));
    if (rc == CLIPC_OK && f->missing_in)
        rc = buf_printf(sql, err,
                        " AND i.hash IS NOT NULL AND NOT EXISTS (SELECT 1 FROM"
                        " clipc.vector_%" PRId64 " v WHERE v.hash = i.hash)",
                        f->missing_in);
    if (rc == CLIPC_OK && f->failed) rc = buf_puts(sql, " AND i.error IS NOT NULL", err);
    return rc == CLIPC_OK
               ? buf_puts(sql, f->hash ? " ORDER BY i.id" : " ORDER BY i.root, i.key",
                          err)
               : rc;
}

static int new_vector(walking *w)
{
    pg_space is;
    const int rc = pg_space_of(w->s->pg, &is, w->f->row_of, w->err);

    if (rc != CLIPC_OK) return rc;
    w->dim = is.dim;
    w->vector = malloc(w->dim * sizeof *w->vector);
    return w->vector ? CLIPC_OK
                     : clipc_fail_memory(w->err, "vector", w->dim * sizeof *w->vector);
}

int pg_each_item(store *s, const store_filter *f, store_item_fn fn, void *arg,
                 clipc_err *err)
{
    buf sql = {0}, behind = {0};
    pg_args a = {0};
    walking w = {.s = s, .f = f, .fn = fn, .arg = arg, .err = err};
    int rc = pg_settle(s->pg, err);

    if (rc == CLIPC_OK && f->row_of) rc = new_vector(&w);
    if (rc == CLIPC_OK) rc = print_filter(&sql, &a, &behind, f, err);
    if (rc == CLIPC_OK) rc = walk(&w, &sql, &a);
    free(w.vector);
    buf_free(&sql);
    buf_free(&behind);
    return rc;
}

/* ---- vectors ---- */

int pg_vector_find(store *s, uint64_t *slot, bool *there, int64_t space,
                   const store_hash *hash, clipc_err *err)
{
    char sql[96];
    pg_args a = {0};
    pg_rows *rows;
    int rc = pg_settle(s->pg, err);

    *there = false;
    if (rc != CLIPC_OK) return rc;
    pg_arg_hash(&a, hash);
    snprintf(sql, sizeof sql, "SELECT id FROM clipc.vector_%" PRId64 " WHERE hash = $1",
             space);
    rc = pg_run(&s->pg->link, &rows, sql, &a, err);
    *there = rc == CLIPC_OK && pg_count(rows);
    if (*there) *slot = (uint64_t)pg_number(rows, 0, 0);
    pg_rows_free(rows);
    return rc;
}

int pg_vector_put(store *s, int64_t space, const store_hash *hash, const float *row,
                  clipc_err *err)
{
    struct pg *p = s->pg;
    pg_space is;
    int rc = p->vectors.len > ENOUGH || (p->vectors.len && p->vectors_of != space)
                 ? pg_settle(p, err)
                 : CLIPC_OK;

    if (rc == CLIPC_OK) rc = pg_space_of(p, &is, space, err);
    if (rc != CLIPC_OK) return rc;
    p->vectors_of = space;
    return add_vector(&p->vectors, hash, row, is.dim, err);
}

int pg_vector_get(store *s, float *row, store_hash *hash, int64_t space, uint64_t slot,
                  clipc_err *err)
{
    char sql[128];
    pg_space is;
    pg_args a = {0};
    pg_rows *rows;
    int rc = pg_settle(s->pg, err);

    if (rc == CLIPC_OK) rc = pg_space_of(s->pg, &is, space, err);
    if (rc != CLIPC_OK) return rc;
    pg_arg_number(&a, (int64_t)slot);
    snprintf(sql, sizeof sql,
             "SELECT embedding::vector, hash FROM clipc.vector_%" PRId64 " WHERE id = $1",
             space);
    rc = pg_run(&s->pg->link, &rows, sql, &a, err);
    if (rc == CLIPC_OK && !pg_count(rows))
        rc = clipc_fail(err, CLIPC_ERR_ARG, "%s: no vector %" PRIu64, s->folder, slot);
    if (rc == CLIPC_OK) rc = pg_vector(&s->pg->link, row, is.dim, rows, 0, 0, err);
    if (rc == CLIPC_OK && hash) pg_hash(hash, rows, 0, 1);
    pg_rows_free(rows);
    return rc;
}

int pg_each_item_of(store *s, int64_t space, uint64_t slot, store_item_fn fn, void *arg,
                    clipc_err *err)
{
    pg_space is;
    store_hash hash;
    int rc = pg_space_of(s->pg, &is, space, err);
    float *row = rc == CLIPC_OK ? malloc(is.dim * sizeof *row) : NULL;

    if (rc == CLIPC_OK && !row) rc = clipc_fail_memory(err, s->folder, is.dim);
    if (rc == CLIPC_OK) rc = pg_vector_get(s, row, &hash, space, slot, err);
    free(row);
    return rc == CLIPC_OK ? pg_each_item(s, &(store_filter){.hash = &hash}, fn, arg, err)
                          : rc;
}

#endif

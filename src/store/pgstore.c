/* A PostgreSQL database as a kind of store: opening, transactions, roots. */
#ifdef CLIPC_HAVE_PQ

#include "store/pgstore.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void pg_close(store *s);

static int open_tables(store *s, clipc_err *err)
{
    bool there;
    int rc = pg_check_tables(s->pg, &there, err);

    if (rc != CLIPC_OK || there) return rc;
    if (s->mode == STORE_READ)
        return clipc_fail(err, CLIPC_ERR_IO, "%s: no index", s->folder);
    return pg_make_tables(s->pg, err);
}

int pg_open(store **out, const char *url, store_mode mode, clipc_err *err)
{
    store *s = calloc(1, sizeof *s);
    int rc = CLIPC_OK;

    *out = NULL;
    if (s) s->pg = calloc(1, sizeof *s->pg);
    if (!s || !s->pg) {
        free(s);
        return clipc_fail_memory(err, "PostgreSQL", sizeof *s);
    }
    s->kind = &pg_kind;
    s->mode = mode;
    rc = pglink_open(&s->pg->link, url, err);
    s->folder = s->pg->link.name;
    if (rc == CLIPC_OK) rc = open_tables(s, err);
    if (rc == CLIPC_OK) *out = s;
    else pg_close(s);
    return rc;
}

static void pg_close(store *s)
{
    pglink_close(&s->pg->link); /* which takes back what was not committed */
    buf_free(&s->pg->items);
    buf_free(&s->pg->vectors);
    free(s->pg);
    free(s);
}

/* ---- transactions ---- */

static int pg_begin(store *s, clipc_err *err)
{
    assert(!s->begun);
    const int rc =
        pg_run(&s->pg->link, NULL,
               s->mode == STORE_READ ? "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
                                     : "BEGIN",
               NULL, err);
    s->begun = rc == CLIPC_OK;
    return rc;
}

static void pg_rollback(store *s)
{
    buf_clear(&s->pg->items);
    buf_clear(&s->pg->vectors);
    s->pg->space.id = 0; /* which may have been made just now */
    if (s->begun) pg_run(&s->pg->link, NULL, "ROLLBACK", NULL, NULL);
    s->begun = false;
}

static int pg_commit(store *s, clipc_err *err)
{
    int rc = pg_settle(s->pg, err);

    assert(s->begun);
    if (rc == CLIPC_OK) rc = pg_run(&s->pg->link, NULL, "COMMIT", NULL, err);
    if (rc == CLIPC_OK) s->begun = false;
    else pg_rollback(s);
    return rc;
}

/* ---- roots ---- */

static int pg_root_add(store *s, int64_t *id, store_bytes path, clipc_err *err)
{
    pg_args a = {0};
    pg_rows *rows = NULL;

    pg_arg_bytes(&a, path);
    int rc = pg_run(&s->pg->link, NULL,
                    "INSERT INTO clipc.root (path) VALUES ($1) ON CONFLICT (path)"
                    " DO NOTHING",
                    &a, err);
    if (rc == CLIPC_OK)
        rc = pg_run(&s->pg->link, &rows, "SELECT id FROM clipc.root WHERE path = $1", &a,
                    err);
    if (rc == CLIPC_OK && pg_count(rows)) *id = pg_number(rows, 0, 0);
    pg_rows_free(rows);
    return rc;
}

static int pg_root_set_meta(store *s, int64_t id, const char *meta, clipc_err *err)
{
    pg_args a = {0};

    pg_arg_number(&a, id);
    pg_arg_text(&a, meta);
    return pg_run(&s->pg->link, NULL, "UPDATE clipc.root SET meta = $2 WHERE id = $1", &a,
                  err);
}

static int pg_root_remove(store *s, int64_t id, clipc_err *err)
{
    pg_args a = {0};
    const int rc = pg_settle(s->pg, err);

    pg_arg_number(&a, id);
    return rc == CLIPC_OK ? pg_run(&s->pg->link, NULL,
                                   "DELETE FROM clipc.root WHERE id = $1", &a, err)
                          : rc;
}

static int pg_each_root(store *s, int (*fn)(void *arg, const store_root *root), void *arg,
                        clipc_err *err)
{
    pg_rows *rows = NULL;
    int rc = pg_settle(s->pg, err);

    if (rc == CLIPC_OK)
        rc = pg_run(&s->pg->link, &rows,
                    "SELECT id, path, meta,"
                    " (SELECT count(*) FROM clipc.item WHERE root = r.id)"
                    " FROM clipc.root r ORDER BY id",
                    NULL, err);
    for (int i = 0; rc == CLIPC_OK && i < pg_count(rows); i++) {
        const store_root root = {.id = pg_number(rows, i, 0),
                                 .path = pg_bytes(rows, i, 1),
                                 .meta = pg_text(rows, i, 2),
                                 .items = (uint64_t)pg_number(rows, i, 3)};
        rc = fn(arg, &root);
    }
    pg_rows_free(rows);
    return rc;
}

static int pg_size(store *s, uint64_t *bytes, clipc_err *err)
{
    pg_rows *rows;
    const int rc = pg_run(&s->pg->link, &rows,
                          "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint"
                          " FROM pg_class WHERE relkind = 'r'"
                          " AND relnamespace = 'clipc'::regnamespace",
                          NULL, err);

    if (rc == CLIPC_OK) *bytes = (uint64_t)pg_number(rows, 0, 0);
    pg_rows_free(rows);
    return rc;
}

const store_kind pg_kind = {
    .close = pg_close,
    .begin = pg_begin,
    .commit = pg_commit,
    .rollback = pg_rollback,
    .bytes = pg_size,
    .root_add = pg_root_add,
    .root_set_meta = pg_root_set_meta,
    .root_remove = pg_root_remove,
    .each_root = pg_each_root,
    .space_find = pg_space_find,
    .space_add = pg_space_add,
    .space_head = pg_space_head,
    .space_get = pg_space_get,
    .space_remove = pg_space_remove,
    .each_space = pg_each_space,
    .item_put = pg_item_put,
    .item_remove = pg_item_remove,
    .item_move = pg_item_move,
    .each_item = pg_each_item,
    .vector_find = pg_vector_find,
    .vector_put = pg_vector_put,
    .vector_get = pg_vector_get,
    .each_item_of = pg_each_item_of,
    .search = pg_search,
};

#endif

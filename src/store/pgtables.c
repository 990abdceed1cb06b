/* The tables, and the spaces among them. */
#ifdef CLIPC_HAVE_PQ

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "store/pgstore.h"

enum { VERSION = 1 };

/* Of those who make tables one waits for another. "clix" */
#define ALONE "SELECT pg_advisory_xact_lock(1668049272)"

static const char *const schema[] = {
    "CREATE SCHEMA IF NOT EXISTS clipc",
    "CREATE TABLE IF NOT EXISTS clipc.root ("
    "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    " path bytea NOT NULL UNIQUE, meta text)",
    "CREATE TABLE IF NOT EXISTS clipc.space ("
    "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, model text NOT NULL,"
    " fingerprint bytea NOT NULL UNIQUE, dim bigint NOT NULL, type text NOT NULL)",
    "CREATE TABLE IF NOT EXISTS clipc.item ("
    "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    " root bigint NOT NULL REFERENCES clipc.root ON DELETE CASCADE, key bytea NOT NULL,"
    " path text NOT NULL, size bigint NOT NULL, mtime bigint NOT NULL,"
    " inode bigint NOT NULL, hash bytea, width bigint NOT NULL, height bigint NOT NULL,"
    " time bigint NOT NULL, orientation bigint NOT NULL, meta text, error text,"
    " UNIQUE (root, key))",
    "CREATE INDEX IF NOT EXISTS item_hash ON clipc.item (hash)",
    "CREATE TABLE IF NOT EXISTS clipc.about (version bigint NOT NULL)",
    "INSERT INTO clipc.about SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM clipc.about)",
};

static int make_all(struct pg *p, clipc_err *err)
{
    clipc_err why;
    int rc = pg_run(&p->link, NULL, ALONE, NULL, err);

    if (rc == CLIPC_OK &&
        pg_run(&p->link, NULL, "CREATE EXTENSION IF NOT EXISTS vector", NULL, &why) != 0)
        rc = clipc_fail(err, CLIPC_ERR_IO, "%s: pgvector is wanted there", why.msg);
    for (size_t i = 0; rc == CLIPC_OK && i < sizeof schema / sizeof *schema; i++)
        rc = pg_run(&p->link, NULL, schema[i], NULL, err);
    return rc;
}

int pg_make_tables(struct pg *p, clipc_err *err)
{
    int rc = pg_run(&p->link, NULL, "BEGIN", NULL, err);

    if (rc == CLIPC_OK) rc = make_all(p, err);
    if (rc == CLIPC_OK) return pg_run(&p->link, NULL, "COMMIT", NULL, err);
    pg_run(&p->link, NULL, "ROLLBACK", NULL, NULL);
    return rc;
}

int pg_check_tables(struct pg *p, bool *there, clipc_err *err)
{
    pg_rows *rows;
    int rc = pg_run(&p->link, &rows,
                    "SELECT 1 WHERE to_regclass('clipc.about') IS NOT NULL", NULL, err);

    *there = rc == CLIPC_OK && pg_count(rows) == 1;
    pg_rows_free(rows);
    if (!*there) return rc;
    rc = pg_run(&p->link, &rows, "SELECT version FROM clipc.about", NULL, err);
    if (rc == CLIPC_OK && (pg_count(rows) != 1 || pg_number(rows, 0, 0) != VERSION))
        rc = clipc_fail(err, CLIPC_ERR_FORMAT,
                        "%s: the tables are not of version %d, which this clipc knows",
                        p->link.name, VERSION);
    pg_rows_free(rows);
    return rc;
}

/* ---- spaces ---- */

/* Of columns 0 to 4: id, model, fingerprint, dim, type. */
static store_space read_space(struct pg *p, const pg_rows *rows, int row)
{
    store_space is = {.id = pg_number(rows, row, 0),
                      .model = p->model,
                      .dim = (size_t)pg_number(rows, row, 3),
                      .type = dtype_named(pg_text(rows, row, 4))};

    snprintf(p->model, sizeof p->model, "%s", pg_text(rows, row, 1));
    pg_hash(&is.fingerprint, rows, row, 2);
    return is;
}

int pg_space_head(store *s, store_space *out, int64_t id, clipc_err *err)
{
    pg_args a = {0};
    pg_rows *rows;

    pg_arg_number(&a, id);
    int rc = pg_run(&s->pg->link, &rows,
                    "SELECT id, model, fingerprint, dim, type FROM clipc.space"
                    " WHERE id = $1",
                    &a, err);
    if (rc == CLIPC_OK && !pg_count(rows))
        rc = clipc_fail(err, CLIPC_ERR_ARG, "%s: no space %" PRId64, s->folder, id);
    if (rc == CLIPC_OK) *out = read_space(s->pg, rows, 0);
    if (rc == CLIPC_OK && (out->dim < 1 || out->dim > VECTORS_DIM_MOST ||
                           (out->type != DT_F16 && out->type != DT_F32)))
        rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s: space %" PRId64 " is damaged",
                        s->folder, id);
    pg_rows_free(rows);
    return rc;
}

static int count(struct pg *p, uint64_t *out, const char *sql, clipc_err *err)
{
    pg_rows *rows;
    const int rc = pg_run(&p->link, &rows, sql, NULL, err);

    if (rc == CLIPC_OK) *out = (uint64_t)pg_number(rows, 0, 0);
    pg_rows_free(rows);
    return rc;
}

/* Slots are ids, which identity columns give from 1 on. */
static int count_vectors(struct pg *p, store_space *space, clipc_err *err)
{
    char sql[256];
    int rc = pg_settle(p, err);

    snprintf(sql, sizeof sql,
             "SELECT coalesce(max(id) + 1, 0) FROM clipc.vector_%" PRId64, space->id);
    if (rc == CLIPC_OK) rc = count(p, &space->slots, sql, err);
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM clipc.vector_%" PRId64
             " v WHERE EXISTS (SELECT 1 FROM clipc.item i WHERE i.hash = v.hash)",
             space->id);
    return rc == CLIPC_OK ? count(p, &space->used, sql, err) : rc;
}

int pg_space_get(store *s, store_space *out, int64_t id, clipc_err *err)
{
    const int rc = pg_space_head(s, out, id, err);

    return rc == CLIPC_OK ? count_vectors(s->pg, out, err) : rc;
}

int pg_space_of(struct pg *p, pg_space *out, int64_t id, clipc_err *err)
{
    store s = {.pg = p, .folder = p->link.name};
    store_space is;
    int rc = CLIPC_OK;

    if (p->space.id != id && (rc = pg_space_head(&s, &is, id, err)) == CLIPC_OK)
        p->space = (pg_space){.id = id,
                              .dim = is.dim,
                              .type = is.type,
                              .sql_type = is.type == DT_F16 ? "halfvec" : "vector"};
    *out = p->space;
    return rc;
}

int pg_space_find(store *s, int64_t *id, const store_hash *fingerprint, clipc_err *err)
{
    pg_args a = {0};
    pg_rows *rows;

    *id = 0;
    pg_arg_hash(&a, fingerprint);
    const int rc = pg_run(&s->pg->link, &rows,
                          "SELECT id FROM clipc.space WHERE fingerprint = $1", &a, err);
    if (rc == CLIPC_OK && pg_count(rows)) *id = pg_number(rows, 0, 0);
    pg_rows_free(rows);
    return rc;
}

/* Float16 comes with pgvector 0.7; earlier ones keep float32 instead. */
static int kept_as(struct pg *p, dtype *type, clipc_err *err)
{
    uint64_t there = 0;
    const int rc = *type == DT_F16
                       ? count(p, &there, "SELECT count(to_regtype('halfvec'))", err)
                       : CLIPC_OK;

    if (rc == CLIPC_OK && *type == DT_F16 && !there) *type = DT_F32;
    return rc;
}

static int make_vectors(struct pg *p, const pg_space *is, clipc_err *err)
{
    /* What pgvector's HNSW takes.  Its own ef_construction, 64, finds 77 % where 128
     * finds 93 % (pgsearch.c). */
    const size_t most = is->type == DT_F16 ? 4000 : 2000;
    char sql[256];
    int rc;

    snprintf(sql, sizeof sql,
             "CREATE TABLE clipc.vector_%" PRId64
             " (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
             " hash bytea NOT NULL UNIQUE, embedding %s(%zu) NOT NULL)",
             is->id, is->sql_type, is->dim);
    rc = pg_run(&p->link, NULL, sql, NULL, err);
    snprintf(sql, sizeof sql,
             "CREATE INDEX vector_%" PRId64 "_hnsw ON clipc.vector_%" PRId64
             " USING hnsw (embedding %s_ip_ops) WITH (ef_construction = 128)",
             is->id, is->id, is->sql_type);
    return rc == CLIPC_OK && is->dim <= most ? pg_run(&p->link, NULL, sql, NULL, err)
                                             : rc;
}

/* The row, which another writer may have made a moment ago: *made false. */
static int add_row(struct pg *p, bool *made, int64_t *id, const store_space *want,
                   dtype type, clipc_err *err)
{
    json_t *model = json_text(want->model);
    pg_args a = {0};
    pg_rows *rows;

    pg_arg_text(&a, json_string_value(model));
    pg_arg_hash(&a, &want->fingerprint);
    pg_arg_number(&a, (int64_t)want->dim);
    pg_arg_text(&a, dtype_name(type));
    const int rc =
        model ? pg_run(&p->link, &rows,
                       "INSERT INTO clipc.space (model, fingerprint, dim, type)"
                       " VALUES ($1, $2, $3, $4) ON CONFLICT (fingerprint) DO NOTHING"
                       " RETURNING id",
                       &a, err)
              : clipc_fail_memory(err, p->link.name, 0);
    json_decref(model);
    *made = rc == CLIPC_OK && pg_count(rows) == 1;
    if (*made) *id = pg_number(rows, 0, 0);
    if (rc == CLIPC_OK) pg_rows_free(rows);
    return rc;
}

int pg_space_add(store *s, int64_t *id, const store_space *want, clipc_err *err)
{
    dtype type = want->type;
    pg_space is;
    bool made = false;
    int rc = store_check_space(s->folder, want, err);

    if (rc == CLIPC_OK && type == DT_I8)
        rc = clipc_fail(err, CLIPC_ERR_ARG, "%s: pgvector keeps no int8", s->folder);
    if (rc == CLIPC_OK) rc = pg_run(&s->pg->link, NULL, ALONE, NULL, err);
    if (rc == CLIPC_OK) rc = kept_as(s->pg, &type, err);
    if (rc == CLIPC_OK) rc = add_row(s->pg, &made, id, want, type, err);
    if (rc == CLIPC_OK && !made) return pg_space_find(s, id, &want->fingerprint, err);
    if (rc == CLIPC_OK) rc = pg_space_of(s->pg, &is, *id, err);
    return rc == CLIPC_OK ? make_vectors(s->pg, &is, err) : rc;
}

int pg_space_remove(store *s, int64_t id, clipc_err *err)
{
    pg_args a = {0};
    char sql[64];
    int rc = pg_settle(s->pg, err);

    pg_arg_number(&a, id);
    snprintf(sql, sizeof sql, "DROP TABLE clipc.vector_%" PRId64, id);
    if (rc == CLIPC_OK) rc = pg_run(&s->pg->link, NULL, sql, NULL, err);
    s->pg->space.id = 0;
    return rc == CLIPC_OK ? pg_run(&s->pg->link, NULL,
                                   "DELETE FROM clipc.space WHERE id = $1", &a, err)
                          : rc;
}

int pg_each_space(store *s, int (*fn)(void *arg, const store_space *space), void *arg,
                  clipc_err *err)
{
    pg_rows *rows;
    int rc = pg_run(&s->pg->link, &rows,
                    "SELECT id, model, fingerprint, dim, type FROM clipc.space"
                    " ORDER BY id",
                    NULL, err);

    for (int i = 0; rc == CLIPC_OK && i < pg_count(rows); i++) {
        store_space space = read_space(s->pg, rows, i);
        rc = count_vectors(s->pg, &space, err);
        if (rc == CLIPC_OK) rc = fn(arg, &space);
    }
    pg_rows_free(rows);
    return rc;
}

#endif

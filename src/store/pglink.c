#ifdef CLIPC_HAVE_PQ

#include "store/pglink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dynlib.h"

#define FUNCTIONS(X)        \
    X(PQclear)              \
    X(PQconnectdbParams)    \
    X(PQconninfoFree)       \
    X(PQconninfoParse)      \
    X(PQerrorMessage)       \
    X(PQexecParams)         \
    X(PQfinish)             \
    X(PQfreemem)            \
    X(PQgetResult)          \
    X(PQgetisnull)          \
    X(PQgetlength)          \
    X(PQgetvalue)           \
    X(PQntuples)            \
    X(PQputCopyData)        \
    X(PQputCopyEnd)         \
    X(PQresultErrorField)   \
    X(PQresultStatus)       \
    X(PQsetNoticeProcessor) \
    X(PQstatus)
static struct {
    DYNLIB_POINTERS(FUNCTIONS)
} lib;
static dynlib library = DYNLIB("libpq.so.5", FUNCTIONS, lib);

enum { TYPE_BYTEA = 17, TYPE_INT8 = 20, TYPE_TEXT = 25 }; /* pg_type.oid */

/* ---- errors ---- */

/* The first line of what libpq says, which may be several. */
static int fail_line(const pglink *p, int code, const char *text, clipc_err *err)
{
    return clipc_fail(err, code, "%s: %.*s", p->name, (int)strcspn(text, "\n"), text);
}

/* By SQLSTATE: a deadlock, a lock that was not had or a serialization failure is another
 * writer's doing; class 22 is of values that a type cannot hold. */
static int fail_result(const pglink *p, const PGresult *r, clipc_err *err)
{
    const char *state = lib.PQresultErrorField(r, PG_DIAG_SQLSTATE);
    const char *why = lib.PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);

    if (!state || !why)
        return fail_line(p, CLIPC_ERR_IO, lib.PQerrorMessage(p->conn), err);
    if (strcmp(state, "40P01") == 0 || strcmp(state, "40001") == 0 ||
        strcmp(state, "55P03") == 0)
        return clipc_fail(err, CLIPC_ERR_EXISTS,
                          "%s: another writer was in the way (%s): try again", p->name,
                          why);
    return fail_line(p, strncmp(state, "22", 2) == 0 ? CLIPC_ERR_NUMBER : CLIPC_ERR_IO,
                     why, err);
}

/* ---- the connection ---- */

static const char *value_of(const PQconninfoOption *o, const char *key)
{
    for (; o->keyword; o++)
        if (strcmp(o->keyword, key) == 0) return o->val ? o->val : "";
    return "";
}

/* "postgresql://user@host:port/database", of an address that libpq can read.  One whose
 * password has a bare '@' or '/' is read as having a part of it in the host or the
 * database, and refused, lest a message show it; so libpq's own reason is not told. */
static int print_name(pglink *p, const char *url, clipc_err *err)
{
    char *why = NULL;
    buf b = {0};
    PQconninfoOption *o = lib.PQconninfoParse(url, &why);
    int rc = CLIPC_ERR_ARG;

    lib.PQfreemem(why);
    if (o && !strchr(value_of(o, "host"), '@') && !strchr(value_of(o, "dbname"), '@')) {
        const char *user = value_of(o, "user"), *port = value_of(o, "port");
        rc = buf_printf(&b, err, "postgresql://%s%s%s%s%s/%s", user, *user ? "@" : "",
                        value_of(o, "host"), *port ? ":" : "", port,
                        value_of(o, "dbname"));
    } else {
        clipc_fail(err, rc,
                   "the store's address cannot be read: wanted is postgresql://USER@HOST/"
                   "DATABASE, in passwords %%40 for '@' and %%2F for '/'");
    }
    if (o) lib.PQconninfoFree(o);
    p->name = b.data;
    return rc;
}

static void hush(void *arg, const char *notice)
{
    (void)arg, (void)notice;
}

/* What stands before dbname is what the address may say otherwise. */
static int connect_to(pglink *p, const char *url, clipc_err *err)
{
    const char *const keys[] = {"connect_timeout", "fallback_application_name", "dbname",
                                "client_encoding", NULL};
    const char *const values[] = {"10", "clipc", url, "UTF8", NULL};

    p->conn = lib.PQconnectdbParams(keys, values, 1);
    if (!p->conn) return clipc_fail_memory(err, p->name, 0);
    if (lib.PQstatus(p->conn) != CONNECTION_OK)
        return fail_line(p, CLIPC_ERR_IO, lib.PQerrorMessage(p->conn), err);
    lib.PQsetNoticeProcessor(p->conn, hush, NULL);
    return CLIPC_OK;
}

int pglink_open(pglink *p, const char *url, clipc_err *err)
{
    int rc = dynlib_need(&library, "PostgreSQL", err);

    *p = (pglink){0};
    if (rc == CLIPC_OK) rc = print_name(p, url, err);
    return rc == CLIPC_OK ? connect_to(p, url, err) : rc;
}

void pglink_close(pglink *p)
{
    if (p->conn) lib.PQfinish(p->conn);
    free(p->name);
    *p = (pglink){0};
}

/* ---- parameters ---- */

static int add_arg(pg_args *a, Oid type, const void *value, size_t size, bool binary)
{
    a->types[a->n] = type;
    a->values[a->n] = value;
    a->sizes[a->n] = (int)size;
    a->binary[a->n] = binary;
    return ++a->n;
}

int pg_arg_number(pg_args *a, int64_t number)
{
    uint8_t *to = a->numbers[a->n];

    for (int i = 0; i < 8; i++) to[i] = (uint8_t)((uint64_t)number >> (56 - 8 * i));
    return add_arg(a, TYPE_INT8, to, 8, true);
}

int pg_arg_bytes(pg_args *a, store_bytes bytes)
{
    return add_arg(a, TYPE_BYTEA, bytes.data ? bytes.data : "", bytes.size, true);
}

int pg_arg_hash(pg_args *a, const store_hash *hash)
{
    return add_arg(a, TYPE_BYTEA, hash, sizeof *hash, true);
}

int pg_arg_text(pg_args *a, const char *text)
{
    return add_arg(a, TYPE_TEXT, text, 0, false);
}

/* ---- statements ---- */

int pg_run(pglink *p, pg_rows **rows, const char *sql, const pg_args *args,
           clipc_err *err)
{
    const pg_args none = {0}, *a = args ? args : &none;
    PGresult *r =
        lib.PQexecParams(p->conn, sql, a->n, a->types, a->values, a->sizes, a->binary, 1);
    const ExecStatusType status = lib.PQresultStatus(r);
    int rc = CLIPC_OK;

    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
        rc = fail_result(p, r, err);
    if (rows && rc == CLIPC_OK) {
        *rows = r;
        return rc;
    }
    if (rows) *rows = NULL;
    lib.PQclear(r);
    return rc;
}

int pg_copy(pglink *p, const char *sql, const buf *data, clipc_err *err)
{
    PGresult *r = lib.PQexecParams(p->conn, sql, 0, NULL, NULL, NULL, NULL, 0);
    int rc = lib.PQresultStatus(r) == PGRES_COPY_IN ? CLIPC_OK : fail_result(p, r, err);

    lib.PQclear(r);
    if (rc != CLIPC_OK) return rc;
    if (lib.PQputCopyData(p->conn, data->data, (int)data->len) != 1 ||
        lib.PQputCopyEnd(p->conn, NULL) != 1)
        rc = fail_line(p, CLIPC_ERR_IO, lib.PQerrorMessage(p->conn), err);
    while ((r = lib.PQgetResult(p->conn))) {
        if (rc == CLIPC_OK && lib.PQresultStatus(r) != PGRES_COMMAND_OK)
            rc = fail_result(p, r, err);
        lib.PQclear(r);
    }
    return rc;
}

/* ---- rows ---- */

void pg_rows_free(pg_rows *rows)
{
    if (rows) lib.PQclear(rows);
}

int pg_count(const pg_rows *rows)
{
    return lib.PQntuples(rows);
}

bool pg_null(const pg_rows *rows, int row, int column)
{
    return lib.PQgetisnull(rows, row, column);
}

store_bytes pg_bytes(const pg_rows *rows, int row, int column)
{
    return (store_bytes){lib.PQgetvalue(rows, row, column),
                         (size_t)lib.PQgetlength(rows, row, column)};
}

const char *pg_text(const pg_rows *rows, int row, int column)
{
    return pg_null(rows, row, column) ? NULL : lib.PQgetvalue(rows, row, column);
}

/* A number of `size` bytes, the highest first. */
static uint64_t read_number(const uint8_t *from, size_t size)
{
    uint64_t x = 0;

    for (size_t i = 0; i < size; i++) x = x << 8 | from[i];
    return x;
}

int64_t pg_number(const pg_rows *rows, int row, int column)
{
    const store_bytes b = pg_bytes(rows, row, column);

    return b.size == 8 ? (int64_t)read_number(b.data, 8) : 0;
}

double pg_float(const pg_rows *rows, int row, int column)
{
    const int64_t bits = pg_number(rows, row, column);
    double x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

bool pg_hash(store_hash *out, const pg_rows *rows, int row, int column)
{
    const store_bytes b = pg_bytes(rows, row, column);

    *out = (store_hash){{0}};
    if (b.size != sizeof *out) return false;
    memcpy(out, b.data, sizeof *out);
    return true;
}

/* As vector_send of pgvector writes it: dim and a zero of 16 bits, then float32s. */
int pg_vector(const pglink *p, float *out, size_t dim, const pg_rows *rows, int row,
              int column, clipc_err *err)
{
    const store_bytes b = pg_bytes(rows, row, column);
    const uint8_t *from = b.data;

    if (b.size != 4 + 4 * dim)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: a vector of %zu bytes, wanted %zu",
                          p->name, b.size, 4 + 4 * dim);
    for (size_t d = 0; d < dim; d++) {
        const uint32_t bits = (uint32_t)read_number(from + 4 + 4 * d, 4);
        memcpy(&out[d], &bits, sizeof bits);
    }
    return CLIPC_OK;
}

int pg_add_u16(buf *b, uint16_t x, clipc_err *err)
{
    const uint8_t bytes[] = {(uint8_t)(x >> 8), (uint8_t)x};

    return buf_add(b, bytes, sizeof bytes, err);
}

int pg_add_u32(buf *b, uint32_t x, clipc_err *err)
{
    const uint8_t bytes[] = {(uint8_t)(x >> 24), (uint8_t)(x >> 16), (uint8_t)(x >> 8),
                             (uint8_t)x};

    return buf_add(b, bytes, sizeof bytes, err);
}

#endif

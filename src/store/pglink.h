/* store/pglink.h -- a connection to a PostgreSQL server by libpq, loaded when asked for:
 * statements with their parameters apart from their text, rows in the binary format.  No
 * message shows the password of an address.  For store/ alone, built with libpq only. */
#ifndef CLIPC_STORE_PGLINK_H
#define CLIPC_STORE_PGLINK_H

#include <libpq-fe.h>

#include "base/buf.h"
#include "store/store.h"

typedef struct pglink {
    PGconn *conn;
    char *name; /* of the database, for messages: without the password */
} pglink;

/* CLIPC_ERR_ARG: no address of a database; CLIPC_ERR_IO: no libpq here, or no server.
 * pglink_close also after a failure. */
int pglink_open(pglink *p, const char *url, clipc_err *err);
void pglink_close(pglink *p);

/* Parameters of a statement, each of which gives its number, 1 for "$1".  What they point
 * to lives until it has run. */
enum { PG_ARGS_MOST = 24 };
typedef struct pg_args {
    int n;
    Oid types[PG_ARGS_MOST];
    const char *values[PG_ARGS_MOST];
    int sizes[PG_ARGS_MOST], binary[PG_ARGS_MOST];
    uint8_t numbers[PG_ARGS_MOST][8];
} pg_args;

int pg_arg_number(pg_args *a, int64_t number);
int pg_arg_bytes(pg_args *a, store_bytes bytes);
int pg_arg_hash(pg_args *a, const store_hash *hash); /* NULL: NULL */
int pg_arg_text(pg_args *a, const char *text);       /* NULL: NULL */

/* Runs one statement.  rows NULL: its rows are not wanted; otherwise for pg_rows_free,
 * NULL after a failure.  args NULL: none. */
typedef PGresult pg_rows;
int pg_run(pglink *p, pg_rows **rows, const char *sql, const pg_args *args,
           clipc_err *err);
/* "COPY ... FROM STDIN" of this data. */
int pg_copy(pglink *p, const char *sql, const buf *data, clipc_err *err);

void pg_rows_free(pg_rows *rows);
int pg_count(const pg_rows *rows);
bool pg_null(const pg_rows *rows, int row, int column);
int64_t pg_number(const pg_rows *rows, int row, int column); /* bigint; 0 for NULL */
double pg_float(const pg_rows *rows, int row, int column);   /* double precision */
store_bytes pg_bytes(const pg_rows *rows, int row, int column);
/* With its NUL; NULL for NULL. */
const char *pg_text(const pg_rows *rows, int row, int column);
bool pg_hash(store_hash *out, const pg_rows *rows, int row, int column);
/* A vector of pgvector; CLIPC_ERR_FORMAT: it is of another length. */
int pg_vector(const pglink *p, float *out, size_t dim, const pg_rows *rows, int row,
              int column, clipc_err *err);

/* Numbers as the server's binary format has them: the highest byte first. */
int pg_add_u16(buf *b, uint16_t x, clipc_err *err);
int pg_add_u32(buf *b, uint32_t x, clipc_err *err);

#endif

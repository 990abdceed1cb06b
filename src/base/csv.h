/* base/csv.h -- records of separated values (RFC 4180, as Python's csv module reads it
 * strictly): a field in double quotes may hold separators, line ends and doubled quotes;
 * lines end in \n, \r\n or \r; empty lines are no records. */
#ifndef CLIPC_BASE_CSV_H
#define CLIPC_BASE_CSV_H

#include <stdbool.h>

#include "base/file.h"

typedef struct csv {
    const char *name; /* for messages */
    const char *at, *end;
    char separator;
    size_t line; /* where the record begins */
    size_t next; /* where the next one does */
    buf text;    /* the record's fields, each with a NUL */
    size_t *fields, n, cap;
} csv;

/* A byte order mark is passed over.  text and name must live as long; free with csv_free.
 */
csv csv_start(span text, char separator, const char *name);
void csv_free(csv *c);

/* The next record, or n 0 at the end.  A field without its closing quote, or with more
 * behind it, is CLIPC_ERR_FORMAT with the line; the next call goes on behind that line.
 */
int csv_next(csv *c, clipc_err *err);

/* Field i of the record; valid until the next call. */
const char *csv_field(const csv *c, size_t i);
/* The field that reads so; n if none does. */
size_t csv_find(const csv *c, const char *what);

#endif

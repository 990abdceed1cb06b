/* cli/query.h -- what the operands of `clipc search` ask for: texts and pictures, added
 * and subtracted.
 *
 *     a dog on the beach            one text, with or without quotes
 *     horse + stripes - zoo         operators stand alone
 *     "2:golden retriever" + ./pool.jpg     a weight in front; a picture
 *     @FILE, @-                     a picture whatever its name; on standard input
 */
#ifndef CLIPC_CLI_QUERY_H
#define CLIPC_CLI_QUERY_H

#include "cli/cli.h"
#include "clipc_index.h"

typedef struct query {
    clipc_index_term *v;
    size_t n, cap;
    strings texts; /* behind the terms */
} query;

void query_free(query *q);

/* Adds a term, of a text or a picture's file; what is copied. */
int query_add(query *q, float weight, const char *what, bool is_file, clipc_err *err);
/* Adds the operands' terms.  CLIPC_ERR_ARG: an operator without a term behind it, a
 * weight that is no number; CLIPC_ERR_IO: a picture that is not there. */
int query_parse(query *q, char *const *operands, size_t n, clipc_err *err);

#endif

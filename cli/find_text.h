/* cli/find_text.h -- search the other way round: which lines of a file fit a picture. */
#ifndef CLIPC_CLI_FIND_TEXT_H
#define CLIPC_CLI_FIND_TEXT_H

#include "cli/query.h"
#include "cli/session.h"

/* Prints the k lines of a text file that fit the query best, with their cosines; those
 * below min_score (0: none) are left out.  Returns an exit code; EXIT_SOME: no line. */
int find_text(session *s, const char *file, const query *q, size_t k, float min_score,
              bool json);

#endif

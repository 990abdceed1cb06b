/* cli/approximate.h -- the approximate index: made, told of, started in the background.
 */
#ifndef CLIPC_CLI_APPROXIMATE_H
#define CLIPC_CLI_APPROXIMATE_H

#include <stdbool.h>

#include "clipc_index.h"

/* clipc index build; kind by name, NULL: as it is.  An exit code. */
int approximate_build(const char *folder, const char *kind, bool if_due);
/* A line and a member of clipc index stats; nothing where there is none. */
void approximate_print(const clipc_index_approximate *a);
void approximate_print_json(const clipc_index_approximate *a);

/* Starts "clipc index build --if-due" as a process of its own, of the lowest priority,
 * that outlives this one, if x (NULL allowed) is large enough and much of it is new; once
 * in ten minutes at most, whatever becomes of it. */
void approximate_start_if_due(clipc_index *x, const char *folder);

#endif

/* base/err.h -- recording a failure.  The type and the codes are public: see clipc.h. */
#ifndef CLIPC_BASE_ERR_H
#define CLIPC_BASE_ERR_H

#include "base/attr.h"
#include "clipc.h"

/* Records a failure in *err (NULL allowed) and returns `code`, so that
 * `return clipc_fail(...)` reads as one sentence.  The message is cut at the size of
 * clipc_err.msg; control characters become '?' so that it stays one line and cannot
 * drive the reader's terminal, whatever a hostile file put into a name. */
int clipc_fail(clipc_err *err, int code, const char *fmt, ...) ATTR_PRINTF(3, 4);

/* What clipc_fail does to its messages: control characters become '?'. */
void err_one_line(char *s);

/* The failure every malloc may have: `what` names the thing that did not fit. */
int clipc_fail_memory(clipc_err *err, const char *what, size_t bytes);

#endif

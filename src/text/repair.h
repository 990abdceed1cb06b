/* text/repair.h -- ftfy.fix_text (ftfy 6.3.1, defaults).
 *
 * Line by line (at most 1,000,000 characters at a time), until nothing changes any more:
 * named and numbered characters of HTML, unless there was a '<' in this line or an
 * earlier one; mojibake (text/mojibake.h); ligatures of Latin letters; full- and
 * half-width forms; curly quotes; line ends; terminal escapes; control characters; NFC.
 *
 * Surrogates, which the reference makes pairs or U+FFFD of, cannot be in UTF-8. */
#ifndef CLIPC_TEXT_REPAIR_H
#define CLIPC_TEXT_REPAIR_H

#include "text/mojibake.h"

/* Zeroed to begin with. */
typedef struct repair_work {
    runes all, text, before, next;
    buf scratch;
    mojibake_work mojibake;
} repair_work;

void repair_work_free(repair_work *w);

/* Appends the repaired text to out.  text: UTF-8 of len bytes. */
int text_repair(buf *out, repair_work *w, const char *text, size_t len, clipc_err *err);

#endif

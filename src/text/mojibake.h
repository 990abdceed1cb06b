/* text/mojibake.h -- ftfy.fix_encoding (ftfy 6.3.1, defaults): UTF-8 that was read as an
 * 8-bit encoding, told by sequences that nobody writes, is read again as UTF-8, as often
 * as that helps; where no encoding fits the whole, the parts that look like it; what is
 * left of the controls U+0080..U+009F becomes Windows-1252's characters. */
#ifndef CLIPC_TEXT_MOJIBAKE_H
#define CLIPC_TEXT_MOJIBAKE_H

#include "text/runes.h"

typedef struct mojibake_work {
    buf bytes, other;
    size_t budget; /* characters that may yet be looked at: set it before each text */
} mojibake_work;

void mojibake_work_free(mojibake_work *w);

/* Repairs text in place.  CLIPC_ERR_TEXT once the budget is spent: a text can be made
 * whose repairs take quadratic time. */
int mojibake_fix(runes *text, mojibake_work *w, clipc_err *err);

/* Takes n characters off the budget. */
int mojibake_spend(mojibake_work *w, size_t n, clipc_err *err);

/* Is it one of Unicode's decimal digits? */
bool mojibake_is_digit(rune c);

#endif

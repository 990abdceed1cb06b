/* text/bytelevel.h -- GPT-2's byte alphabet: each byte under a printable character,
 * itself where it is one. */
#ifndef CLIPC_TEXT_BYTELEVEL_H
#define CLIPC_TEXT_BYTELEVEL_H

#include "base/buf.h"

/* GPT-2's pattern for words, in Oniguruma's syntax. */
#define BYTELEVEL_PATTERN                                                            \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|" \
    "\\s+"

/* Appends the bytes in the alphabet. */
int bytelevel_put(buf *out, const char *s, size_t len, clipc_err *err);

#endif

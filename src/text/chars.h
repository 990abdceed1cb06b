/* text/chars.h -- characters of UTF-8 and their classes, as the package `tokenizers` has
 * them. */
#ifndef CLIPC_TEXT_CHARS_H
#define CLIPC_TEXT_CHARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "text/wordpiece_data.h"

/* The character at s and its bytes, 1 to 4; 0 if it is not UTF-8 (or len is 0). */
size_t char_next(uint32_t *c, const char *s, size_t len);
/* The bytes of a character, 1 to 4. */
size_t char_put(char out[4], uint32_t c);
/* How many bytes a character beginning with this byte claims to have. */
size_t char_claimed(char first);
/* CLIPC_ERR_TEXT with the place of the first byte that is not UTF-8. */
int char_check(const char *text, size_t len, clipc_err *err);

bool char_in(const code_range *r, size_t n, uint32_t c);
/* Unicode's White_Space. */
bool char_is_space(uint32_t c);
/* ASCII's symbols and Unicode's punctuation. */
bool char_is_punct(uint32_t c);
/* Categories Nd, Nl, No. */
bool char_is_numeric(uint32_t c);
/* \w of Rust's regex: alphabetic, marks, decimal digits, connectors, joiners. */
bool char_is_word(uint32_t c);
/* Simple lower case.  U+0130 alone has a longer one, of two characters: i, U+0307. */
uint32_t char_lower(uint32_t c);
/* Does the reference's NFD know a decomposition?  Beyond the BMP it lacks those that
 * Unicode 13 and later brought. */
bool char_decomposes(uint32_t c);

#endif

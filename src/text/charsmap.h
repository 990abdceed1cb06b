/* text/charsmap.h -- SentencePiece's precompiled normalization rules
 * (google/sentencepiece src/normalizer.cc, s-yata/darts-clone): bytes of a text and what
 * they become.
 *
 *   u32 size of the trie | trie: u32 units of a double array | strings, each with its NUL
 *
 * all little-endian.  A unit holds the byte it is for (low 8 bits), whether a rule ends
 * here (bit 8) and where its children are (bits 10 to 30, times 256 if bit 9 is set), by
 * exclusive or; the unit of a rule's end holds the place of its string. */
#ifndef CLIPC_TEXT_CHARSMAP_H
#define CLIPC_TEXT_CHARSMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct charsmap {
    uint32_t *units;
    char *strings; /* a NUL behind them */
    size_t n_units, strings_len;
} charsmap;

/* Copies the blob. */
int charsmap_new(charsmap *out, const void *blob, size_t size, const char *where,
                 clipc_err *err);
void charsmap_free(charsmap *m);

/* The bytes at s that the longest (otherwise the shortest) rule takes; 0: none does.  *to
 * is what they become, a C string that lives as long as m. */
size_t charsmap_match(const charsmap *m, const char *s, size_t len, bool longest,
                      const char **to);

#endif

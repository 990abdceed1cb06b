/* text/split.h -- OpenAI's split pattern: special strings, contractions, runs of letters,
 * single numbers, runs of what is neither and no white space.
 *
 * Matching is caseless with Unicode folding, so that "'\u017f" (long s) is a contraction
 * and "<|\u017ftartoftext|>" is one piece, though no special string; and U+0345, which
 * folds to a letter, belongs to no piece.  transformers 5 matches as it stands. */
#ifndef CLIPC_TEXT_SPLIT_H
#define CLIPC_TEXT_SPLIT_H

#include <stdbool.h>
#include <stddef.h>

/* The bytes of the piece that begins at s, in UTF-8; 0: none does, and *skip bytes are
 * passed over.
 * special   [2] strings that are pieces; NULL: none are
 * caseless  as the reference, see above */
size_t split_piece(size_t *skip, const char *s, size_t len, const char *const *special,
                   bool caseless);

#endif

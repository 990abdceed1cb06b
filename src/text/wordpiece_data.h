/* text/wordpiece_data.h -- classes of characters as the package `tokenizers` has them:
 * see tests/golden/make_wordpiece.py.  utf8proc's would not do: they follow Unicode,
 * while the reference stays with an old one. */
#ifndef CLIPC_TEXT_WORDPIECE_DATA_H
#define CLIPC_TEXT_WORDPIECE_DATA_H

#include <stddef.h>
#include <stdint.h>

/* Each table is sorted by code point; ranges include both ends. */
typedef struct code_range {
    uint32_t first, last;
} code_range;

typedef struct code_class {
    uint32_t first, last;
    uint8_t ccc; /* canonical combining class */
} code_class;

/* Control characters that cleaning removes. */
extern const code_range wordpiece_removed[];
extern const size_t n_wordpiece_removed;
/* Accents: category Mn. */
extern const code_range wordpiece_accents[];
extern const size_t n_wordpiece_accents;
/* Marks of all kinds, which the normalizer StripAccents removes. */
extern const code_range wordpiece_combining[];
extern const size_t n_wordpiece_combining;
/* Punctuation. */
extern const code_range wordpiece_punct[];
extern const size_t n_wordpiece_punct;
/* What NFD reorders and is no accent. */
extern const code_class wordpiece_marks[];
extern const size_t n_wordpiece_marks;

#endif

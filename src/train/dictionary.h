/* train/dictionary.h -- texts that mean the same, by word: both sides of a dictionary.
 *
 * A file has an entry a line, in UTF-8: a word or phrase, a tab, a text that means the
 * same and, if it is not a synonym but an explanation, another tab and "gloss":
 *
 *     sofa <tab> couch
 *     sofa <tab> a long upholstered seat with a back and arms <tab> gloss
 *
 * A word may have many lines.  A synonym holds both ways, a gloss one.  What is said
 * twice counts once, what says itself not at all; empty lines and those that begin with #
 * are passed over. */
#ifndef CLIPC_TRAIN_DICTIONARY_H
#define CLIPC_TRAIN_DICTIONARY_H

#include "base/buf.h"
#include "text/trie.h"

/* Bytes of a file, and of a text in it. */
enum { DICTIONARY_MAX = 64 << 20, DICTIONARY_TEXT_MAX = TRIE_WORD_MAX };

typedef struct dictionary_text {
    uint32_t at, len; /* in the file */
} dictionary_text;

/* Its texts, which lie side by side: synonyms, then glosses. */
typedef struct dictionary_word {
    uint32_t first, synonyms, glosses;
} dictionary_word;

/* Const once read; threads share it. */
typedef struct dictionary {
    buf file;
    trie *spellings; /* of words, cleaned (text/clean.h) and in lower case */
    dictionary_word *words;
    dictionary_text *texts;
} dictionary;

/* What is wrong with a file is told with the line. */
int dictionary_read(dictionary **out, const char *path, clipc_err *err);
/* The same of len bytes that are in memory; `name` is for messages. */
int dictionary_parse(dictionary **out, const char *text, size_t len, const char *name,
                     clipc_err *err);
void dictionary_free(dictionary *d);

#endif

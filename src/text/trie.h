/* text/trie.h -- the trie over the bytes of a vocabulary.  A trie and not a hash table: a
 * vocabulary made to collide cannot slow it down, and a search ends where no token goes
 * on. */
#ifndef CLIPC_TEXT_TRIE_H
#define CLIPC_TEXT_TRIE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

typedef struct trie trie;

/* A token under its spelling; 1 byte or more. */
typedef struct trie_word {
    const char *s;
    uint32_t len;
    int32_t id; /* 0 or more */
} trie_word;

/* Longer words are refused, so that the work at each byte of a text is bounded. */
enum { TRIE_WORD_MAX = 1024 };
/* All words together: 500,000 tokens have five million bytes. */
enum { TRIE_BYTES_MAX = 64 << 20 };

/* Sorts `words`; of equal ones the largest id counts.  They are not needed afterwards.
 * `name` is for messages. */
int trie_new(trie **out, trie_word *words, size_t n, const char *name, clipc_err *err);
void trie_free(trie *t);

/* The different words, and one more than their largest id. */
size_t trie_words(const trie *t);
size_t trie_end_id(const trie *t);

/* The node behind `parent` (the root is 0); 0: no word goes on so. */
uint32_t trie_child(const trie *t, uint32_t parent, uint8_t byte);
/* The same for a string.  The root for none. */
uint32_t trie_walk(const trie *t, uint32_t parent, const char *s, size_t len);
/* The id of the word that ends at a node; -1: none. */
int32_t trie_id(const trie *t, uint32_t at);

/* Appends the word of an id, which takes a pass over all nodes; nothing if no word has
 * it. */
int trie_spell(buf *out, const trie *t, int32_t id, clipc_err *err);
/* The id of a whole word; -1: it is none. */
int32_t trie_find(const trie *t, const char *s, size_t len);
/* The longest word at the start of s, under the node `at`: its id, -1 if there is none.
 */
int32_t trie_longest(const trie *t, uint32_t at, const char *s, size_t len,
                     size_t *word_len);

#endif

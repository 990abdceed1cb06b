/* text/pairs.h -- the byte-pair model of tokenizer.json (`tokenizers` 0.23, models/bpe):
 * a vocabulary and an ordered list of the pairs that merge.  A word is its characters,
 * those that are no token being bytes ("<0x41>") or the unknown token. */
#ifndef CLIPC_TEXT_PAIRS_H
#define CLIPC_TEXT_PAIRS_H

#include <stdbool.h>

#include "base/json.h"
#include "text/grow.h"
#include "text/merges.h"
#include "text/trie.h"

typedef struct pairs pairs;

/* "model" of tokenizer.json, {vocab: {token: id}, merges: ["a b"] or [["a", "b"]], ...}.
 */
int pairs_new(pairs **out, const json_t *model, const char *where, clipc_err *err);
void pairs_free(pairs *p);

const trie *pairs_vocab(const pairs *p);

/* Appends the ids of a word.  skip, [trie_end_id of the vocabulary] or NULL: tokens that
 * may not be made. */
int pairs_encode(const pairs *p, merges_work *w, id_list *ids, const char *s, size_t len,
                 const bool *skip, clipc_err *err);

/* {token: id} of JSON as a trie. */
int vocab_from_json(trie **out, const json_t *vocab, const char *where, clipc_err *err);

#endif

/* text/added.h -- the added tokens of tokenizer.json: strings that become one token
 * wherever they stand, before the model sees the text (`tokenizers` 0.23,
 * added_vocabulary.rs).
 *
 * Those that are not `normalized` are looked for in the text as it came, the others,
 * normalised themselves, in the normalised rest; the leftmost first, of those the
 * longest. */
#ifndef CLIPC_TEXT_ADDED_H
#define CLIPC_TEXT_ADDED_H

#include "text/normalizer.h"
#include "text/pretokenizer.h"

typedef struct added added;

int added_new(added **out, clipc_err *err);
void added_free(added *a);

/* One object: content, single_word, lstrip, rstrip, normalized, special.  model_id: its
 * id in the model's vocabulary or -1; then it is numbered behind the `model_size` tokens
 * of the model and those added before.  Adding a token again changes its properties. */
int added_add(added *a, const json_t *spec, int32_t model_id, size_t model_size,
              const char *where, clipc_err *err);
/* When all are there, and before the rest.  n NULL: no token is to be normalised. */
int added_finish(added *a, const normalizer *n, const char *where, clipc_err *err);

/* -1 if there is none of this spelling. */
int32_t added_id(const added *a, const char *content);
/* The i-th in the order of adding, NULL behind the last. */
const char *added_token(const added *a, size_t i, int32_t *id, bool *special);

/* Appends the text from end to end: tokens and what lies between.  Words get `base` added
 * to where they begin.  special false: special tokens are ordinary text, and what one
 * would have covered is not searched again. */
int added_split(const added *a, bool normalized, word_list *out, const char *s,
                size_t len, size_t base, bool at_start, bool special, clipc_err *err);

#endif

/* clip/tokens.h -- a model's tokenizer, whichever it is. */
#ifndef CLIPC_CLIP_TOKENS_H
#define CLIPC_CLIP_TOKENS_H

#include "clip/source.h"
#include "text/bpe.h"
#include "text/wordpiece.h"

/* The files that tokenizers are read from. */
enum { TOKEN_OPTIONS, TOKEN_VOCAB, TOKEN_MERGES, TOKEN_WORDS, TOKEN_FILES };
extern const char *const token_file_names[TOKEN_FILES];

/* Those of a source, as they are. */
typedef struct token_files {
    buf bytes[TOKEN_FILES];
    bool there[TOKEN_FILES];
} token_files;

/* Free with token_files_free, also after a failure. */
int token_files_read(token_files *f, const model_source *s, clipc_err *err);
void token_files_free(token_files *f);

/* Const once made.  One of the two, or neither: texts go by ids. */
typedef struct tokenizer {
    bpe *bpe;
    wordpiece *wordpiece;
    const char *name; /* "openai", "bpe", "wordpiece", or what is not supported */
} tokenizer;

/* Of the source's own files (vocab.txt; vocab.json and merges.txt), else the built-in
 * vocabulary if the model is of OpenAI's.  `name` points into s or lasts for ever. */
int tokenizer_make(tokenizer *t, const token_files *f, const model_source *s,
                   clipc_err *err);
/* The same, read here.  Before net_open, which takes over the tensors. */
int tokenizer_open(tokenizer *t, const model_source *s, clipc_err *err);
void tokenizer_free(tokenizer *t);

/* Appends what an id stands for; nothing if it stands for nothing. */
int tokenizer_text(buf *out, const tokenizer *t, int32_t id, clipc_err *err);

/* One thread's scratch. */
typedef struct tokens_work {
    bpe_work *bpe;
    wordpiece_work *wordpiece;
} tokens_work;

int tokens_work_new(tokens_work *w, clipc_err *err);
void tokens_work_free(tokens_work *w);

/* One more than the largest id that a text can give. */
size_t tokenizer_size(const tokenizer *t);

/* ids [context_length], as the model's own tokenizer pads and cuts; special: as in
 * bpe_tokenize.  `where` names the model in messages. */
int tokenizer_run(const tokenizer *t, tokens_work *w, int32_t *ids, size_t context_length,
                  size_t *n_tokens, const char *text, bool special, const char *where,
                  clipc_err *err);

#endif

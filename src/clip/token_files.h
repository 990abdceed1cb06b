/* clip/token_files.h -- the files that tokenizers are read from, wherever a model keeps
 * them: in its folder, or inside clipc's own file.  Each is read when it is first asked
 * for, so that what was read is what a copy of the tokenizer needs. */
#ifndef CLIPC_CLIP_TOKEN_FILES_H
#define CLIPC_CLIP_TOKEN_FILES_H

#include "base/json.h"
#include "clip/source.h"

enum {
    TOKEN_OPTIONS,
    TOKEN_SPECIALS,
    TOKEN_VOCAB,
    TOKEN_MERGES,
    TOKEN_WORDS,
    TOKEN_JSON,
    TOKEN_SPIECE, /* SentencePiece's model, by its three names */
    TOKEN_SPBPE,
    TOKEN_MODEL,
    TOKEN_FILES
};
extern const char *const token_file_names[TOKEN_FILES];

typedef struct token_files {
    const model_source *source;
    char *paths[TOKEN_FILES]; /* for messages */
    bool there[TOKEN_FILES];
    bool kept[TOKEN_FILES]; /* its bytes are here */
    buf bytes[TOKEN_FILES];
} token_files;

/* Looks which there are.  The source must outlive f and keep its tensors (net_open takes
 * them) while files are read.  Free with token_files_free, also after a failure. */
int token_files_open(token_files *f, const model_source *s, clipc_err *err);
void token_files_free(token_files *f);

/* Reads one of those there into f->bytes. */
int token_file_read(token_files *f, int which, clipc_err *err);
/* All of them. */
int token_files_read(token_files *f, clipc_err *err);
/* As JSON; *out is left alone where there is no such file. */
int token_file_json(json_t **out, token_files *f, int which, clipc_err *err);

/* Writes those that were read into a folder and removes the others, which would be
 * another model's. */
int token_files_save(const token_files *f, const char *folder, clipc_err *err);

/* Without a word about it open_clip takes OpenAI's vocabulary: names the class of a
 * vocabulary of byte pairs of another's, in the config and in its own options. */
int token_files_tell(token_files *f, clip_cfg *cfg, clipc_err *err);

#endif

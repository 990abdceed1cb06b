/* clip/token_folder.h -- what the files of a tokenizer say, as transformers 5
 * reads them: its class, its special and added tokens, and the pipeline that the class
 * builds of the vocabulary, in the terms of tokenizer.json. */
#ifndef CLIPC_CLIP_TOKEN_FOLDER_H
#define CLIPC_CLIP_TOKEN_FOLDER_H

#include "clip/token_files.h"
#include "text/sentencepiece.h"

/* transformers' classes that build their pipeline themselves, and SigLIP's. */
typedef enum token_class {
    AS_IT_IS,
    T5,
    XLM_ROBERTA,
    ROBERTA,
    GEMMA,
    SIGLIP2,
    SIGLIP,
    N_CLASSES
} token_class;

enum { BOS, EOS, UNK, SEP, PAD, CLS, MASK, N_NAMED };
/* Their names in the files. */
extern const char *const token_keys[N_NAMED];

typedef struct token_folder {
    token_files *files;
    const char *path;  /* of the model, for messages */
    json_t *config;    /* tokenizer_config.json */
    json_t *specials;  /* special_tokens_map.json; NULL if config lists added tokens */
    json_t *tokenizer; /* tokenizer.json */
    spm *sp;
    const char *model_path; /* of sp, for messages */
    token_class class;
} token_folder;

/* Whether there is a vocabulary to read. */
bool token_folder_found(const token_files *files);
/* f zeroed; close it also after a failure.  The files must outlive it. */
int token_folder_open(token_folder *f, token_files *files, clipc_err *err);
void token_folder_close(token_folder *f);

/* A special token: its entry, a string or an object, and how it is spelt; NULL if there
 * is none. */
const json_t *token_folder_value(const token_folder *f, int which);
const char *token_folder_named(const token_folder *f, int which);
/* A switch of tokenizer_config.json. */
bool token_folder_flag(const token_folder *f, const char *key, bool otherwise);
/* Whether the class pads on the left unless the files say otherwise. */
bool token_folder_pads_left(const token_folder *f);

/* All added tokens in the order in which transformers adds them. */
int token_folder_added(json_t **out, const token_folder *f, clipc_err *err);
/* The whole tokenizer.json that the class makes, but for what begins and ends a text. */
int token_folder_pipeline(json_t **out, const token_folder *f, clipc_err *err);

/* An added token, special and not normalized. */
json_t *special_token_json(const char *content);
/* A post-processor that puts these around a text; NULL: nothing there. */
json_t *token_template_json(const char *front, const char *back, json_int_t front_id,
                            json_int_t back_id);

#endif

#include "clip/tokens.h"

#include <stdlib.h>
#include <string.h>

const char *const token_file_names[TOKEN_FILES] = {[TOKEN_OPTIONS] =
                                                       "tokenizer_config.json",
                                                   [TOKEN_VOCAB] = "vocab.json",
                                                   [TOKEN_MERGES] = "merges.txt",
                                                   [TOKEN_WORDS] = "vocab.txt"};

void token_files_free(token_files *f)
{
    for (size_t i = 0; i < TOKEN_FILES; i++) buf_free(&f->bytes[i]);
    *f = (token_files){0};
}

int token_files_read(token_files *f, const model_source *s, clipc_err *err)
{
    int rc = CLIPC_OK;

    *f = (token_files){0};
    for (size_t i = 0; rc == CLIPC_OK && i < TOKEN_FILES; i++)
        rc = source_file(&f->bytes[i], &f->there[i], s, token_file_names[i], err);
    return rc;
}

void tokenizer_free(tokenizer *t)
{
    bpe_free(t->bpe);
    wordpiece_free(t->wordpiece);
    *t = (tokenizer){0};
}

/* What tokenizer_config.json says of BERT's cleaning. */
static int read_options(wordpiece_options *o, const json_t *root, const char *where,
                        clipc_err *err)
{
    bool accents = false;
    int rc;

    *o = (wordpiece_options){true, -1, true, 0};
    rc = json_get_bool(&o->lower_case, root, "do_lower_case", where, err);
    if (rc == CLIPC_OK)
        rc = json_get_bool(&o->chinese_chars, root, "tokenize_chinese_chars", where, err);
    if (rc == CLIPC_OK && json_is_boolean(json_object_get(root, "strip_accents"))) {
        rc = json_get_bool(&accents, root, "strip_accents", where, err);
        o->strip_accents = accents;
    }
    return rc;
}

static int make_wordpiece(tokenizer *t, const token_files *f, const json_t *options,
                          char *const *paths, clipc_err *err)
{
    const buf *words = &f->bytes[TOKEN_WORDS];
    wordpiece_options o;
    int rc = read_options(&o, options, paths[TOKEN_OPTIONS], err);

    t->name = "wordpiece";
    return rc == CLIPC_OK ? wordpiece_load(&t->wordpiece, words->data, words->len, &o,
                                           paths[TOKEN_WORDS], err)
                          : rc;
}

/* A tokenizer that is not OpenAI's own may yet be of its kind. */
static bool is_bpe(const model_source *s, const json_t *options)
{
    const char *class = json_string_value(json_object_get(options, "tokenizer_class"));

    if (!s->cfg.foreign_tokens) return true;
    return strncmp(class ? class : s->cfg.tokenizer, "CLIPTokenizer", 13) == 0;
}

static int make(tokenizer *t, const token_files *f, const json_t *options,
                const model_source *s, char *const *paths, clipc_err *err)
{
    const bool bert = s->cfg.text.family == TEXT_BERT && !s->cfg.text.roberta;

    if (bert && f->there[TOKEN_WORDS]) return make_wordpiece(t, f, options, paths, err);
    if (f->there[TOKEN_VOCAB] && f->there[TOKEN_MERGES] && is_bpe(s, options)) {
        t->name = "bpe";
        return bpe_load_hf(&t->bpe, &f->bytes[TOKEN_VOCAB], paths[TOKEN_VOCAB],
                           &f->bytes[TOKEN_MERGES], paths[TOKEN_MERGES], err);
    }
    if (s->cfg.foreign_tokens) return t->name = s->cfg.tokenizer, CLIPC_OK;
    return bpe_new(&t->bpe, err);
}

int tokenizer_make(tokenizer *t, const token_files *f, const model_source *s,
                   clipc_err *err)
{
    const buf *text = &f->bytes[TOKEN_OPTIONS];
    char *paths[TOKEN_FILES] = {NULL};
    json_t *options = NULL;
    int rc = CLIPC_OK;

    *t = (tokenizer){.name = "openai"};
    for (size_t i = 0; i < TOKEN_FILES; i++)
        if (!(paths[i] = path_join(s->path, token_file_names[i])))
            rc = clipc_fail_memory(err, s->path, 0);
    if (rc == CLIPC_OK && f->there[TOKEN_OPTIONS])
        rc = json_parse(&options, text->data, text->len, paths[TOKEN_OPTIONS], err);
    if (rc == CLIPC_OK) rc = make(t, f, options, s, paths, err);
    json_decref(options);
    for (size_t i = 0; i < TOKEN_FILES; i++) free(paths[i]);
    return rc;
}

int tokenizer_open(tokenizer *t, const model_source *s, clipc_err *err)
{
    token_files f;
    int rc = token_files_read(&f, s, err);

    *t = (tokenizer){0};
    if (rc == CLIPC_OK) rc = tokenizer_make(t, &f, s, err);
    token_files_free(&f);
    return rc;
}

int tokenizer_text(buf *out, const tokenizer *t, int32_t id, clipc_err *err)
{
    return t->bpe         ? bpe_token(out, t->bpe, id, err)
           : t->wordpiece ? wordpiece_token(out, t->wordpiece, id, err)
                          : CLIPC_OK;
}

int tokens_work_new(tokens_work *w, clipc_err *err)
{
    const int rc = bpe_work_new(&w->bpe, err);
    return rc == CLIPC_OK ? wordpiece_work_new(&w->wordpiece, err) : rc;
}

void tokens_work_free(tokens_work *w)
{
    bpe_work_free(w->bpe);
    wordpiece_work_free(w->wordpiece);
}

size_t tokenizer_size(const tokenizer *t)
{
    return t->bpe         ? bpe_vocab_size(t->bpe)
           : t->wordpiece ? wordpiece_vocab_size(t->wordpiece)
                          : 0;
}

int tokenizer_run(const tokenizer *t, tokens_work *w, int32_t *ids, size_t context_length,
                  size_t *n_tokens, const char *text, bool special, const char *where,
                  clipc_err *err)
{
    if (t->bpe)
        return bpe_tokenize(t->bpe, w->bpe, ids, context_length, n_tokens, text, special,
                            err);
    if (t->wordpiece)
        return wordpiece_tokenize(t->wordpiece, w->wordpiece, ids, context_length,
                                  n_tokens, text, special, err);
    return clipc_fail(err, CLIPC_ERR_FEATURE,
                      "%s: its tokenizer, %s, is not supported: give ids", where,
                      t->name);
}

#include "clip/tokens.h"

#include <stdlib.h>
#include <string.h>

enum { VOCAB_MAX = 64 << 20 };

void tokenizer_free(tokenizer *t)
{
    bpe_free(t->bpe);
    wordpiece_free(t->wordpiece);
    *t = (tokenizer){0};
}

/* What tokenizer_config.json, if it is there, says of BERT's cleaning. */
static int read_options(wordpiece_options *o, const char *folder, clipc_err *err)
{
    char *path = path_join(folder, "tokenizer_config.json");
    json_t *root = NULL;
    bool accents = false;
    int rc = path ? CLIPC_OK : clipc_fail_memory(err, folder, 0);

    *o = (wordpiece_options){true, -1, true, 0};
    if (rc == CLIPC_OK && file_exists(path)) rc = json_read(&root, path, err);
    if (rc == CLIPC_OK)
        rc = json_get_bool(&o->lower_case, root, "do_lower_case", path, err);
    if (rc == CLIPC_OK)
        rc = json_get_bool(&o->chinese_chars, root, "tokenize_chinese_chars", path, err);
    if (rc == CLIPC_OK && json_is_boolean(json_object_get(root, "strip_accents"))) {
        rc = json_get_bool(&accents, root, "strip_accents", path, err);
        o->strip_accents = accents;
    }
    json_decref(root);
    free(path);
    return rc;
}

static int open_wordpiece(tokenizer *t, const char *folder, const char *vocab,
                          clipc_err *err)
{
    wordpiece_options o;
    buf text = {0};
    int rc = read_options(&o, folder, err);

    if (rc == CLIPC_OK) rc = file_read(&text, vocab, VOCAB_MAX, err);
    if (rc == CLIPC_OK)
        rc = wordpiece_load(&t->wordpiece, text.data, text.len, &o, vocab, err);
    buf_free(&text);
    t->name = "wordpiece";
    return rc;
}

/* What transformers pads with, if the folder says. */
static int read_pad(bpe *b, const char *folder, clipc_err *err)
{
    static const char *const names[] = {"tokenizer_config.json",
                                        "special_tokens_map.json"};
    const char *pad = NULL;
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && !pad && i < 2; i++) {
        char *path = path_join(folder, names[i]);
        json_t *root = NULL;
        if (!path) return clipc_fail_memory(err, folder, 0);
        if (file_exists(path)) rc = json_read(&root, path, err);
        const json_t *token = json_object_get(root, "pad_token");
        if (json_is_object(token)) token = json_object_get(token, "content");
        if ((pad = json_string_value(token))) rc = bpe_set_pad(b, pad, err);
        json_decref(root);
        free(path);
    }
    return rc;
}

int tokenizer_open(tokenizer *t, const model_source *s, clipc_err *err)
{
    char *vocab = path_join(s->path, "vocab.json"),
         *txt = path_join(s->path, "vocab.txt");
    char *merges = path_join(s->path, "merges.txt");
    const bool bert = s->cfg.text.family == TEXT_BERT && !s->cfg.text.roberta;
    int rc = CLIPC_OK;

    *t = (tokenizer){.name = "openai"};
    if (!vocab || !merges || !txt) {
        rc = clipc_fail_memory(err, s->path, 0);
    } else if (bert && file_exists(txt)) {
        rc = open_wordpiece(t, s->path, txt, err);
    } else if (s->cfg.foreign_tokens) {
        t->name = s->cfg.tokenizer;
    } else if (s->cfg.token_rules == BPE_OPENAI && file_exists(vocab) &&
               file_exists(merges)) {
        t->name = "bpe";
        rc = bpe_load_hf(&t->bpe, vocab, merges, err);
        if (rc == CLIPC_OK) rc = read_pad(t->bpe, s->path, err);
    } else {
        rc = bpe_new(&t->bpe, err);
        if (rc == CLIPC_OK) bpe_set_rules(t->bpe, s->cfg.token_rules);
    }
    free(vocab);
    free(txt);
    free(merges);
    return rc;
}

int tokens_work_new(tokens_work *w, const tokenizer *t, clipc_err *err)
{
    *w = (tokens_work){0};
    if (t->bpe) return bpe_work_new(&w->bpe, t->bpe, err);
    return t->wordpiece ? wordpiece_work_new(&w->wordpiece, err) : CLIPC_OK;
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

int tokenizer_check(const tokenizer *t, size_t vocab_size, const char *where,
                    clipc_err *err)
{
    if (tokenizer_size(t) <= vocab_size) return CLIPC_OK;
    return clipc_fail(err, CLIPC_ERR_FEATURE,
                      "%s: its %zu tokens are not those of its tokenizer, %zu", where,
                      vocab_size, tokenizer_size(t));
}

void tokenizer_show(const tokenizer *t, int32_t id, char *out, size_t out_size)
{
    buf b = {0};

    if (out_size) out[0] = '\0';
    if (t->bpe && bpe_token(&b, t->bpe, id, NULL) == CLIPC_OK && b.data && out_size)
        for (size_t i = 0; i < out_size && (i == 0 || out[i - 1]); i++)
            out[i] = i + 1 < out_size && i < b.len ? b.data[i] : '\0';
    buf_free(&b);
}

static int not_supported(const tokenizer *t, const char *where, clipc_err *err)
{
    return clipc_fail(err, CLIPC_ERR_FEATURE,
                      "%s: its tokenizer, %s, is not supported: give ids", where,
                      t->name);
}

int tokenizer_run(const tokenizer *t, tokens_work *w, int32_t *ids, size_t context_length,
                  size_t *n_tokens, text_span text, bool special, const char *where,
                  clipc_err *err)
{
    if (t->bpe)
        return bpe_tokenize(w->bpe, ids, context_length, n_tokens, text.data, text.len,
                            special, err);
    if (t->wordpiece)
        return wordpiece_tokenize(t->wordpiece, w->wordpiece, ids, context_length,
                                  n_tokens, text.data, text.len, special, err);
    return not_supported(t, where, err);
}

int tokenizer_encode(const tokenizer *t, tokens_work *w, const int32_t **inner, size_t *n,
                     text_span text, bool special, const char *where, clipc_err *err)
{
    if (t->bpe) return bpe_encode(w->bpe, inner, n, text.data, text.len, special, err);
    if (t->wordpiece)
        return wordpiece_encode(t->wordpiece, w->wordpiece, inner, n, text.data, text.len,
                                special, err);
    return not_supported(t, where, err);
}

size_t tokenizer_room(const tokenizer *t, size_t context_length)
{
    return t->bpe || t->wordpiece ? context_length - 2 : 0;
}

void tokenizer_frame(const tokenizer *t, int32_t *ids, size_t context_length,
                     const int32_t *inner, size_t n)
{
    if (t->bpe) bpe_frame(t->bpe, ids, context_length, inner, n);
    if (t->wordpiece) wordpiece_frame(t->wordpiece, ids, context_length, inner, n);
}

#include "clip/tokens.h"

#include <stdlib.h>
#include <string.h>

enum { VOCAB_MAX = 64 << 20 };

void tokenizer_free(tokenizer *t)
{
    bpe_free(t->bpe);
    wordpiece_free(t->wordpiece);
    pretrained_free(t->pretrained);
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
    if (rc == CLIPC_OK) rc = pretrained_cleaning(&t->cleaning, folder, err);
    buf_free(&text);
    t->name = "wordpiece";
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
    } else if (s->cfg.foreign_tokens && pretrained_found(s->path)) {
        rc = pretrained_open(&t->pretrained, s, err);
        if (rc == CLIPC_OK) t->name = pretrained_kind(t->pretrained);
    } else if (s->cfg.foreign_tokens) {
        t->name = s->cfg.tokenizer;
    } else if (file_exists(vocab) && file_exists(merges)) {
        t->name = "bpe";
        rc = bpe_load_hf(&t->bpe, vocab, merges, err);
    } else {
        rc = bpe_new(&t->bpe, err);
    }
    free(vocab);
    free(txt);
    free(merges);
    return rc;
}

int tokens_work_new(tokens_work *w, clipc_err *err)
{
    int rc = bpe_work_new(&w->bpe, err);

    if (rc == CLIPC_OK) rc = wordpiece_work_new(&w->wordpiece, err);
    return rc == CLIPC_OK ? pretrained_work_new(&w->pretrained, err) : rc;
}

void tokens_work_free(tokens_work *w)
{
    bpe_work_free(w->bpe);
    wordpiece_work_free(w->wordpiece);
    pretrained_work_free(w->pretrained);
    buf_free(&w->clean);
    buf_free(&w->scratch);
}

size_t tokenizer_size(const tokenizer *t)
{
    return t->bpe          ? bpe_vocab_size(t->bpe)
           : t->wordpiece  ? wordpiece_vocab_size(t->wordpiece)
           : t->pretrained ? pretrained_size(t->pretrained)
                           : 0;
}

int tokenizer_run(const tokenizer *t, tokens_work *w, int32_t *ids, size_t context_length,
                  size_t *n_tokens, const char *text, bool special, const char *where,
                  clipc_err *err)
{
    if (t->bpe)
        return bpe_tokenize(t->bpe, w->bpe, ids, context_length, n_tokens, text, special,
                            err);
    if (t->pretrained)
        return pretrained_tokenize(t->pretrained, w->pretrained, ids, context_length,
                                   n_tokens, text, strlen(text), special, err);
    if (t->wordpiece) {
        const int rc =
            canonical_text(&w->clean, &w->scratch, t->cleaning, text, strlen(text), err);
        return rc == CLIPC_OK
                   ? wordpiece_tokenize(t->wordpiece, w->wordpiece, ids, context_length,
                                        n_tokens, w->clean.data ? w->clean.data : "",
                                        special, err)
                   : rc;
    }
    return clipc_fail(err, CLIPC_ERR_FEATURE,
                      "%s: its tokenizer, %s, is not supported: give ids", where,
                      t->name);
}

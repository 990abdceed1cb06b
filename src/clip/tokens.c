#include "clip/tokens.h"

#include <string.h>

#include "clip/token_folder.h"

void tokenizer_free(tokenizer *t)
{
    bpe_free(t->bpe);
    wordpiece_free(t->wordpiece);
    pretrained_free(t->pretrained);
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

static int make_wordpiece(tokenizer *t, token_files *f, const json_t *options,
                          clipc_err *err)
{
    const buf *words = &f->bytes[TOKEN_WORDS];
    wordpiece_options o;
    int rc = read_options(&o, options, f->paths[TOKEN_OPTIONS], err);

    t->name = "wordpiece";
    if (rc == CLIPC_OK) rc = token_file_read(f, TOKEN_WORDS, err);
    return rc == CLIPC_OK ? wordpiece_load(&t->wordpiece, words->data, words->len, &o,
                                           f->paths[TOKEN_WORDS], err)
                          : rc;
}

/* A tokenizer that is not OpenAI's own may yet be of its kind. */
static bool is_bpe(const model_source *s, const json_t *options)
{
    const char *class = json_string_value(json_object_get(options, "tokenizer_class"));

    if (!s->cfg.foreign_tokens) return true;
    return strncmp(class ? class : s->cfg.tokenizer, "CLIPTokenizer", 13) == 0;
}

/* The padding that a file names, if it does. */
static int take_pad(bool *told, bpe *b, const json_t *root, clipc_err *err)
{
    const json_t *token = json_object_get(root, "pad_token");

    if (json_is_object(token)) token = json_object_get(token, "content");
    *told = json_is_string(token);
    return *told ? bpe_set_pad(b, json_string_value(token), err) : CLIPC_OK;
}

static int make_bpe(tokenizer *t, token_files *f, const json_t *options, clipc_err *err)
{
    json_t *root = NULL;
    bool told = false;
    int rc = token_file_read(f, TOKEN_VOCAB, err);

    t->name = "bpe";
    if (rc == CLIPC_OK) rc = token_file_read(f, TOKEN_MERGES, err);
    if (rc == CLIPC_OK)
        rc = bpe_load_hf(&t->bpe, &f->bytes[TOKEN_VOCAB], f->paths[TOKEN_VOCAB],
                         &f->bytes[TOKEN_MERGES], f->paths[TOKEN_MERGES], err);
    if (rc == CLIPC_OK) rc = take_pad(&told, t->bpe, options, err);
    if (rc != CLIPC_OK || told) return rc;
    rc = token_file_json(&root, f, TOKEN_SPECIALS, err);
    if (rc == CLIPC_OK) rc = take_pad(&told, t->bpe, root, err);
    json_decref(root);
    return rc;
}

/* What open_clip does to a text in front of another's tokenizer. */
static void set_cleaning(tokenizer *t, bpe_rules rules)
{
    static const clean_rules as[] = {[BPE_OPEN_CLIP] = CLEAN_LOWER,
                                     [BPE_OPEN_CLIP_WHITESPACE] = CLEAN_WHITESPACE,
                                     [BPE_OPEN_CLIP_CANONICAL] = CLEAN_CANONICAL};

    t->cleans = rules != BPE_OPENAI;
    if (t->cleans) t->cleaning = as[rules];
}

static int make(tokenizer *t, token_files *f, const json_t *options, clipc_err *err)
{
    const model_source *s = f->source;
    const bool bert = s->cfg.text.family == TEXT_BERT && !s->cfg.text.roberta,
               foreign = s->cfg.foreign_tokens, words = bert && f->there[TOKEN_WORDS],
               pairs = (foreign || s->cfg.token_rules == BPE_OPENAI) &&
                       f->there[TOKEN_VOCAB] && f->there[TOKEN_MERGES] &&
                       is_bpe(s, options);
    int rc;

    if (foreign || words) set_cleaning(t, s->cfg.token_rules);
    if (words) return make_wordpiece(t, f, options, err);
    if (pairs) return make_bpe(t, f, options, err);
    if (foreign && token_folder_found(f)) {
        rc = pretrained_open(&t->pretrained, f, err);
        if (rc == CLIPC_OK) t->name = pretrained_kind(t->pretrained);
        return rc;
    }
    if (foreign) return t->name = s->cfg.tokenizer, CLIPC_OK;
    rc = bpe_new(&t->bpe, err);
    if (rc == CLIPC_OK) bpe_set_rules(t->bpe, s->cfg.token_rules);
    return rc;
}

int tokenizer_make(tokenizer *t, token_files *f, clipc_err *err)
{
    json_t *options = NULL;
    int rc = token_file_json(&options, f, TOKEN_OPTIONS, err);

    *t = (tokenizer){.name = "openai"};
    if (rc == CLIPC_OK) rc = make(t, f, options, err);
    json_decref(options);
    return rc;
}

int tokenizer_open(tokenizer *t, const model_source *s, clipc_err *err)
{
    token_files f;
    int rc = token_files_open(&f, s, err);

    *t = (tokenizer){0};
    if (rc == CLIPC_OK) rc = tokenizer_make(t, &f, err);
    token_files_free(&f);
    return rc;
}

int tokenizer_copy(tokenizer *t, token_files *f, model_source *s, const char *to,
                   clipc_err *err)
{
    bpe *openai = NULL;
    int rc = token_files_open(f, s, err);

    *t = (tokenizer){0};
    if (rc == CLIPC_OK) rc = tokenizer_make(t, f, err);
    if (rc == CLIPC_OK && t->pretrained && strcmp(to, "hf") == 0 &&
        (t->cleans || s->cfg.strip_sep))
        rc = clipc_fail(err, CLIPC_ERR_FEATURE,
                        "%s: what open_clip does around its tokenizer has no place in "
                        "Hugging Face's layout",
                        s->path);
    if (rc == CLIPC_OK && strcmp(to, "clipc") != 0) rc = token_files_read(f, err);
    /* Whatever it is called, unless what open_clip does in front of it must be kept. */
    if (t->bpe && (!t->cleans || strcmp(to, "hf") == 0)) s->cfg.foreign_tokens = false;
    if (rc == CLIPC_OK && t->bpe && !t->cleans && strcmp(to, "open_clip") == 0)
        rc = bpe_new(&openai, err);
    if (rc == CLIPC_OK && openai && bpe_equal(t->bpe, openai)) token_files_free(f);
    bpe_free(openai);
    return rc;
}

int tokens_work_new(tokens_work *w, const tokenizer *t, clipc_err *err)
{
    int rc = CLIPC_OK;

    *w = (tokens_work){0};
    if (t->cleans) rc = clean_work_new(&w->cleaner, err);
    if (rc != CLIPC_OK) return rc;
    if (t->bpe) return bpe_work_new(&w->bpe, t->bpe, err);
    if (t->pretrained) return pretrained_work_new(&w->pretrained, err);
    return t->wordpiece ? wordpiece_work_new(&w->wordpiece, err) : CLIPC_OK;
}

void tokens_work_free(tokens_work *w)
{
    bpe_work_free(w->bpe);
    wordpiece_work_free(w->wordpiece);
    clean_work_free(w->cleaner);
    buf_free(&w->clean);
    pretrained_work_free(w->pretrained);
}

size_t tokenizer_size(const tokenizer *t)
{
    return t->bpe          ? bpe_vocab_size(t->bpe)
           : t->wordpiece  ? wordpiece_vocab_size(t->wordpiece)
           : t->pretrained ? pretrained_size(t->pretrained)
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
    const int rc = t->bpe          ? bpe_token(&b, t->bpe, id, NULL)
                   : t->wordpiece  ? wordpiece_token(&b, t->wordpiece, id, NULL)
                   : t->pretrained ? pretrained_token(&b, t->pretrained, id, NULL)
                                   : CLIPC_OK;

    if (out_size) out[0] = '\0';
    if (rc == CLIPC_OK && b.data && out_size)
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

static int clean(const tokenizer *t, tokens_work *w, text_span *text, clipc_err *err)
{
    if (!t->cleans) return CLIPC_OK;
    const int rc =
        text_clean(&w->clean, w->cleaner, text->data, text->len, t->cleaning, err);
    *text = (text_span){w->clean.data ? w->clean.data : "", w->clean.len};
    return rc;
}

int tokenizer_run(const tokenizer *t, tokens_work *w, int32_t *ids, size_t context_length,
                  size_t *n_tokens, text_span text, bool special, const char *where,
                  clipc_err *err)
{
    const int rc = clean(t, w, &text, err);

    if (rc != CLIPC_OK) return rc;
    if (t->bpe)
        return bpe_tokenize(w->bpe, ids, context_length, n_tokens, text.data, text.len,
                            special, err);
    if (t->pretrained)
        return pretrained_tokenize(t->pretrained, w->pretrained, ids, context_length,
                                   n_tokens, text.data, text.len, special, err);
    if (t->wordpiece)
        return wordpiece_tokenize(t->wordpiece, w->wordpiece, ids, context_length,
                                  n_tokens, text.data, text.len, special, err);
    return not_supported(t, where, err);
}

int tokenizer_encode(const tokenizer *t, tokens_work *w, const int32_t **inner, size_t *n,
                     text_span text, bool special, const char *where, clipc_err *err)
{
    const int rc = clean(t, w, &text, err);

    if (rc != CLIPC_OK) return rc;
    if (t->bpe) return bpe_encode(w->bpe, inner, n, text.data, text.len, special, err);
    if (t->pretrained)
        return pretrained_encode(t->pretrained, w->pretrained, inner, n, text.data,
                                 text.len, special, err);
    if (t->wordpiece)
        return wordpiece_encode(t->wordpiece, w->wordpiece, inner, n, text.data, text.len,
                                special, err);
    return not_supported(t, where, err);
}

size_t tokenizer_room(const tokenizer *t, size_t context_length)
{
    if (t->pretrained) return pretrained_room(t->pretrained, context_length);
    return t->bpe || t->wordpiece ? context_length - 2 : 0;
}

void tokenizer_frame(const tokenizer *t, int32_t *ids, size_t context_length,
                     const int32_t *inner, size_t n)
{
    if (t->bpe) bpe_frame(t->bpe, ids, context_length, inner, n);
    if (t->pretrained) pretrained_frame(t->pretrained, ids, context_length, inner, n);
    if (t->wordpiece) wordpiece_frame(t->wordpiece, ids, context_length, inner, n);
}

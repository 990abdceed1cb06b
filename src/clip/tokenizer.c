#include <stdlib.h>

#include "clip/find.h"
#include "clip/model.h"
#include "model/textnet.h"

struct clipc_tokenizer {
    model_source source; /* its config and path; zeroed without a model */
    tokenizer t;
    tokens_work w;
};

static int of_model(clipc_tokenizer *t, const char *model, clipc_err *err)
{
    model_source *s = &t->source;
    char *found = NULL;
    int rc = find_model(&found, model, err);

    if (rc == CLIPC_OK) rc = source_open(s, found, err);
    if (rc == CLIPC_OK && s->cfg.no_text)
        rc = clipc_fail(err, CLIPC_ERR_FEATURE, "%s: the model has no text tower",
                        s->path);
    if (rc == CLIPC_OK) rc = tokenizer_open(&t->t, s, err);
    if (rc == CLIPC_OK) rc = tokenizer_check(&t->t, s->cfg.text.vocab_size, s->path, err);
    tensor_file_free(s->weights);
    s->weights = NULL;
    free(found);
    return rc;
}

int clipc_tokenizer_open(clipc_tokenizer **out, const char *model, clipc_err *err)
{
    clipc_tokenizer *t = calloc(1, sizeof *t);
    int rc;

    *out = NULL;
    if (!t) return clipc_fail_memory(err, "tokenizer", sizeof *t);
    t->source.cfg.text.context_length = 77;
    rc = model ? of_model(t, model, err) : bpe_new(&t->t.bpe, err);
    if (rc == CLIPC_OK) rc = tokens_work_new(&t->w, &t->t, err);
    if (rc == CLIPC_OK) *out = t;
    else clipc_tokenizer_free(t);
    return rc;
}

void clipc_tokenizer_free(clipc_tokenizer *t)
{
    if (!t) return;
    tokens_work_free(&t->w);
    tokenizer_free(&t->t);
    source_close(&t->source);
    free(t);
}

size_t clipc_tokenizer_context_length(const clipc_tokenizer *t)
{
    return t->source.cfg.text.context_length;
}

int clipc_tokenizer_run(clipc_tokenizer *t, int32_t *ids, size_t *n_tokens, int32_t *pool,
                        const char *text, size_t len, int compat, clipc_err *err)
{
    const text_cfg *c = &t->source.cfg.text;
    const int rc = tokenizer_run(&t->t, &t->w, ids, c->context_length, n_tokens,
                                 (text_span){text, len}, compat, t->source.path, err);

    if (rc != CLIPC_OK) return rc;
    if (c->family == TEXT_BERT) *pool = c->bert_pool == BERT_MEAN ? -1 : 0;
    else *pool = (int32_t)textnet_pooled(c, ids);
    return CLIPC_OK;
}

void clipc_tokenizer_text(const clipc_tokenizer *t, int32_t id, char *out,
                          size_t out_size)
{
    tokenizer_show(&t->t, id, out, out_size);
}

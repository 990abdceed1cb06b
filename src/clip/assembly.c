/* clip/assembly.c -- clipc_assemble: a model of two pretrained towers that were not
 * trained with each other, and a head that brings them together. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/sizes.h"
#include "clip/class_names.h"
#include "clip/find.h"
#include "clip/net.h"
#include "clip/tokens.h"
#include "clip/vocab_cut.h"
#include "clipc.h"
#include "model/headed.h"

enum { HIDDEN = 704, GATE = 64, TOP = 10, CONTEXT = 128 };
#define DROPOUT 0.1f
/* Features made up for training are clearer than a photograph's: of those the learned
 * part knows less than the gate believes (recipes/default/README.md). */
#define GATE_SHIFT  1.0f
#define LOGIT_SCALE 30.0f

typedef struct assembly {
    const clipc_assemble_options *o;
    const kernels *k;
    model_source image, text;
    net *image_net, *text_net, *net; /* theirs, and what they become */
    tokenizer tokens;
    token_files files;
    size_t *words, n_words; /* which of the text tower's tokens stay */
} assembly;

static void assembly_close(assembly *a)
{
    net_free(a->image_net);
    net_free(a->text_net);
    net_free(a->net);
    free(a->words);
    tokenizer_free(&a->tokens);
    token_files_free(&a->files);
    source_close(&a->image);
    source_close(&a->text);
}

static int open_source(model_source *s, const char *name, clipc_err *err)
{
    char *found = NULL;
    int rc = find_model(&found, name, err);

    if (rc == CLIPC_OK) rc = source_open(s, found, err);
    free(found);
    return rc;
}

/* The trunk's own classifier. */
static const tensor *classifier(const assembly *a, const char *name)
{
    return tensor_find(a->image.weights, name);
}

static int check_towers(const assembly *a, clipc_err *err)
{
    const clip_cfg *i = &a->image.cfg, *t = &a->text.cfg;
    const tensor *w = classifier(a, "_fc.weight"), *b = classifier(a, "_fc.bias");

    if (i->no_image || i->image.family != IMAGE_EFFNET || !w || !b || w->n_dims != 2 ||
        w->dims[1] != i->image.features || b->n != w->dims[0])
        return clipc_fail(err, CLIPC_ERR_FEATURE,
                          "%s: no file of an EfficientNet-Lite with its classifier, _fc",
                          a->image.path);
    if (t->no_text || t->text.family != TEXT_BERT || t->text.roberta ||
        t->text.proj != PROJ_NONE || t->text.proj_hidden)
        return clipc_fail(err, CLIPC_ERR_FEATURE,
                          "%s: no BERT whose text vectors nothing projects",
                          a->text.path);
    return CLIPC_OK;
}

/* Only what names of things are spelt with: the table of words is most of the model. */
static int cut_words(assembly *a, clipc_err *err)
{
    buf *words = &a->files.bytes[TOKEN_WORDS];
    const text_cfg *c = &a->text.cfg.text;
    int rc;

    if (!a->tokens.wordpiece || !a->files.kept[TOKEN_WORDS])
        return clipc_fail(err, CLIPC_ERR_FEATURE, "%s: no vocabulary of WordPiece",
                          a->text.path);
    rc = vocab_cut(&a->words, &a->n_words, words, err);
    if (rc == CLIPC_OK && (!a->n_words || a->words[a->n_words - 1] >= c->vocab_size))
        rc =
            clipc_fail(err, CLIPC_ERR_FORMAT, "%s: a vocabulary of other tokens than %zu",
                       a->text.path, c->vocab_size);
    return rc;
}

/* The number that a token has now; of one that went, the first. */
static int32_t new_id(const assembly *a, int32_t id)
{
    for (size_t i = 0; i < a->n_words; i++)
        if (a->words[i] == (size_t)id) return (int32_t)i;
    return 0;
}

static clip_cfg config_of(const assembly *a)
{
    const size_t classes = classifier(a, "_fc.weight")->dims[0];
    clip_cfg c = a->text.cfg;

    c.layout = LAYOUT_OPEN_CLIP;
    c.no_image = c.no_logit_scale = false;
    c.custom_text = true;
    c.image = a->image.cfg.image;
    c.preprocess = a->image.cfg.preprocess;
    c.image.embed_dim = c.text.embed_dim;
    c.image.proj = PROJ_NONE;
    c.image.head = (head_cfg){.hidden = HIDDEN,
                              .gate = GATE,
                              .classes = classes,
                              .top = min_size(TOP, classes),
                              .dropout = DROPOUT,
                              .gate_shift = GATE_SHIFT};
    c.text.vocab_size = a->n_words;
    c.text.pad_id = new_id(a, c.text.pad_id);
    c.text.context_length = min_size(c.text.context_length, CONTEXT);
    c.text.positions = c.text.context_length; /* no text gets to the others */
    return c;
}

static int open_towers(assembly *a, clipc_err *err)
{
    clip_cfg cfg;
    int rc = open_source(&a->image, a->o->image, err);

    if (rc == CLIPC_OK) rc = open_source(&a->text, a->o->text, err);
    if (rc == CLIPC_OK) rc = check_towers(a, err);
    if (rc == CLIPC_OK)
        rc = tokenizer_copy(&a->tokens, &a->files, &a->text, "clipc", err);
    if (rc == CLIPC_OK) rc = cut_words(a, err);
    if (rc == CLIPC_OK) rc = net_open(&a->text_net, &a->text, TOWER_EVAL, a->k, err);
    if (rc == CLIPC_OK) rc = net_open(&a->image_net, &a->image, TOWER_EVAL, a->k, err);
    if (rc != CLIPC_OK) return rc;
    cfg = config_of(a);
    return net_make(&a->net, &cfg, TOWER_EVAL, err);
}

static void take_words(const assembly *a, const param *to, const param *from)
{
    const size_t C = to->dims[1];

    for (size_t i = 0; i < a->n_words; i++)
        memcpy(*to->slot + i * C, *from->slot + a->words[i] * C, C * sizeof(float));
}

/* What a tower has of its own; of positions the first. */
static void take_tower(const assembly *a, const net *from)
{
    for (size_t i = 0; i < from->params.n; i++) {
        const param *q = &from->params.v[i], *p = param_find(&a->net->params, q->name);
        if (p && p->kind == PARAM_TABLE) take_words(a, p, q);
        else if (p && p->n <= q->n) memcpy(*p->slot, *q->slot, p->n * sizeof(float));
    }
}

/* The vectors of the classes, by the text tower as it was. */
static int name_classes(assembly *a, head *h, const head_shape *s, clipc_err *err)
{
    const clipc_ctx_options options = {.threads = 1};
    clipc_model *m = NULL;
    clipc_ctx *c = NULL;
    int rc = clipc_model_open(&m, a->o->text, err);

    if (rc == CLIPC_OK) rc = clipc_ctx_new(&c, m, &options, err);
    if (rc == CLIPC_OK)
        rc = class_names_read(h->classes, c, a->o->classes, s->cfg.classes, s->D, err);
    clipc_ctx_free(c);
    clipc_model_free(m);
    return rc;
}

static int make_head(assembly *a, clipc_err *err)
{
    headed *t = a->net->image;
    const tensor *w = classifier(a, "_fc.weight"), *b = classifier(a, "_fc.bias");
    rng r = rng_seed(a->o->seed, 0);

    head_init(&t->head, &t->shape, &r);
    dtype_to_f32(a->k, t->head.classifier_w, w->data, w->dt, w->n);
    dtype_to_f32(a->k, t->head.classifier_b, b->data, b->dt, b->n);
    *a->net->logit_scale = logf(LOGIT_SCALE);
    return name_classes(a, &t->head, &t->shape, err);
}

static int save(const assembly *a, const char *out, clipc_err *err)
{
    json_t *about = json_object();
    int rc = json_set_text(about, "license", a->o->license, err);

    if (rc == CLIPC_OK) rc = json_set_text(about, "origin", a->o->origin, err);
    if (rc == CLIPC_OK)
        rc = net_save_packed(a->net, out, WEIGHTS_F32, about, &a->files, a->k, err);
    json_decref(about);
    return rc;
}

int clipc_assemble(const char *out, const clipc_assemble_options *options, clipc_err *err)
{
    assembly a = {.o = options};
    int rc;

    if (!options->overwrite && file_exists(out))
        return clipc_fail(err, CLIPC_ERR_EXISTS, "%s: exists already", out);
    rc = kernels_pick(&a.k, err);
    if (rc == CLIPC_OK) rc = open_towers(&a, err);
    if (rc == CLIPC_OK) {
        take_tower(&a, a.text_net);
        take_tower(&a, a.image_net);
        rc = make_head(&a, err);
    }
    if (rc == CLIPC_OK) rc = save(&a, out, err);
    assembly_close(&a);
    return rc;
}

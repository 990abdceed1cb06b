#include "train/validate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/sizes.h"
#include "nn/rows.h"

enum { BATCH = 64 };

struct validation {
    const net *n;
    const char *source;
    dataset *data; /* until they are read */
    void *image_acts, *text_acts;
    arena mem;
    size_t count, captions;    /* pictures; distinct captions */
    float *pixels;             /* [count,3,S,S] */
    int32_t *ids;              /* [captions,context_length] */
    uint64_t *seen;            /* [captions] */
    size_t *label;             /* [count] caption of each picture */
    float *img, *txt, *logits; /* [count,E], [captions,E], [count,captions] */
};

void validation_free(validation *v)
{
    if (!v) return;
    dataset_close(v->data);
    if (v->n) v->n->ops->acts_destroy(v->image_acts);
    if (v->n) v->n->text_ops->acts_destroy(v->text_acts);
    arena_free(&v->mem);
    free(v);
}

/* The loader itself gives the views: one batch of everything, no augmentation. */
static int open_data(validation *v, const data_cfg *training, clipc_err *err)
{
    const clip_cfg *cfg = &v->n->cfg;
    const augment_cfg still = {
        .ground = {1, 0, 0, 0}, .scale = {1, 1}, .crop = {1, 1}, .ratio = {1, 1}};
    const data_cfg data = {.sources = &v->source,
                           .n_sources = 1,
                           .tables = training->tables,
                           .batch = 1,
                           .workers = 1,
                           .templates = training->templates,
                           .n_templates = training->n_templates ? 1 : 0,
                           .tokenizer = training->tokenizer,
                           .context_length = cfg->text.context_length,
                           .vocab_size = cfg->text.vocab_size,
                           .preprocess = cfg->preprocess,
                           .augment = still,
                           .max_megapixels = 256,
                           .max_broken = HUGE_VAL,
                           .in_order = true};
    return dataset_index(&v->data, &data, err);
}

/* As if all captions were different. */
static void take(validation *v, arena *a)
{
    const size_t S = v->n->cfg.image.image_size, E = v->n->cfg.image.embed_dim;

    v->pixels = ARENA_FLOATS(a, v->count * 3 * S * S);
    v->ids = arena_take(a, v->count * v->n->cfg.text.context_length, sizeof *v->ids);
    v->seen = arena_take(a, v->count, sizeof *v->seen);
    v->label = arena_take(a, v->count, sizeof *v->label);
    v->img = ARENA_FLOATS(a, v->count * E);
    v->txt = ARENA_FLOATS(a, v->count * E);
    v->logits = ARENA_FLOATS(a, v->count * v->count);
}

/* All memory, or with bytes (not NULL) how much it is. */
static int make_memory(validation *v, size_t *bytes, clipc_err *err)
{
    const net *n = v->n;
    const size_t rows = BATCH * n->cfg.text.context_length;
    size_t part[3];
    arena measure = arena_measure();
    int rc = n->ops->acts_make(&v->image_acts, bytes ? &part[0] : NULL, n->image, BATCH,
                               TOWER_EVAL, err);

    if (rc == CLIPC_OK)
        rc = n->text_ops->acts_make(&v->text_acts, bytes ? &part[1] : NULL, n->text,
                                    BATCH, rows, TOWER_EVAL, err);
    take(v, &measure);
    if (rc == CLIPC_OK)
        rc = arena_make(&v->mem, bytes ? &part[2] : NULL, &measure, v->source, err);
    if (rc != CLIPC_OK) return rc;
    if (bytes) *bytes = part[0] + part[1] + part[2];
    else take(v, &v->mem);
    return CLIPC_OK;
}

int validation_open(validation **out, size_t *bytes, const net *n,
                    const data_cfg *training, const char *source, size_t most,
                    clipc_err *err)
{
    validation *v = calloc(1, sizeof *v);
    int rc;

    *out = NULL;
    if (!v) return clipc_fail_memory(err, source, sizeof *v);
    v->n = n;
    v->source = source;
    rc = open_data(v, training, err);
    if (rc == CLIPC_OK) {
        v->count = min_size(dataset_count(v->data), most);
        rc = make_memory(v, bytes, err);
    }
    if (rc == CLIPC_OK) *out = v;
    else validation_free(v);
    return rc;
}

static void keep(validation *v, size_t i, const batch *b)
{
    const size_t S = v->n->cfg.image.image_size, T = v->n->cfg.text.context_length;
    size_t c = 0;

    while (c < v->captions && v->seen[c] != b->caption[0]) c++;
    if (c == v->captions) {
        v->seen[v->captions] = b->caption[0];
        memcpy(v->ids + v->captions++ * T, b->ids, T * sizeof *v->ids);
    }
    v->label[i] = c;
    memcpy(v->pixels + i * 3 * S * S, b->pixels, 3 * S * S * sizeof(float));
}

int validation_read(validation *v, clipc_err *err)
{
    const batch *b;
    double waited;
    int rc = make_memory(v, NULL, err);

    if (rc == CLIPC_OK) rc = dataset_start(v->data, 0, err);
    for (size_t i = 0; rc == CLIPC_OK && i < v->count; i++) {
        rc = dataset_next(&b, v->data, &waited, err);
        if (rc == CLIPC_OK) keep(v, i, b);
    }
    dataset_close(v->data);
    v->data = NULL;
    return rc;
}

/* How many of a row's (or column's) entries beat entry `own`, ties against us. */
static size_t rank_in(const float *x, size_t stride, size_t n, size_t own)
{
    size_t better = 0;

    for (size_t i = 0; i < n; i++)
        better += i != own && !(x[i * stride] < x[own * stride]);
    return better;
}

static void count_recall(double *recall, size_t rank)
{
    static const size_t k[3] = {1, 5, 10};
    for (int i = 0; i < 3; i++) recall[i] += rank < k[i];
}

void validation_run(validation *v, exec *e, const net *n, clipc_val_stats *s)
{
    const size_t E = n->cfg.image.embed_dim, S = n->cfg.image.image_size;
    const size_t T = n->cfg.text.context_length;

    for (size_t i = 0; i < v->count; i += BATCH)
        n->ops->fwd(e, n->image, v->image_acts, v->img + i * E, v->pixels + i * 3 * S * S,
                    v->count - i < BATCH ? v->count - i : BATCH);
    for (size_t i = 0; i < v->captions; i += BATCH)
        n->text_ops->fwd(e, n->text, v->text_acts, v->txt + i * E, v->ids + i * T,
                         v->captions - i < BATCH ? v->captions - i : BATCH);
    rows_normalize_fwd(e, v->img, NULL, v->img, v->count, E);
    rows_normalize_fwd(e, v->txt, NULL, v->txt, v->captions, E);
    gemm(e, v->logits, v->captions, mat_of(v->img, E), mat_t(v->txt, E), v->count,
         v->captions, E, (gemm_opts){0});

    *s = (clipc_val_stats){.pictures = v->count, .captions = v->captions};
    for (size_t i = 0; i < v->count; i++) {
        const size_t c = v->label[i];
        count_recall(s->image_to_text,
                     rank_in(v->logits + i * v->captions, 1, v->captions, c));
        count_recall(s->text_to_image, rank_in(v->logits + c, v->captions, v->count, i));
    }
    for (int i = 0; i < 3; i++) {
        s->image_to_text[i] /= (double)v->count;
        s->text_to_image[i] /= (double)v->count;
    }
    s->top1 = s->image_to_text[0];
    s->top5 = s->image_to_text[1];
}

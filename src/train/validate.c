#include "train/validate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/rows.h"

enum { BATCH = 64 };

struct validation {
    const net *n;
    void *image_acts;
    void *text_acts;
    size_t count, captions;    /* pictures; distinct captions */
    float *pixels;             /* [count,3,S,S] */
    int32_t *ids;              /* [captions,context_length] */
    size_t *label;             /* [count] caption of each picture */
    float *img, *txt, *logits; /* [count,E], [captions,E], [count,captions] */
};

void validation_free(validation *v)
{
    if (!v) return;
    if (v->n) v->n->ops->acts_destroy(v->image_acts);
    if (v->n) v->n->text_ops->acts_destroy(v->text_acts);
    free(v->pixels);
    free(v->ids);
    free(v->label);
    free(v->img);
    free(v->txt);
    free(v->logits);
    free(v);
}

/* The loader itself gives the views: one batch of everything, no augmentation. */
static int load(validation *v, const data_cfg *training, const char *source, size_t most,
                clipc_err *err)
{
    const clip_cfg *cfg = &v->n->cfg;
    const size_t S = cfg->image.image_size, T = cfg->text.context_length;
    const augment_cfg still = {
        .ground = {1, 0, 0, 0}, .scale = {1, 1}, .crop = {1, 1}, .ratio = {1, 1}};
    const data_cfg data = {.sources = &source,
                           .n_sources = 1,
                           .tables = training->tables,
                           .batch = 1,
                           .workers = 1,
                           .templates = training->templates,
                           .n_templates = training->n_templates ? 1 : 0,
                           .tokenizer = training->tokenizer,
                           .context_length = T,
                           .vocab_size = cfg->text.vocab_size,
                           .preprocess = cfg->preprocess,
                           .augment = still,
                           .max_megapixels = 256,
                           .max_broken = HUGE_VAL,
                           .in_order = true};
    uint64_t *seen = NULL;
    dataset *d = NULL;
    const batch *b;
    double waited;
    int rc = dataset_open(&d, &data, 0, err);

    if (rc != CLIPC_OK) return rc;
    v->count = dataset_count(d) < most ? dataset_count(d) : most;
    seen = malloc(v->count * sizeof *seen);
    v->pixels = malloc(v->count * 3 * S * S * sizeof *v->pixels);
    v->ids = malloc(v->count * T * sizeof *v->ids);
    v->label = malloc(v->count * sizeof *v->label);
    if (!seen || !v->pixels || !v->ids || !v->label)
        rc = clipc_fail_memory(err, source, v->count * 3 * S * S * sizeof(float));
    for (size_t i = 0; rc == CLIPC_OK && i < v->count; i++) {
        if ((rc = dataset_next(&b, d, &waited, err)) != CLIPC_OK) break;
        size_t c = 0;
        while (c < v->captions && seen[c] != b->caption[0]) c++;
        if (c == v->captions) {
            seen[v->captions] = b->caption[0];
            memcpy(v->ids + v->captions++ * T, b->ids, T * sizeof *v->ids);
        }
        v->label[i] = c;
        memcpy(v->pixels + i * 3 * S * S, b->pixels, 3 * S * S * sizeof(float));
    }
    free(seen);
    dataset_close(d);
    return rc;
}

int validation_open(validation **out, const net *n, const data_cfg *training,
                    const char *source, size_t most, clipc_err *err)
{
    const size_t E = n->cfg.image.embed_dim;
    validation *v = calloc(1, sizeof *v);
    int rc;

    *out = NULL;
    if (!v) return clipc_fail_memory(err, source, sizeof *v);
    v->n = n;
    rc = load(v, training, source, most, err);
    if (rc == CLIPC_OK)
        rc = n->ops->acts_make(&v->image_acts, NULL, n->image, BATCH, TOWER_EVAL, err);
    if (rc == CLIPC_OK)
        rc = n->text_ops->acts_make(&v->text_acts, NULL, n->text, BATCH,
                                    BATCH * n->cfg.text.context_length, TOWER_EVAL, err);
    if (rc == CLIPC_OK) {
        v->img = malloc(v->count * E * sizeof *v->img);
        v->txt = malloc(v->captions * E * sizeof *v->txt);
        v->logits = malloc(v->count * v->captions * sizeof *v->logits);
        if (!v->img || !v->txt || !v->logits)
            rc = clipc_fail_memory(err, source, v->count * v->captions * sizeof(float));
    }
    if (rc == CLIPC_OK) *out = v;
    else validation_free(v);
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

int validation_run(validation *v, exec *e, clipc_val_stats *s, clipc_err *err)
{
    const net *n = v->n;
    const size_t E = n->cfg.image.embed_dim, S = n->cfg.image.image_size;
    const size_t T = n->cfg.text.context_length;

    (void)err;
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
    return CLIPC_OK;
}

#include "train/teacher.h"

#include <math.h>
#include <stdlib.h>

#include "base/sizes.h"
#include "clip/find.h"
#include "nn/rows.h"

enum { CHUNK = 64 }; /* pairs that its towers see at a time */

struct teacher {
    model_source source; /* its config; what its tokenizer is called */
    tokenizer tokens;
    net *n;
    teacher_input input;
    size_t B, chunk, bytes;
    void *image_acts, *text_acts;
    float *img, *txt; /* [B,E] */
};

static int check(const teacher *t, clipc_err *err)
{
    const clip_cfg *c = &t->source.cfg;
    const char *why = c->no_image || c->no_text            ? "it has one tower alone"
                      : c->preprocess.h != c->preprocess.w ? "its pictures are no squares"
                      : !tokenizer_size(&t->tokens) ? "its tokenizer is not supported"
                                                    : NULL;

    if (why)
        return clipc_fail(err, CLIPC_ERR_FEATURE, "%s: %s: no teacher", t->source.path,
                          why);
    return tokenizer_check(&t->tokens, c->text.vocab_size, t->source.path, err);
}

static int open_model(teacher *t, const char *model, const kernels *k, clipc_err *err)
{
    char *found = NULL;
    int rc = find_model(&found, model, err);

    if (rc == CLIPC_OK) rc = source_open(&t->source, found, err);
    if (rc == CLIPC_OK) rc = tokenizer_open(&t->tokens, &t->source, err);
    if (rc == CLIPC_OK) rc = check(t, err);
    if (rc == CLIPC_OK) rc = net_open(&t->n, &t->source, TOWER_INFER, k, err);
    free(found);
    return rc;
}

/* Activations of both towers; with bytes, how much they would be. */
static int make_acts(teacher *t, size_t *bytes, clipc_err *err)
{
    const net *n = t->n;
    const size_t rows = t->chunk * n->cfg.text.context_length;
    size_t part[2] = {0};
    int rc = n->ops->acts_make(&t->image_acts, bytes ? &part[0] : NULL, n->image,
                               t->chunk, TOWER_INFER, err);

    if (rc == CLIPC_OK)
        rc = n->text_ops->acts_make(&t->text_acts, bytes ? &part[1] : NULL, n->text,
                                    t->chunk, rows, TOWER_INFER, err);
    if (bytes) *bytes = part[0] + part[1];
    return rc;
}

static int make_room(teacher *t, clipc_err *err)
{
    const size_t E = teacher_dim(t);
    int rc = make_acts(t, &t->bytes, err);

    if (rc == CLIPC_OK) rc = make_acts(t, NULL, err);
    if (rc != CLIPC_OK) return rc;
    t->bytes += 2 * t->B * E * sizeof *t->img;
    t->img = calloc(t->B, E * sizeof *t->img);
    t->txt = calloc(t->B, E * sizeof *t->txt);
    return t->img && t->txt
               ? CLIPC_OK
               : clipc_fail_memory(err, t->source.path, t->B * E * sizeof *t->img);
}

int teacher_open(teacher **out, const char *model, size_t B, const kernels *k,
                 clipc_err *err)
{
    teacher *t = calloc(1, sizeof *t);
    int rc;

    *out = NULL;
    if (!t) return clipc_fail_memory(err, model, sizeof *t);
    t->B = B, t->chunk = min_size(B, CHUNK);
    rc = open_model(t, model, k, err);
    if (rc == CLIPC_OK) rc = make_room(t, err);
    if (rc == CLIPC_OK) {
        t->input = (teacher_input){&t->tokens, t->n->cfg.text.context_length,
                                   t->n->cfg.preprocess};
        *out = t;
    } else {
        teacher_close(t);
    }
    return rc;
}

void teacher_close(teacher *t)
{
    if (!t) return;
    if (t->n) {
        t->n->ops->acts_destroy(t->image_acts);
        t->n->text_ops->acts_destroy(t->text_acts);
    }
    net_free(t->n);
    tokenizer_free(&t->tokens);
    source_close(&t->source);
    free(t->img);
    free(t->txt);
    free(t);
}

const teacher_input *teacher_wants(const teacher *t)
{
    return &t->input;
}

size_t teacher_dim(const teacher *t)
{
    return t->n->cfg.image.embed_dim;
}

size_t teacher_scratch(const teacher *t)
{
    return max_size(t->n->ops->scratch(t->n->image), t->n->text_ops->scratch(t->n->text));
}

/* Weights in a mapped file come into memory when they are used. */
size_t teacher_bytes(const teacher *t, size_t *taken)
{
    *taken = t->n->mem.size;
    return t->bytes + (t->n->mapped ? net_bytes(t->n) : 0) + t->n->mem.size;
}

const float *teacher_pictures(teacher *t, exec *e, const batch *b)
{
    const size_t E = teacher_dim(t), S = t->input.preprocess.h;

    for (size_t at = 0; at < t->B; at += t->chunk)
        t->n->ops->fwd(e, t->n->image, t->image_acts, t->img + at * E,
                       b->teacher_pixels + at * 3 * S * S, min_size(t->chunk, t->B - at));
    rows_normalize_fwd(e, t->img, NULL, t->img, t->B, E);
    return t->img;
}

void teacher_encode(teacher *t, exec *e, float *out, const int32_t *ids, size_t n)
{
    const size_t E = teacher_dim(t), T = t->input.context_length;

    for (size_t at = 0; at < n; at += t->chunk)
        t->n->text_ops->fwd(e, t->n->text, t->text_acts, out + at * E, ids + at * T,
                            min_size(t->chunk, n - at));
    rows_normalize_fwd(e, out, NULL, out, n, E);
}

const float *teacher_texts(teacher *t, exec *e, const batch *b)
{
    teacher_encode(t, e, t->txt, b->teacher_ids, t->B);
    return t->txt;
}

float teacher_scale(const teacher *t)
{
    return expf(*t->n->logit_scale);
}

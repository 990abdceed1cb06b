#include <stdlib.h>
#include <string.h>

#include "base/sizes.h"
#include "clip/model.h"
#include "task/tasks.h"
#include "tensor/gemm.h"

enum { ROWS = 64 };

/* Rows of one kind and, for each, which of the other kind are right: [from, to). */
typedef struct side {
    float *x; /* [n,E] */
    size_t n, *from, *to;
    bool *failed;
    char **texts; /* [n] or, of pictures, NULL */
} side;

static void side_free(side *s)
{
    free(s->x);
    free(s->from);
    free(s->to);
    free(s->failed);
}

static int side_new(side *s, size_t n, size_t E, const char *what, clipc_err *err)
{
    *s = (side){.x = calloc(n, E * sizeof *s->x),
                .n = n,
                .from = calloc(n, sizeof *s->from),
                .to = calloc(n, sizeof *s->to),
                .failed = calloc(n, sizeof *s->failed)};
    return s->x && s->from && s->to && s->failed
               ? CLIPC_OK
               : clipc_fail_memory(err, what, n * E * sizeof *s->x);
}

static bool is_right(const side *b, size_t i, size_t from, size_t to)
{
    bool right = i >= from && i < to;

    for (size_t k = from; b->texts && !right && k < to; k++)
        right = strcmp(b->texts[i], b->texts[k]) == 0;
    return right;
}

/* How many wrong ones of b are not below the best right one: a tie is no success, unless
 * it is one of the same words. */
static size_t rank_of(const float *row, const side *b, size_t from, size_t to)
{
    size_t best = from, rank = 0;

    for (size_t i = from; i < to; i++)
        if (row[i] > row[best]) best = i;
    for (size_t i = 0; i < b->n; i++)
        rank += !(row[i] < row[best]) && !is_right(b, i, from, to);
    return rank;
}

/* recall [3]: the parts of a's rows that have a right one among the best 1, 5 and 10 of
 * b's. */
static int find_recall(double *recall, exec *e, const side *a, const side *b, size_t E,
                       clipc_err *err)
{
    static const size_t best[3] = {1, 5, 10};
    float *logits = malloc(ROWS * b->n * sizeof *logits);

    if (!logits) return clipc_fail_memory(err, "retrieval", ROWS * b->n * sizeof *logits);
    for (size_t i = 0; i < a->n; i += ROWS) {
        const size_t n = min_size(a->n - i, ROWS);
        gemm(e, logits, b->n, mat_of(a->x + i * E, E), mat_t(b->x, E), n, b->n, E,
             (gemm_opts){0});
        for (size_t k = i; k < i + n; k++) {
            const size_t rank =
                rank_of(logits + (k - i) * b->n, b, a->from[k], a->to[k]);
            for (size_t r = 0; r < 3; r++) recall[r] += !a->failed[k] && rank < best[r];
        }
    }
    for (size_t r = 0; r < 3; r++) recall[r] /= (double)a->n;
    free(logits);
    return CLIPC_OK;
}

/* A caption of a picture that could not be encoded finds nothing. */
static void link_sides(side *images, side *texts, const eval_set *v)
{
    for (size_t i = 0; i < v->n; i++) {
        const eval_sample *s = &v->samples[i];
        images->from[i] = s->first;
        images->to[i] = s->first + s->n_texts;
        for (size_t t = images->from[i]; t < images->to[i]; t++) {
            texts->from[t] = i, texts->to[t] = i + 1;
            texts->failed[t] = images->failed[i];
        }
    }
}

int retrieval_run(clipc_eval_result *r, clipc_ctx *c, const eval_spec *s,
                  features_progress *p, clipc_err *err)
{
    const eval_set *v = &s->test;
    const size_t E = c->m->info.embed_dim;
    side images = {0}, texts = {0};
    int rc = side_new(&images, v->n, E, v->path, err);

    p->total = v->n;
    r->captions = v->n_texts;
    if (rc == CLIPC_OK) rc = side_new(&texts, v->n_texts, E, v->path, err);
    if (rc == CLIPC_OK)
        rc = clipc_encode_texts(c, texts.x, (const char *const *)v->texts, NULL,
                                v->n_texts, err);
    if (rc == CLIPC_OK) rc = features_all(images.x, images.failed, c, v, p, err);
    if (rc == CLIPC_OK) {
        texts.texts = v->texts;
        for (size_t i = 0; i < v->n; i++) r->failed += images.failed[i];
        link_sides(&images, &texts, v);
        rc = find_recall(r->image_to_text, c->e, &images, &texts, E, err);
    }
    if (rc == CLIPC_OK) rc = find_recall(r->text_to_image, c->e, &texts, &images, E, err);
    side_free(&images);
    side_free(&texts);
    return rc;
}

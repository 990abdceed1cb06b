#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/sizes.h"
#include "task/tasks.h"

/* Cosines are counted in steps of 1 / STEPS: a set may have more pairs than memory. */
enum { STEPS = 10000, BINS = 2 * STEPS + 1, RARE = 1000 };

typedef struct mismatch {
    clipc_ctx *ctx;
    const eval_spec *spec;
    char **names; /* [n] the texts */
    size_t n, E;
    float *texts, *images, *cosines; /* [n,E], [FEATURES_CHUNK,E], [FEATURES_CHUNK,n] */
    uint64_t bins[BINS], pairs;
} mismatch;

/* Whether text t could be said of the sample as well as its own, or is in no contest
 * with these. */
static bool may_fit(const mismatch *m, const eval_sample *s, size_t t)
{
    const eval_classes *c = &m->spec->classes;
    const bool labelled = m->spec->task == CLIPC_EVAL_ZEROSHOT;
    const size_t first = labelled ? s->label : s->first;
    const size_t end = labelled ? first + 1 : first + s->n_texts;
    bool fits = labelled && c->set[t] != c->set[first];

    for (size_t k = first; !fits && k < end; k++)
        fits = strcmp(m->names[t], m->names[k]) == 0;
    return fits;
}

static void count(mismatch *m, const eval_sample *s, const float *cosines)
{
    for (size_t t = 0; t < m->n; t++) {
        const float x = cosines[t];
        if (may_fit(m, s, t)) continue;
        const size_t bin = (size_t)((fminf(fmaxf(x, -1.0f), 1.0f) + 1.0f) * STEPS);
        m->bins[min_size(bin, BINS - 1)]++;
        m->pairs++;
    }
}

static int count_chunk(mismatch *m, size_t at, size_t n, clipc_err *last, clipc_err *err)
{
    const eval_set *v = &m->spec->test;
    clipc_err errs[FEATURES_CHUNK];
    const int rc = features_chunk(m->images, m->ctx, v, at, n, errs, err);

    if (rc != CLIPC_OK) return rc;
    clipc_similarity(m->cosines, m->images, n, m->texts, m->n, m->E, 1.0f);
    for (size_t k = 0; k < n; k++) {
        if (errs[k].code == CLIPC_OK)
            count(m, &v->samples[at + k], m->cosines + k * m->n);
        else *last = errs[k];
    }
    return CLIPC_OK;
}

static int count_all(mismatch *m, features_progress *p, clipc_err *err)
{
    const size_t all = p->total = m->spec->test.n;
    clipc_err last = {0};
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < all; i += FEATURES_CHUNK) {
        const size_t n = min_size(all - i, FEATURES_CHUNK);
        rc = count_chunk(m, i, n, &last, err);
        p->done += n;
        if (p->on) p->on(p->user, p->done, p->total);
    }
    if (rc != CLIPC_OK || m->pairs >= RARE) return rc;
    return last.code ? clipc_fail(err, last.code, "%s", last.msg)
                     : clipc_fail(err, CLIPC_ERR_ARG,
                                  "%s: %llu pairs that do not belong together, wanted %d",
                                  m->spec->path, (unsigned long long)m->pairs, RARE);
}

/* The lowest step above which no more than the rare ones lie. */
static float threshold(const mismatch *m)
{
    uint64_t above = 0;
    size_t i = BINS;

    while (i && above + m->bins[i - 1] <= m->pairs / RARE) above += m->bins[--i];
    return (float)(((double)i - STEPS) / STEPS);
}

static int mismatch_open(mismatch *m, clipc_err *err)
{
    const eval_spec *s = m->spec;
    const bool labelled = s->task == CLIPC_EVAL_ZEROSHOT;

    m->names = labelled ? s->classes.v : s->test.texts;
    m->n = labelled ? s->classes.n : s->test.n_texts;
    m->E = clipc_model_info_of(clipc_ctx_model(m->ctx))->embed_dim;
    m->texts = malloc(m->n * m->E * sizeof *m->texts);
    m->images = malloc(FEATURES_CHUNK * m->E * sizeof *m->images);
    m->cosines = malloc(FEATURES_CHUNK * m->n * sizeof *m->cosines);
    if (!m->texts || !m->images || !m->cosines)
        return clipc_fail_memory(err, s->path, m->n * m->E * sizeof *m->texts);
    return clipc_encode_texts(m->ctx, m->texts, (const char *const *)m->names, NULL, m->n,
                              err);
}

int mismatch_run(float *min_score, clipc_ctx *c, const eval_spec *s, features_progress *p,
                 clipc_err *err)
{
    mismatch *m;
    int rc;

    if (s->task == CLIPC_EVAL_LINEAR_PROBE)
        return clipc_fail(err, CLIPC_ERR_FEATURE, "%s: a linear probe has no texts",
                          s->path);
    m = calloc(1, sizeof *m);
    if (!m) return clipc_fail_memory(err, s->path, sizeof *m);
    m->ctx = c, m->spec = s;
    rc = mismatch_open(m, err);
    if (rc == CLIPC_OK) rc = count_all(m, p, err);
    if (rc == CLIPC_OK) *min_score = threshold(m);
    free(m->texts);
    free(m->images);
    free(m->cosines);
    free(m);
    return rc;
}

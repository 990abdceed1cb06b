#include <stdlib.h>

#include "base/sizes.h"
#include "task/tasks.h"

typedef struct judge {
    clipc_ctx *ctx;
    size_t E;
    float *weights, *images, *logits; /* [classes,E], [FEATURES_CHUNK,E], [classes] */
    clipc_err errs[FEATURES_CHUNK];
    clipc_eval_result *result;
    size_t
        best; /* of the last picture: the class that came first, or how many there are */
    bool right;
    clipc_err why; /* the last picture that could not be encoded */
} judge;

static void judge_free(judge *j)
{
    free(j->weights);
    free(j->images);
    free(j->logits);
}

static int judge_open(judge *j, const eval_spec *s, clipc_err *err)
{
    const clipc_model_info *i = clipc_model_info_of(clipc_ctx_model(j->ctx));
    const eval_classes *c = &s->classes;
    const char *const *own = (const char *const *)s->templates;

    j->E = i->embed_dim;
    j->weights = malloc(c->n * j->E * sizeof *j->weights);
    j->images = malloc(FEATURES_CHUNK * j->E * sizeof *j->images);
    j->logits = malloc(c->n * sizeof *j->logits);
    if (!j->weights || !j->images || !j->logits)
        return clipc_fail_memory(err, s->path, c->n * j->E * sizeof *j->weights);
    return clipc_classifier(j->ctx, j->weights, (const char *const *)c->v, c->n,
                            s->json ? own : i->templates,
                            s->json ? s->n_templates : i->n_templates, err);
}

/* Picture k of a chunk.  The right class is right only ahead of all others: a tie is no
 * success. */
static void judge_picture(judge *j, const eval_classes *c, size_t label, size_t k)
{
    const size_t set = c->set[label];
    size_t rank = 0;

    j->best = c->n, j->right = false;
    if (j->errs[k].code != CLIPC_OK) {
        j->result->failed++;
        j->why = j->errs[k];
        return;
    }
    j->best = set;
    clipc_similarity(j->logits, j->images + k * j->E, 1, j->weights, c->n, j->E, 1.0f);
    for (size_t i = set; i < c->n && c->set[i] == set; i++) {
        rank += i != label && !(j->logits[i] < j->logits[label]);
        if (j->logits[i] > j->logits[j->best]) j->best = i;
    }
    j->right = rank < 1;
    j->result->top1 += rank < 1;
    j->result->top5 += rank < 5;
}

static int judge_close(judge *j, clipc_err *err)
{
    clipc_eval_result *r = j->result;

    r->top1 /= (double)r->pictures;
    r->top5 /= (double)r->pictures;
    return r->failed < r->pictures ? CLIPC_OK
                                   : clipc_fail(err, j->why.code, "%s", j->why.msg);
}

static void count_change(clipc_eval_change *c, const judge *a, const judge *b)
{
    c->same += a->best == b->best;
    c->lost += a->right && !b->right;
    c->gained += b->right && !a->right;
}

/* All judges look at a picture before any sees the next.  c: NULL for a single one. */
static int judge_all(clipc_eval_change *c, judge *judges, size_t n, const eval_spec *s,
                     features_progress *p, clipc_err *err)
{
    const eval_set *v = &s->test;
    int rc = CLIPC_OK;

    p->total = v->n;
    for (size_t m = 0; rc == CLIPC_OK && m < n; m++) rc = judge_open(&judges[m], s, err);
    for (size_t i = 0; rc == CLIPC_OK && i < v->n; i += FEATURES_CHUNK) {
        const size_t some = min_size(v->n - i, FEATURES_CHUNK);
        for (size_t m = 0; rc == CLIPC_OK && m < n; m++)
            rc = features_chunk(judges[m].images, judges[m].ctx, v, i, some,
                                judges[m].errs, err);
        for (size_t k = 0; rc == CLIPC_OK && k < some; k++) {
            for (size_t m = 0; m < n; m++)
                judge_picture(&judges[m], &s->classes, v->samples[i + k].label, k);
            if (c) count_change(c, &judges[0], &judges[1]);
        }
        if (rc == CLIPC_OK) features_tell(p, judges[0].errs, some);
    }
    for (size_t m = 0; rc == CLIPC_OK && m < n; m++) rc = judge_close(&judges[m], err);
    for (size_t m = 0; m < n; m++) judge_free(&judges[m]);
    return rc;
}

int zeroshot_run(clipc_eval_result *r, clipc_ctx *c, const eval_spec *s,
                 features_progress *p, clipc_err *err)
{
    judge j = {.ctx = c, .result = r};

    return judge_all(NULL, &j, 1, s, p, err);
}

int zeroshot_compare(clipc_eval_change *out, clipc_ctx *a, clipc_ctx *b,
                     const eval_spec *s, features_progress *p, clipc_err *err)
{
    judge j[2] = {{.ctx = a, .result = &out->before}, {.ctx = b, .result = &out->after}};

    return judge_all(out, j, 2, s, p, err);
}

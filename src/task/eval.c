#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "clip/find.h"
#include "task/eval_set.h"

typedef struct judge {
    clipc_ctx *ctx;
    size_t E;
    float *weights, *image, *logits; /* [n_classes,E], [E], [n_classes] */
    clipc_eval_result *result;
    size_t best; /* of the last picture: the class that came first, n_classes without */
    bool right;
    clipc_err why; /* the last picture that could not be encoded */
} judge;

static void judge_free(judge *j)
{
    free(j->weights);
    free(j->image);
    free(j->logits);
}

static int judge_open(judge *j, const eval_set *v, clipc_err *err)
{
    const clipc_model_info *i = clipc_model_info_of(clipc_ctx_model(j->ctx));
    const char *const *own = (const char *const *)v->templates;

    j->E = i->embed_dim;
    j->weights = malloc(v->n_classes * j->E * sizeof *j->weights);
    j->image = malloc(j->E * sizeof *j->image);
    j->logits = malloc(v->n_classes * sizeof *j->logits);
    if (!j->weights || !j->image || !j->logits)
        return clipc_fail_memory(err, v->path, v->n_classes * j->E * sizeof *j->weights);
    return clipc_classifier(j->ctx, j->weights, (const char *const *)v->classes,
                            v->n_classes, v->spec ? own : i->templates,
                            v->spec ? v->n_templates : i->n_templates, err);
}

static int encode(judge *j, const eval_set *v, const eval_sample *s)
{
    if (s->picture.data)
        return clipc_encode_image_memory(j->ctx, j->image, s->picture.data,
                                         s->picture.size, s->name, &j->why);
    char *path = path_join(v->folder, s->name);
    const int rc = path ? clipc_encode_image_file(j->ctx, j->image, path, &j->why)
                        : clipc_fail_memory(&j->why, v->path, 0);
    free(path);
    return rc;
}

/* The right class is right only ahead of all others: a tie is no success. */
static void judge_sample(judge *j, const eval_set *v, const eval_sample *s)
{
    const size_t set = v->set[s->label];
    size_t rank = 0;

    j->best = v->n_classes, j->right = false;
    j->result->pictures++;
    if (encode(j, v, s) != CLIPC_OK) {
        j->result->failed++;
        return;
    }
    j->best = set;
    clipc_similarity(j->logits, j->image, 1, j->weights, v->n_classes, j->E, 1.0f);
    for (size_t i = set; i < v->n_classes && v->set[i] == set; i++) {
        rank += i != s->label && !(j->logits[i] < j->logits[s->label]);
        if (j->logits[i] > j->logits[j->best]) j->best = i;
    }
    j->right = rank < 1;
    j->result->top1 += rank < 1;
    j->result->top5 += rank < 5;
}

static int judge_close(judge *j, double seconds, clipc_err *err)
{
    clipc_eval_result *r = j->result;

    r->top1 /= (double)r->pictures;
    r->top5 /= (double)r->pictures;
    r->seconds = seconds;
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
static int judge_all(clipc_eval_change *c, judge *judges, size_t n, const eval_set *v,
                     void (*on_progress)(void *user, size_t done, size_t total),
                     void *user, clipc_err *err)
{
    const double begin = clock_now();
    int rc = CLIPC_OK;

    for (size_t m = 0; rc == CLIPC_OK && m < n; m++) rc = judge_open(&judges[m], v, err);
    for (size_t i = 0; rc == CLIPC_OK && i < v->n; i++) {
        for (size_t m = 0; m < n; m++) judge_sample(&judges[m], v, &v->samples[i]);
        if (c) count_change(c, &judges[0], &judges[1]);
        if (on_progress) on_progress(user, i + 1, v->n);
    }
    for (size_t m = 0; rc == CLIPC_OK && m < n; m++)
        rc = judge_close(&judges[m], clock_now() - begin, err);
    return rc;
}

static int evaluate(clipc_eval_change *c, judge *judges, size_t n, const char *path,
                    void (*on_progress)(void *user, size_t done, size_t total),
                    void *user, clipc_err *err)
{
    const clipc_model_info *i = clipc_model_info_of(clipc_ctx_model(judges[0].ctx));
    char *found = NULL;
    eval_set v = {0};
    int rc = path ? CLIPC_OK : find_eval(&found, i->path, err);

    if (rc == CLIPC_OK) rc = eval_set_open(&v, path ? path : found, err);
    for (size_t m = 0; m < n; m++) {
        *judges[m].result = (clipc_eval_result){.classes = v.n_classes};
        memcpy(judges[m].result->name, v.name, sizeof v.name);
    }
    if (rc == CLIPC_OK) rc = judge_all(c, judges, n, &v, on_progress, user, err);
    for (size_t m = 0; m < n; m++) judge_free(&judges[m]);
    eval_set_free(&v);
    free(found);
    return rc;
}

int clipc_eval_zeroshot(clipc_eval_result *out, clipc_ctx *ctx, const char *path,
                        void (*on_progress)(void *user, size_t done, size_t total),
                        void *user, clipc_err *err)
{
    judge j = {.ctx = ctx, .result = out};

    return evaluate(NULL, &j, 1, path, on_progress, user, err);
}

int clipc_eval_compare(clipc_eval_change *out, clipc_ctx *a, clipc_ctx *b,
                       const char *path,
                       void (*on_progress)(void *user, size_t done, size_t total),
                       void *user, clipc_err *err)
{
    judge j[2] = {{.ctx = a, .result = &out->before}, {.ctx = b, .result = &out->after}};

    *out = (clipc_eval_change){.same = 0};
    return evaluate(out, j, 2, path, on_progress, user, err);
}

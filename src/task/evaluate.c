#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "clip/find.h"
#include "task/tasks.h"

/* *found: malloc'd path of what ships with the model where path is NULL. */
static int open_spec(eval_spec *s, char **found, clipc_ctx *ctx, const char *path,
                     const clipc_eval_options *options, clipc_err *err)
{
    const clipc_model_info *i = clipc_model_info_of(clipc_ctx_model(ctx));
    const int rc = path ? CLIPC_OK : find_eval(found, i->path, err);

    return rc == CLIPC_OK ? eval_spec_open(s, path ? path : *found, options, err) : rc;
}

int clipc_eval_check(const char *path, const clipc_eval_options *options, clipc_err *err)
{
    eval_spec s;
    const int rc = eval_spec_open(&s, path, options, err);

    if (rc == CLIPC_OK) eval_spec_free(&s);
    return rc;
}

static clipc_eval_result begin(const eval_spec *s)
{
    clipc_eval_result r = {
        .task = s->task, .pictures = s->test.n, .classes = s->classes.n};

    memcpy(r.name, s->name, sizeof r.name);
    return r;
}

int clipc_eval(clipc_eval_result *out, clipc_ctx *ctx, const char *path,
               const clipc_eval_options *options, clipc_err *err)
{
    static int (*const run[])(clipc_eval_result *, clipc_ctx *, const eval_spec *,
                              features_progress *,
                              clipc_err *) = {[CLIPC_EVAL_ZEROSHOT] = zeroshot_run,
                                              [CLIPC_EVAL_RETRIEVAL] = retrieval_run,
                                              [CLIPC_EVAL_LINEAR_PROBE] = probe_run};
    static const clipc_eval_options defaults;
    const clipc_eval_options *o = options ? options : &defaults;
    features_progress p = {
        .on = o->on_progress, .on_failed = o->on_failed, .user = o->user};
    const double start = clock_now();
    char *found = NULL;
    eval_spec s = {0};
    int rc = open_spec(&s, &found, ctx, path, options, err);

    if (rc == CLIPC_OK) {
        *out = begin(&s);
        rc = run[s.task](out, ctx, &s, &p, err);
        out->seconds = clock_now() - start;
    }
    eval_spec_free(&s);
    free(found);
    return rc;
}

int clipc_measure_min_score(float *out, clipc_ctx *ctx, const char *path,
                            const clipc_eval_options *options, clipc_err *err)
{
    features_progress p = {.on = options ? options->on_progress : NULL,
                           .user = options ? options->user : NULL};
    char *found = NULL;
    eval_spec s = {0};
    int rc = open_spec(&s, &found, ctx, path, options, err);

    if (rc == CLIPC_OK) rc = mismatch_run(out, ctx, &s, &p, err);
    eval_spec_free(&s);
    free(found);
    return rc;
}

int clipc_eval_compare(clipc_eval_change *out, clipc_ctx *a, clipc_ctx *b,
                       const char *path,
                       void (*on_progress)(void *user, size_t done, size_t total),
                       void *user, clipc_err *err)
{
    features_progress p = {.on = on_progress, .user = user};
    const double start = clock_now();
    char *found = NULL;
    eval_spec s = {0};
    int rc = open_spec(&s, &found, a, path, NULL, err);

    if (rc == CLIPC_OK && s.task != CLIPC_EVAL_ZEROSHOT)
        rc =
            clipc_fail(err, CLIPC_ERR_FEATURE, "%s: no zero-shot classification", s.path);
    if (rc == CLIPC_OK) {
        *out = (clipc_eval_change){.before = begin(&s), .after = begin(&s)};
        rc = zeroshot_compare(out, a, b, &s, &p, err);
        out->before.seconds = out->after.seconds = clock_now() - start;
    }
    eval_spec_free(&s);
    free(found);
    return rc;
}

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"

/* One evaluation: what its JSON says, and where it stands. */
typedef struct evaluation {
    json_t *spec;
    const char *path;
    char *folder;
    const char **classes, **templates;
    size_t n_classes, n_templates;
    float *weights, *image, *logits;
    buf samples;
} evaluation;

static void evaluation_free(evaluation *v)
{
    json_decref(v->spec);
    free(v->folder);
    free(v->classes);
    free(v->templates);
    free(v->weights);
    free(v->image);
    free(v->logits);
    buf_free(&v->samples);
}

static int get_strings(const char ***out, size_t *n, const evaluation *v, const char *key,
                       clipc_err *err)
{
    const json_t *list = json_object_get(v->spec, key);

    *n = json_array_size(list);
    *out = calloc(*n ? *n : 1, sizeof **out);
    if (!*out) return clipc_fail_memory(err, v->path, *n * sizeof **out);
    for (size_t i = 0; i < *n; i++)
        if (!((*out)[i] = json_string_value(json_array_get(list, i))))
            return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: \"%s\" holds what is no string",
                              v->path, key);
    return CLIPC_OK;
}

static int read_spec(evaluation *v, clipc_eval_result *out, clipc_err *err)
{
    static const char *const keys[] = {"name",    "task",    "templates",
                                       "classes", "samples", NULL};
    const char *name = "", *task = "", *samples = NULL;
    char *path = NULL;
    int rc = json_read(&v->spec, v->path, err);

    if (rc == CLIPC_OK) rc = json_check_keys(v->spec, keys, v->path, err);
    if (rc == CLIPC_OK) rc = json_get_string(&name, v->spec, "name", v->path, err);
    if (rc == CLIPC_OK) rc = json_get_string(&task, v->spec, "task", v->path, err);
    if (rc == CLIPC_OK) rc = json_get_string(&samples, v->spec, "samples", v->path, err);
    if (rc == CLIPC_OK && strcmp(task, "zeroshot") != 0)
        rc = clipc_fail(err, CLIPC_ERR_FEATURE, "%s: task \"%.40s\", wanted \"zeroshot\"",
                        v->path, task);
    if (rc == CLIPC_OK) rc = get_strings(&v->classes, &v->n_classes, v, "classes", err);
    if (rc == CLIPC_OK)
        rc = get_strings(&v->templates, &v->n_templates, v, "templates", err);
    if (rc == CLIPC_OK && (!v->n_classes || !samples))
        rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no \"classes\" or no \"samples\"",
                        v->path);
    if (rc != CLIPC_OK) return rc;
    strncpy(out->name, name, sizeof out->name - 1);
    out->classes = v->n_classes;
    v->folder = strndup(v->path, (size_t)(path_base(v->path) - v->path));
    path = v->folder ? path_join(*v->folder ? v->folder : ".", samples) : NULL;
    rc = path ? file_read(&v->samples, path, (size_t)1 << 30, err)
              : clipc_fail_memory(err, v->path, 0);
    free(path);
    return rc;
}

static int make_classifier(evaluation *v, clipc_ctx *ctx, size_t E, clipc_err *err)
{
    v->weights = malloc(v->n_classes * E * sizeof *v->weights);
    v->image = malloc(E * sizeof *v->image);
    v->logits = malloc(v->n_classes * sizeof *v->logits);
    if (!v->weights || !v->image || !v->logits)
        return clipc_fail_memory(err, v->path, v->n_classes * E * sizeof *v->weights);
    return clipc_classifier(ctx, v->weights, v->classes, v->n_classes, v->templates,
                            v->n_templates, err);
}

/* How many classes score at least as high as the right one. */
static size_t rank_of(const evaluation *v, size_t label)
{
    size_t better = 0;

    for (size_t i = 0; i < v->n_classes; i++)
        better += i != label && !(v->logits[i] < v->logits[label]);
    return better;
}

/* One line "path<TAB>class" (NUL-terminated) becomes a count; decoding failures are
 * counted, not fatal. */
static int eval_line(evaluation *v, clipc_eval_result *out, clipc_ctx *ctx, char *line,
                     size_t E, clipc_err *err)
{
    char *tab = strchr(line, '\t'), *end;
    const size_t label = tab ? strtoul(tab + 1, &end, 10) : 0;

    if (!tab || end == tab + 1 || *end || label >= v->n_classes)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: sample %zu: wanted path, tab, class below %zu", v->path,
                          out->pictures + 1, v->n_classes);
    *tab = '\0';
    char *path = path_join(*v->folder ? v->folder : ".", line);
    if (!path) return clipc_fail_memory(err, v->path, 0);
    if (clipc_encode_image_file(ctx, v->image, path, err) == CLIPC_OK) {
        clipc_similarity(v->logits, v->image, 1, v->weights, v->n_classes, E, 1.0f);
        const size_t rank = rank_of(v, label);
        out->top1 += rank < 1;
        out->top5 += rank < 5;
    } else {
        out->failed++;
    }
    out->pictures++;
    free(path);
    return CLIPC_OK;
}

int clipc_eval_zeroshot(clipc_eval_result *out, clipc_ctx *ctx, const char *spec_path,
                        void (*on_progress)(void *user, size_t done, size_t total),
                        void *user, clipc_err *err)
{
    evaluation v = {.path = spec_path};
    const double begin = clock_now();
    size_t total = 0, E = 0;
    int rc;

    *out = (clipc_eval_result){.name = ""};
    rc = read_spec(&v, out, err);
    if (rc == CLIPC_OK) {
        E = clipc_model_info_of(clipc_ctx_model(ctx))->embed_dim;
        rc = make_classifier(&v, ctx, E, err);
    }
    for (size_t i = 0; i < v.samples.len; i++) total += v.samples.data[i] == '\n';
    for (char *line = v.samples.data; rc == CLIPC_OK && line && *line;) {
        char *nl = strchr(line, '\n');
        if (nl) *nl = '\0';
        rc = eval_line(&v, out, ctx, line, E, err);
        if (on_progress) on_progress(user, out->pictures, total);
        line = nl ? nl + 1 : line + strlen(line);
    }
    if (rc == CLIPC_OK && !out->pictures)
        rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no samples", spec_path);
    if (rc == CLIPC_OK) {
        out->top1 /= (double)out->pictures;
        out->top5 /= (double)out->pictures;
        out->seconds = clock_now() - begin;
    }
    evaluation_free(&v);
    return rc;
}

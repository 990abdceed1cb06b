#include "task/eval_spec.h"

#include <stdlib.h>
#include <string.h>

static const char *const tasks[] = {[CLIPC_EVAL_ZEROSHOT] = "zeroshot",
                                    [CLIPC_EVAL_RETRIEVAL] = "retrieval",
                                    [CLIPC_EVAL_LINEAR_PROBE] = "linear_probe"};

const char *clipc_eval_task(int task)
{
    return task >= 0 && task <= CLIPC_EVAL_LINEAR_PROBE ? tasks[task] : NULL;
}

void eval_spec_free(eval_spec *s)
{
    for (size_t i = 0; i < s->n_templates; i++) free(s->templates[i]);
    free(s->templates);
    eval_set_free(&s->train);
    eval_set_free(&s->test);
    eval_classes_free(&s->classes);
    free(s->train_path);
    free(s->test_path);
    json_decref(s->json);
    *s = (eval_spec){0};
}

/* ---- a JSON file ---- */

static int no_string(const eval_spec *s, const char *key, clipc_err *err)
{
    return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: \"%s\" holds what is no string",
                      s->path, key);
}

static int get_classes(eval_spec *s, clipc_err *err)
{
    const json_t *list = json_object_get(s->json, "classes");
    int rc = CLIPC_OK;

    s->classes.closed = s->classes.numbered = list != NULL;
    for (size_t i = 0; rc == CLIPC_OK && i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        rc = name ? eval_classes_add(&s->classes, name, strlen(name), 0, err)
                  : no_string(s, "classes", err);
    }
    return rc;
}

static int get_templates(eval_spec *s, clipc_err *err)
{
    const json_t *list = json_object_get(s->json, "templates");
    const size_t n = json_array_size(list);

    s->templates = calloc(n ? n : 1, sizeof *s->templates);
    if (!s->templates) return clipc_fail_memory(err, s->path, n * sizeof *s->templates);
    for (; s->n_templates < n; s->n_templates++) {
        const char *t = json_string_value(json_array_get(list, s->n_templates));
        if (!t) return no_string(s, "templates", err);
        s->templates[s->n_templates] = strdup(t);
        if (!s->templates[s->n_templates])
            return clipc_fail_memory(err, s->path, strlen(t));
    }
    return CLIPC_OK;
}

static int get_task(eval_spec *s, clipc_err *err)
{
    const char *task = "";
    const int rc = json_get_string(&task, s->json, "task", s->path, err);

    if (rc != CLIPC_OK) return rc;
    for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++)
        if (strcmp(task, tasks[i]) == 0) return s->task = (int)i, CLIPC_OK;
    return clipc_fail(err, CLIPC_ERR_FEATURE,
                      "%s: task \"%.40s\", wanted \"%s\", \"%s\" or \"%s\"", s->path,
                      task, tasks[0], tasks[1], tasks[2]);
}

/* A path beside the JSON file; NULL where it names none. */
static int get_path(char **out, const eval_spec *s, const char *key, clipc_err *err)
{
    const int beside = (int)(path_base(s->path) - s->path);
    const char *name = NULL;
    buf path = {0};
    int rc = json_get_string(&name, s->json, key, s->path, err);

    if (rc != CLIPC_OK || !name) return rc;
    rc = buf_printf(&path, err, "%.*s%s", *name == '/' ? 0 : beside, s->path, name);
    *out = path.data;
    return rc;
}

static int read_json(eval_spec *s, clipc_err *err)
{
    static const char *const keys[] = {"name",    "task",  "templates", "classes",
                                       "samples", "train", "C",         NULL};
    const char *name = "";
    int rc = json_read(&s->json, s->path, err);

    if (rc == CLIPC_OK) rc = json_check_keys(s->json, keys, s->path, err);
    if (rc == CLIPC_OK) rc = json_get_string(&name, s->json, "name", s->path, err);
    if (rc == CLIPC_OK) rc = get_task(s, err);
    if (rc == CLIPC_OK) rc = json_get_f64(&s->C, s->json, "C", s->path, err);
    if (rc == CLIPC_OK) rc = get_path(&s->test_path, s, "samples", err);
    if (rc == CLIPC_OK) rc = get_path(&s->train_path, s, "train", err);
    if (rc == CLIPC_OK) rc = get_classes(s, err);
    if (rc == CLIPC_OK) rc = get_templates(s, err);
    if (rc != CLIPC_OK) return rc;
    strncpy(s->name, name, sizeof s->name - 1);
    return s->test_path
               ? CLIPC_OK
               : clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no \"samples\"", s->path);
}

/* ---- a bare set ---- */

static int take_options(eval_spec *s, const clipc_eval_options *o, clipc_err *err)
{
    eval_set_name(s->name, sizeof s->name, s->path);
    s->task = o ? o->task : CLIPC_EVAL_ZEROSHOT;
    s->C = o ? o->C : 0.0;
    s->test_path = strdup(s->path);
    if (o && o->train) s->train_path = strdup(o->train);
    return s->test_path && (s->train_path || !o || !o->train)
               ? CLIPC_OK
               : clipc_fail_memory(err, s->path, 0);
}

/* ---- what they name ---- */

static int open_labelled(eval_spec *s, clipc_err *err)
{
    const bool probe = s->task == CLIPC_EVAL_LINEAR_PROBE;
    int rc = CLIPC_OK;

    if (probe) rc = eval_set_open(&s->train, s->train_path, &s->classes, false, err);
    s->classes.closed |= probe;
    if (rc == CLIPC_OK)
        rc = eval_set_open(&s->test, s->test_path, &s->classes, !s->classes.closed, err);
    return rc == CLIPC_OK && s->classes.n < (probe ? 2 : 1)
               ? clipc_fail(err, CLIPC_ERR_FORMAT, "%s: too few classes", s->path)
               : rc;
}

/* What is said twice may be said differently. */
static int check_options(const eval_spec *s, const clipc_eval_options *o, clipc_err *err)
{
    const bool probe = o && o->task == CLIPC_EVAL_LINEAR_PROBE;

    if (o && !clipc_eval_task(o->task))
        return clipc_fail(err, CLIPC_ERR_ARG, "%s: no task %d", s->path, o->task);
    if (o && s->json && (o->task || o->train || o->C > 0.0))
        return clipc_fail(
            err, CLIPC_ERR_ARG,
            "%s: says itself what is measured: neither task nor C beside it", s->path);
    if (o && !probe && (o->train || o->C > 0.0))
        return clipc_fail(err, CLIPC_ERR_ARG,
                          "%s: C and a set to learn from are a linear probe's", s->path);
    return CLIPC_OK;
}

int eval_spec_open(eval_spec *s, const char *path, const clipc_eval_options *options,
                   clipc_err *err)
{
    int rc;

    *s = (eval_spec){.path = path};
    rc = eval_set_is(path) ? take_options(s, options, err) : read_json(s, err);
    if (rc == CLIPC_OK) rc = check_options(s, options, err);
    if (rc == CLIPC_OK && s->task == CLIPC_EVAL_LINEAR_PROBE && !s->train_path)
        rc = clipc_fail(err, CLIPC_ERR_FORMAT,
                        "%s: a linear probe, and no \"train\" to learn it from", path);
    if (rc == CLIPC_OK && !(s->C >= 0.0 && s->C <= 1e12))
        rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s: C is %g, wanted 0 to 1e12", path,
                        s->C);
    if (rc == CLIPC_OK)
        rc = s->task == CLIPC_EVAL_RETRIEVAL
                 ? eval_set_open(&s->test, s->test_path, NULL, false, err)
                 : open_labelled(s, err);
    if (rc != CLIPC_OK) eval_spec_free(s);
    return rc;
}

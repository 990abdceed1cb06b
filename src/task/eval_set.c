#include "task/eval_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES_LIMIT = 1 << 30 };

static void free_strings(char **v, size_t n)
{
    for (size_t i = 0; i < n; i++) free(v[i]);
    free(v);
}

void eval_set_free(eval_set *v)
{
    json_decref(v->spec);
    free(v->folder);
    buf_free(&v->lines);
    shard_free(&v->shard);
    free_strings(v->classes, v->n_classes);
    free_strings(v->templates, v->n_templates);
    free(v->set);
    free(v->samples);
    *v = (eval_set){0};
}

/* ---- a JSON file
 * ------------------------------------------------------------------------- */

static int get_strings(char ***out, size_t *n, const eval_set *v, const char *key,
                       clipc_err *err)
{
    const json_t *list = json_object_get(v->spec, key);
    const size_t size = json_array_size(list);

    *out = calloc(size ? size : 1, sizeof **out);
    if (!*out) return clipc_fail_memory(err, v->path, size * sizeof **out);
    for (; *n < size; ++*n) {
        const char *s = json_string_value(json_array_get(list, *n));
        if (!s)
            return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: \"%s\" holds what is no string",
                              v->path, key);
        (*out)[*n] = strdup(s);
        if (!(*out)[*n]) return clipc_fail_memory(err, v->path, strlen(s));
    }
    return CLIPC_OK;
}

/* A line "path<TAB>class", which is cut at the tab. */
static int read_line(eval_set *v, char *line, clipc_err *err)
{
    char *tab = strchr(line, '\t'), *end;
    const size_t label = tab ? strtoul(tab + 1, &end, 10) : 0;

    if (!tab || end == tab + 1 || *end || label >= v->n_classes)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: sample %zu: wanted path, tab, class below %zu", v->path,
                          v->n + 1, v->n_classes);
    *tab = '\0';
    v->samples[v->n++] = (eval_sample){.name = line, .label = label};
    return CLIPC_OK;
}

static int read_lines(eval_set *v, const char *name, clipc_err *err)
{
    char *path = path_join(v->folder, name);
    size_t n = 1;
    int rc = path ? file_read(&v->lines, path, SAMPLES_LIMIT, err)
                  : clipc_fail_memory(err, v->path, 0);

    free(path);
    if (rc != CLIPC_OK) return rc;
    for (size_t i = 0; i < v->lines.len; i++) n += v->lines.data[i] == '\n';
    v->set = calloc(v->n_classes, sizeof *v->set);
    v->samples = calloc(n, sizeof *v->samples);
    if (!v->set || !v->samples)
        return clipc_fail_memory(err, v->path, n * sizeof *v->samples);
    for (char *line = v->lines.data; rc == CLIPC_OK && line && *line;) {
        char *nl = strchr(line, '\n');
        if (nl) *nl = '\0';
        rc = read_line(v, line, err);
        line = nl ? nl + 1 : NULL;
    }
    return rc;
}

static int read_spec(eval_set *v, clipc_err *err)
{
    static const char *const keys[] = {"name",    "task",    "templates",
                                       "classes", "samples", NULL};
    const char *name = "", *task = "", *samples = NULL;
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
    strncpy(v->name, name, sizeof v->name - 1);
    const size_t n = (size_t)(path_base(v->path) - v->path);
    v->folder = n ? strndup(v->path, n) : strdup(".");
    return v->folder ? read_lines(v, samples, err) : clipc_fail_memory(err, v->path, n);
}

/* ---- a shard
 * ----------------------------------------------------------------------------- */

static size_t folder_length(const char *key)
{
    return (size_t)(path_base(key) - key);
}

static bool same_folder(const char *a, const char *b)
{
    const size_t n = folder_length(a);
    return n == folder_length(b) && memcmp(a, b, n) == 0;
}

/* The class of that name in a set, added to it if it is new. */
static int class_of(size_t *out, eval_set *v, const char *name, size_t len, size_t set,
                    clipc_err *err)
{
    size_t i = set;

    while (i < v->n_classes &&
           (strncmp(v->classes[i], name, len) != 0 || v->classes[i][len]))
        i++;
    *out = i;
    if (i < v->n_classes) return CLIPC_OK;
    v->classes[i] = strndup(name, len);
    if (!v->classes[i]) return clipc_fail_memory(err, v->path, len);
    v->set[v->n_classes++] = set;
    return CLIPC_OK;
}

/* The picture is whatever lies beside the text. */
static int read_sample(eval_set *v, const shard_sample *in, clipc_err *err)
{
    const shard_part *text = shard_find(in, "txt");
    const shard_part *picture = in->n == 2 ? &in->parts[text == in->parts] : NULL;
    const eval_sample *last = v->n ? &v->samples[v->n - 1] : NULL;
    eval_sample s = {.name = in->key};
    size_t len = 0, set = v->n_classes;
    int rc;

    while (text && len < text->bytes.size && text->bytes.data[len] >= ' ') len++;
    if (!picture || !len)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: %s: wanted a picture and a .txt with its label", v->path,
                          in->key);
    if (last && same_folder(last->name, in->key)) set = v->set[last->label];
    rc = class_of(&s.label, v, (const char *)text->bytes.data, len, set, err);
    s.picture = picture->bytes;
    if (rc == CLIPC_OK) v->samples[v->n++] = s;
    return rc;
}

/* "folder/stem" is all that a shard tells of its name. */
static void name_shard(eval_set *v)
{
    const char *base = path_base(v->path), *from = base;

    if (from > v->path) from--;
    while (from > v->path && from[-1] != '/') from--;
    snprintf(v->name, sizeof v->name, "%.*s", (int)(strstr(base, ".tar") - from), from);
}

static int read_shard(eval_set *v, clipc_err *err)
{
    int rc = shard_open(&v->shard, v->path, SAMPLES_LIMIT, err);
    const size_t n = v->shard.n ? v->shard.n : 1;

    if (rc != CLIPC_OK) return rc;
    name_shard(v);
    v->classes = calloc(n, sizeof *v->classes);
    v->set = calloc(n, sizeof *v->set);
    v->samples = calloc(n, sizeof *v->samples);
    if (!v->classes || !v->set || !v->samples)
        rc = clipc_fail_memory(err, v->path, n * sizeof *v->samples);
    for (size_t i = 0; rc == CLIPC_OK && i < v->shard.n; i++)
        rc = read_sample(v, &v->shard.samples[i], err);
    return rc;
}

int eval_set_open(eval_set *v, const char *path, clipc_err *err)
{
    int rc;

    *v = (eval_set){.path = path};
    rc = shard_is(path) ? read_shard(v, err) : read_spec(v, err);
    if (rc == CLIPC_OK && !v->n)
        rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no samples", path);
    if (rc != CLIPC_OK) eval_set_free(v);
    return rc;
}

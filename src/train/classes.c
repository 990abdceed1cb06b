#include "train/classes.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/sizes.h"
#include "nn/rows.h"

enum { NAMES_LIMIT = 1 << 26 };

struct classes {
    const char *path;
    const clip_cfg *student;
    json_t *names, *templates; /* templates: NULL or empty: the student's */
    size_t n, texts; /* classes; texts: for each template those of all classes */
    bool known;
    arena mem;
    int32_t *ids;      /* [texts,context_length] */
    float *x, *x_norm; /* [texts,E] the texts' unit features, [texts] */
    float *dx;         /* [texts,E] */
    float *y, *y_norm; /* [n,E] directions, [n] */
    float *dy;         /* [n,E] */
    float *teacher;    /* [n,teacher_E] */
};

void classes_free(classes *c)
{
    if (!c) return;
    json_decref(c->names);
    json_decref(c->templates);
    arena_free(&c->mem);
    free(c);
}

/* ---- what the file says ---- */

static int add_line(classes *c, const char *line, size_t len, clipc_err *err)
{
    json_t *name = json_stringn(line, len);

    if (!name) return clipc_fail(err, CLIPC_ERR_TEXT, "%s: a class is no UTF-8", c->path);
    return json_array_append_new(c->names, name) ? clipc_fail_memory(err, c->path, len)
                                                 : CLIPC_OK;
}

static int read_lines(classes *c, clipc_err *err)
{
    buf text = {0};
    int rc = file_read(&text, c->path, NAMES_LIMIT, err);

    if (!(c->names = json_array())) rc = clipc_fail_memory(err, c->path, 0);
    for (size_t at = 0; rc == CLIPC_OK && at < text.len;) {
        const size_t len = strcspn(text.data + at, "\r\n");
        if (len) rc = add_line(c, text.data + at, len, err);
        at += len + 1;
    }
    buf_free(&text);
    return rc;
}

static int read_json(classes *c, clipc_err *err)
{
    json_t *root = NULL;
    const int rc = json_read(&root, c->path, err);

    if (rc != CLIPC_OK) return rc;
    c->names = json_incref(json_object_get(root, "classes"));
    c->templates = json_incref(json_object_get(root, "templates"));
    json_decref(root);
    return CLIPC_OK;
}

static int check(const classes *c, clipc_err *err)
{
    int rc = CLIPC_OK;

    if (json_array_size(c->names) < 2)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: fewer than two classes", c->path);
    if (c->templates && !json_is_array(c->templates))
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: \"templates\" is no list", c->path);
    for (size_t i = 0; i < json_array_size(c->names); i++)
        if (!json_is_string(json_array_get(c->names, i)))
            return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: a class is no string", c->path);
    for (size_t i = 0; rc == CLIPC_OK && i < json_array_size(c->templates); i++) {
        const char *t = json_string_value(json_array_get(c->templates, i));
        rc =
            t ? template_check(t, err)
              : clipc_fail(err, CLIPC_ERR_FORMAT, "%s: a template is no string", c->path);
    }
    return rc;
}

int classes_open(classes **out, const char *path, const clip_cfg *student, clipc_err *err)
{
    classes *c = calloc(1, sizeof *c);
    int rc;

    *out = NULL;
    if (!c) return clipc_fail_memory(err, path, sizeof *c);
    c->path = path, c->student = student;
    rc = strcmp(path_ending(path), "json") == 0 ? read_json(c, err) : read_lines(c, err);
    if (rc == CLIPC_OK) rc = check(c, err);
    if (rc != CLIPC_OK) {
        classes_free(c);
        return rc;
    }
    const size_t own = json_array_size(c->templates);
    c->n = json_array_size(c->names);
    c->texts = c->n * max_size(1, own ? own : student->n_templates);
    *out = c;
    return CLIPC_OK;
}

size_t classes_count(const classes *c)
{
    return c->n;
}

static const char *template_at(const classes *c, size_t i)
{
    if (json_array_size(c->templates))
        return json_string_value(json_array_get(c->templates, i));
    return c->student->n_templates ? c->student->templates[i] : "{}";
}

/* ids [texts,T], in the order of texts. */
static int make_ids(int32_t *ids, const classes *c, const tokenizer *t, size_t T,
                    clipc_err *err)
{
    tokens_work work;
    buf text = {0};
    int rc = tokens_work_new(&work, t, err);

    for (size_t i = 0; rc == CLIPC_OK && i < c->texts; i++) {
        const char *name = json_string_value(json_array_get(c->names, i % c->n));
        size_t n;
        buf_clear(&text);
        rc = template_fill(&text, template_at(c, i / c->n), name, err);
        if (rc == CLIPC_OK)
            rc = tokenizer_run(t, &work, ids + i * T, T, &n,
                               (text_span){text.data, text.len}, false, c->path, err);
    }
    buf_free(&text);
    tokens_work_free(&work);
    return rc;
}

/* ---- directions ---- */

static void take(classes *c, arena *a, size_t teacher_E)
{
    const size_t E = c->student->image.embed_dim;

    c->ids = arena_take(a, c->texts * c->student->text.context_length, sizeof *c->ids);
    c->x = ARENA_FLOATS(a, c->texts * E);
    c->x_norm = ARENA_FLOATS(a, c->texts);
    c->dx = ARENA_FLOATS(a, c->texts * E);
    c->y = ARENA_FLOATS(a, c->n * E);
    c->y_norm = ARENA_FLOATS(a, c->n);
    c->dy = ARENA_FLOATS(a, c->n * E);
    c->teacher = ARENA_FLOATS(a, c->n * teacher_E);
}

int classes_make(classes *c, size_t *bytes, size_t teacher_E, clipc_err *err)
{
    arena measure = arena_measure();

    take(c, &measure, teacher_E);
    const int rc = arena_make(&c->mem, bytes, &measure, c->path, err);
    if (rc == CLIPC_OK && !bytes) take(c, &c->mem, teacher_E);
    return rc;
}

/* y [n,E], not yet of unit length, = the sums of each class's rows of x. */
static void add_up(exec *e, const classes *c, float *y, const float *x, size_t E)
{
    memset(y, 0, c->n * E * sizeof *y);
    for (size_t at = 0; at < c->texts; at += c->n) e->k->add(y, x + at * E, c->n * E);
}

int classes_ask(classes *c, const tokenizer *student, teacher *t, exec *e, clipc_err *err)
{
    const teacher_input *wants = teacher_wants(t);
    const size_t T = wants->context_length, E = teacher_dim(t);
    int32_t *ids = calloc(c->texts, T * sizeof *ids);
    float *x = calloc(c->texts, E * sizeof *x);
    int rc = ids && x ? make_ids(c->ids, c, student, c->student->text.context_length, err)
                      : clipc_fail_memory(err, c->path, c->texts * E * sizeof *x);

    if (rc == CLIPC_OK) rc = make_ids(ids, c, wants->tokenizer, T, err);
    if (rc == CLIPC_OK) {
        teacher_encode(t, e, x, ids, c->texts);
        add_up(e, c, c->teacher, x, E);
        rows_normalize_fwd(e, c->teacher, NULL, c->teacher, c->n, E);
    }
    free(ids);
    free(x);
    return rc;
}

/* Features of a chunk of the texts, from `at` on. */
static void chunk_fwd(const classes *c, exec *e, const net *n, void *acts, size_t at,
                      size_t chunk)
{
    const size_t E = n->cfg.image.embed_dim, T = n->cfg.text.context_length;

    n->text_ops->fwd(e, n->text, acts, c->x + at * E, c->ids + at * T,
                     min_size(chunk, c->texts - at));
}

void classes_fwd(classes *c, exec *e, const net *n, void *acts, size_t chunk, bool learns)
{
    const size_t E = n->cfg.image.embed_dim;

    memset(c->dy, 0, c->n * E * sizeof *c->dy);
    if (c->known) return;
    for (size_t at = 0; at < c->texts; at += chunk) chunk_fwd(c, e, n, acts, at, chunk);
    rows_normalize_fwd(e, c->x, c->x_norm, c->x, c->texts, E);
    add_up(e, c, c->y, c->x, E);
    rows_normalize_fwd(e, c->y, c->y_norm, c->y, c->n, E);
    c->known = !learns;
}

void classes_bwd(classes *c, exec *e, const net *n, net *grads, void *acts, size_t chunk)
{
    const size_t E = n->cfg.image.embed_dim;

    rows_normalize_bwd(e, c->dy, c->dy, c->y, c->y_norm, c->n, E);
    for (size_t at = 0; at < c->texts; at += c->n)
        rows_normalize_bwd(e, c->dx + at * E, c->dy, c->x + at * E, c->x_norm + at, c->n,
                           E);
    for (size_t at = 0; at < c->texts; at += chunk) {
        chunk_fwd(c, e, n, acts, at, chunk);
        n->text_ops->bwd(e, n->text, grads->text, acts, c->dx + at * E,
                         min_size(chunk, c->texts - at));
    }
}

const float *classes_student(const classes *c)
{
    return c->y;
}

const float *classes_teacher(const classes *c)
{
    return c->teacher;
}

float *classes_grads(const classes *c)
{
    return c->dy;
}

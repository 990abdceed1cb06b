#include "train/history.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"

/* The rate is the mean over so many of the last logged steps. */
enum { RATE_STEPS = 20, LOG_LIMIT = 1 << 30 };

typedef struct reading {
    history *h;
    const char *path;
    double rates[RATE_STEPS]; /* images a second */
    size_t n_rates;
    clipc_err *err;
} reading;

void history_free(history *h)
{
    for (size_t i = 0; i < h->n; i++) {
        free(h->curves[i].x);
        free(h->curves[i].y);
    }
    free(h->curves);
    *h = (history){0};
}

static int curve_of(curve **out, reading *r, const char *name, const char *unit)
{
    history *h = r->h;

    for (size_t i = 0; i < h->n; i++)
        if (strcmp(h->curves[i].name, name) == 0) return *out = &h->curves[i], CLIPC_OK;
    curve *v = realloc(h->curves, (h->n + 1) * sizeof *v);
    if (!v) return clipc_fail_memory(r->err, r->path, (h->n + 1) * sizeof *v);
    h->curves = v;
    *out = &v[h->n++];
    **out = (curve){.unit = unit};
    snprintf((*out)->name, sizeof(*out)->name, "%s", name);
    return CLIPC_OK;
}

static int add(reading *r, const char *name, const char *unit, size_t step, double y)
{
    curve *c = NULL;
    const int rc = curve_of(&c, r, name, unit);

    if (rc != CLIPC_OK) return rc;
    if (c->n == c->cap) {
        const size_t cap = c->cap ? 2 * c->cap : 256;
        double *xs = realloc(c->x, cap * sizeof *xs);
        if (xs) c->x = xs;
        double *ys = realloc(c->y, cap * sizeof *ys);
        if (ys) c->y = ys;
        if (!xs || !ys) return clipc_fail_memory(r->err, r->path, cap * sizeof *ys);
        c->cap = cap;
    }
    c->x[c->n] = (double)step;
    c->y[c->n++] = y;
    return CLIPC_OK;
}

static double number(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

static size_t count(const json_t *o, const char *key)
{
    const json_int_t n = json_integer_value(json_object_get(o, key));
    return n > 0 ? (size_t)n : 0;
}

static void recalls(double out[3], const json_t *o, const char *key)
{
    for (size_t i = 0; i < 3; i++)
        out[i] = json_number_value(json_array_get(json_object_get(o, key), i));
}

static int read_begin(reading *r, const json_t *o)
{
    r->h->last.steps = count(o, "steps");
    r->h->last.batch = count(o, "batch");
    return CLIPC_OK;
}

/* A loss that was no number is null, or below 0 in logs of old. */
static int read_step(reading *r, const json_t *o, size_t step)
{
    clipc_train_state *s = &r->h->last;
    int rc = CLIPC_OK;

    s->step = step;
    s->loss = json_is_number(json_object_get(o, "loss")) ? number(o, "loss") : NAN;
    if (s->loss < 0) s->loss = NAN;
    s->lr = number(o, "lr");
    s->skipped = count(o, "skipped");
    s->broken = count(o, "broken");
    r->rates[r->n_rates++ % RATE_STEPS] = number(o, "images_per_second");
    if (s->loss >= 0) rc = add(r, "loss", "nats", step, s->loss);
    return rc == CLIPC_OK ? add(r, "learning rate", "1", step, s->lr) : rc;
}

/* With "ema_" what is last is the average's, by which the best is chosen. */
static int read_val(reading *r, const json_t *o, size_t step)
{
    const bool averaged = json_object_get(o, "ema_val_top1") != NULL;
    clipc_train_state *s = &r->h->last;

    s->val_step = step;
    s->val.averaged = averaged;
    s->val.top1 = number(o, averaged ? "ema_val_top1" : "val_top1");
    s->val.top5 = number(o, averaged ? "ema_val_top5" : "val_top5");
    recalls(s->val.image_to_text, o, averaged ? "ema_i2t" : "i2t");
    recalls(s->val.text_to_image, o, averaged ? "ema_t2i" : "t2i");
    const int rc = add(r, "held-out top-1", "%", step, 100 * number(o, "val_top1"));
    return rc == CLIPC_OK && averaged ? add(r, "held-out top-1 of the moving average",
                                            "%", step, 100 * s->val.top1)
                                      : rc;
}

static void keep_eval(history *h, const clipc_eval_result *e, size_t step)
{
    clipc_train_state *s = &h->last;

    if (step != h->last_eval) s->n_evals = 0;
    h->last_eval = s->eval_step = step;
    if (s->n_evals < CLIPC_TRAIN_EVALS) s->evals[s->n_evals++] = *e;
}

static int read_eval(reading *r, const json_t *o, const char *name, size_t step)
{
    const char *task = json_string_value(json_object_get(o, "task"));
    clipc_eval_result e = {.pictures = count(o, "pictures"),
                           .captions = count(o, "captions"),
                           .classes = count(o, "classes"),
                           .failed = count(o, "failed"),
                           .trained_on = count(o, "trained_on"),
                           .top1 = number(o, "top1"),
                           .top5 = number(o, "top5"),
                           .C = number(o, "C"),
                           .seconds = number(o, "seconds")};
    char title[96];
    int rc;

    while (e.task < CLIPC_EVAL_LINEAR_PROBE &&
           (!task || strcmp(task, clipc_eval_task(e.task)) != 0))
        e.task++;
    snprintf(e.name, sizeof e.name, "%s", name);
    recalls(e.image_to_text, o, "image_to_text");
    recalls(e.text_to_image, o, "text_to_image");
    keep_eval(r->h, &e, step);
    if (e.task != CLIPC_EVAL_RETRIEVAL) {
        snprintf(title, sizeof title, "%.63s top-1", name);
        return add(r, title, "%", step, 100 * e.top1);
    }
    snprintf(title, sizeof title, "%.63s image to text R@1", name);
    rc = add(r, title, "%", step, 100 * e.image_to_text[0]);
    snprintf(title, sizeof title, "%.63s text to image R@1", name);
    return rc == CLIPC_OK ? add(r, title, "%", step, 100 * e.text_to_image[0]) : rc;
}

static int read_line(reading *r, const char *line, size_t len, size_t number)
{
    char where[300];
    json_t *o = NULL;
    size_t step = 0;

    snprintf(where, sizeof where, "%.250s: line %zu", r->path, number);
    int rc = json_parse_line(&o, line, len, where, r->err);
    if (rc == CLIPC_OK) rc = json_get_size(&step, o, "step", where, r->err);
    const char *eval = json_string_value(json_object_get(o, "eval"));
    if (rc == CLIPC_OK)
        rc = eval                                ? read_eval(r, o, eval, step)
             : json_object_get(o, "val_top1")    ? read_val(r, o, step)
             : json_object_get(o, "logit_scale") ? read_step(r, o, step)
             : json_object_get(o, "steps")       ? read_begin(r, o)
                                                 : CLIPC_OK;
    json_decref(o);
    return rc;
}

static void set_rate(reading *r)
{
    clipc_train_state *s = &r->h->last;
    const size_t n = r->n_rates < RATE_STEPS ? r->n_rates : RATE_STEPS;
    double seconds = 0.0; /* an image */

    for (size_t i = 0; i < n; i++)
        if (r->rates[i] > 0) seconds += 1.0 / r->rates[i] / (double)n;
    s->images_per_second = seconds > 0 ? 1.0 / seconds : 0.0;
    s->seconds_left = s->steps >= s->step && s->batch && seconds > 0
                          ? (double)(s->steps - s->step) * (double)s->batch * seconds
                          : -1.0;
}

int history_read(history *h, const char *folder, clipc_err *err)
{
    char *path = path_join(folder, "log.jsonl");
    reading r = {.h = h, .path = path, .err = err};
    curve *c;
    buf log = {0};
    int rc =
        path ? file_read(&log, path, LOG_LIMIT, err) : clipc_fail_memory(err, folder, 0);

    *h = (history){0};
    if (rc == CLIPC_OK) rc = curve_of(&c, &r, "loss", "nats");
    if (rc == CLIPC_OK) rc = curve_of(&c, &r, "learning rate", "1");
    for (size_t i = 0, line = 1; rc == CLIPC_OK && i < log.len; line++) {
        const char *nl = memchr(log.data + i, '\n', log.len - i);
        if (!nl) break;
        rc = read_line(&r, log.data + i, (size_t)(nl - log.data) - i, line);
        i = (size_t)(nl - log.data) + 1;
    }
    if (rc == CLIPC_OK && !h->curves[CURVE_RATE].n)
        rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no steps logged yet", path);
    if (rc == CLIPC_OK) set_rate(&r);
    else history_free(h);
    buf_free(&log);
    free(path);
    return rc;
}

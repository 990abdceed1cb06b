#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clip/names.h"
#include "task/checkup.h"

/* What can be wrong with the values of a tensor. */
enum {
    NOT_FINITE,
    NEGATIVE,
    ZERO,
    HOLES,
    CONSTANT,
    VANISHING,
    HUGE_ONES,
    DENORMAL,
    TROUBLES
};

static const struct {
    int severity;
    const char *what;
} troubles[TROUBLES] = {
    [NOT_FINITE] = {CLIPC_FOUND_PROBLEM, "with NaN or infinity: fetch or convert anew"},
    [NEGATIVE] = {CLIPC_FOUND_PROBLEM, "of variances below 0, of which there is no root"},
    [ZERO] = {CLIPC_FOUND_WARNING, "of zeros alone: lost, or never trained"},
    [HOLES] = {CLIPC_FOUND_WARNING,
               "with zeros in a quarter of the rows or more: an incomplete download?"},
    [CONSTANT] = {CLIPC_FOUND_WARNING, "of one number alone: never trained"},
    [VANISHING] = {CLIPC_FOUND_WARNING, "of numbers that are next to nothing (< 1e-6)"},
    [HUGE_ONES] = {CLIPC_FOUND_WARNING,
                   "with numbers above 10000: read in a wrong type or byte order?"},
    [DENORMAL] = {CLIPC_FOUND_WARNING,
                  "with denormal numbers: read in a wrong type or byte order?"},
};

/* A walk over the tensors that the net wants. */
typedef struct survey {
    checkup *c;
    const model_source *s;
    bool *used;   /* of each tensor of the file */
    float *plain; /* its values */
    size_t room;
    few missing, misshapen, bad[TROUBLES];
    clipc_err shape; /* of the first misshapen one */
    size_t n, numbers;
    float largest;
    char largest_in[NAME_MAX_LEN];
    double scale; /* the stored logarithm; NAN without one */
    double bias;  /* NAN without one */
} survey;

/* ---- values ---- */

typedef struct values {
    size_t rows, zero_rows, bad, denormal;
    double squares;
    float largest, least, most;
} values;

/* x [rows,cols] */
static values look(const kernels *k, const float *x, size_t rows, size_t cols)
{
    values v = {.rows = rows, .least = INFINITY, .most = -INFINITY};

    for (size_t r = 0; r < rows; r++, x += cols) {
        const float largest = k->max_abs(x, cols);
        size_t denormal = 0;
        v.bad += !isfinite(largest);
        v.zero_rows += largest == 0.0f;
        if (largest > v.largest) v.largest = largest;
        v.squares += k->dot(x, x, cols);
        for (size_t c = 0; c < cols; c++) {
            denormal += fabsf(x[c]) < FLT_MIN && x[c] != 0.0f;
            v.least = x[c] < v.least ? x[c] : v.least;
            v.most = x[c] > v.most ? x[c] : v.most;
        }
        v.denormal += denormal;
    }
    return v;
}

static bool ends_with(const char *name, const char *end)
{
    const size_t n = strlen(name), e = strlen(end);

    return n >= e && strcmp(name + n - e, end) == 0;
}

static void judge(survey *w, const net_tensor *t, const values *v, size_t n)
{
    const param_kind kind = t->p->kind;
    const bool multiplies = kind == PARAM_LINEAR || kind == PARAM_CONV,
               /* RoBERTa's table of one or two kinds of text is of zeros. */
        matrix = multiplies || (t->p->n_dims >= 2 && v->rows > 2);
    int what = TROUBLES;

    if (v->bad) what = NOT_FINITE;
    else if (ends_with(t->p->name, "running_var") && v->least < 0.0f) what = NEGATIVE;
    else if (matrix && v->zero_rows == v->rows) what = ZERO;
    else if (matrix && v->rows > 8 && v->zero_rows >= v->rows / 4) what = HOLES;
    else if (matrix && n > 1 && v->least == v->most) what = CONSTANT;
    else if (multiplies && sqrt(v->squares / (double)n) < 1e-6) what = VANISHING;
    else if (kind != PARAM_STAT && v->largest > 1e4f) what = HUGE_ONES;
    else if (matrix && v->denormal > n / 100) what = DENORMAL;
    if (what < TROUBLES) few_add(&w->bad[what], t->name);
}

/* The values of a stored tensor; how many there are. */
static int read_values(survey *w, size_t *n, const net_tensor *t, clipc_err *err)
{
    *n = w->s->packed ? t->p->n : t->t->n;
    if (*n > w->room) {
        free(w->plain);
        w->room = *n;
        w->plain =
            *n <= SIZE_MAX / sizeof *w->plain ? malloc(*n * sizeof *w->plain) : NULL;
        if (!w->plain) return clipc_fail_memory(err, t->name, *n);
    }
    if (w->s->packed) weights_unpack(w->plain, t->p, t->t->data, w->s->form, w->c->k);
    else dtype_to_f32(w->c->k, w->plain, t->t->data, t->t->dt, *n);
    tensor_forget(w->s->weights, t->t);
    return CLIPC_OK;
}

static int check_values(survey *w, const net_tensor *t, clipc_err *err)
{
    size_t n, rows;
    const int rc = read_values(w, &n, t, err);

    if (rc != CLIPC_OK || !n) return rc;
    rows = t->p->n_dims > 1 && n % t->p->dims[0] == 0 ? t->p->dims[0] : 1;
    if (!w->s->packed && t->t->n_dims > 1) rows = t->t->dims[0];
    const values v = look(w->c->k, w->plain, rows, n / rows);
    judge(w, t, &v, n);
    w->n++, w->numbers += n;
    if (v.largest > w->largest && t->p->n_dims > 0 && t->p->kind != PARAM_STAT) {
        w->largest = v.largest;
        snprintf(w->largest_in, sizeof w->largest_in, "%s", t->name);
    }
    if (strcmp(t->p->name, "logit_scale") == 0) w->scale = (double)*w->plain;
    if (strcmp(t->p->name, "logit_bias") == 0) w->bias = (double)*w->plain;
    return CLIPC_OK;
}

static void say_values(survey *w)
{
    bool any = false;

    for (int i = 0; i < TROUBLES; i++) {
        if (!w->bad[i].n) continue;
        checkup_say(w->c, troubles[i].severity, "values", "%zu of %zu tensors %s: %s",
                    w->bad[i].n, w->n, troubles[i].what, few_text(&w->bad[i]));
        any = true;
        w->c->broken |= troubles[i].severity == CLIPC_FOUND_PROBLEM;
    }
    if (!any)
        checkup_say(w->c, CLIPC_FOUND_OK, "values",
                    "%zu numbers, all finite; the largest %.4g, in %s", w->numbers,
                    (double)w->largest, w->largest_in);
}

/* ---- the scale of the logits ---- */

/* Training keeps exp(logit_scale) at 100 or below; SigLIP's goes a little beyond. */
static void say_scale(survey *w)
{
    const bool sigmoid = !isnan(w->bias);
    const double scale = exp(w->scale);
    const int warning = CLIPC_FOUND_WARNING;

    if (isnan(w->scale))
        checkup_say(w->c, CLIPC_FOUND_NOTE, "scale", "none is stored: 100 is taken");
    else if (w->scale > 20.0)
        checkup_say(
            w->c, warning, "scale",
            "logit_scale is %.4g, and its exponential the scale: this looks like the "
            "scale itself; store its logarithm",
            w->scale);
    else if (scale < 1.0 || scale > (sigmoid ? 300.0 : 100.5))
        checkup_say(w->c, warning, "scale", "%.4g; %s: probabilities will be too %s",
                    scale,
                    sigmoid ? "SigLIP's are near 100" : "training keeps it from 1 to 100",
                    scale < 1.0 ? "even" : "sharp");
    else if (sigmoid && (w->bias > 0.0 || w->bias < -40.0))
        checkup_say(w->c, warning, "scale",
                    "%.4g with a bias of %.4g; SigLIP's are between -20 and -5", scale,
                    w->bias);
    else if (fabs(w->scale - log(1.0 / 0.07)) < 1e-6)
        checkup_say(w->c, CLIPC_FOUND_NOTE, "scale",
                    "%.4g, what training begins with: the model looks untrained", scale);
    else if (sigmoid)
        checkup_say(w->c, CLIPC_FOUND_OK, "scale", "%.4g, bias %.4g", scale, w->bias);
    else checkup_say(w->c, CLIPC_FOUND_OK, "scale", "%.4g", scale);
}

/* ---- which there are ---- */

static int on_tensor(void *user, const net_tensor *t, clipc_err *err)
{
    survey *w = user;

    if (t->t) w->used[t->t - tensor_file_at(w->s->weights, 0)] = true;
    if (!t->t) few_add(&w->missing, t->name);
    if (t->t && t->rc != CLIPC_OK && !w->misshapen.n) w->shape = *err;
    if (t->t && t->rc != CLIPC_OK) few_add(&w->misshapen, t->name);
    return t->rc == CLIPC_OK ? check_values(w, t, err) : CLIPC_OK;
}

/* Counts one of a kind. */
typedef struct spares {
    const char *what[8];
    size_t n[8];
} spares;

static void spares_add(spares *s, const char *what)
{
    size_t i = 0;

    while (i < 7 && s->what[i] && strcmp(s->what[i], what) != 0) i++;
    s->what[i] = what;
    s->n[i]++;
}

static void say_spares(survey *w, const spares *s)
{
    char text[256] = "";

    for (size_t i = 0, at = 0; i < 8 && s->what[i] && at < sizeof text; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%zu of %s", i ? ", " : "",
                               s->n[i], s->what[i]);
    if (*text)
        checkup_say(w->c, CLIPC_FOUND_NOTE, "tensors",
                    "beside the weights, as such files have: %s", text);
}

static void say_unused(survey *w)
{
    const tensor_file *f = w->s->weights;
    few unused = {0};
    spares spare = {0};

    for (size_t i = 0; i < tensor_file_count(f); i++) {
        const char *name = tensor_file_at(f, i)->name, *what = names_spare(name);
        if (w->used[i]) continue;
        if (what) spares_add(&spare, what);
        else few_add(&unused, name);
    }
    say_spares(w, &spare);
    if (unused.n)
        checkup_say(w->c, CLIPC_FOUND_WARNING, "tensors",
                    "%zu that this model does not use: %s; if they matter, the config is "
                    "of another model",
                    unused.n, few_text(&unused));
}

static void say_tensors(survey *w, const net *n)
{
    if (w->missing.n)
        checkup_say(w->c, CLIPC_FOUND_PROBLEM, "tensors",
                    "%zu missing: %s; the download is incomplete, or the config is of "
                    "another model",
                    w->missing.n, few_text(&w->missing));
    if (w->misshapen.n)
        checkup_say(w->c, CLIPC_FOUND_PROBLEM, "tensors", "%s%s%s", w->shape.msg,
                    w->misshapen.n > 1 ? "; also others: " : "",
                    w->misshapen.n > 1 ? few_text(&w->misshapen) : "");
    say_unused(w);
    w->c->broken |= w->missing.n || w->misshapen.n;
    if (!w->missing.n && !w->misshapen.n)
        checkup_say(w->c, CLIPC_FOUND_OK, "tensors", "all %zu that the model wants",
                    n->params.n);
}

int checkup_tensors(checkup *c, net *n, const model_source *s, clipc_err *err)
{
    const size_t count = tensor_file_count(s->weights);
    survey w = {.c = c,
                .s = s,
                .used = calloc(count + 1, sizeof *w.used),
                .scale = NAN,
                .bias = NAN};
    int rc = w.used ? CLIPC_OK : clipc_fail_memory(err, s->path, count);

    for (size_t i = 0; i < count; i++) {
        const tensor *t = tensor_file_at(s->weights, i);
        size_t bytes = 0;
        dtype_bytes(&bytes, t->dt, t->n);
        c->sum->file_bytes += bytes;
    }
    if (rc == CLIPC_OK) rc = net_tensors(n, s, on_tensor, &w, err);
    if (rc == CLIPC_OK) {
        say_tensors(&w, n);
        if (w.n) say_values(&w);
        if (!c->broken) say_scale(&w);
    }
    free(w.used);
    free(w.plain);
    return rc;
}

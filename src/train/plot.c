#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "clipc_train.h"

/* The picture: a plot of PLOT_W x PLOT_H inside margins. */
enum { PLOT_W = 720, PLOT_H = 360, LEFT = 60, TOP = 30, RIGHT = 60, BOTTOM = 50 };

typedef struct curve {
    double *x, *y;
    size_t n, cap;
} curve;

static int add(curve *c, double x, double y, clipc_err *err)
{
    if (c->n == c->cap) {
        const size_t cap = c->cap ? 2 * c->cap : 1024;
        double *xs = realloc(c->x, cap * sizeof *xs);
        if (xs) c->x = xs;
        double *ys = realloc(c->y, cap * sizeof *ys);
        if (ys) c->y = ys;
        if (!xs || !ys) return clipc_fail_memory(err, "plot", cap * sizeof *ys);
        c->cap = cap;
    }
    c->x[c->n] = x;
    c->y[c->n++] = y;
    return CLIPC_OK;
}

static void curve_free(curve *c)
{
    free(c->x);
    free(c->y);
}

static int read_line(curve *loss, curve *top1, const char *line, size_t len,
                     const char *path, clipc_err *err)
{
    json_t *o = NULL;
    double step = 0, l = NAN, t = NAN;
    int rc = json_parse(&o, line, len, path, err);

    if (rc == CLIPC_OK) rc = json_get_f64(&step, o, "step", path, err);
    if (rc == CLIPC_OK) rc = json_get_f64(&l, o, "loss", path, err);
    if (rc == CLIPC_OK) rc = json_get_f64(&t, o, "val_top1", path, err);
    if (rc == CLIPC_OK && l >= 0) rc = add(loss, step, l, err);
    if (rc == CLIPC_OK && t >= 0) rc = add(top1, step, 100.0 * t, err);
    json_decref(o);
    return rc;
}

/* Averages of up to 400 stretches, so that the line can be read. */
static void smooth(curve *c)
{
    const size_t per = c->n / 400 + 1;
    size_t out = 0;

    for (size_t i = 0; i < c->n; i += per, out++) {
        const size_t m = c->n - i < per ? c->n - i : per;
        double x = 0, y = 0;
        for (size_t k = 0; k < m; k++) x += c->x[i + k], y += c->y[i + k];
        c->x[out] = x / (double)m;
        c->y[out] = y / (double)m;
    }
    c->n = out;
}

static double largest(const double *v, size_t n)
{
    double most = 0.0;
    for (size_t i = 0; i < n; i++) most = v[i] > most ? v[i] : most;
    return most;
}

/* The next 1, 2 or 5 times a power of ten that keeps the ticks at five or fewer. */
static double tick(double most)
{
    const double rough = most / 5.0, power = pow(10.0, floor(log10(rough)));
    const double steps[] = {1, 2, 5, 10};

    for (size_t i = 0; i < 4; i++)
        if (steps[i] * power >= rough) return steps[i] * power;
    return 10 * power;
}

static int line(buf *b, const curve *c, double mx, double my, const char *colour,
                clipc_err *err)
{
    int rc = buf_printf(
        b, err, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" points=\"",
        colour);

    for (size_t i = 0; rc == CLIPC_OK && i < c->n; i++)
        rc = buf_printf(b, err, "%.1f,%.1f ", LEFT + c->x[i] / mx * PLOT_W,
                        TOP + PLOT_H - c->y[i] / my * PLOT_H);
    return rc == CLIPC_OK ? buf_puts(b, "\"/>\n", err) : rc;
}

/* Numbers along one side: "x" below, "l" left, "r" right. */
static int ticks(buf *b, char side, double most, clipc_err *err)
{
    const double step = tick(most);
    int rc = CLIPC_OK;

    for (double v = 0; rc == CLIPC_OK && v <= most; v += step) {
        const double x = side == 'x'   ? LEFT + v / most * PLOT_W
                         : side == 'l' ? LEFT - 6
                                       : LEFT + PLOT_W + 6;
        const double y =
            side == 'x' ? TOP + PLOT_H + 18 : TOP + PLOT_H - v / most * PLOT_H + 4;
        rc = buf_printf(
            b, err, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%g</text>\n", x, y,
            side == 'x'   ? "middle"
            : side == 'l' ? "end"
                          : "start",
            v);
    }
    return rc;
}

static int draw(buf *b, const curve *loss, const curve *top1, clipc_err *err)
{
    const double mx = fmax(1.0, largest(loss->x, loss->n)),
                 ml = fmax(0.1, largest(loss->y, loss->n));
    const double mt = fmax(1.0, 1.1 * largest(top1->y, top1->n));
    int rc =
        buf_printf(b, err,
                   "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
                   "font-family=\"sans-serif\" font-size=\"12\">\n"
                   "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
                   "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"none\" "
                   "stroke=\"#999\"/>\n"
                   "<text x=\"%d\" y=\"20\" fill=\"#1f5fa8\">loss (nats)</text>\n"
                   "<text x=\"%d\" y=\"20\" fill=\"#b5541c\" "
                   "text-anchor=\"end\">held-out top-1 (%%)</text>\n"
                   "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">step</text>\n",
                   LEFT + PLOT_W + RIGHT, TOP + PLOT_H + BOTTOM, LEFT, TOP, PLOT_W,
                   PLOT_H, LEFT, LEFT + PLOT_W, LEFT + PLOT_W / 2, TOP + PLOT_H + 40);

    if (rc == CLIPC_OK) rc = ticks(b, 'x', mx, err);
    if (rc == CLIPC_OK) rc = ticks(b, 'l', ml, err);
    if (rc == CLIPC_OK && top1->n) rc = ticks(b, 'r', mt, err);
    if (rc == CLIPC_OK) rc = line(b, loss, mx, ml, "#1f5fa8", err);
    if (rc == CLIPC_OK && top1->n) rc = line(b, top1, mx, mt, "#b5541c", err);
    return rc == CLIPC_OK ? buf_puts(b, "</svg>\n", err) : rc;
}

int clipc_train_plot(char **svg, const char *log_path, clipc_err *err)
{
    curve loss = {0}, top1 = {0};
    buf log = {0}, out = {0};
    int rc = file_read(&log, log_path, (size_t)1 << 30, err);

    *svg = NULL;
    for (size_t i = 0; rc == CLIPC_OK && i < log.len;) {
        const char *nl = memchr(log.data + i, '\n', log.len - i);
        if (!nl) break;
        rc = read_line(&loss, &top1, log.data + i, (size_t)(nl - log.data) - i, log_path,
                       err);
        i = (size_t)(nl - log.data) + 1;
    }
    if (rc == CLIPC_OK && !loss.n)
        rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no steps logged yet", log_path);
    if (rc == CLIPC_OK) {
        smooth(&loss);
        rc = draw(&out, &loss, &top1, err);
    }
    if (rc == CLIPC_OK) *svg = out.data, out.data = NULL;
    curve_free(&loss);
    curve_free(&top1);
    buf_free(&log);
    buf_free(&out);
    return rc;
}

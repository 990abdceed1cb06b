#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/sizes.h"
#include "train/history.h"

/* Panels of PLOT_W x PLOT_H one below the other, a metric each; a colour for each run. */
enum {
    PLOT_W = 720,
    PLOT_H = 200,
    LEFT = 70,
    RIGHT = 30,
    TOP = 40,
    PANEL = PLOT_H + 80,
    LINE = 18, /* of the legend */
    POINTS = 400,
    MARKED = 60 /* curves of fewer points show them */
};

static const char *const colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                      "#56b4e9", "#e69f00", "#000000", "#7f7f7f"};

typedef struct plot {
    buf svg;
    const char *const *folders;
    history *runs;
    size_t n; /* runs */
    double most_x;
    clipc_err *err;
} plot;

static const char *colour_of(size_t run)
{
    return colours[run % (sizeof colours / sizeof colours[0])];
}

static const curve *find_curve(const history *h, const char *name)
{
    for (size_t i = 0; i < h->n; i++)
        if (strcmp(h->curves[i].name, name) == 0) return &h->curves[i];
    return NULL;
}

/* Averages of stretches of `per` points, so that the line can be read. */
static void smooth(curve *c, size_t per)
{
    size_t out = 0;

    for (size_t i = 0; i < c->n; i += per, out++) {
        const size_t m = min_size(c->n - i, per);
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
    for (size_t i = 0; i < n; i++) most = fmax(most, v[i]);
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

static int text(plot *p, double x, double y, const char *anchor, const char *colour,
                const char *s)
{
    int rc = buf_printf(&p->svg, p->err,
                        "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" fill=\"%s\">", x,
                        y, anchor, colour);

    for (; rc == CLIPC_OK && *s; s++)
        rc = *s == '<'   ? buf_puts(&p->svg, "&lt;", p->err)
             : *s == '&' ? buf_puts(&p->svg, "&amp;", p->err)
                         : buf_add(&p->svg, s, 1, p->err);
    return rc == CLIPC_OK ? buf_puts(&p->svg, "</text>\n", p->err) : rc;
}

static int tick_text(plot *p, double x, double y, const char *anchor, double v)
{
    char s[32];

    snprintf(s, sizeof s, "%g", v);
    return text(p, x, y, anchor, "#444", s);
}

static int draw_axes(plot *p, double top, double most_y, const char *name,
                     const char *unit)
{
    const double bottom = top + PLOT_H;
    char title[192];
    int rc = buf_printf(&p->svg, p->err,
                        "<rect x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%d\" "
                        "fill=\"none\" stroke=\"#999\"/>\n",
                        LEFT, top, PLOT_W, PLOT_H);

    snprintf(title, sizeof title, "%s (%s)", name, unit);
    if (rc == CLIPC_OK) rc = text(p, LEFT, top - 8, "start", "#000", title);
    if (rc == CLIPC_OK)
        rc = text(p, LEFT + PLOT_W, bottom + 34, "end", "#444", "optimizer steps");
    for (double v = 0; rc == CLIPC_OK && v <= p->most_x; v += tick(p->most_x))
        rc = tick_text(p, LEFT + v / p->most_x * PLOT_W, bottom + 16, "middle", v);
    for (double v = 0; rc == CLIPC_OK && v <= most_y; v += tick(most_y))
        rc = tick_text(p, LEFT - 6, bottom - v / most_y * PLOT_H + 4, "end", v);
    return rc;
}

static int draw_curve(plot *p, const curve *c, double top, double most_y,
                      const char *colour)
{
    int rc = buf_printf(
        &p->svg, p->err,
        "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" points=\"", colour);

    for (size_t i = 0; rc == CLIPC_OK && i < c->n; i++)
        rc =
            buf_printf(&p->svg, p->err, "%.1f,%.1f ", LEFT + c->x[i] / p->most_x * PLOT_W,
                       top + PLOT_H - c->y[i] / most_y * PLOT_H);
    if (rc == CLIPC_OK) rc = buf_puts(&p->svg, "\"/>\n", p->err);
    for (size_t i = 0; rc == CLIPC_OK && c->n < MARKED && i < c->n; i++)
        rc = buf_printf(&p->svg, p->err,
                        "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\" fill=\"%s\"/>\n",
                        LEFT + c->x[i] / p->most_x * PLOT_W,
                        top + PLOT_H - c->y[i] / most_y * PLOT_H, colour);
    return rc;
}

/* One metric of all runs that have it. */
static int draw_panel(plot *p, double top, const curve *metric, size_t per)
{
    char name[160];
    double most = 0.0;
    int rc;

    for (size_t i = 0; i < p->n; i++) {
        const curve *c = find_curve(&p->runs[i], metric->name);
        if (c) most = fmax(most, 1.05 * largest(c->y, c->n));
    }
    if (!(most > 1e-300)) most = 1.0;
    if (per > 1)
        snprintf(name, sizeof name, "%s, means of %zu logged steps", metric->name, per);
    else snprintf(name, sizeof name, "%s", metric->name);
    rc = draw_axes(p, top, most, name, metric->unit);
    for (size_t i = 0; rc == CLIPC_OK && i < p->n; i++) {
        const curve *c = find_curve(&p->runs[i], metric->name);
        if (c) rc = draw_curve(p, c, top, most, colour_of(i));
    }
    return rc;
}

/* Not of an earlier run. */
static bool is_new(const plot *p, size_t run, const curve *c)
{
    for (size_t i = 0; i < run; i++)
        if (find_curve(&p->runs[i], c->name)) return false;
    return true;
}

/* The metrics of all runs: loss, what is measured now and then, the learning rate.  *out:
 * malloc'd. */
static int list_metrics(const curve ***out, size_t *n, const plot *p)
{
    size_t most = 0;

    for (size_t r = 0; r < p->n; r++) most += p->runs[r].n;
    const curve **v = malloc(most * sizeof *v);
    *out = v, *n = 0;
    if (!v) return clipc_fail_memory(p->err, "plot", most * sizeof *v);
    v[(*n)++] = &p->runs[0].curves[CURVE_LOSS];
    for (size_t r = 0; r < p->n; r++)
        for (size_t i = CURVE_RATE + 1; i < p->runs[r].n; i++)
            if (is_new(p, r, &p->runs[r].curves[i])) v[(*n)++] = &p->runs[r].curves[i];
    v[(*n)++] = &p->runs[0].curves[CURVE_RATE];
    return CLIPC_OK;
}

/* How many logged steps a point of the loss stands for; those of all runs are made so. */
static size_t smooth_losses(plot *p)
{
    size_t per = 1;

    for (size_t r = 0; r < p->n; r++)
        per = max_size(per, p->runs[r].curves[CURVE_LOSS].n / POINTS + 1);
    for (size_t r = 0; r < p->n; r++) smooth(&p->runs[r].curves[CURVE_LOSS], per);
    return per;
}

static int draw_legend(plot *p)
{
    int rc = CLIPC_OK;

    for (size_t r = 0; rc == CLIPC_OK && r < p->n; r++)
        rc =
            text(p, LEFT, (double)(LINE * (r + 1)), "start", colour_of(r), p->folders[r]);
    return rc;
}

static int draw(plot *p)
{
    const size_t per = smooth_losses(p);
    const curve **metrics;
    size_t n;
    int rc = list_metrics(&metrics, &n, p);

    if (rc == CLIPC_OK)
        rc = buf_printf(&p->svg, p->err,
                        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" "
                        "height=\"%zu\" font-family=\"sans-serif\" font-size=\"12\">\n"
                        "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
                        LEFT + PLOT_W + RIGHT, p->n * LINE + n * PANEL);
    if (rc == CLIPC_OK) rc = draw_legend(p);
    for (size_t i = 0; rc == CLIPC_OK && i < n; i++)
        rc = draw_panel(p, (double)(p->n * LINE + i * PANEL + TOP), metrics[i],
                        i ? 1 : per);
    free(metrics);
    return rc == CLIPC_OK ? buf_puts(&p->svg, "</svg>\n", p->err) : rc;
}

int clipc_train_plot(char **svg, const char *const *folders, size_t n, clipc_err *err)
{
    plot p = {.folders = folders, .most_x = 1.0, .err = err};
    int rc;

    *svg = NULL;
    p.runs = calloc(n ? n : 1, sizeof *p.runs);
    rc = p.runs ? CLIPC_OK : clipc_fail_memory(err, "plot", n * sizeof *p.runs);
    if (rc == CLIPC_OK && n == 0) rc = clipc_fail(err, CLIPC_ERR_ARG, "no run to plot");
    for (; rc == CLIPC_OK && p.n < n; p.n += rc == CLIPC_OK) {
        rc = history_read(&p.runs[p.n], folders[p.n], err);
        if (rc == CLIPC_OK) p.most_x = fmax(p.most_x, (double)p.runs[p.n].last.step);
    }
    if (rc == CLIPC_OK) rc = draw(&p);
    if (rc == CLIPC_OK) *svg = p.svg.data, p.svg.data = NULL;
    for (size_t i = 0; i < p.n; i++) history_free(&p.runs[i]);
    free(p.runs);
    buf_free(&p.svg);
    return rc;
}

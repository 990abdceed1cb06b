#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/gallery.h"
#include "cli/session.h"

enum { LABEL_WIDTH = 28, BAR = 30, FEW = 5, FILE_LIMIT = 1 << 30 };

static const opt table[] = {
    SESSION_OPTS,
    PRECISION_OPTS,
    LONG_OPTS,
    {"labels", 'l', "LIST", "labels, separated by commas"},
    {"labels-file", 'L', "FILE", "labels, one a line (-: standard input)"},
    {"template", 'T', "TEXT", "prompt with {} for the label; repeat for an ensemble"},
    {"top", 'k', "K", "show the best K labels (5)"},
    {"json", 'j', NULL, "one JSON line a picture, all labels unless --top"},
    {"html", 0, "FILE", "write a page too: pictures, their best labels, bars"},
    {"force", 'f', NULL, "replace the file of --html"},
};

static const opts_usage usage = {
    "classify", "IMAGE... --labels LIST [options]",
    "Says which label fits a picture best. IMAGE is a picture file, a folder, "
    "or -\n"
    "for standard input. The score is the softmax over the labels; for a SigLIP model "
    "each\n"
    "label's own probability.",
    "  clipc classify cat.jpg --labels \"a cat,a dog\"\n"
    "  clipc classify photos/ --labels-file labels.txt --top 3 --json\n"
    "  clipc classify photos/ --labels-file labels.txt --html photos.html\n"
    "  clipc classify pet.png -l cat,dog -T \"a photo of a {}.\" -T \"a drawing of a "
    "{}.\"\n"};

typedef struct classify {
    session s;
    strings labels, templates, images;
    size_t top;
    bool json, force;
    float *weights, *image, *scores;
    size_t *order;
    buf file; /* the picture under way */
    const char *html;
    gallery page;
    page_bar *bars;
} classify;

static int on_option(void *user, const char *name, const char *value)
{
    classify *c = user;
    const int rc = session_option(&c->s, name, value);

    if (rc != -1) return rc;
    if (strcmp(name, "json") == 0) return c->json = true, 0;
    if (strcmp(name, "html") == 0) return c->html = value, 0;
    if (strcmp(name, "force") == 0) return c->force = true, 0;
    if (strcmp(name, "top") == 0)
        return cli_number(&c->top, "classify", name, value, 1, 1000000);
    if (strcmp(name, "labels") == 0)
        return strings_split(&c->labels, value, ',', &c->s.err) ? cli_fail(&c->s.err) : 0;
    if (strcmp(name, "labels-file") == 0)
        return strings_lines(&c->labels, value, &c->s.err) ? cli_fail(&c->s.err) : 0;
    if (!strstr(value, "{}"))
        return cli_usage("classify", "--template wants a {} for the label");
    return strings_add(&c->templates, value, strlen(value), &c->s.err)
               ? cli_fail(&c->s.err)
               : 0;
}

/* The same label twice would share its score with itself. */
static int check_labels(classify *c)
{
    for (size_t i = 0; i < c->labels.n; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(c->labels.v[i], c->labels.v[k]) == 0) {
                fprintf(stderr, "clipc classify: label \"%s\" is given twice\n",
                        c->labels.v[i]);
                return EXIT_USAGE;
            }
    if (!c->labels.n)
        return cli_usage("classify",
                         "no labels: give --labels \"a cat,a dog\" or --labels-file");
    return 0;
}

static int make_classifier(classify *c)
{
    const size_t n = c->labels.n, E = c->s.info->embed_dim;
    const bool own = c->templates.n > 0;

    c->weights = malloc(n * E * sizeof(float));
    c->image = malloc(E * sizeof(float));
    c->scores = malloc(n * sizeof(float));
    c->order = malloc(n * sizeof(size_t));
    c->bars = malloc(n * sizeof *c->bars);
    if (!c->weights || !c->image || !c->scores || !c->order || !c->bars)
        return clipc_fail_memory(&c->s.err, "labels", n * E * sizeof(float));
    return clipc_classifier(c->s.ctx, c->weights, (const char *const *)c->labels.v, n,
                            own ? (const char *const *)c->templates.v
                                : c->s.info->templates,
                            own ? c->templates.n : c->s.info->n_templates, &c->s.err);
}

/* The first `top` places of order are the best labels, best first. */
static void sort_best(classify *c, size_t top)
{
    for (size_t i = 0; i < c->labels.n; i++) c->order[i] = i;
    for (size_t i = 0; i < top; i++) {
        size_t best = i;
        for (size_t k = i + 1; k < c->labels.n; k++)
            if (c->scores[c->order[k]] > c->scores[c->order[best]]) best = k;
        const size_t keep = c->order[i];
        c->order[i] = c->order[best];
        c->order[best] = keep;
    }
}

static void print_json(const classify *c, const char *path, size_t top)
{
    printf("{\"image\":");
    json_print_string(path);
    printf(",\"labels\":[");
    for (size_t i = 0; i < top; i++) {
        printf("%s{\"label\":", i ? "," : "");
        json_print_string(c->labels.v[c->order[i]]);
        printf(",\"score\":%.7g}", (double)c->scores[c->order[i]]);
    }
    puts("]}");
}

static void print_bars(const classify *c, const char *path, size_t top)
{
    printf("%s\n", path);
    for (size_t i = 0; i < top; i++) {
        const float score = c->scores[c->order[i]];
        const int filled = (int)((double)score * BAR + 0.5);
        printf("  %-*.60s %5.1f %%  ", LABEL_WIDTH, c->labels.v[c->order[i]],
               100.0 * (double)score);
        for (int b = 0; b < filled; b++) fputs("\xe2\x96\x88", stdout);
        putchar('\n');
    }
}

static void report_failure(const classify *c, const char *path)
{
    fprintf(stderr, "clipc: %s\n", c->s.err.msg);
    if (!c->json) return;
    printf("{\"image\":");
    json_print_string(path);
    printf(",\"error\":");
    json_print_string(c->s.err.msg);
    puts("}");
}

/* ---- the page ---- */

static int begin_page(classify *c)
{
    char title[80];
    buf about = {0};

    if (!c->html) return CLIPC_OK;
    cli_catch_interrupts();
    signal(SIGPIPE, SIG_IGN); /* whoever stops reading the lines still gets the page */
    snprintf(title, sizeof title, "%zu picture%s, %zu label%s", c->images.n,
             c->images.n > 1 ? "s" : "", c->labels.n, c->labels.n > 1 ? "s" : "");
    int rc = buf_printf(&about, &c->s.err, "named by %s",
                        c->s.model_name ? c->s.model_name : path_base(c->s.info->path));
    if (rc == CLIPC_OK)
        rc = gallery_open(&c->page, c->html, c->force, title, about.data, &c->s.err);
    buf_free(&about);
    return rc;
}

/* A picture with its best labels; failed: with the reason. */
static int add_to_page(classify *c, const char *path, bool failed, size_t top)
{
    const char *why = failed ? c->s.err.msg : NULL;
    const page_figure f = {
        .instead = why, .bars = c->bars, .n_bars = failed ? 0 : top, .name = path};
    const span file = {(const uint8_t *)c->file.data, c->file.len};

    for (size_t i = 0; i < f.n_bars; i++) {
        const double score = (double)c->scores[c->order[i]];
        c->bars[i] = (page_bar){.label = c->labels.v[c->order[i]], .part = score};
        snprintf(c->bars[i].value, sizeof c->bars[i].value, "%.1f %%", 100.0 * score);
    }
    return gallery_add(&c->page, &f, file, c->s.options.max_megapixels, &c->s.err);
}

/* ---- all of it ---- */

static int classify_one(classify *c, const char *path, size_t top)
{
    const size_t n = c->labels.n;
    int rc = file_read(&c->file, path, FILE_LIMIT, &c->s.err);

    if (rc == CLIPC_OK)
        rc = clipc_encode_image_memory(c->s.ctx, c->image, c->file.data, c->file.len,
                                       path, &c->s.err);
    if (rc != CLIPC_OK) return rc;
    clipc_logits(c->s.model, c->scores, c->image, 1, c->weights, n);
    clipc_probabilities(c->s.model, c->scores, 1, n);
    sort_best(c, top);
    return CLIPC_OK;
}

static int end_page(classify *c, int rc)
{
    if (rc == CLIPC_OK && cli_interrupted())
        rc =
            clipc_fail(&c->s.err, CLIPC_ERR_STOPPED, "stopped; not written: %s", c->html);
    return rc == CLIPC_OK ? gallery_commit(&c->page, &c->s.err) : rc;
}

static int classify_all(classify *c)
{
    const size_t n = c->labels.n, few = n < FEW ? n : FEW;
    const size_t asked = c->top < n ? c->top : n;
    const size_t top = c->top ? asked : c->json ? n : few;
    progress p = progress_start("pictures", c->images.n);
    size_t failed = 0;
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < c->images.n && !cli_interrupted(); i++) {
        const char *path = c->images.v[i];
        const bool fails = classify_one(c, path, top) != CLIPC_OK;
        failed += fails;
        if (fails) report_failure(c, path);
        else if (c->json) print_json(c, path, top);
        else print_bars(c, path, top);
        if (c->html) rc = add_to_page(c, path, fails, c->top ? asked : few);
        progress_show(&p, i + 1);
    }
    progress_end(&p);
    if (c->html && (rc = end_page(c, rc)) != CLIPC_OK) return cli_fail(&c->s.err);
    return !failed ? EXIT_DONE : failed < c->images.n ? EXIT_SOME : EXIT_NONE;
}

int cmd_classify(int argc, char **argv)
{
    classify c = {.s.command = "classify"};
    const int at = opts_parse(argc, argv, table, sizeof table / sizeof table[0], &usage,
                              on_option, &c);
    int rc = cli_options_exit(at);

    if (at >= 0) {
        if (at == argc) rc = cli_usage("classify", "no pictures given");
        else if ((rc = check_labels(&c)) != 0)
            ;
        else if (strings_images(&c.images, argv + at, (size_t)(argc - at), &c.s.err) ||
                 session_open(&c.s) || begin_page(&c) || make_classifier(&c))
            rc = cli_fail(&c.s.err);
        else rc = classify_all(&c);
    }
    gallery_abort(&c.page);
    session_close(&c.s);
    strings_free(&c.labels);
    strings_free(&c.templates);
    strings_free(&c.images);
    free(c.weights);
    free(c.image);
    free(c.scores);
    free(c.order);
    free(c.bars);
    buf_free(&c.file);
    return rc;
}

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cpus.h"
#include "base/file.h"
#include "cli/session.h"

enum { AVERAGE_MAX = 64 };

typedef struct convert {
    const char *command;
    clipc_share average[AVERAGE_MAX];
    clipc_convert_options options;
    size_t threads;
    const char *mismatched; /* set that the threshold of searches is measured on */
    bool json, no_eval;
} convert;

/* MODEL:SHARE, or MODEL for as much as the others have; the colon is cut away. */
static int add_share(convert *c, const char *value)
{
    char *colon = strrchr(value, ':'), *end = NULL;
    const double share = colon ? strtod(colon + 1, &end) : -1.0;
    const bool given = colon && end != colon + 1 && !*end;

    if (c->options.n_average == AVERAGE_MAX || (given && !(share >= 0.0 && share <= 1.0)))
        return cli_usage(c->command, "--average-with wants MODEL:SHARE, 0 to 1, and not "
                                     "more than 64 times");
    if (given) *colon = '\0';
    c->average[c->options.n_average++] =
        (clipc_share){value, given ? (float)share : -1.0f};
    c->options.average = c->average;
    return 0;
}

static int on_option(void *user, const char *name, const char *value)
{
    convert *c = user;

    if (strcmp(name, "to") == 0) c->options.to = value;
    if (strcmp(name, "precision") == 0) c->options.precision = value;
    if (strcmp(name, "license") == 0) c->options.license = value;
    if (strcmp(name, "origin") == 0) c->options.origin = value;
    if (strcmp(name, "force") == 0) c->options.overwrite = 1;
    if (strcmp(name, "threads") == 0)
        return cli_number(&c->threads, c->command, name, value, 1, CPUS_MOST);
    if (strcmp(name, "json") == 0) c->json = true;
    if (strcmp(name, "no-eval") == 0) c->no_eval = true;
    if (strcmp(name, "min-score-from") == 0) c->mismatched = value;
    if (strcmp(name, "average-with") == 0) return add_share(c, value);
    return strcmp(name, "image-size") == 0
               ? cli_image_size(&c->options.open, c->command, name, value)
               : 0;
}

#define OUT_OPTS                                                                \
    {"license", 0, "TEXT", "kept in the file (as IN has it)"},                  \
        {"origin", 0, "TEXT", "where the weights come from, kept in the file"}, \
        {"image-size", 0, "N", "other than IN's, also HxW: interpolated"},      \
    {                                                                           \
        "force", 'f', NULL, "overwrite OUT"                                     \
    }

/* IN and OUT; an empty name is a variable that was not set, not the bundled model. */
static bool two_names(int n, char **operands)
{
    return n == 2 && *operands[0] && *operands[1];
}

/* IN's score that few pairs of the set reach which do not belong together. */
static int measure_min_score(convert *c, char *in)
{
    session s = {.command = c->command,
                 .model_name = in,
                 .open = c->options.open,
                 .options.threads = c->threads};
    progress p = progress_start("pictures", 0);
    const clipc_eval_options eval = {.on_progress = progress_of_total, .user = &p};
    int rc = session_open(&s);

    if (rc == CLIPC_OK)
        rc = clipc_measure_min_score(&c->options.min_score, s.ctx, c->mismatched, &eval,
                                     &s.err);
    progress_end(&p);
    if (rc == CLIPC_OK)
        printf("min_score %.4f: 1 in 1000 mismatched pairs reach it\n",
               (double)c->options.min_score);
    rc = rc == CLIPC_OK ? EXIT_DONE : cli_fail(&s.err);
    session_close(&s);
    return rc;
}

/* Both cost their time, so what clipc_convert would refuse comes first. */
static int check_convert(const convert *c, const char *out)
{
    clipc_err err;

    if (!c->mismatched) return EXIT_DONE;
    if (c->options.n_average)
        return cli_usage("convert", "--min-score-from measures IN, not a mean: convert "
                                    "that once more");
    if (c->options.overwrite || !file_exists(out)) return EXIT_DONE;
    clipc_fail(&err, CLIPC_ERR_EXISTS, "%s: exists already", out);
    return cli_fail(&err);
}

int cmd_convert(int argc, char **argv)
{
    static const opt table[] = {
        {"to", 0, "LAYOUT", "clipc (one mapped file), hf or open_clip (open_clip)"},
        {"precision", 'p', "TYPE", "f32, f16, bf16 or, for clipc, int8 (f32)"},
        {"average-with", 0, "MODEL:X",
         "mean of its weights, X of the whole, and IN's; may be given again"},
        {"min-score-from", 0, "SET",
         "keep the score that 1 in 1000 mismatched pairs of SET reach, for search"},
        {"threads", 't', "N", "compute threads for that (all it may use)"},
        OUT_OPTS};
    static const opts_usage usage = {
        "convert", "IN OUT [options]",
        "Rewrites a model. IN is any file or folder that --model takes: open_clip's and\n"
        "Hugging Face's folders, OpenAI's .pt, PyTorch checkpoints, GGUF, clipc's own.",
        "  clipc convert ViT-B-32.pt vit-b-32.clipc --to clipc -p f16\n"
        "  clipc convert run/ run-hf/ --to hf --precision f16\n"
        "  clipc convert tuned/ mean/ --average-with ViT-B-32.pt:0.5\n"
        "  clipc convert ViT-B-32.pt v.clipc --to clipc --min-score-from "
        "captions.json\n"};
    convert c = {.command = "convert"};
    const int at = opts_parse(argc, argv, table, sizeof table / sizeof table[0], &usage,
                              on_option, &c);
    clipc_err err;
    int rc;

    if (at < 0) return cli_options_exit(at);
    if (!two_names(argc - at, argv + at)) return cli_usage("convert", "takes IN and OUT");
    if ((rc = check_convert(&c, argv[at + 1])) != EXIT_DONE) return rc;
    if (c.mismatched && (rc = measure_min_score(&c, argv[at])) != EXIT_DONE) return rc;
    if (clipc_convert(argv[at], argv[at + 1], &c.options, &err) != CLIPC_OK)
        return cli_fail(&err);
    return EXIT_DONE;
}

/* ---- quantize ---- */

/* What became of a model: how far its vectors moved, and its accuracy before and after.
 */
typedef struct loss {
    clipc_drift drift;
    clipc_eval_change accuracy;
    const char *not_measured; /* why there is no accuracy; NULL: there is */
} loss;

static int measure(loss *l, session *a, session *b, bool no_eval)
{
    progress p;
    int rc;

    if (session_open(a) != CLIPC_OK) return cli_fail(&a->err);
    if (session_open(b) != CLIPC_OK) return cli_fail(&b->err);
    if (clipc_measure_drift(&l->drift, a->ctx, b->ctx, &a->err) != CLIPC_OK)
        return cli_fail(&a->err);
    l->not_measured = "--no-eval";
    if (no_eval) return EXIT_DONE;
    p = progress_start("pictures", 0);
    rc = clipc_eval_compare(&l->accuracy, a->ctx, b->ctx, NULL, progress_of_total, &p,
                            &a->err);
    progress_end(&p);
    l->not_measured = rc == CLIPC_OK ? NULL : a->err.msg;
    return EXIT_DONE;
}

static double megabytes(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (double)st.st_size * 1e-6 : 0.0;
}

static void print_json(const loss *l, const char *out)
{
    const clipc_drift *d = &l->drift;
    const clipc_eval_change *a = &l->accuracy;
    const double *i = d->image_error, *t = d->text_error;

    printf("{\"megabytes\":%.3f,\"images\":%zu,\"image_error\":[%.3g,%.3g,%.3g],"
           "\"texts\":%zu,\"text_error\":[%.3g,%.3g,%.3g],\"rank_agreement\":%.4f",
           megabytes(out), d->images, i[0], i[1], i[2], d->texts, t[0], t[1], t[2],
           d->rank_agreement);
    if (l->not_measured) {
        printf(",\"accuracy\":null,\"accuracy_not_measured\":");
        json_print_string(l->not_measured);
        puts("}");
        return;
    }
    printf(",\"accuracy\":{\"set\":");
    json_print_string(a->before.name);
    printf(",\"pictures\":%zu,\"top1\":[%.6f,%.6f],\"same\":%zu,\"lost\":%zu,"
           "\"gained\":%zu}}\n",
           a->before.pictures, a->before.top1, a->after.top1, a->same, a->lost,
           a->gained);
}

static void print_loss(const loss *l, const char *out)
{
    const clipc_drift *d = &l->drift;
    const clipc_eval_change *a = &l->accuracy;
    const double *i = d->image_error, *t = d->text_error;
    const double before = 100 * a->before.top1, after = 100 * a->after.top1;

    printf("%s: %.1f MB\n", out, megabytes(out));
    printf("drift, 1 - cosine:   median      90 %%   largest\n");
    if (d->images)
        printf("  %zu pictures      %8.2g  %8.2g  %8.2g\n", d->images, i[0], i[1], i[2]);
    if (d->texts)
        printf("  %zu texts         %8.2g  %8.2g  %8.2g\n", d->texts, t[0], t[1], t[2]);
    if (d->images && d->texts)
        printf("best text the same for %.1f %% of the pictures\n",
               100.0 * d->rank_agreement);
    if (l->not_measured) {
        printf("accuracy: not measured: %s\n", l->not_measured);
        return;
    }
    printf("accuracy on the %zu pictures of %s: top-1 %.2f %% before, %.2f %% after\n"
           "  %+.2f points: %zu lost, %zu gained; the same answer for %.1f %%\n",
           a->before.pictures, a->before.name, before, after, after - before, a->lost,
           a->gained, 100.0 * (double)a->same / (double)a->before.pictures);
}

int cmd_quantize(int argc, char **argv)
{
    static const opt table[] = {
        {"precision", 'p', "TYPE",
         "int8 (a scale an output channel), f16 or bf16 (int8)"},
        {"json", 'j', NULL, "what was measured as one JSON object"},
        {"threads", 't', "N", "compute threads (all it may use)"},
        {"no-eval", 0, NULL, "leave out the accuracy"},
        OUT_OPTS};
    static const opts_usage usage = {
        "quantize", "IN OUT.clipc [options]",
        "Rewrites a model in clipc's own format with smaller weights, and measures on\n"
        "built-in pictures and texts how far its vectors moved, and the accuracy of "
        "both\n"
        "on the set that ships with the model, else with clipc-drawings. The "
        "arithmetic\n"
        "stays float32.",
        "  clipc quantize ViT-B-32.pt vit-b-32-int8.clipc\n"
        "  clipc quantize clipc-drawings d.clipc -p f16 --json\n"};
    convert c = {.command = "quantize", .options = {.to = "clipc", .precision = "int8"}};
    const int at = opts_parse(argc, argv, table, sizeof table / sizeof table[0], &usage,
                              on_option, &c);
    loss l = {0};
    clipc_err err;
    int rc;

    if (at < 0) return cli_options_exit(at);
    if (!two_names(argc - at, argv + at))
        return cli_usage("quantize", "takes IN and OUT");
    session a = {.command = "quantize", .model_name = argv[at], .open = c.options.open};
    session b = {.command = "quantize", .model_name = argv[at + 1]};
    a.options.threads = b.options.threads = c.threads;
    if (clipc_convert(argv[at], argv[at + 1], &c.options, &err) != CLIPC_OK)
        return cli_fail(&err);
    rc = measure(&l, &a, &b, c.no_eval);
    if (rc == EXIT_DONE) (c.json ? print_json : print_loss)(&l, argv[at + 1]);
    session_close(&a);
    session_close(&b);
    return rc;
}

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/session.h"

enum { FAILURES_NAMED = 10 };

typedef struct settings {
    session s;
    clipc_eval_options eval;
    bool json;
    progress progress;
    strings failures; /* of a set, the first */
    size_t n_failures;
} settings;

static int set_task(settings *e, int task)
{
    if (e->eval.task != CLIPC_EVAL_ZEROSHOT && e->eval.task != task)
        return cli_usage("eval", "--retrieval or --linear-probe, not both");
    e->eval.task = task;
    return 0;
}

static int on_option(void *user, const char *name, const char *value)
{
    settings *e = user;
    const int rc = session_option(&e->s, name, value);
    char *end;

    if (rc != -1) return rc;
    if (strcmp(name, "json") == 0) return e->json = true, 0;
    if (strcmp(name, "retrieval") == 0) return set_task(e, CLIPC_EVAL_RETRIEVAL);
    if (strcmp(name, "linear-probe") == 0) {
        e->eval.train = value;
        return set_task(e, CLIPC_EVAL_LINEAR_PROBE);
    }
    e->eval.C = strtod(value, &end);
    return end != value && !*end && e->eval.C > 0
               ? 0
               : cli_usage("eval", "-C wants a number above 0");
}

static void print_recall(FILE *to, const char *way, const double recall[3])
{
    fprintf(to, "  %s R@1 %.2f %% R@5 %.2f %% R@10 %.2f %%", way, 100 * recall[0],
            100 * recall[1], 100 * recall[2]);
}

void eval_print(FILE *to, const clipc_eval_result *r)
{
    fprintf(to, "%-20s %6zu pictures", r->name, r->pictures);
    if (r->task == CLIPC_EVAL_RETRIEVAL) {
        fprintf(to, "  %5zu captions", r->captions);
        print_recall(to, "image to text", r->image_to_text);
        print_recall(to, "text to image", r->text_to_image);
    } else {
        fprintf(to, "  %5zu classes  top-1 %6.2f %%  top-5 %6.2f %%", r->classes,
                100 * r->top1, 100 * r->top5);
    }
    if (r->task == CLIPC_EVAL_LINEAR_PROBE)
        fprintf(to, "  linear probe of %zu, C %.4g", r->trained_on, r->C);
    if (r->failed) fprintf(to, "  %zu failed", r->failed);
    fprintf(to, "  (%.1f s)\n", r->seconds);
}

void json_print_recall(const char *key, const double v[3])
{
    printf(",\"%s\":[%.6f,%.6f,%.6f]", key, v[0], v[1], v[2]);
}

void eval_print_json(const clipc_eval_result *r)
{
    printf("{\"name\":");
    json_print_string(r->name);
    printf(",\"task\":\"%s\",\"pictures\":%zu", clipc_eval_task(r->task), r->pictures);
    if (r->task == CLIPC_EVAL_RETRIEVAL) {
        printf(",\"captions\":%zu,\"failed\":%zu", r->captions, r->failed);
        json_print_recall("image_to_text", r->image_to_text);
        json_print_recall("text_to_image", r->text_to_image);
    } else {
        printf(",\"classes\":%zu,\"failed\":%zu,\"top1\":%.6f,\"top5\":%.6f", r->classes,
               r->failed, r->top1, r->top5);
    }
    if (r->task == CLIPC_EVAL_LINEAR_PROBE)
        printf(",\"trained_on\":%zu,\"C\":%.6g", r->trained_on, r->C);
    printf(",\"seconds\":%.2f", r->seconds);
}

static void on_progress(void *user, size_t done, size_t total)
{
    settings *e = user;

    progress_of_total(&e->progress, done, total);
}

static void on_failed(void *user, const clipc_err *why)
{
    settings *e = user;

    if (e->n_failures++ < FAILURES_NAMED)
        strings_add(&e->failures, why->msg, strlen(why->msg), NULL);
}

static void print_failures(const settings *e, const char *name)
{
    for (size_t i = 0; i < e->failures.n; i++)
        fprintf(stderr, "clipc: %s\n", e->failures.v[i]);
    if (e->n_failures > e->failures.n)
        fprintf(stderr,
                "clipc: %s: %zu pictures could not be read, these are the first %zu\n",
                name, e->n_failures, e->failures.n);
    if (!e->json) return;
    printf(",\"failures\":[");
    for (size_t i = 0; i < e->failures.n; i++) {
        if (i) putchar(',');
        json_print_string(e->failures.v[i]);
    }
    puts("]}");
}

/* set: NULL for the one that ships. */
static int eval_one(settings *e, const char *set)
{
    clipc_eval_result r;

    e->progress = progress_start("pictures", 0);
    e->n_failures = 0;
    e->eval.user = e;
    const int rc = clipc_eval(&r, e->s.ctx, set, &e->eval, &e->s.err);
    progress_end(&e->progress);
    if (rc == CLIPC_OK) {
        if (e->json) eval_print_json(&r);
        else eval_print(stdout, &r);
        print_failures(e, r.name);
    }
    strings_free(&e->failures);
    return rc;
}

static const opt table[] = {
    SESSION_OPTS,
    PRECISION_OPTS,
    {"linear-probe", 0, "TRAIN", "logistic regression learned from the set TRAIN"},
    {"C", 'C', "X", "of the linear probe (found on a fifth of TRAIN)"},
    {"retrieval", 0, NULL, "pictures find their captions, captions their pictures"},
    {"json", 'j', NULL, "one JSON line a set"},
};

static const opts_usage usage = {
    "eval", "[SET...] [options]",
    "How good a model is at naming pictures: zero-shot, or with a linear probe; and at\n"
    "finding captions. SET is a folder with one folder of pictures for each class, a "
    "list\n"
    "(.tsv), a tar shard, or a SPEC.json that says which of these and how (clipc.h,\n"
    "clipc_eval); without one it is the set that ships.",
    "  clipc eval\n"
    "  clipc eval pets/test --model run/\n"
    "  clipc eval pets/test --linear-probe pets/train\n"
    "  clipc eval captions.tsv --retrieval\n"
    "  clipc eval data/eval/openmoji/spec.json --model run/ --json\n"};

int cmd_eval(int argc, char **argv)
{
    settings e = {.s.command = "eval",
                  .eval = {.on_progress = on_progress, .on_failed = on_failed}};
    const int at = opts_parse(argc, argv, table, sizeof table / sizeof table[0], &usage,
                              on_option, &e);
    const int n = at == argc ? 1 : argc - at; /* argv[argc] is NULL: what ships */
    int rc = cli_options_exit(at), failed = 0;

    if (at >= 0 && e.eval.C > 0 && !e.eval.train) {
        rc = cli_usage("eval", "-C is of a linear probe: give --linear-probe too");
    } else if (at >= 0) {
        rc = session_open(&e.s) == CLIPC_OK ? EXIT_DONE : cli_fail(&e.s.err);
        for (int i = 0; rc == EXIT_DONE && i < n; i++)
            if (eval_one(&e, argv[at + i]) != CLIPC_OK) failed++, cli_fail(&e.s.err);
        if (failed) rc = failed < n ? EXIT_SOME : EXIT_NONE;
    }
    session_close(&e.s);
    return rc;
}

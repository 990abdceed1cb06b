/* train status, train plot: looking at runs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/opts.h"
#include "cli/cli.h"
#include "clipc_train.h"

typedef struct watch {
    const char *out; /* of plot */
    bool json;
    clipc_err err;
} watch;

static int on_option(void *user, const char *name, const char *value)
{
    watch *w = user;

    if (strcmp(name, "json") == 0) w->json = true;
    else w->out = value;
    return 0;
}

/* ---- status ---- */

static void print_time(double seconds)
{
    if (seconds < 0) printf("not known");
    else if (seconds < 5400) printf("%.0f min", seconds / 60);
    else printf("%.1f h", seconds / 3600);
}

static void print_status(const char *folder, const clipc_train_state *s)
{
    printf("%s: ", folder);
    if (s->process) printf("running, process %ld\n", s->process);
    else puts(s->steps && s->step >= s->steps ? "done" : "not running");
    printf("  step         %zu", s->step);
    if (s->steps)
        printf(" of %zu, %.0f %%", s->steps, 100.0 * (double)s->step / (double)s->steps);
    if (isfinite(s->loss)) printf("\n  loss         %.4f nats", s->loss);
    else printf("\n  loss         no number");
    printf("; learning rate %.3g\n", s->lr);
    printf("  speed        %.0f images/s, time left ", s->images_per_second);
    print_time(s->seconds_left);
    printf("\n");
    if (s->skipped || s->broken)
        printf("  faults       %zu steps skipped, %zu samples broken\n", s->skipped,
               s->broken);
    if (s->val_step)
        printf(
            "  held out     step %zu%s: top-1 %.2f %%, top-5 %.2f %%, text to image R@1 "
            "%.2f %%\n",
            s->val_step, s->val.averaged ? ", moving average" : "", 100 * s->val.top1,
            100 * s->val.top5, 100 * s->val.text_to_image[0]);
    for (size_t i = 0; i < s->n_evals; i++) {
        printf("  evaluation   step %zu: ", s->eval_step);
        eval_print(stdout, &s->evals[i]);
    }
    printf("  checkpoints  %zu, %.1f MB", s->checkpoints,
           (double)s->checkpoint_bytes * 1e-6);
    if (s->checkpoints) printf(", the newest of step %zu", s->checkpoint_step);
    printf("\n");
}

static void print_status_json(const char *folder, const clipc_train_state *s)
{
    printf("{\"run\":");
    json_print_string(folder);
    printf(",\"process\":");
    if (s->process) printf("%ld", s->process);
    else printf("null");
    printf(",\"step\":%zu,\"steps\":%zu,\"batch\":%zu,\"loss_nats\":", s->step, s->steps,
           s->batch);
    if (isfinite(s->loss)) printf("%.9g", s->loss);
    else printf("null");
    printf(",\"lr\":%.7g,\"images_per_second\":%.1f,\"seconds_left\":", s->lr,
           s->images_per_second);
    if (s->seconds_left >= 0) printf("%.0f", s->seconds_left);
    else printf("null");
    printf(",\"skipped_steps\":%zu,\"broken_samples\":%zu", s->skipped, s->broken);
    if (s->val_step) {
        printf(",\"val\":{\"step\":%zu,\"averaged\":%s,\"top1\":%.6f,\"top5\":%.6f",
               s->val_step, s->val.averaged ? "true" : "false", s->val.top1, s->val.top5);
        json_print_recall("image_to_text", s->val.image_to_text);
        json_print_recall("text_to_image", s->val.text_to_image);
        putchar('}');
    }
    printf(",\"evals\":[");
    for (size_t i = 0; i < s->n_evals; i++) {
        if (i) putchar(',');
        eval_print_json(&s->evals[i]), putchar('}');
    }
    printf("],\"eval_step\":%zu,\"checkpoints\":%zu,\"checkpoint_bytes\":%zu,"
           "\"checkpoint_step\":%zu}\n",
           s->eval_step, s->checkpoints, s->checkpoint_bytes, s->checkpoint_step);
}

int train_status(int argc, char **argv)
{
    static const opt table[] = {{"json", 'j', NULL, "one JSON object a run"}};
    static const opts_usage usage = {
        "train status", "RUN... [--json]",
        "Where runs are, by their logs and checkpoints; RUN is what was their --out.",
        "  clipc train status run/\n  clipc train status runs/* --json\n"};
    watch w = {.json = false};
    const int at = opts_parse(argc, argv, table, 1, &usage, on_option, &w);
    int failed = 0;

    if (at < 0) return cli_options_exit(at);
    if (at == argc) return cli_usage("train status", "no run given");
    for (int i = at; i < argc; i++) {
        clipc_train_state s;
        if (clipc_train_status(&s, argv[i], &w.err) != CLIPC_OK)
            failed++, cli_fail(&w.err);
        else (w.json ? print_status_json : print_status)(argv[i], &s);
    }
    return failed == 0 ? EXIT_DONE : failed < argc - at ? EXIT_SOME : EXIT_NONE;
}

/* ---- plot ---- */

static int write_plot(const watch *w, const char *svg, clipc_err *err)
{
    if (!w->out || strcmp(w->out, "-") == 0)
        return fputs(svg, stdout) < 0 || fflush(stdout) != 0
                   ? clipc_fail(err, CLIPC_ERR_IO, "standard output: cannot be written")
                   : CLIPC_OK;
    return file_replace(w->out, svg, strlen(svg), err);
}

int train_plot(int argc, char **argv)
{
    static const opt table[] = {{"out", 'o', "FILE.svg", "replaced (standard output)"}};
    static const opts_usage usage = {"train plot", "RUN... [--out FILE.svg]",
                                     "Draws loss, validation, evaluations and learning "
                                     "rate of runs into one picture, a\n"
                                     "colour a run.",
                                     "  clipc train plot run/ -o curve.svg\n"
                                     "  clipc train plot runs/a runs/b -o both.svg\n"};
    watch w = {.json = false};
    const int at = opts_parse(argc, argv, table, 1, &usage, on_option, &w);
    char *svg = NULL;
    int rc;

    if (at < 0) return cli_options_exit(at);
    if (at == argc) return cli_usage("train plot", "no run given");
    rc = clipc_train_plot(&svg, (const char *const *)argv + at, (size_t)(argc - at),
                          &w.err);
    if (rc == CLIPC_OK) rc = write_plot(&w, svg, &w.err);
    free(svg);
    return rc == CLIPC_OK ? EXIT_DONE : cli_fail(&w.err);
}

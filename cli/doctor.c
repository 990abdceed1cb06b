#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpus.h"
#include "base/opts.h"
#include "cli/cli.h"

typedef struct doctor {
    const char *model;
    clipc_check_options options;
    bool json;
    size_t shown;
} doctor;

static int on_option(void *user, const char *name, const char *value)
{
    doctor *d = user;

    if (strcmp(name, "threads") == 0)
        return cli_number(&d->options.threads, "doctor", name, value, 1, CPUS_MOST);
    if (strcmp(name, "model") == 0) d->model = value;
    if (strcmp(name, "files-only") == 0) d->options.files_only = 1;
    if (strcmp(name, "json") == 0) d->json = true;
    return 0;
}

static void show(void *user, const clipc_finding *f)
{
    static const char *const words[] = {"ok", "note", "WARNING", "PROBLEM"};
    static const char *const json[] = {"ok", "note", "warning", "problem"};
    doctor *d = user;

    if (!d->json) {
        printf("%-8s %-14s %s\n", words[f->severity], f->check, f->message);
        fflush(stdout);
        return;
    }
    printf("%s{\"check\":\"%s\",\"severity\":\"%s\",\"message\":", d->shown++ ? "," : "",
           f->check, json[f->severity]);
    json_print_string(f->message);
    putchar('}');
}

static void print_rates(const char *key, const double *rate)
{
    printf(",\"%s\":", key);
    if (rate[0] > 0.0) printf("[%.4g,%.4g]", rate[0], rate[1]);
    else printf("null");
}

/* The last line; the exit code. */
static int conclude(const doctor *d, const clipc_checkup *c)
{
    const size_t problems = c->found[CLIPC_FOUND_PROBLEM],
                 warnings = c->found[CLIPC_FOUND_WARNING];
    const char *word = problems ? "broken" : warnings ? "suspicious" : "sound";

    if (d->json) {
        printf("],\"verdict\":\"%s\",\"problems\":%zu,\"warnings\":%zu,\"notes\":%zu",
               word, problems, warnings, c->found[CLIPC_FOUND_NOTE]);
        print_rates("images_per_second", c->image_rate);
        print_rates("texts_per_second", c->text_rate);
        printf(",\"file_bytes\":%zu,\"memory_bytes\":%zu}\n", c->file_bytes,
               c->memory_bytes);
    } else {
        printf("%s; problems: %zu, warnings: %zu, notes: %zu\n", word, problems, warnings,
               c->found[CLIPC_FOUND_NOTE]);
    }
    return problems ? EXIT_NONE : warnings ? EXIT_SOME : EXIT_DONE;
}

static int check(doctor *d)
{
    clipc_checkup c;
    clipc_err err;

    if (!d->options.threads) d->options.threads = cpus_usable();
    if (d->json) printf("{\"findings\":[");
    if (clipc_check_model(&c, d->model, &d->options, show, d, &err) == CLIPC_OK)
        return conclude(d, &c);
    return cli_fail(&err);
}

int cmd_doctor(int argc, char **argv)
{
    static const opt table[] = {
        {"model", 'm', "MODEL", "file, folder or name (CLIPC_MODEL, else the bundled)"},
        {"threads", 't', "N", "compute threads (all it may use)"},
        {"files-only", 0, NULL, "run nothing: no embeddings, no speed"},
        {"json", 'j', NULL, "one JSON object"}};
    static const opts_usage usage = {
        "doctor", "[MODEL] [options]",
        "Checks a model: NaN, unused or missing tensors, odd values, activation and\n"
        "preprocessing against the files and the usual, tokenizer, embeddings of "
        "built-in\n"
        "pictures and texts, memory, speed. One line a check: ok, note, WARNING, "
        "PROBLEM.\n"
        "Exit status: 0 sound, 1 warnings, 3 problems.",
        "  clipc doctor\n  clipc doctor ViT-B-32/ --json\n"
        "  clipc doctor model.safetensors --files-only\n"};
    doctor d = {.model = getenv("CLIPC_MODEL")};
    const int at = opts_parse(argc, argv, table, sizeof table / sizeof table[0], &usage,
                              on_option, &d);

    if (at < 0) return cli_options_exit(at);
    if (at + 1 < argc) return cli_usage("doctor", "takes one model");
    if (at < argc) d.model = argv[at];
    return check(&d);
}

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/opts.h"
#include "cli/cli.h"
#include "clipc_train.h"

#define SOURCE_OPTS                                                            \
    TABLE_OPTS, {"threads", 't', "N", "threads that decode (all it may use)"}, \
        {"json", 'j', NULL, "one JSON object"},                                \
    {                                                                          \
        "max-megapixels", 0, "X", "larger pictures are broken (256)"           \
    }

static const opt make_table[] = {
    {"out", 'o', "DIR", "where 00000.tar, 00001.tar .. go; must not exist"},
    {"per-shard", 'n', "N", "samples a shard (10000)"},
    {"shard-mb", 0, "N", "megabytes a shard, if it comes first (1000)"},
    {"side", 0, "N", "shrink pictures whose longer side is more than N pixels"},
    {"quality", 0, "N", "of JPEG, 1 to 100 (90)"},
    {"shuffle", 0, "SEED", "samples in random order, for trainers that need that"},
    {"max-broken", 0, "X", "end with more broken samples: a part, or a number (0.1)"},
    SOURCE_OPTS,
};

static const opts_usage make_usage = {
    "data make", "PATH... --out DIR [options]",
    "Makes WebDataset shards of what there is to train on: folders of classes, pictures "
    "with\n"
    "captions beside them, tables, other shards. Pictures stay as they are, byte for "
    "byte,\n"
    "unless they are shrunk or neither JPEG, PNG nor WebP; broken ones are left out and\n"
    "told. DIR appears when it is whole; stopped, the same command goes on.",
    "  clipc data make pictures/ --out shards/\n"
    "  clipc data make captions.tsv --out shards/ --side 512 --csv-caption-key text\n"
    "  clipc data make 'old/{000..099}.tar' --out new/ --per-shard 5000 --shuffle 1\n"};

static const opt stats_table[] = {
    {"against", 'a', "PATH",
     "evaluation set: tell which pictures are near to its (repeatable)"},
    {"dictionary", 0, "FILE", "tell how many captions it could say otherwise"},
    {"near", 0, "X", "how near, in grey levels of 16 x 16 pixels (9)"},
    {"html", 0, "FILE", "write a contact sheet, with duplicates and what is near"},
    {"sheet", 0, "N", "pictures on it (100)"},
    {"force", 'f', NULL, "replace the file of --html"},
    SOURCE_OPTS,
};

static const opts_usage stats_usage = {
    "data stats", "PATH... [options]",
    "Tells what is in a training set: sizes, formats, lengths of captions, broken "
    "samples,\n"
    "pictures that are there several times, and with --against those that are near to "
    "an\n"
    "evaluation set, which must not be trained on. Every picture is decoded.",
    "  clipc data stats shards/\n"
    "  clipc data stats train.csv --html sheet.html\n"
    "  clipc data stats shards/ --against eval/openmoji/ --against eval/test.tar "
    "--json\n"};

typedef struct work {
    const char *command, *out, *html;
    clipc_data_sources from;
    clipc_make_options make;
    clipc_stats_options stats;
    strings against;
    bool force, json;
    size_t *threads;        /* of make or stats */
    double *max_megapixels; /* likewise */
    progress progress;
    clipc_err err;
} work;

/* A number above 0, or a usage error. */
static int real(double *out, const work *w, const char *name, const char *value,
                double least)
{
    char *end, what[160];

    *out = strtod(value, &end);
    if (end != value && !*end && *out >= least && *out < 1e18) return 0;
    snprintf(what, sizeof what, "--%s %.40s: wanted a number of %g or more", name, value,
             least);
    return cli_usage(w->command, what);
}

/* Of SOURCE_OPTS; -1: none of these. */
static int source_option(work *w, const char *name, const char *value)
{
    if (strcmp(name, "csv-img-key") == 0) return w->from.csv_img_key = value, 0;
    if (strcmp(name, "csv-caption-key") == 0) return w->from.csv_caption_key = value, 0;
    if (strcmp(name, "json") == 0) return w->json = true, 0;
    if (strcmp(name, "csv-separator") == 0) {
        w->from.csv_separator = value;
        return strlen(value) == 1
                   ? 0
                   : cli_usage(w->command, "--csv-separator wants one character");
    }
    if (strcmp(name, "threads") == 0)
        return cli_number(w->threads, w->command, name, value, 1, 1024);
    if (strcmp(name, "max-megapixels") == 0)
        return real(w->max_megapixels, w, name, value, 0.001);
    return -1;
}

static int on_make_option(void *user, const char *name, const char *value)
{
    work *w = user;
    clipc_make_options *o = &w->make;
    size_t number = 0;
    int rc = source_option(w, name, value);

    if (rc != -1) return rc;
    if (strcmp(name, "out") == 0) return w->out = value, 0;
    if (strcmp(name, "max-broken") == 0) return real(&o->max_broken, w, name, value, 0.0);
    if (strcmp(name, "per-shard") == 0)
        return cli_number(&o->per_shard, w->command, name, value, 1, 100000000);
    if (strcmp(name, "side") == 0)
        return cli_number(&o->side, w->command, name, value, 1, 65536);
    if (strcmp(name, "shard-mb") == 0) {
        rc = cli_number(&number, w->command, name, value, 1, 1000000);
        o->shard_bytes = number * 1000000;
    } else if (strcmp(name, "quality") == 0) {
        rc = cli_number(&number, w->command, name, value, 1, 100);
        o->quality = (int)number;
    } else {
        rc = cli_number(&number, w->command, name, value, 0, SIZE_MAX);
        o->shuffle = 1;
        o->seed = number;
    }
    return rc;
}

static int on_progress(void *user, size_t done, size_t total)
{
    work *w = user;

    progress_of_total(&w->progress, done, total);
    return cli_interrupted();
}

static void on_broken(void *user, const char *why)
{
    work *w = user;

    progress_end(&w->progress);
    fprintf(stderr, "broken sample: %s\n", why);
}

static void report_made(const work *w, const clipc_make_stats *s)
{
    if (!w->json) {
        printf(
            "%s: %zu samples in %zu shards, %.1f MB; %zu pictures rewritten, %zu broken "
            "samples left out\n",
            w->out, s->samples, s->shards, (double)s->bytes / 1e6, s->rewritten,
            s->broken);
        return;
    }
    printf("{\"folder\":");
    json_print_string(w->out);
    printf(",\"samples\":%zu,\"shards\":%zu,\"bytes\":%zu,\"rewritten\":%zu,"
           "\"broken\":%zu}\n",
           s->samples, s->shards, s->bytes, s->rewritten, s->broken);
}

/* The operands are the sources. */
static int parse(work *w, int argc, char **argv, const opt *table, size_t n,
                 const opts_usage *usage,
                 int (*on)(void *user, const char *name, const char *value))
{
    const int at = opts_parse(argc, argv, table, n, usage, on, w);

    if (at < 0) return cli_options_exit(at);
    if (at == argc) return cli_usage(w->command, "no data given");
    w->from.paths = (const char *const *)argv + at;
    w->from.n = (size_t)(argc - at);
    return -1;
}

static int data_make(int argc, char **argv)
{
    work w = {.command = "data make",
              .make = clipc_make_default(),
              .threads = &w.make.threads,
              .max_megapixels = &w.make.max_megapixels};
    clipc_make_stats stats;
    int rc = parse(&w, argc, argv, make_table, sizeof make_table / sizeof make_table[0],
                   &make_usage, on_make_option);

    if (rc != -1) return rc;
    if (!w.out) return cli_usage(w.command, "--out is missing");
    cli_catch_interrupts();
    w.progress = progress_start("pictures", 0);
    w.make.on_progress = on_progress;
    w.make.on_broken = on_broken;
    w.make.user = &w;
    rc = clipc_data_make(&stats, w.out, &w.from, &w.make, &w.err);
    progress_end(&w.progress);
    if (rc != CLIPC_OK) return cli_fail(&w.err);
    report_made(&w, &stats);
    return EXIT_DONE;
}

/* ---- stats ---- */

static int on_stats_option(void *user, const char *name, const char *value)
{
    work *w = user;
    clipc_stats_options *o = &w->stats;
    const int rc = source_option(w, name, value);

    if (rc != -1) return rc;
    if (strcmp(name, "html") == 0) return w->html = value, 0;
    if (strcmp(name, "force") == 0) return w->force = true, 0;
    if (strcmp(name, "dictionary") == 0) return o->dictionary = value, 0;
    if (strcmp(name, "near") == 0) return real(&o->near, w, name, value, 0.0);
    if (strcmp(name, "sheet") == 0)
        return cli_number(&o->sheet, w->command, name, value, 0, 100000);
    return strings_add(&w->against, value, strlen(value), &w->err) == CLIPC_OK
               ? 0
               : cli_usage(w->command, "out of memory");
}

static json_int_t whole(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

static void print_spread(const char *title, const json_t *o, const char *unit)
{
    if (json_object_size(o))
        printf("%-22s %lld to %lld%s, median %lld, 95 %% up to %lld\n", title,
               whole(o, "least"), whole(o, "most"), unit, whole(o, "median"),
               whole(o, "p95"));
}

static void print_pictures(const json_t *r)
{
    const char *format;
    json_t *n;

    printf("%-22s", "formats");
    json_object_foreach(json_object_get(r, "formats"), format, n)
        printf(" %s %lld", format, json_integer_value(n));
    printf("; %lld with alpha, %lld to be tinted\n", whole(r, "transparent"),
           whole(r, "tint"));
    print_spread("width", json_object_get(r, "width"), " pixels");
    print_spread("height", json_object_get(r, "height"), " pixels");
}

static void print_captions(const json_t *c)
{
    const json_t *most = json_object_get(c, "most"),
                 *words = json_object_get(c, "dictionary");

    printf("%-22s %lld, %lld different\n", "captions", whole(c, "all"),
           whole(c, "different"));
    print_spread("captions a picture", json_object_get(c, "a_picture"), "");
    print_spread("their length", json_object_get(c, "characters"), " characters");
    print_spread("", json_object_get(c, "tokens"), " of OpenAI's tokens");
    printf("%-22s %lld\n", "longer than 77 tokens", whole(c, "over_77"));
    if (words)
        printf("%-22s %lld captions as a whole, %lld in part, by %lld words\n",
               "said otherwise", whole(words, "whole"), whole(words, "part"),
               whole(words, "words"));
    for (size_t i = 0; i < json_array_size(most); i++) {
        const json_t *x = json_array_get(most, i);
        printf("%-22s %lld times: %s\n", i ? "" : "most frequent", whole(x, "times"),
               json_string_value(json_object_get(x, "caption")));
    }
}

/* At most ten of them; --json has more. */
static void print_likenesses(const json_t *r)
{
    const json_t *d = json_object_get(r, "duplicates"),
                 *near = json_object_get(r, "near");
    const json_t *groups = json_object_get(d, "groups"),
                 *pairs = json_object_get(near, "pairs");

    printf("%-22s %lld pictures that are there already\n", "duplicates",
           whole(d, "pictures"));
    for (size_t i = 0; i < json_array_size(groups) && i < 10; i++) {
        const json_t *g = json_array_get(groups, i);
        printf("  %zu times: %s, %s%s\n", json_array_size(g),
               json_string_value(json_array_get(g, 0)),
               json_string_value(json_array_get(g, 1)),
               json_array_size(g) > 2 ? ", .." : "");
    }
    if (!near) return;
    printf("%-22s %lld pictures within %g levels of one of %lld\n", "near to evaluation",
           whole(near, "pictures"), json_number_value(json_object_get(near, "below")),
           whole(near, "against"));
    for (size_t i = 0; i < json_array_size(pairs) && i < 10; i++) {
        const json_t *p = json_array_get(pairs, i);
        printf("  %.2f: %s, %s\n", json_number_value(json_object_get(p, "distance")),
               json_string_value(json_object_get(p, "picture")),
               json_string_value(json_object_get(p, "other")));
    }
}

static void print_stats(const json_t *r)
{
    const json_t *broken = json_object_get(r, "broken_first");

    printf("%-22s %lld, %.1f MB of pictures; the index takes %.1f MB\n", "samples",
           whole(r, "samples"), (double)whole(r, "bytes") / 1e6,
           (double)whole(r, "index_bytes") / 1e6);
    printf("%-22s %lld\n", "broken", whole(r, "broken"));
    for (size_t i = 0; i < json_array_size(broken); i++)
        printf("  %s\n", json_string_value(json_array_get(broken, i)));
    print_pictures(r);
    print_captions(json_object_get(r, "captions"));
    print_likenesses(r);
}

static int write_page(const work *w, const char *html, clipc_err *err)
{
    atomic_file a;
    int rc = atomic_open(&a, w->html, w->force, err);

    if (rc != CLIPC_OK) return rc;
    rc = atomic_write(&a, html, strlen(html), err);
    if (rc == CLIPC_OK) return atomic_commit(&a, err);
    atomic_abort(&a);
    return rc;
}

static int survey(work *w)
{
    char *json = NULL, *html = NULL;
    json_t *r = NULL;
    int rc = CLIPC_OK;

    if (w->html) rc = atomic_check(w->html, w->force, &w->err);
    if (rc == CLIPC_OK)
        rc =
            clipc_data_stats(&json, w->html ? &html : NULL, &w->from, &w->stats, &w->err);
    progress_end(&w->progress);
    if (rc == CLIPC_OK && html) rc = write_page(w, html, &w->err);
    if (rc == CLIPC_OK && w->json) puts(json);
    else if (rc == CLIPC_OK &&
             (rc = json_parse(&r, json, strlen(json), "report", &w->err)) == CLIPC_OK)
        print_stats(r);
    json_decref(r);
    free(json);
    free(html);
    return rc == CLIPC_OK ? EXIT_DONE : cli_fail(&w->err);
}

static int data_stats(int argc, char **argv)
{
    work w = {.command = "data stats",
              .stats = clipc_stats_default(),
              .threads = &w.stats.threads,
              .max_megapixels = &w.stats.max_megapixels};
    int rc =
        parse(&w, argc, argv, stats_table, sizeof stats_table / sizeof stats_table[0],
              &stats_usage, on_stats_option);

    if (rc == -1) {
        cli_catch_interrupts();
        w.progress = progress_start("pictures", 0);
        w.stats.on_progress = on_progress;
        w.stats.user = &w;
        w.stats.against = (const char *const *)w.against.v;
        w.stats.n_against = w.against.n;
        rc = survey(&w);
    }
    strings_free(&w.against);
    return rc;
}

int cmd_data(int argc, char **argv)
{
    static const char help[] =
        "usage: clipc data make PATH... --out DIR   makes shards\n"
        "       clipc data stats PATH...            tells what is in a training set\n\n"
        "examples:\n"
        "  clipc data make pictures/ --out shards/\n"
        "  clipc data stats shards/ --html sheet.html\n\n"
        "clipc data make --help and clipc data stats --help tell more.\n";

    if (argc > 1 && strcmp(argv[1], "make") == 0) return data_make(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "stats") == 0) return data_stats(argc - 1, argv + 1);
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(help, stdout);
        return EXIT_DONE;
    }
    return cli_usage("data", "wants \"make\" or \"stats\"");
}

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/indexing.h"

static const opt table[] = {
    INDEXING_OPTS,
    {"exact", 0, NULL, "only what has the same bytes"},
    {"min-score", 0, "X", "do not compare what has a smaller cosine (0.9)"},
    {"difference", 0, "X", "of copies' pixels, 0 to 255 in the mean, at most (6)"},
    {"burst", 0, "SECONDS", "between pictures of a burst, at most (3)"},
    {"json", 'j', NULL, "one JSON object a group"},
};

static const opts_usage usage = {
    "dedup", "[DIR...] [options]",
    "Groups the pictures of this folder, or these, that are there more than once: the "
    "same\n"
    "bytes, the same picture resized, recompressed or little changed, and bursts. The "
    "first\n"
    "of a group has the most pixels; the others say why they are in it. Deletes nothing.",
    "  clipc dedup ~/Pictures\n"
    "  clipc dedup --exact --json\n"};

typedef struct dedup {
    indexing g;
    clipc_index_twin_options o;
    progress progress;
    size_t groups;
    bool json, exact;
} dedup;

static int parse_number(double *out, const char *name, const char *value, double most)
{
    char *end, what[80];

    *out = strtod(value, &end);
    if (end != value && !*end && *out > 0.0 && *out <= most) return 0;
    snprintf(what, sizeof what, "--%s wants a number above 0, to %g", name, most);
    return cli_usage("dedup", what);
}

static int on_option(void *user, const char *name, const char *value)
{
    dedup *d = user;
    double x = 0.0;
    int rc;

    if (strcmp(name, "json") == 0) return d->json = true, 0;
    if (strcmp(name, "exact") == 0) return d->exact = true, 0;
    if (strcmp(name, "burst") == 0) return parse_number(&d->o.burst, name, value, 1e6);
    if (strcmp(name, "difference") == 0) {
        rc = parse_number(&x, name, value, 255);
        d->o.max_difference = (float)x;
        return rc;
    }
    if (strcmp(name, "min-score") != 0) return indexing_option(&d->g, name, value);
    rc = parse_number(&x, name, value, 1);
    d->o.min_score = (float)x;
    return rc;
}

static const char *const reasons[] = {[CLIPC_TWIN_FIRST] = "first",
                                      [CLIPC_TWIN_BYTES] = "bytes",
                                      [CLIPC_TWIN_COPY] = "copy",
                                      [CLIPC_TWIN_BURST] = "burst"};

static void print_json(const clipc_index_twin *group, size_t n)
{
    printf("{\"group\":[");
    for (size_t i = 0; i < n; i++) {
        const clipc_index_twin *t = &group[i];
        printf("%s{\"image\":", i ? "," : "");
        json_print_string(t->key);
        printf(",\"bytes\":%lld", (long long)t->bytes);
        if (t->width) printf(",\"width\":%u,\"height\":%u", t->width, t->height);
        if (i) printf(",\"reason\":\"%s\",\"of\":%zu", reasons[t->reason], t->of);
        if (t->reason > CLIPC_TWIN_BYTES) printf(",\"score\":%.6f", (double)t->score);
        if (t->reason == CLIPC_TWIN_COPY)
            printf(",\"difference\":%.3f", (double)t->difference);
        if (t->reason == CLIPC_TWIN_BURST) printf(",\"seconds\":%.0f", t->seconds);
        putchar('}');
    }
    puts("]}");
}

static void print_why(const clipc_index_twin *t)
{
    if (t->reason == CLIPC_TWIN_BYTES) printf("the same bytes");
    if (t->reason == CLIPC_TWIN_COPY)
        printf("the same picture, pixels differ by %.1f of 255", (double)t->difference);
    if (t->reason == CLIPC_TWIN_BURST)
        printf("taken %.0f s apart, cosine %.3f", t->seconds, (double)t->score);
}

static int print_group(void *user, const clipc_index_twin *group, size_t n)
{
    dedup *d = user;

    progress_end(&d->progress);
    if (d->json) {
        print_json(group, n);
        return CLIPC_OK;
    }
    if (d->groups++) putchar('\n');
    printf("group %zu\n", d->groups);
    for (size_t i = 0; i < n; i++) {
        const clipc_index_twin *t = &group[i];
        printf("  %s  (", path_from_here(t->key));
        if (t->width) printf("%ux%u, ", t->width, t->height);
        printf("%lld bytes", (long long)t->bytes);
        if (i) printf("; "), print_why(t);
        if (i && t->of) printf(", as %s", path_from_here(group[t->of].key));
        puts(")");
    }
    return CLIPC_OK;
}

static void on_progress(void *user, size_t done, size_t total)
{
    dedup *d = user;

    progress_of_total(&d->progress, done, total);
}

static int stop(void *user)
{
    (void)user;
    return cli_interrupted();
}

static int run_folder(dedup *d, const char *folder)
{
    clipc_index_changes changes;
    char *path = realpath(folder, NULL);
    int rc = indexing_update(&d->g, folder, &changes);

    d->progress = progress_start("compared", 0);
    d->o.on_progress = on_progress;
    d->o.stop = stop;
    if (d->exact) d->o.min_score = 2.0f; /* no cosine is as large */
    if (rc == CLIPC_OK && !changes.stopped)
        rc = clipc_index_twins(d->g.x, path, &d->o, print_group, d, &d->g.s.err);
    progress_end(&d->progress);
    free(path);
    return rc;
}

int cmd_dedup(int argc, char **argv)
{
    dedup d = {.g = indexing_start("dedup")};
    const int at = opts_parse(argc, argv, table, sizeof table / sizeof table[0], &usage,
                              on_option, &d);
    int rc = cli_options_exit(at);

    if (at >= 0) {
        cli_catch_interrupts();
        rc = indexing_open(&d.g);
        if (rc == CLIPC_OK && at == argc) rc = run_folder(&d, ".");
        for (int i = at; rc == CLIPC_OK && i < argc; i++) rc = run_folder(&d, argv[i]);
        rc = rc != CLIPC_OK      ? cli_fail(&d.g.s.err)
             : cli_interrupted() ? indexing_stopped()
                                 : EXIT_DONE;
    }
    indexing_close(&d.g);
    return rc;
}

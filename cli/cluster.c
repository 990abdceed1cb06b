#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sizes.h"
#include "cli/indexing.h"
#include "cli/means.h"

static const opt table[] = {
    INDEXING_OPTS,
    {"labels", 'l', "FILE", "the names that groups may have, one a line"},
    {"groups", 'k', "K", "as many at most (the root of half the pictures, to 64)"},
    {"json", 'j', NULL, "one JSON object a group"},
};

static const opts_usage usage = {
    "cluster", "[DIR] --labels FILE [options]",
    "Groups the pictures of this folder, or that one, by what is alike, and names each "
    "group\n"
    "by the line of a file that fits it best, compared with all pictures. Groups of the "
    "same\n"
    "name are one.",
    "  clipc cluster --labels words.txt\n"
    "  clipc cluster ~/Pictures -l words.txt -k 12 --json\n"};

enum { MOST_GROUPS = 64 };

typedef struct cluster {
    indexing g;
    strings labels, paths;
    size_t k;
    bool json;
    float *rows; /* [paths.n,dim] */
    size_t cap;
    size_t *of;   /* [paths.n] the group of each picture, */
    size_t *name; /* [k] and the label of each group */
    float *fit;   /* [k] how much better than all pictures it fits */
} cluster;

static int on_option(void *user, const char *name, const char *value)
{
    cluster *c = user;

    if (strcmp(name, "json") == 0) return c->json = true, 0;
    if (strcmp(name, "groups") == 0)
        return cli_number(&c->k, "cluster", name, value, 1, 10000);
    if (strcmp(name, "labels") != 0) return indexing_option(&c->g, name, value);
    return strings_lines(&c->labels, value, &c->g.s.err) == CLIPC_OK
               ? 0
               : cli_fail(&c->g.s.err);
}

static int take_entry(void *user, const clipc_index_entry *e)
{
    cluster *c = user;
    const size_t dim = c->g.s.info->embed_dim;

    if (!e->vector || e->seconds >= 0.0) return CLIPC_OK; /* pictures alone */
    if (c->paths.n == c->cap) {
        const size_t cap = c->cap ? 2 * c->cap : 1024;
        float *rows = realloc(c->rows, cap * dim * sizeof *rows);
        if (!rows)
            return clipc_fail_memory(&c->g.s.err, "vectors", cap * dim * sizeof *rows);
        c->rows = rows, c->cap = cap;
    }
    memcpy(c->rows + c->paths.n * dim, e->vector, dim * sizeof *c->rows);
    return strings_add(&c->paths, e->key, strlen(e->key), &c->g.s.err);
}

/* mean [dim] of all pictures. */
static void mean_of(float *mean, const cluster *c, size_t dim)
{
    for (size_t d = 0; d < dim; d++) {
        double sum = 0.0;
        for (size_t i = 0; i < c->paths.n; i++) sum += (double)c->rows[i * dim + d];
        mean[d] = (float)(sum / (double)c->paths.n);
    }
}

/* What all pictures have in common would give all groups one name. */
static void choose_names(cluster *c, const float *centres, const float *mean,
                         const float *labels, size_t dim)
{
    for (size_t g = 0; g < c->k; g++) {
        c->fit[g] = -INFINITY;
        for (size_t i = 0; i < c->labels.n; i++) {
            float here, all;
            clipc_similarity(&here, centres + g * dim, 1, labels + i * dim, 1, dim, 1.0f);
            clipc_similarity(&all, mean, 1, labels + i * dim, 1, dim, 1.0f);
            if (here - all > c->fit[g]) c->fit[g] = here - all, c->name[g] = i;
        }
    }
}

static int make_groups(cluster *c)
{
    const clipc_model_info *info = c->g.s.info;
    const size_t dim = info->embed_dim, n = c->paths.n;

    if (!c->k) c->k = min_size(MOST_GROUPS, (size_t)ceil(sqrt((double)n / 2.0)));
    c->k = min_size(c->k, n);
    float *centres = malloc((c->k + c->labels.n + 1) * dim * sizeof *centres);
    float *labels = centres + c->k * dim, *mean = labels + c->labels.n * dim;
    c->of = malloc(n * sizeof *c->of);
    c->name = calloc(c->k, sizeof *c->name);
    c->fit = calloc(c->k, sizeof *c->fit);
    int rc = centres && c->of && c->name && c->fit
                 ? means_find(c->of, centres, c->rows, n, c->k, dim, &c->g.s.err)
                 : clipc_fail_memory(&c->g.s.err, "groups", c->k * dim * sizeof *centres);
    if (rc == CLIPC_OK)
        rc = clipc_classifier(c->g.s.ctx, labels, (const char *const *)c->labels.v,
                              c->labels.n, info->templates, info->n_templates,
                              &c->g.s.err);
    if (rc == CLIPC_OK) {
        mean_of(mean, c, dim);
        choose_names(c, centres, mean, labels, dim);
    }
    free(centres);
    return rc;
}

/* ---- telling ---- */

static void print_group(const cluster *c, size_t label, size_t n)
{
    bool more = false;

    if (c->json) printf("{\"name\":"), json_print_string(c->labels.v[label]);
    else printf("%s (%zu)\n", c->labels.v[label], n);
    if (c->json) printf(",\"images\":[");
    for (size_t i = 0; i < c->paths.n; i++) {
        if (c->name[c->of[i]] != label) continue;
        if (!c->json) printf("  %s\n", path_from_here(c->paths.v[i]));
        else printf("%s", more ? "," : ""), json_print_string(c->paths.v[i]);
        more = true;
    }
    if (c->json) puts("]}");
}

/* The largest first. */
static int print_groups(cluster *c)
{
    size_t *counts = calloc(c->labels.n, sizeof *counts);

    if (!counts) return clipc_fail_memory(&c->g.s.err, "groups", c->labels.n);
    for (size_t i = 0; i < c->paths.n; i++) counts[c->name[c->of[i]]]++;
    for (;;) {
        size_t best = 0;
        for (size_t i = 1; i < c->labels.n; i++)
            if (counts[i] > counts[best]) best = i;
        if (!counts[best]) break;
        print_group(c, best, counts[best]);
        counts[best] = 0;
    }
    free(counts);
    return CLIPC_OK;
}

static int group_all(cluster *c, const char *folder, const char *path)
{
    int rc = clipc_index_each(c->g.x, path, take_entry, c, &c->g.s.err);

    if (rc == CLIPC_OK && !c->paths.n)
        rc = clipc_fail(&c->g.s.err, CLIPC_ERR_IO, "%s: no picture in this folder",
                        folder);
    if (rc == CLIPC_OK) rc = make_groups(c);
    return rc == CLIPC_OK ? print_groups(c) : rc;
}

static int run(cluster *c, const char *folder)
{
    clipc_index_changes changes = {0};
    char *path = realpath(folder, NULL);
    int rc = indexing_open(&c->g);

    if (rc == CLIPC_OK) rc = indexing_update(&c->g, folder, &changes);
    if (rc == CLIPC_OK && !changes.stopped) rc = group_all(c, folder, path);
    free(path);
    if (rc != CLIPC_OK) return cli_fail(&c->g.s.err);
    return changes.stopped ? indexing_stopped() : EXIT_DONE;
}

int cmd_cluster(int argc, char **argv)
{
    cluster c = {.g = indexing_start("cluster")};
    const int at = opts_parse(argc, argv, table, sizeof table / sizeof table[0], &usage,
                              on_option, &c);
    int rc = cli_options_exit(at);

    if (at >= 0 && argc - at > 1) {
        rc = cli_usage("cluster", "takes one folder");
    } else if (at >= 0 && !c.labels.n) {
        rc = cli_usage("cluster", "no names: give --labels FILE");
    } else if (at >= 0) {
        cli_catch_interrupts();
        rc = run(&c, at < argc ? argv[at] : ".");
    }
    indexing_close(&c.g);
    strings_free(&c.labels);
    strings_free(&c.paths);
    free(c.rows);
    free(c.of);
    free(c.name);
    free(c.fit);
    return rc;
}

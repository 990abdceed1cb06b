/* index add, update, remove, list, verify, stats, build, export, import. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/approximate.h"
#include "cli/folder_watch.h"
#include "cli/indexing.h"
#include "cli/vectors_folder.h"

typedef struct keeper {
    indexing g;
    bool json, print0, failed, repair, watch, if_due;
    const char *kind;
    int watched; /* folder_watch */
    size_t told;
} keeper;

static int on_option(void *user, const char *name, const char *value)
{
    keeper *k = user;

    if (strcmp(name, "json") == 0) return k->json = true, 0;
    if (strcmp(name, "print0") == 0) return k->print0 = true, 0;
    if (strcmp(name, "failed") == 0) return k->failed = true, 0;
    if (strcmp(name, "watch") == 0) return k->watch = true, 0;
    if (strcmp(name, "if-due") == 0) return k->if_due = true, 0;
    if (strcmp(name, "kind") == 0) return k->kind = value, 0;
    if (strcmp(name, "repair") == 0) return k->repair = true, 0;
    return indexing_option(&k->g, name, value);
}

/* What a subcommand is: its options, and what it does with its operands. */
typedef struct action {
    opts_usage usage;
    const opt *table;
    size_t n;
    bool writes;     /* it makes an index where there is none */
    bool needs_some; /* operands */
    bool no_model;
    int (*run)(keeper *k, char **operands, size_t n);
} action;

/* ---- add, update ---- */

static void print_changes(const clipc_index_changes *c, const char *what)
{
    printf("%s: %zu embedded, %zu known by content, %zu unchanged, %zu removed", what,
           c->embedded, c->known, c->unchanged, c->removed);
    if (c->failed) printf(", %zu failed", c->failed);
    if (c->busy) printf(", %zu changed while they were read", c->busy);
    puts(c->stopped ? "; stopped" : "");
}

static int code_of(const clipc_index_changes *c)
{
    return c->failed || c->busy ? EXIT_SOME : EXIT_DONE;
}

static int update_paths(keeper *k, char **operands, size_t n)
{
    int code = EXIT_DONE;

    for (size_t i = 0; i < n && !cli_interrupted(); i++) {
        clipc_index_changes c;
        if (indexing_update(&k->g, operands[i], &c) != CLIPC_OK) {
            code = cli_fail(&k->g.s.err);
            continue;
        }
        print_changes(&c, operands[i]);
        if (code == EXIT_DONE) code = code_of(&c);
    }
    return code;
}

static int end_update(int code)
{
    return cli_interrupted() ? indexing_stopped() : code;
}

static int run_add(keeper *k, char **operands, size_t n)
{
    k->g.update.remember = 1;
    return end_update(update_paths(k, operands, n));
}

static int update_once(keeper *k, char **operands, size_t n)
{
    clipc_index_changes c;

    if (n) return update_paths(k, operands, n);
    if (indexing_update(&k->g, NULL, &c) != CLIPC_OK) return cli_fail(&k->g.s.err);
    print_changes(&c, "all folders");
    return code_of(&c);
}

static int watch_folder(void *user, const char *folder)
{
    keeper *k = user;

    return folder_watch_add(k->watched, folder, &k->g.s.err);
}

/* New folders are watched, too, before they are looked into. */
static int watch_folders(keeper *k, char **operands, size_t n)
{
    int rc = n ? CLIPC_OK : clipc_index_each_folder(k->g.x, watch_folder, k, &k->g.s.err);

    for (size_t i = 0; rc == CLIPC_OK && i < n; i++) rc = watch_folder(k, operands[i]);
    return rc;
}

/* Updates again whenever something has changed, until Ctrl-C. */
static int keep_watching(keeper *k, char **operands, size_t n)
{
    int code = EXIT_DONE, rc = folder_watch_open(&k->watched, &k->g.s.err);

    if (rc != CLIPC_OK) return cli_fail(&k->g.s.err);
    do {
        if ((rc = watch_folders(k, operands, n)) != CLIPC_OK) break;
        code = update_once(k, operands, n);
        fflush(stdout);
    } while (!cli_interrupted() && folder_watch_wait(k->watched));
    close(k->watched);
    return rc == CLIPC_OK ? code : cli_fail(&k->g.s.err);
}

static int run_update(keeper *k, char **operands, size_t n)
{
    return end_update((k->watch ? keep_watching : update_once)(k, operands, n));
}

/* ---- remove ---- */

static int run_remove(keeper *k, char **operands, size_t n)
{
    size_t failed = 0;

    for (size_t i = 0; i < n; i++) {
        char *path = realpath(operands[i], NULL); /* what is gone goes by its key */
        size_t removed = 0;
        if (clipc_index_remove(k->g.x, path ? path : operands[i], &removed,
                               &k->g.s.err) != CLIPC_OK) {
            failed++;
            cli_fail(&k->g.s.err);
        } else {
            printf("%s: %zu removed\n", operands[i], removed);
        }
        free(path);
    }
    return failed ? EXIT_SOME : EXIT_DONE;
}

/* ---- list ---- */

static int list_entry(void *user, const clipc_index_entry *e)
{
    keeper *k = user;

    if (k->failed && !e->failed) return CLIPC_OK;
    k->told++;
    if (k->json) {
        printf("{\"key\":");
        json_print_string(e->key);
        if (e->width) printf(",\"width\":%u,\"height\":%u", e->width, e->height);
        if (e->time) printf(",\"time\":%lld", (long long)e->time);
        if (e->seconds >= 0.0) printf(",\"seconds\":%.3f", e->seconds);
        if (e->meta) printf(",\"meta\":%s", e->meta);
        if (e->failed) printf(",\"failed\":"), json_print_string(e->failed);
        puts("}");
    } else if (k->print0) {
        fwrite(e->key, 1, strlen(e->key) + 1, stdout);
    } else if (k->failed) {
        puts(e->failed);
    } else {
        printf("%s%s\n", path_from_here(e->key), place_in_video(e->seconds));
    }
    return CLIPC_OK;
}

static int run_list(keeper *k, char **operands, size_t n)
{
    int rc;

    if (k->json && k->print0)
        return cli_usage("index list", "--json or --print0, not both");
    rc = n ? CLIPC_OK : clipc_index_each(k->g.x, NULL, list_entry, k, &k->g.s.err);
    for (size_t i = 0; rc == CLIPC_OK && i < n; i++) {
        char *path = realpath(operands[i], NULL);
        rc = clipc_index_each(k->g.x, path ? path : operands[i], list_entry, k,
                              &k->g.s.err);
        free(path);
    }
    return rc == CLIPC_OK ? EXIT_DONE : cli_fail(&k->g.s.err);
}

/* ---- stats ---- */

static int print_folder(void *user, const char *folder)
{
    (void)user;
    printf("  folder       %s\n", folder);
    return CLIPC_OK;
}

static int print_folder_json(void *user, const char *folder)
{
    bool *more = user;

    if (*more) putchar(',');
    *more = true;
    json_print_string(folder);
    return CLIPC_OK;
}

static int run_stats(keeper *k, char **operands, size_t n)
{
    clipc_index_stats st;
    bool more = false;
    int rc = clipc_index_stats_of(&st, k->g.x, &k->g.s.err);

    (void)operands, (void)n;
    if (rc != CLIPC_OK) return cli_fail(&k->g.s.err);
    if (k->json) {
        printf("{\"pictures\":%zu,\"failed\":%zu,\"dim\":%zu,\"models\":%zu,\"bytes\":"
               "%llu,\"folders\":[",
               st.entries, st.failed, st.dim, st.models, (unsigned long long)st.bytes);
        rc = clipc_index_each_folder(k->g.x, print_folder_json, &more, &k->g.s.err);
        putchar(']');
        approximate_print_json(&st.approximate);
        puts("}");
    } else {
        printf("  vectors      %zu of this model, %zu numbers each\n", st.entries,
               st.dim);
        printf("  failed       %zu\n  models       %zu\n", st.failed, st.models);
        printf("  on the disk  %.1f MB\n", (double)st.bytes / 1e6);
        approximate_print(&st.approximate);
        rc = clipc_index_each_folder(k->g.x, print_folder, NULL, &k->g.s.err);
    }
    return rc == CLIPC_OK ? EXIT_DONE : cli_fail(&k->g.s.err);
}

/* ---- build ---- */

static int run_build(keeper *k, char **operands, size_t n)
{
    (void)operands, (void)n;
    return approximate_build(k->g.folder, k->kind, k->if_due);
}

/* ---- verify ---- */

static void print_bad(void *user, const char *what)
{
    (void)user;
    fprintf(stderr, "clipc: %s\n", what);
}

static int run_verify(keeper *k, char **operands, size_t n)
{
    clipc_index_report r;

    (void)operands, (void)n;
    if (clipc_index_verify(&r, k->g.folder, k->repair, print_bad, NULL, &k->g.s.err) !=
        CLIPC_OK)
        return cli_fail(&k->g.s.err);
    printf("%zu vectors checked, %zu damaged", r.vectors, r.bad);
    if (r.dropped)
        printf(", %zu dropped: clipc index update makes them again", r.dropped);
    puts(r.made_again ? "; the catalogue was made again: add your folders again" : "");
    return r.bad && !k->repair ? EXIT_SOME : EXIT_DONE;
}

/* ---- export, import ---- */

static int run_export(keeper *k, char **operands, size_t n)
{
    size_t rows = 0;

    if (n != 1) return cli_usage("index export", "wants one folder to write to");
    if (vectors_export(&rows, k->g.x, k->g.s.info->embed_dim, operands[0], &k->g.s.err) !=
        CLIPC_OK)
        return cli_fail(&k->g.s.err);
    printf("%s: %zu vectors\n", operands[0], rows);
    return EXIT_DONE;
}

static int run_import(keeper *k, char **operands, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t rows = 0;
        if (vectors_import(&rows, k->g.x, k->g.s.info->embed_dim, operands[i],
                           &k->g.s.err) != CLIPC_OK)
            return cli_fail(&k->g.s.err);
        printf("%s: %zu vectors\n", operands[i], rows);
    }
    return EXIT_DONE;
}

/* ---- which one ---- */

static const opt write_table[] = {INDEXING_OPTS, VIDEO_OPTS};
static const opt update_table[] = {
    INDEXING_OPTS,
    VIDEO_OPTS,
    {"watch", 'w', NULL, "go on whenever something changes, until Ctrl-C"}};
static const opt whose_table[] = {WHOSE_OPTS};
static const opt stats_table[] = {WHOSE_OPTS, {"json", 'j', NULL, "one JSON object"}};
static const opt list_table[] = {
    WHOSE_OPTS,
    {"failed", 0, NULL, "only what could not be read, and why"},
    {"json", 'j', NULL, "one JSON object a line"},
    {"print0", '0', NULL, "a NUL behind each, for xargs -0"}};
static const opt build_table[] = {
    PLACE_OPTS,
    {"kind", 'k', "hnsw|ivf-pq", "a graph, or lists of codes (100,000 vectors and more)"},
    {"if-due", 0, NULL, "only of millions, of which a part is new: what searches start"}};
static const opt verify_table[] = {PLACE_OPTS, {"repair", 0, NULL, "mend what can be"}};

#define TABLE(t) (t), sizeof(t) / sizeof(t)[0]

static const action actions[] = {
    {{"index add", "DIR... [options]",
      "Indexes the pictures of folders and remembers these, with their options: clipc "
      "index\n"
      "update brings all of them up to date.",
      "  clipc index add ~/Pictures --exclude thumbnails\n"},
     TABLE(write_table),
     .writes = true,
     .needs_some = true,
     .run = run_add},
    {{"index update", "[DIR|PICTURE...] [options]",
      "Brings the index up to what is there now: all remembered folders, or these. A "
      "folder\n"
      "that is missing or empty loses nothing.",
      "  clipc index update --watch\n"},
     TABLE(update_table),
     .writes = true,
     .run = run_update},
    {{"index remove", "DIR|KEY... [options]",
      "Takes pictures out of the index, and folders with all below them; no file is "
      "touched.",
      "  clipc index remove ~/Pictures/scans\n"},
     TABLE(whose_table),
     .writes = true,
     .needs_some = true,
     .run = run_remove},
    {{"index list", "[DIR...] [options]", "Lists what the index holds for a model.",
      "  clipc index list --failed\n"},
     TABLE(list_table),
     .run = run_list},
    {{"index verify", "[options]",
      "Compares every checksum of the index, and tells what is damaged.",
      "  clipc index verify --repair\n"},
     TABLE(verify_table),
     .no_model = true,
     .run = run_verify},
    {{"index stats", "[options]", "Tells what the index holds for a model.",
      "  clipc index stats --json\n"},
     TABLE(stats_table),
     .run = run_stats},
    {{"index build", "[options]",
      "Makes or completes an approximate index by FAISS for each model's vectors, and "
      "tells "
      "how\n"
      "much it finds of what the exact scan finds. Searches go on meanwhile.",
      "  clipc index build --kind hnsw\n"},
     TABLE(build_table),
     .no_model = true,
     .run = run_build},
    {{"index export", "DIR [options]",
      "Writes the vectors of a model as DIR/vectors.npy, float32, and what each row is "
      "as\n"
      "DIR/keys.jsonl.",
      "  clipc index export vectors/\n"},
     TABLE(whose_table),
     .needs_some = true,
     .run = run_export},
    {{"index import", "DIR... [options]",
      "Puts the vectors of DIR/vectors.npy under the keys of DIR/keys.jsonl, as index "
      "export\n"
      "writes them: of the same model, though from elsewhere.",
      "  clipc index import vectors/\n"},
     TABLE(whose_table),
     .writes = true,
     .needs_some = true,
     .run = run_import},
};

enum { N_ACTIONS = sizeof actions / sizeof actions[0] };

static int run_action(const action *a, int argc, char **argv)
{
    keeper k = {.g = indexing_start(a->usage.command)};
    const int at = opts_parse(argc, argv, a->table, a->n, &a->usage, on_option, &k);
    int rc = cli_options_exit(at);

    k.g.read_only = !a->writes;
    if (at >= 0 && at == argc && a->needs_some) {
        rc = cli_usage(a->usage.command, "of what? see its --help");
    } else if (at >= 0) {
        cli_catch_interrupts();
        rc = !a->no_model && indexing_open(&k.g) != CLIPC_OK
                 ? cli_fail(&k.g.s.err)
                 : a->run(&k, argv + at, (size_t)(argc - at));
        if (a->writes) approximate_start_if_due(k.g.x, k.g.folder);
    }
    indexing_close(&k.g);
    return rc;
}

static void help(FILE *to)
{
    fputs("usage: clipc index ACTION [options]\n\nactions:\n", to);
    for (size_t i = 0; i < N_ACTIONS; i++)
        fprintf(to, "  clipc %s %s\n", actions[i].usage.command,
                actions[i].usage.synopsis);
    fputs("\nexamples:\n", to);
    for (size_t i = 0; i < N_ACTIONS; i++) fputs(actions[i].usage.examples, to);
    fputs("\nclipc index ACTION --help tells more.\n", to);
}

int cmd_index(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";

    for (size_t i = 0; i < N_ACTIONS; i++)
        if (strcmp(name, actions[i].usage.command + strlen("index ")) == 0)
            return run_action(&actions[i], argc - 1, argv + 1);
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return help(stdout), EXIT_DONE;
    return cli_usage(
        "index",
        "wants add, update, remove, list, verify, stats, build, export or import");
}

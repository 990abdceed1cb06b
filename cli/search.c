#define _GNU_SOURCE
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/approximate.h"
#include "cli/find_text.h"
#include "cli/gallery.h"
#include "cli/indexing.h"
#include "cli/opener.h"
#include "cli/query.h"
#include "cli/thumbs.h"

static const opt table[] = {
    INDEXING_OPTS,
    VIDEO_OPTS,
    {"number", 'n', "K", "as many pictures at most (10)"},
    {"min-score", 0, "X", "none whose cosine is below X (the model's, if it has one)"},
    {"like", 0, "FILE", "as an operand that is a picture; repeatable"},
    {"not", 0, "TEXT", "none that fits this better than the query; repeatable"},
    {"in", 0, "WHERE", "in this folder, or only what matches this glob; repeatable"},
    {"all", 'a', NULL, "all that the index holds, not only this folder"},
    {"no-update", 0, NULL, "do not look for new pictures first"},
    {"after", 0, "DATE", "taken on this day (2024, 2024-05 or 2024-05-31) or later"},
    {"before", 0, "DATE", "taken before this day"},
    {"min-size", 0, "PIXELS", "no side shorter"},
    {"shape", 0, "S", "landscape, portrait or square"},
    {"exact", 0, NULL, "by the exact scan, however large the index is"},
    {"approximate", 0, NULL, "by what clipc index build made, however small it is"},
    {"texts", 0, "FILE", "find the lines of a file that fit a picture, instead"},
    {"json", 'j', NULL, "one JSON object a line"},
    {"html", 0, "FILE", "write a page too: the pictures found, their scores"},
    {"force", 'f', NULL, "replace the file of --html"},
    {"open", 'o', NULL, "show the best picture in the desktop's own program"},
    {"thumbnails", 0, "HOW",
     "below each line: auto, kitty, iterm2, sixel or symbols (none)"},
    {"print0", '0', NULL, "paths alone, a NUL behind each, for xargs -0"},
};

static const opts_usage usage = {
    "search", "QUERY... [options]",
    "Finds the pictures of this folder and all below it that fit a text best. What is "
    "new\n"
    "there is indexed first; the index lies in the user's data folder. Texts and "
    "pictures\n"
    "are added by '+' and taken away by '-', which stand alone; a number and ':' in "
    "front\n"
    "weigh one; a picture is a file, @FILE, or @- for standard input. Scores are "
    "cosines.",
    "  clipc search a dog on the beach\n"
    "  clipc search horse + stripes - zoo\n"
    "  clipc search \"2:golden retriever\" + ./pool.jpg -n 3\n"
    "  clipc search --like a.jpg --in photos/2024 --after 2024-05 --shape portrait\n"
    "  clipc search --texts captions.txt ./pool.jpg -n 3\n"
    "  clipc search \"a red car\" -0 --min-score 0.25 | xargs -0 ls -l\n"};

enum { FILE_LIMIT = 1 << 30 };

typedef struct finder {
    indexing g;
    query query, unless;
    clipc_index_search_options o;
    strings globs;
    const char *scope; /* folder; NULL: this one */
    const char *html, *texts, *thumbnails;
    thumbs *thumbs; /* NULL: none */
    buf asked;      /* the query as it was typed: the page's title */
    gallery page;
    bool all, no_update, json, print0, force, open;
    bool given_min, own_min; /* the least score: by option, or the model's own */
} finder;

/* The first moment of a year, month or day here. */
static int parse_date(int64_t *out, const char *option, const char *value)
{
    struct tm t = {.tm_mday = 1, .tm_mon = 1, .tm_isdst = -1};
    int end = 0, n = 0;
    char what[120];

    n = sscanf(value, "%4d%n-%2d%n-%2d%n", &t.tm_year, &end, &t.tm_mon, &end, &t.tm_mday,
               &end);
    const struct tm given = t;
    t.tm_year -= 1900, t.tm_mon--;
    const time_t at = n > 0 && !value[end] ? mktime(&t) : (time_t)-1;
    /* mktime would take the 31st of April for the 1st of May. */
    if (at != (time_t)-1 && t.tm_mday == given.tm_mday && t.tm_mon == given.tm_mon - 1)
        return *out = at, 0;
    snprintf(what, sizeof what, "--%s %.40s: wanted a date, as 2024-05-31", option,
             value);
    return cli_usage("search", what);
}

static int parse_shape(finder *f, const char *value)
{
    static const char *const names[] = {[CLIPC_LANDSCAPE] = "landscape",
                                        [CLIPC_PORTRAIT] = "portrait",
                                        [CLIPC_SQUARE] = "square"};

    for (int i = CLIPC_LANDSCAPE; i <= CLIPC_SQUARE; i++)
        if (strcmp(value, names[i]) == 0) return f->o.shape = i, 0;
    return cli_usage("search", "--shape wants landscape, portrait or square");
}

static int parse_score(finder *f, const char *value)
{
    char *end;

    f->o.min_score = strtof(value, &end);
    f->given_min = true;
    if (end != value && !*end && fabsf(f->o.min_score) <= 1.0f) return 0;
    return cli_usage("search", "--min-score wants a cosine, -1 to 1");
}

/* A glob of names as it is; one of paths becomes that of a whole path. */
static int add_glob(finder *f, const char *value)
{
    char here[PATH_MAX] = "";
    buf b = {0};
    int rc = CLIPC_OK;

    if (strchr(value, '/') && *value != '/') {
        if (strncmp(value, "./", 2) == 0) value += 2;
        if (!getcwd(here, sizeof here)) *here = '\0';
        for (const char *p = here; rc == CLIPC_OK && *p; p++) /* no pattern itself */
            rc = buf_printf(&b, &f->g.s.err, "%s%c", strchr("*?[\\", *p) ? "\\" : "", *p);
        if (rc == CLIPC_OK) rc = buf_puts(&b, "/", &f->g.s.err);
    }
    if (rc == CLIPC_OK) rc = buf_puts(&b, value, &f->g.s.err);
    if (rc == CLIPC_OK) rc = strings_add(&f->globs, b.data, b.len, &f->g.s.err);
    buf_free(&b);
    return rc == CLIPC_OK ? 0 : cli_fail(&f->g.s.err);
}

static int parse_in(finder *f, const char *value)
{
    if (!file_is_dir(value)) {
        if (strpbrk(value, "*?[")) return add_glob(f, value);
        clipc_fail(&f->g.s.err, CLIPC_ERR_IO, "%s: no such folder", value);
        return cli_fail(&f->g.s.err);
    }
    if (f->scope) return cli_usage("search", "--in takes one folder");
    return f->scope = value, 0;
}

static int parse_thumbnails(finder *f, const char *value)
{
    f->thumbnails = value;
    for (size_t i = 0; thumbs_ways[i]; i++)
        if (strcmp(value, thumbs_ways[i]) == 0) return 0;
    return cli_usage("search",
                     "--thumbnails wants auto, kitty, iterm2, sixel or symbols");
}

static int add_term(finder *f, query *q, const char *what, bool is_file)
{
    return query_add(q, 1.0f, what, is_file, &f->g.s.err) == CLIPC_OK
               ? 0
               : cli_fail(&f->g.s.err);
}

static int on_option(void *user, const char *name, const char *value)
{
    finder *f = user;
    size_t n = 0;
    int rc;

    if (strcmp(name, "json") == 0) return f->json = true, 0;
    if (strcmp(name, "print0") == 0) return f->print0 = true, 0;
    if (strcmp(name, "html") == 0) return f->html = value, 0;
    if (strcmp(name, "texts") == 0) return f->texts = value, 0;
    if (strcmp(name, "open") == 0) return f->open = true, 0;
    if (strcmp(name, "thumbnails") == 0) return parse_thumbnails(f, value);
    if (strcmp(name, "exact") == 0) return f->o.scan = CLIPC_SCAN_EXACT, 0;
    if (strcmp(name, "approximate") == 0) return f->o.scan = CLIPC_SCAN_APPROXIMATE, 0;
    if (strcmp(name, "force") == 0) return f->force = true, 0;
    if (strcmp(name, "all") == 0) return f->all = true, 0;
    if (strcmp(name, "no-update") == 0) return f->no_update = true, 0;
    if (strcmp(name, "like") == 0) return add_term(f, &f->query, value, true);
    if (strcmp(name, "not") == 0) return add_term(f, &f->unless, value, false);
    if (strcmp(name, "in") == 0) return parse_in(f, value);
    if (strcmp(name, "shape") == 0) return parse_shape(f, value);
    if (strcmp(name, "min-score") == 0) return parse_score(f, value);
    if (strcmp(name, "after") == 0) return parse_date(&f->o.after, name, value);
    if (strcmp(name, "before") == 0) return parse_date(&f->o.before, name, value);
    if (strcmp(name, "number") == 0)
        return cli_number(&f->o.k, "search", name, value, 1, 1000000);
    if (strcmp(name, "min-size") != 0) return indexing_option(&f->g, name, value);
    rc = cli_number(&n, "search", name, value, 1, 1000000);
    f->o.min_side = (uint32_t)n;
    return rc;
}

/* ---- answers ---- */

static void print_json(const clipc_index_hit *h)
{
    printf("{\"image\":");
    json_print_string(h->key);
    printf(",\"score\":%.6f", (double)h->score);
    if (h->width) printf(",\"width\":%u,\"height\":%u", h->width, h->height);
    if (h->time) printf(",\"time\":%lld", (long long)h->time);
    if (h->seconds >= 0.0) printf(",\"seconds\":%.3f", h->seconds);
    if (h->meta) printf(",\"meta\":%s", h->meta);
    puts("}");
}

static void print_line(finder *f, const clipc_index_hit *h)
{
    printf("%7.4f  %s%s\n", (double)h->score, path_from_here(h->key),
           place_in_video(h->seconds));
    if (h->seconds >= 0) return; /* of a video no picture is at hand */
    if (thumbs_show(f->thumbs, h->key, f->g.s.options.max_megapixels, &f->g.s.err) !=
        CLIPC_OK)
        cli_fail(&f->g.s.err);
}

static void print_hits(finder *f, const clipc_index_hits *hits)
{
    for (size_t i = 0; i < hits->n; i++) {
        const clipc_index_hit *h = &hits->v[i];
        if (f->json) print_json(h);
        else if (f->print0) fwrite(h->key, 1, strlen(h->key) + 1, stdout);
        else print_line(f, h);
    }
}

/* ---- the page ---- */

static int add_to_page(finder *f, const clipc_index_hit *h, buf *file)
{
    page_bar bar = {.label = "cosine", .part = h->score > 0 ? (double)h->score : 0.0};
    page_figure figure = {.bars = &bar, .n_bars = 1, .name = path_from_here(h->key)};
    clipc_err why;

    snprintf(bar.value, sizeof bar.value, "%.4f", (double)h->score);
    if (h->seconds >= 0.0) figure.instead = place_in_video(h->seconds);
    else if (file_read(file, h->key, FILE_LIMIT, &why) != CLIPC_OK)
        figure.instead = why.msg;
    return gallery_add(&f->page, &figure, (span){(const uint8_t *)file->data, file->len},
                       f->g.s.options.max_megapixels, &f->g.s.err);
}

static int write_page(finder *f, const clipc_index_hits *hits)
{
    buf file = {0};
    int rc = CLIPC_OK;

    if (!f->html) return CLIPC_OK;
    for (size_t i = 0; rc == CLIPC_OK && i < hits->n && !cli_interrupted(); i++)
        rc = add_to_page(f, &hits->v[i], &file);
    buf_free(&file);
    if (rc == CLIPC_OK && cli_interrupted())
        rc = clipc_fail(&f->g.s.err, CLIPC_ERR_STOPPED, "stopped; not written: %s",
                        f->html);
    return rc == CLIPC_OK ? gallery_commit(&f->page, &f->g.s.err) : rc;
}

static int begin_page(finder *f, char **operands, size_t n)
{
    int rc = CLIPC_OK;

    if (!f->html) return CLIPC_OK;
    for (size_t i = 0; rc == CLIPC_OK && i < n; i++)
        rc = buf_printf(&f->asked, &f->g.s.err, "%s%s", i ? " " : "", operands[i]);
    if (rc == CLIPC_OK && !n)
        rc = buf_printf(&f->asked, &f->g.s.err, "like %s", f->query.v[0].file);
    return rc == CLIPC_OK ? gallery_open(&f->page, f->html, f->force, f->asked.data, NULL,
                                         &f->g.s.err)
                          : rc;
}

/* ---- all of it ---- */

/* The model's own least score is of pairs of one text and one picture: other sums, and
 * pictures like a picture, score otherwise. */
static void choose_min(finder *f)
{
    const clipc_index_term *t = f->query.v;
    const bool pair = f->query.n == 1 && t->weight > 0 && !t->text == (f->texts != NULL);

    f->own_min = pair && !f->given_min && f->g.s.info->min_score != 0.0f;
    if (f->own_min) f->o.min_score = f->g.s.info->min_score;
}

static void say_nothing(const finder *f)
{
    if (f->own_min)
        fprintf(
            stderr,
            "clipc: nothing found that scores %.4f, the model's least (--min-score -1 "
            "shows all)\n",
            (double)f->o.min_score);
    else fputs("clipc: nothing found\n", stderr);
}

static void report_nothing(finder *f)
{
    clipc_index_stats have = {0};

    if (clipc_index_stats_of(&have, f->g.x, &f->g.s.err) == CLIPC_OK &&
        have.entries == have.failed)
        fprintf(stderr, "clipc: nothing found: the index holds no vectors of %s\n",
                f->g.s.info->path);
    else say_nothing(f);
}

static int answer(finder *f)
{
    clipc_index_hits hits = {0};
    int rc = clipc_index_search(&hits, f->g.x, f->g.s.ctx, f->query.v, f->query.n, &f->o,
                                &f->g.s.err);

    if (rc == CLIPC_OK && hits.passed.code)
        fprintf(stderr, "clipc: %s; searched exactly\n", hits.passed.msg);
    if (rc == CLIPC_OK) print_hits(f, &hits);
    if (rc == CLIPC_OK && !hits.n) report_nothing(f);
    if (rc == CLIPC_OK && hits.n) rc = write_page(f, &hits);
    if (rc == CLIPC_OK && hits.n && f->open) {
        fflush(stdout);
        rc = opener_open(hits.v[0].key, &f->g.s.err);
    }
    rc = rc != CLIPC_OK ? cli_fail(&f->g.s.err) : hits.n ? EXIT_DONE : EXIT_SOME;
    clipc_index_hits_free(&hits);
    return rc;
}

/* Vectors of what --not says, then the search. */
static int find(finder *f)
{
    const size_t E = f->g.s.info->embed_dim;
    float *unless = malloc((f->unless.n + 1) * E * sizeof *unless);
    int rc = unless ? CLIPC_OK : clipc_fail_memory(&f->g.s.err, "query", f->unless.n);

    for (size_t i = 0; rc == CLIPC_OK && i < f->unless.n; i++)
        rc = clipc_index_query(unless + i * E, f->g.s.ctx, &f->unless.v[i], 1,
                               &f->g.s.err);
    choose_min(f);
    f->o.unless = unless;
    f->o.n_unless = f->unless.n;
    f->o.globs = (const char *const *)f->globs.v;
    f->o.n_globs = f->globs.n;
    rc = rc == CLIPC_OK ? answer(f) : cli_fail(&f->g.s.err);
    free(unless);
    return rc;
}

static int run(finder *f)
{
    const bool updates = !f->no_update && (f->scope || !f->all);
    clipc_index_changes changes = {0};
    char *scope = realpath(f->scope ? f->scope : ".", NULL);

    f->g.read_only = !updates;
    int rc = scope ? indexing_open(&f->g)
                   : clipc_fail(&f->g.s.err, CLIPC_ERR_IO, "%s: no such folder",
                                f->scope ? f->scope : ".");

    if (rc == CLIPC_OK && updates) rc = indexing_update(&f->g, scope, &changes);
    if (!f->all) f->o.folder = scope;
    rc = rc != CLIPC_OK    ? cli_fail(&f->g.s.err)
         : changes.stopped ? indexing_stopped()
                           : find(f);
    free(scope);
    approximate_start_if_due(f->g.x, f->g.folder);
    if (changes.failed)
        fprintf(stderr, "clipc: %zu could not be read: clipc index list --failed\n",
                changes.failed);
    return rc;
}

static int check_usage(const finder *f)
{
    if (f->json && f->print0) return cli_usage("search", "--json or --print0, not both");
    if (f->texts && (f->html || f->print0 || f->open || f->thumbnails))
        return cli_usage("search", "--texts finds no pictures for --html, --print0, "
                                   "--open or --thumbnails");
    if (f->thumbnails && (f->json || f->print0))
        return cli_usage("search", "--thumbnails is for people, not with --json or -0");
    return f->query.n ? 0
                      : cli_usage("search", "what for? give a text, or --like PICTURE");
}

/* The query as a page's title, then the search; or the other way round. */
static int start(finder *f, char **operands, size_t n)
{
    cli_catch_interrupts();
    if (f->thumbnails && thumbs_open(&f->thumbs, f->thumbnails, &f->g.s.err) != CLIPC_OK)
        return cli_fail(&f->g.s.err);
    if (!f->texts)
        return begin_page(f, operands, n) == CLIPC_OK ? run(f) : cli_fail(&f->g.s.err);
    if (session_open(&f->g.s) != CLIPC_OK) return cli_fail(&f->g.s.err);
    choose_min(f);
    const int rc = find_text(&f->g.s, f->texts, &f->query, f->o.k ? f->o.k : 10,
                             f->o.min_score, f->json);
    if (rc == EXIT_SOME) say_nothing(f);
    return rc;
}

int cmd_search(int argc, char **argv)
{
    finder f = {.g = indexing_start("search")};
    const int at = opts_parse(argc, argv, table, sizeof table / sizeof table[0], &usage,
                              on_option, &f);
    int rc = cli_options_exit(at);

    f.g.quiet = true;
    if (at >= 0 &&
        query_parse(&f.query, argv + at, (size_t)(argc - at), &f.g.s.err) != CLIPC_OK) {
        cli_fail(&f.g.s.err);
        rc = f.g.s.err.code == CLIPC_ERR_ARG ? EXIT_USAGE : EXIT_NONE;
    } else if (at >= 0 && (rc = check_usage(&f)) == 0) {
        rc = start(&f, argv + at, (size_t)(argc - at));
    }
    gallery_abort(&f.page);
    thumbs_free(f.thumbs);
    buf_free(&f.asked);
    indexing_close(&f.g);
    query_free(&f.query);
    query_free(&f.unless);
    strings_free(&f.globs);
    return rc;
}

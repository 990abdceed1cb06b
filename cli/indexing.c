#include "cli/indexing.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

indexing indexing_start(const char *command)
{
    return (indexing){.s = {.command = command, .options = {.auto_orient = 1}}};
}

static int parse_every(indexing *g, const char *value)
{
    char *end;

    g->update.every = strtod(value, &end);
    if (end != value && !*end && g->update.every >= 0.01 && g->update.every <= 1e6)
        return 0;
    return cli_usage(g->s.command, "--every wants seconds, 0.01 to 1000000");
}

/* Not told back in the message, for it may hold a password. */
static int set_store(indexing *g, const char *value)
{
    if (strncmp(value, "postgresql://", 13) != 0 &&
        strncmp(value, "postgres://", 11) != 0)
        return cli_usage(g->s.command, "--store wants postgresql://USER@HOST/DATABASE");
    return g->folder = value, 0;
}

int indexing_option(indexing *g, const char *name, const char *value)
{
    if (strcmp(name, "index") == 0) return g->folder = value, 0;
    if (strcmp(name, "store") == 0) return set_store(g, value);
    if (strcmp(name, "as-stored") == 0) return g->s.options.auto_orient = 0, 0;
    if (strcmp(name, "hidden") == 0) return g->update.hidden = 1, 0;
    if (strcmp(name, "one-file-system") == 0) return g->update.one_disk = 1, 0;
    if (strcmp(name, "videos") == 0) return g->update.videos = 1, 0;
    if (strcmp(name, "every") == 0) return parse_every(g, value);
    if (strcmp(name, "exclude") != 0) return session_option(&g->s, name, value);
    return strings_add(&g->exclude, value, strlen(value), &g->s.err) == CLIPC_OK
               ? 0
               : cli_fail(&g->s.err);
}

int indexing_open(indexing *g)
{
    const clipc_index_options o = {.read_only = g->read_only};
    const int rc = session_open(&g->s);

    return rc == CLIPC_OK ? clipc_index_open(&g->x, g->folder, g->s.ctx, &o, &g->s.err)
                          : rc;
}

void indexing_close(indexing *g)
{
    clipc_index_close(g->x);
    session_close(&g->s);
    strings_free(&g->exclude);
}

static void on_progress(void *user, size_t done, size_t total)
{
    indexing *g = user;

    progress_of_total(&g->progress, done, total);
}

static void on_failed(void *user, const char *path, const clipc_err *why)
{
    indexing *g = user;

    (void)path; /* the message names it */
    if (!g->quiet) progress_end(&g->progress), cli_fail(why);
}

static int stop(void *user)
{
    (void)user;
    return cli_interrupted();
}

int indexing_update(indexing *g, const char *path, clipc_index_changes *out)
{
    g->update.exclude = (const char *const *)g->exclude.v;
    g->update.n_exclude = g->exclude.n;
    g->update.on_progress = on_progress;
    g->update.on_failed = on_failed;
    g->update.stop = stop;
    g->update.user = g;
    g->progress = progress_start("indexed", 0);
    const int rc =
        path ? clipc_index_update(g->x, g->s.ctx, path, &g->update, out, &g->s.err)
             : clipc_index_update_all(g->x, g->s.ctx, &g->update, out, &g->s.err);
    progress_end(&g->progress);
    return rc;
}

const char *place_in_video(double seconds)
{
    static char text[40];
    const long s = seconds >= 0.0 && seconds < 1e9 ? (long)seconds : 0;

    if (seconds < 0.0) return "";
    snprintf(text, sizeof text, "  %ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    return text;
}

int indexing_stopped(void)
{
    fputs("clipc: stopped; what was indexed is kept\n", stderr);
    return EXIT_STOPPED;
}

const char *path_from_here(const char *path)
{
    static char here[PATH_MAX];
    const size_t len = getcwd(here, sizeof here) ? strlen(here) : 0;

    return len > 1 && strncmp(path, here, len) == 0 && path[len] == '/' ? path + len + 1
                                                                        : path;
}

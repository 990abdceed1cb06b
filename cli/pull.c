#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/opts.h"
#include "cli/cli.h"
#include "clipc_hub.h"

typedef struct pull {
    strings include;
    bool dry_run;
    progress progress;
    clipc_err err;
} pull;

static int on_option(void *user, const char *name, const char *value)
{
    pull *p = user;

    if (strcmp(name, "dry-run") == 0) p->dry_run = true;
    if (strcmp(name, "include") != 0) return 0;
    return strings_add(&p->include, value, strlen(value), &p->err) == CLIPC_OK
               ? 0
               : cli_usage("pull", p->err.msg);
}

static void print_file(void *user, const clipc_hub_file *f)
{
    (void)user;
    printf("%14" PRIu64 "  %s%s\n", f->size, f->name,
           f->here == f->size ? "  (here)"
           : f->here          ? "  (begun)"
                              : "");
}

static int on_progress(void *user, const char *file, uint64_t done, uint64_t total)
{
    pull *p = user;

    (void)file;
    if (!p->progress.word && total) {
        p->progress = progress_start("pull", (size_t)total);
        p->progress.bytes = true;
        p->progress.from = (size_t)done;
    }
    progress_show(&p->progress, (size_t)done);
    return cli_interrupted();
}

static int pull_one(pull *p, const char *model)
{
    char *path = NULL;
    const clipc_pull_options options = {
        .include = (const char *const *)p->include.v,
        .n_include = p->include.n,
        .dry_run = p->dry_run,
        .on_file = p->dry_run ? print_file : NULL,
        .on_progress = on_progress,
        .user = p,
    };

    p->progress = (progress){0};
    const int rc = clipc_pull(&path, model, &options, &p->err);
    progress_end(&p->progress);
    if (rc == CLIPC_OK && path) puts(path);
    free(path);
    return rc;
}

int cmd_pull(int argc, char **argv)
{
    static const opt table[] = {
        {"include", 'i', "GLOB",
         "these weights, not those that clipc would choose (repeatable; '*': all files)"},
        {"dry-run", 'n', NULL, "list the files and their bytes, fetch nothing"}};
    static const opts_usage usage = {
        "pull", "ORG/NAME[@REVISION]... [options]",
        "Fetches models from the Hugging Face hub into its cache, which Python shares, "
        "and\n"
        "prints where they are; --model ORG/NAME then finds them. A transfer that broke "
        "is\n"
        "continued. HF_ENDPOINT names a mirror, HF_TOKEN the access token, HF_HUB_CACHE "
        "or\n"
        "HF_HOME the cache; HF_HUB_OFFLINE forbids it.",
        "  clipc pull laion/CLIP-ViT-B-32-laion2B-s34B-b79K\n"
        "  clipc pull org/name@v1.0 --dry-run\n"
        "  clipc pull org/name --include 'ViT-B-32.pt'\n"};
    pull p = {.include = {0}};
    const int at = opts_parse(argc, argv, table, sizeof table / sizeof table[0], &usage,
                              on_option, &p);
    int rc = cli_options_exit(at), failed = 0;

    if (at == argc) {
        rc = cli_usage("pull", "takes at least one ORG/NAME");
    } else if (at >= 0) {
        cli_catch_interrupts();
        for (int i = at; i < argc && !cli_interrupted(); i++)
            if (pull_one(&p, argv[i]) != CLIPC_OK) failed++, cli_fail(&p.err);
        rc = cli_interrupted()    ? EXIT_STOPPED
             : !failed            ? EXIT_DONE
             : failed < argc - at ? EXIT_SOME
                                  : EXIT_NONE;
    }
    strings_free(&p.include);
    return rc;
}

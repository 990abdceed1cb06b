#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *about;
} commands[] = {
    {"classify", cmd_classify, "says which label fits a picture"},
    {"similarity", cmd_similarity, "how well texts fit pictures"},
    {"search", cmd_search, "finds pictures by texts and pictures"},
    {"index", cmd_index, "keeps the index that search looks into"},
    {"dedup", cmd_dedup, "groups pictures that are there more than once"},
    {"cluster", cmd_cluster, "groups the pictures of a folder and names the groups"},
    {"embed", cmd_embed, "turns pictures and texts into vectors"},
    {"train", cmd_train, "trains a CLIP from scratch"},
    {"data", cmd_data, "makes training sets and looks into them"},
    {"vocab", cmd_vocab, "learns a vocabulary from captions"},
    {"eval", cmd_eval, "measures how good a model is"},
    {"pull", cmd_pull, "fetches a model from the Hugging Face hub"},
    {"models", cmd_models, "lists the models that are here, and well-known ones"},
    {"info", cmd_info, "shows what a model is"},
    {"doctor", cmd_doctor, "checks whether a model is sound"},
    {"bench", cmd_bench, "measures how fast a model is here"},
    {"convert", cmd_convert, "rewrites a model in another layout"},
    {"assemble", cmd_assemble, "makes a model of two pretrained towers"},
    {"quantize", cmd_quantize, "makes a model smaller and measures the drift"},
    {"tokenize", cmd_tokenize, "shows the tokens of a text"},
    {"preprocess", cmd_preprocess, "shows what the model sees of a picture"},
};

enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

static void help(FILE *to)
{
    fprintf(to, "usage: clipc COMMAND [options]\n\ncommands:\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(to, "  %-12s %s\n", commands[i].name, commands[i].about);
    fprintf(to, "\nclipc COMMAND --help tells more; clipc --version tells the build.\n");
}

/* What did not reach its reader (a full disk) was not done; but who closes a pipe has
 * read enough. */
static int flush_output(int rc)
{
    const bool failed = ferror(stdout) != 0;

    errno = 0;
    if ((fflush(stdout) == 0 && !failed) || errno == EPIPE) return rc;
    fprintf(stderr, "clipc: standard output: %s\n",
            errno ? strerror(errno) : "not all of it could be written");
    return EXIT_NONE;
}

static int run(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";

    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 ||
        strcmp(name, "help") == 0) {
        help(stdout);
        return EXIT_DONE;
    }
    if (strcmp(name, "--version") == 0) {
        char about[512];
        clipc_about(about, sizeof about);
        puts(about);
        return EXIT_DONE;
    }
    if (argc > 1) fprintf(stderr, "clipc: no command \"%.60s\"\n", name);
    help(stderr);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    return cli_end(flush_output(run(argc, argv)));
}

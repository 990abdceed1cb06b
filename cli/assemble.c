#include <stdlib.h>
#include <string.h>

#include "cli/session.h"

static int on_option(void *user, const char *name, const char *value)
{
    clipc_assemble_options *o = user;
    size_t seed = 0;

    if (strcmp(name, "image") == 0) o->image = value;
    if (strcmp(name, "text") == 0) o->text = value;
    if (strcmp(name, "classes") == 0) o->classes = value;
    if (strcmp(name, "license") == 0) o->license = value;
    if (strcmp(name, "origin") == 0) o->origin = value;
    if (strcmp(name, "force") == 0) o->overwrite = 1;
    if (strcmp(name, "seed") != 0) return 0;
    const int rc = cli_number(&seed, "assemble", name, value, 0, (size_t)1 << 53);
    o->seed = seed;
    return rc;
}

int cmd_assemble(int argc, char **argv)
{
    static const opt table[] = {
        {"image", 0, "FILE", "an EfficientNet-Lite with its classifier"},
        {"text", 0, "FOLDER", "a BERT of sentence-transformers"},
        {"classes", 0, "FILE",
         "what the classes are called, a line each: word, word[TAB gloss]"},
        {"seed", 0, "N", "of the head's first weights (0)"},
        {"license", 0, "TEXT", "kept in the file"},
        {"origin", 0, "TEXT", "where the weights come from, kept in the file"},
        {"force", 'f', NULL, "overwrite OUT"}};
    static const opts_usage usage = {
        "assemble", "--image FILE --text FOLDER --classes FILE OUT.clipc",
        "Makes one model of two towers that were not trained with each other: behind "
        "the\n"
        "image tower a head, one part of which names the classes that the tower tells\n"
        "apart and one part of which learns (docs: train, lock_image_unlocked_groups).",
        "  clipc assemble --image efficientnet-lite0.pth --text all-MiniLM-L6-v2/ \\\n"
        "      --classes imagenet.tsv start.clipc\n"};
    clipc_assemble_options o = {0};
    const int at = opts_parse(argc, argv, table, sizeof table / sizeof table[0], &usage,
                              on_option, &o);
    clipc_err err;

    if (at < 0) return cli_options_exit(at);
    if (argc - at != 1 || !o.image || !o.text || !o.classes)
        return cli_usage("assemble", "takes --image, --text, --classes and OUT.clipc");
    return clipc_assemble(argv[at], &o, &err) == CLIPC_OK ? EXIT_DONE : cli_fail(&err);
}

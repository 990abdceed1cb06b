#include <stdio.h>
#include <string.h>

#include "base/opts.h"
#include "cli/cli.h"
#include "clipc_train.h"

static const opt table[] = {
    {"out", 'o', "DIR", "where vocab.json, merges.txt and tokenizer_config.json go"},
    {"size", 'n', "N", "tokens, 514 to 49408, bytes and the two special ones included"},
    {"min-frequency", 0, "N", "pairs seen less often become no tokens (2)"},
    {"json", 'j', NULL, "one JSON object"},
    {"force", 'f', NULL, "replace a tokenizer that is there"},
};

static const opts_usage usage = {
    "vocab train", "CAPTIONS... --out DIR --size N [options]",
    "Learns a vocabulary of byte pairs from captions, for clipc train --tokenizer, as\n"
    "Hugging Face's CLIP tokenizer splits words and its trainer merges them. CAPTIONS "
    "are\n"
    "text files with a caption a line, - for standard input, or a training set: tar\n"
    "shards, .json files, folders. Memory: the different words, some 400 bytes each.",
    "  clipc vocab train captions.txt --out vocab/ --size 8192\n"
    "  clipc vocab train shards/ -o vocab/ -n 16384 --min-frequency 5\n"
    "  zcat captions.gz | clipc vocab train - -o vocab/ -n 49408 --json\n"
    "  clipc train --tokenizer vocab/ --data shards/ --out model/\n"};

typedef struct learning {
    const char *out;
    clipc_vocab_options options;
    bool json;
    const char *doing; /* what the progress line shows */
    progress progress;
    clipc_err err;
} learning;

static int on_option(void *user, const char *name, const char *value)
{
    learning *l = user;

    if (strcmp(name, "out") == 0) return l->out = value, 0;
    if (strcmp(name, "json") == 0) return l->json = true, 0;
    if (strcmp(name, "force") == 0) return l->options.overwrite = 1, 0;
    if (strcmp(name, "size") == 0)
        return cli_number(&l->options.size, "vocab train", name, value, 514, 49408);
    return cli_number(&l->options.min_frequency, "vocab train", name, value, 1, 1 << 30);
}

static int on_progress(void *user, const char *doing, size_t done, size_t total)
{
    learning *l = user;

    if (!l->doing || strcmp(doing, l->doing) != 0) {
        progress_end(&l->progress);
        l->progress = progress_start(doing, total);
        l->progress.bytes = strcmp(doing, "reading") == 0;
        l->progress.from = done;
        l->doing = doing;
    }
    if (total) progress_show(&l->progress, done);
    return cli_interrupted();
}

static void report(const learning *l, const clipc_vocab_stats *s)
{
    if (l->json) {
        printf("{\"folder\":");
        json_print_string(l->out);
        printf(",\"size\":%zu,\"captions\":%zu,\"words\":%zu,\"different\":%zu}\n",
               s->size, s->captions, s->words, s->different);
        return;
    }
    printf("%s: %zu tokens from %zu captions of %zu words, %zu different ones\n", l->out,
           s->size, s->captions, s->words, s->different);
    if (s->size < l->options.size)
        printf("fewer than %zu: no other pair is so frequent (--min-frequency %zu)\n",
               l->options.size, l->options.min_frequency);
}

static int learn(learning *l, const char *const *paths, size_t n)
{
    clipc_vocab_stats stats;

    cli_catch_interrupts();
    l->options.on_progress = on_progress;
    l->options.user = l;
    const int rc = clipc_vocab_train(&stats, l->out, paths, n, &l->options, &l->err);
    progress_end(&l->progress);
    if (rc != CLIPC_OK) return cli_fail(&l->err);
    report(l, &stats);
    return EXIT_DONE;
}

static int vocab_train(int argc, char **argv)
{
    learning l = {.options.min_frequency = 2};
    const int at = opts_parse(argc, argv, table, sizeof table / sizeof table[0], &usage,
                              on_option, &l);

    if (at < 0) return cli_options_exit(at);
    if (at == argc) return cli_usage("vocab train", "no captions given");
    if (!l.out) return cli_usage("vocab train", "--out is missing");
    if (!l.options.size) return cli_usage("vocab train", "--size is missing");
    return learn(&l, (const char *const *)argv + at, (size_t)(argc - at));
}

/* The only thing to do with vocabularies, so that its help is the command's. */
int cmd_vocab(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "train") == 0) return vocab_train(argc - 1, argv + 1);
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return vocab_train(argc, argv);
    return cli_usage("vocab", "wants \"train\"");
}

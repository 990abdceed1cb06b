#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/session.h"

typedef struct convert {
    const char *command;
    clipc_convert_options options;
    bool json;
} convert;

static int on_option(void *user, const char *name, const char *value)
{
    convert *c = user;

    if (strcmp(name, "to") == 0) c->options.to = value;
    if (strcmp(name, "precision") == 0) c->options.precision = value;
    if (strcmp(name, "license") == 0) c->options.license = value;
    if (strcmp(name, "origin") == 0) c->options.origin = value;
    if (strcmp(name, "force") == 0) c->options.overwrite = 1;
    if (strcmp(name, "json") == 0) c->json = true;
    return strcmp(name, "image-size") == 0
               ? cli_image_size(&c->options.open, c->command, value)
               : 0;
}

#define OUT_OPTS                                                                \
    {"license", 0, "TEXT", "kept in the file (as IN has it)"},                  \
        {"origin", 0, "TEXT", "where the weights come from, kept in the file"}, \
        {"image-size", 0, "N", "other than IN's, also HxW: interpolated"},      \
    {                                                                           \
        "force", 'f', NULL, "overwrite OUT"                                     \
    }

int cmd_convert(int argc, char **argv)
{
    static const opt table[] = {
        {"to", 0, "LAYOUT", "clipc (one mapped file), hf or open_clip (open_clip)"},
        {"precision", 'p', "TYPE", "f32, f16, bf16 or, for clipc, int8 (f32)"},
        OUT_OPTS};
    static const opts_usage usage = {
        "convert", "IN OUT [options]",
        "Rewrites a model. IN is any file or folder that --model takes: open_clip's and\n"
        "Hugging Face's folders, OpenAI's .pt, PyTorch checkpoints, GGUF, clipc's own.",
        "  clipc convert ViT-B-32.pt vit-b-32.clipc --to clipc -p f16\n"
        "  clipc convert run/ run-hf/ --to hf --precision f16\n"};
    convert c = {.command = "convert"};
    const int at = opts_parse(argc, argv, table, sizeof table / sizeof table[0], &usage,
                              on_option, &c);
    clipc_err err;

    if (at < 0) return at == -1 ? EXIT_DONE : EXIT_USAGE;
    if (argc - at != 2) return cli_usage("convert", "takes IN and OUT");
    if (clipc_convert(argv[at], argv[at + 1], &c.options, &err) != CLIPC_OK)
        return cli_fail(&err);
    return EXIT_DONE;
}

/* ---- quantize ---- */

static int open_both(session *a, session *b, clipc_drift *drift)
{
    if (session_open(a) != CLIPC_OK) return cli_fail(&a->err);
    if (session_open(b) != CLIPC_OK) return cli_fail(&b->err);
    if (clipc_measure_drift(drift, a->ctx, b->ctx, &a->err) != CLIPC_OK)
        return cli_fail(&a->err);
    return EXIT_DONE;
}

static double megabytes(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (double)st.st_size * 1e-6 : 0.0;
}

static void print_drift(const clipc_drift *d, const char *out, bool json)
{
    const double *i = d->image_error, *t = d->text_error;

    if (json) {
        printf("{\"megabytes\":%.3f,\"images\":%zu,\"image_error\":[%.3g,%.3g,%.3g],"
               "\"texts\":%zu,\"text_error\":[%.3g,%.3g,%.3g],\"rank_agreement\":%.4f}\n",
               megabytes(out), d->images, i[0], i[1], i[2], d->texts, t[0], t[1], t[2],
               d->rank_agreement);
        return;
    }
    printf("%s: %.1f MB\n", out, megabytes(out));
    printf("drift, 1 - cosine:   median      90 %%   largest\n");
    printf("  %zu pictures      %8.2g  %8.2g  %8.2g\n", d->images, i[0], i[1], i[2]);
    if (d->texts) {
        printf("  %zu texts         %8.2g  %8.2g  %8.2g\n", d->texts, t[0], t[1], t[2]);
        printf("best text the same for %.1f %% of the pictures\n",
               100.0 * d->rank_agreement);
    }
}

int cmd_quantize(int argc, char **argv)
{
    static const opt table[] = {{"precision", 'p', "TYPE",
                                 "int8 (a scale an output channel), f16 or bf16 (int8)"},
                                {"json", 'j', NULL, "the drift as one JSON object"},
                                OUT_OPTS};
    static const opts_usage usage = {
        "quantize", "IN OUT.clipc [options]",
        "Rewrites a model in clipc's own format with smaller weights, and measures on\n"
        "built-in pictures and texts how far its vectors moved. The arithmetic stays\n"
        "float32. For accuracy run clipc eval on both.",
        "  clipc quantize ViT-B-32.pt vit-b-32-int8.clipc\n"
        "  clipc quantize clipc-drawings d.clipc -p f16 --json\n"};
    convert c = {.command = "quantize", .options = {.to = "clipc", .precision = "int8"}};
    const int at = opts_parse(argc, argv, table, sizeof table / sizeof table[0], &usage,
                              on_option, &c);
    clipc_drift drift;
    clipc_err err;
    int rc;

    if (at < 0) return at == -1 ? EXIT_DONE : EXIT_USAGE;
    if (argc - at != 2) return cli_usage("quantize", "takes IN and OUT");
    session a = {.command = "quantize", .model_name = argv[at], .open = c.options.open};
    session b = {.command = "quantize", .model_name = argv[at + 1]};
    if (clipc_convert(argv[at], argv[at + 1], &c.options, &err) != CLIPC_OK)
        return cli_fail(&err);
    rc = open_both(&a, &b, &drift);
    if (rc == EXIT_DONE) print_drift(&drift, argv[at + 1], c.json);
    session_close(&a);
    session_close(&b);
    return rc;
}

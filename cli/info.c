#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/session.h"

typedef struct inspect {
    session s;
    bool json;
} inspect;

static int on_option(void *user, const char *name, const char *value)
{
    inspect *m = user;
    const int rc = session_option(&m->s, name, value);

    if (rc != -1) return rc;
    if (strcmp(name, "json") == 0) m->json = true;
    return 0;
}

static void print_image_tower(const clipc_model_info *i)
{
    if (!i->image_width) {
        printf("image tower  none\n");
        return;
    }
    printf("image tower  %s: %zu", i->family, i->image_size);
    if (i->image_columns != i->image_size) printf("x%zu", i->image_columns);
    if (i->patch_size)
        printf(" px, patch %zu, width %zu, %zu heads, %zu layers\n", i->patch_size,
               i->image_width, i->image_heads, i->image_layers);
    else {
        printf(" px, width %zu, stages %zu", i->image_width, i->image_stages[0]);
        for (size_t s = 1; s < 7 && i->image_stages[s]; s++)
            printf("-%zu", i->image_stages[s]);
        printf("\n");
    }
}

static void print_interpolated(const clipc_model_info *i)
{
    if (i->stored_grid[0])
        printf("positions    of images interpolated from %zux%zu to %zux%zu\n",
               i->stored_grid[0], i->stored_grid[1], i->image_size / i->patch_size,
               i->image_columns / i->patch_size);
    if (i->stored_context)
        printf("positions    of texts interpolated from %zu to %zu\n", i->stored_context,
               i->context_length);
}

static void print_text_tower(const clipc_model_info *i)
{
    if (!i->text_width) {
        printf("text tower   none\n");
        return;
    }
    printf("text tower   width %zu, %zu heads, %zu layers, context %zu, vocabulary %zu\n",
           i->text_width, i->text_heads, i->text_layers, i->context_length,
           i->vocab_size);
    printf("tokenizer    %s\n", i->tokenizer);
}

static void print_info(const clipc_model_info *i)
{
    printf("model        %s (%s, %s)\n", i->path, i->format, i->precision);
    printf("config       from %s%s\n",
           strcmp(i->config_by, "weights") == 0 ? "the shapes of the weights"
                                                : i->config_by,
           strcmp(i->config_by, "weights") == 0
               ? "; assumed: the activation, 64 channels a head, OpenAI's pixels"
               : "");
    if (i->license) printf("licence      %s\n", i->license);
    if (i->origin) printf("origin       %s\n", i->origin);
    printf("parameters   %.2f M\n", (double)i->params * 1e-6);
    print_image_tower(i);
    print_text_tower(i);
    print_interpolated(i);
    printf("embedding    %zu floats; logit scale %.4f", i->embed_dim,
           (double)i->logit_scale);
    if (i->has_logit_bias) printf(", bias %.4f", (double)i->logit_bias);
    printf("; activation %s\n", i->activation);
    printf("pixels       %s, mean %.6g %.6g %.6g, std %.6g %.6g %.6g\n", i->resize_mode,
           (double)i->image_mean[0], (double)i->image_mean[1], (double)i->image_mean[2],
           (double)i->image_std[0], (double)i->image_std[1], (double)i->image_std[2]);
    if (i->min_score != 0.0f)
        printf("min score    %.4f: what search finds scores no less\n",
               (double)i->min_score);
    for (size_t t = 0; t < i->n_templates; t++)
        printf("template     %s\n", i->templates[t]);
}

static void print_key(const char *key, const char *value)
{
    printf(",\"%s\":", key);
    if (value) json_print_string(value);
    else printf("null");
}

static void print_info_json(const clipc_model_info *i)
{
    printf("{\"path\":");
    json_print_string(i->path);
    print_key("format", i->format);
    print_key("config_by", i->config_by);
    print_key("license", i->license);
    print_key("origin", i->origin);
    print_key("tokenizer", i->tokenizer);
    print_key("precision", i->precision);
    print_key("family", i->family);
    print_key("activation", i->activation);
    print_key("resize_mode", i->resize_mode);
    printf(",\"params\":%zu,\"embed_dim\":%zu,\"image_size\":%zu,\"image_columns\":%zu,"
           "\"stored_grid\":[%zu,%zu],\"stored_context\":%zu,",
           i->params, i->embed_dim, i->image_size, i->image_columns, i->stored_grid[0],
           i->stored_grid[1], i->stored_context);
    printf("\"patch_size\":%zu,"
           "\"image_width\":%zu,\"image_layers\":%zu,\"image_heads\":%zu,",
           i->patch_size, i->image_width, i->image_layers, i->image_heads);
    printf("\"text_width\":%zu,\"text_layers\":%zu,\"text_heads\":%zu,"
           "\"context_length\":%zu,\"vocab_size\":%zu,\"logit_scale\":%.9g",
           i->text_width, i->text_layers, i->text_heads, i->context_length, i->vocab_size,
           (double)i->logit_scale);
    if (i->has_logit_bias) printf(",\"logit_bias\":%.9g", (double)i->logit_bias);
    if (i->min_score != 0.0f) printf(",\"min_score\":%.6g", (double)i->min_score);
    puts("}");
}

int cmd_info(int argc, char **argv)
{
    static const opt table[] = {SESSION_OPTS, {"json", 'j', NULL, "one JSON object"}};
    static const opts_usage usage = {
        "info", "[MODEL] [options]",
        "Shows what a model is: sizes, activation, preprocessing.",
        "  clipc info\n  clipc info ViT-B-32/ --json\n"};
    inspect m = {.s.command = "info"};
    const int at = opts_parse(argc, argv, table, sizeof table / sizeof table[0], &usage,
                              on_option, &m);
    int rc = cli_options_exit(at);

    if (at >= 0 && at + 1 < argc) {
        rc = cli_usage("info", "takes one model");
    } else if (at >= 0) {
        if (at < argc) m.s.model_name = argv[at];
        if (session_open(&m.s) != CLIPC_OK) {
            rc = cli_fail(&m.s.err);
        } else {
            m.json ? print_info_json(m.s.info) : print_info(m.s.info);
            rc = EXIT_DONE;
        }
    }
    session_close(&m.s);
    return rc;
}

#include "cli/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpus.h"

static int set_precision(session *s, const char *value)
{
    static const char *const names[] = {[CLIPC_PRECISION_F32] = "f32",
                                        [CLIPC_PRECISION_BF16] = "bf16",
                                        [CLIPC_PRECISION_INT8] = "int8"};

    for (int i = 0; i < 3; i++)
        if (strcmp(value, names[i]) == 0) return s->options.precision = i, 0;
    return cli_usage(s->command, "--precision wants f32, bf16 or int8");
}

/* --strict and --long say opposite things about a text that is too long. */
static int set_long_texts(session *s, int how)
{
    const int have = s->options.long_texts;

    if ((have == CLIPC_LONG_ERROR) != (how == CLIPC_LONG_ERROR) && have != CLIPC_LONG_CUT)
        return cli_usage(s->command, "--strict refuses long texts, --long embeds them");
    return s->options.long_texts = how, 0;
}

int session_option(session *s, const char *name, const char *value)
{
    char *end;

    if (strcmp(name, "model") == 0) return s->model_name = value, 0;
    if (strcmp(name, "auto-orient") == 0) return s->options.auto_orient = 1, 0;
    if (strcmp(name, "fast") == 0) return s->options.fast_decode = 1, 0;
    if (strcmp(name, "compat") == 0) return s->options.compat = 1, 0;
    if (strcmp(name, "precision") == 0) return set_precision(s, value);
    if (strcmp(name, "strict") == 0) return set_long_texts(s, CLIPC_LONG_ERROR);
    if (strcmp(name, "long") == 0) {
        const bool mean = strcmp(value, "mean") == 0;
        if (!mean && strcmp(value, "max") != 0)
            return cli_usage(s->command, "--long wants mean or max");
        return set_long_texts(s, mean ? CLIPC_LONG_MEAN : CLIPC_LONG_MAX);
    }
    if (strcmp(name, "image-size") == 0)
        return cli_image_size(&s->open, s->command, name, value);
    if (strcmp(name, "threads") == 0)
        return cli_number(&s->options.threads, s->command, name, value, 1, CPUS_MOST);
    if (strcmp(name, "max-megapixels") != 0) return -1;
    s->options.max_megapixels = strtod(value, &end);
    if (end != value && !*end && s->options.max_megapixels > 0) return 0;
    return cli_usage(s->command, "--max-megapixels wants a number above 0");
}

int session_open(session *s)
{
    const char *name = s->model_name ? s->model_name : getenv("CLIPC_MODEL");
    int rc;

    if (!s->options.threads) s->options.threads = cpus_usable();
    rc = clipc_model_open_with(&s->model, name, &s->open, &s->err);
    if (rc == CLIPC_OK) rc = clipc_ctx_new(&s->ctx, s->model, &s->options, &s->err);
    if (rc == CLIPC_OK) s->info = clipc_model_info_of(s->model);
    return rc;
}

void session_close(session *s)
{
    clipc_ctx_free(s->ctx);
    clipc_model_free(s->model);
}

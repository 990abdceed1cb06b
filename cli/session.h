/* cli/session.h -- what every command that runs a model does: its options, opening it. */
#ifndef CLIPC_CLI_SESSION_H
#define CLIPC_CLI_SESSION_H

#include "base/err.h"
#include "base/opts.h"
#include "cli/cli.h"

/* First rows of an option table. */
#define MODEL_OPTS                                                                   \
    {"model", 'm', "MODEL", "file, folder or name (CLIPC_MODEL, else the bundled)"}, \
        {"threads", 't', "N", "compute threads (all it may use)"},                   \
        {"max-megapixels", 0, "X", "refuse larger pictures (256)"},                  \
    {                                                                                \
        "fast", 0, NULL, "decode large JPEGs at a part of their size: less exact"    \
    }

/* The same, of commands that take pictures as they are unless told otherwise. */
#define SESSION_OPTS                                                                  \
    MODEL_OPTS, {"auto-orient", 0, NULL, "turn pictures upright as their EXIF says"}, \
        {"image-size", 0, "N", "other than the model's, also HxW: interpolated"},     \
    {                                                                                 \
        "compat", 0, NULL, "let texts hold special tokens, as the reference does"     \
    }

/* Of commands that run the towers. */
#define PRECISION_OPTS                                                   \
    {                                                                    \
        "precision", 0, "P",                                             \
            "f32, or bf16 or int8: less exact, faster where the CPU can" \
    }

/* Of commands that embed texts. */
#define LONG_OPTS                                                                        \
    {"strict", 0, NULL, "refuse texts that are longer than the model takes"},            \
    {                                                                                    \
        "long", 0, "mean|max", "embed all of a longer text, in windows, and gather them" \
    }

typedef struct session {
    const char *command, *model_name;
    clipc_open_options open;
    clipc_ctx_options options;
    clipc_model *model;
    clipc_ctx *ctx;
    const clipc_model_info *info;
    clipc_err err;
} session;

/* Takes one of these options: 0 taken, EXIT_USAGE bad value, -1 not one of
 * them. */
int session_option(session *s, const char *name, const char *value);
/* Opens model and context. */
int session_open(session *s);
void session_close(session *s);

#endif

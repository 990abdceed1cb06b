/* clip/source.h -- a model as it lies on disk: which format it is, what its config says
 * (or what its tensors imply), and its tensors.  Recognised by content. */
#ifndef CLIPC_CLIP_SOURCE_H
#define CLIPC_CLIP_SOURCE_H

#include "clip/config.h"
#include "io/tensor_file.h"

typedef struct model_source {
    char *path;            /* the folder or file */
    const char *format;    /* "open_clip", "hf", "clipc", "openai", ... */
    const char *config_by; /* where the config comes from: a file's name, or "weights" */
    clip_cfg cfg;
    tensor_file *weights;
    char *weights_path;
    bool packed; /* clipc's own: the weights lie as `form` says */
    weight_form form;
    size_t stored[2]; /* source_open_as: rows and columns of the pictures that the file's
                         positions are for; else 0 */
    bool other_context; /* source_set_context: texts are longer or shorter than in the
                           file */
} model_source;

/* `path` as find_model gives it.  Release with source_close, also after a failure. */
int source_open(model_source *s, const char *path, clipc_err *err);
/* The same, as a model of pictures of another size if the options (NULL allowed) say so:
 * net_open then interpolates the positions.  CLIPC_ERR_FEATURE names a tower that takes
 * no other size. */
int source_open_as(model_source *s, const char *path, const clipc_open_options *options,
                   clipc_err *err);
/* From here on a model of texts of another length, likewise; BERT has no other. */
int source_set_context(model_source *s, size_t context_length, clipc_err *err);
void source_close(model_source *s);

/* In front of the names of files that clipc's own format keeps as tensors. */
#define SOURCE_FILES "tokenizer/"

/* A file that came with the model, in its folder or kept in clipc's own file (before
 * net_open takes that over): whether there is one, and its bytes. */
bool source_has(const model_source *s, const char *name);
int source_file(buf *out, const model_source *s, const char *name, clipc_err *err);

#endif

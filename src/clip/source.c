#include "clip/source.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/safetensors.h"

void source_close(model_source *s)
{
    tensor_file_free(s->weights);
    clip_cfg_free(&s->cfg);
    free(s->weights_path);
    free(s->path);
    *s = (model_source){0};
}

/* ---- tensors ---- */

static int open_tensors(model_source *s, const char *path, clipc_err *err)
{
    s->weights_path = strdup(path);
    if (!s->weights_path) return clipc_fail_memory(err, path, strlen(path));
    return safetensors_open(&s->weights, path, err);
}

/* The first file of the names that is in the folder. */
static int open_first(model_source *s, const char *const *names, clipc_err *err)
{
    for (const char *const *name = names; *name; name++) {
        char *path = path_join(s->path, *name);
        if (!path) return clipc_fail_memory(err, s->path, 0);
        const bool there = file_exists(path);
        const int rc = there ? open_tensors(s, path, err) : CLIPC_OK;
        free(path);
        if (there) return rc;
    }
    return clipc_fail(err, CLIPC_ERR_IO, "%s: no %s in it", s->path, names[0]);
}

/* ---- folders ---- */

static int open_folder(model_source *s, clipc_err *err)
{
    static const char *const open_clip_names[] = {"open_clip_model.safetensors",
                                                  "model.safetensors", NULL};
    static const char *const hf_names[] = {"model.safetensors",
                                           "model.safetensors.index.json", NULL};
    char *open_clip = path_join(s->path, "open_clip_config.json");
    char *hf = path_join(s->path, "config.json");
    char *pre = path_join(s->path, "preprocessor_config.json");
    int rc;

    if (!open_clip || !hf || !pre) {
        rc = clipc_fail_memory(err, s->path, 0);
    } else if (file_exists(open_clip)) {
        s->format = "open_clip", s->config_by = "open_clip_config.json";
        rc = config_open_clip_file(&s->cfg, open_clip, err);
        if (rc == CLIPC_OK) rc = open_first(s, open_clip_names, err);
    } else if (file_exists(hf)) {
        s->format = "hf", s->config_by = "config.json";
        rc = config_hf_files(&s->cfg, hf, pre, err);
        if (rc == CLIPC_OK) rc = open_first(s, hf_names, err);
    } else {
        rc = clipc_fail(
            err, CLIPC_ERR_IO,
            "%s: no model: neither open_clip_config.json nor config.json in it", s->path);
    }
    free(open_clip);
    free(hf);
    free(pre);
    return rc;
}

/* ---- single files ---- */

static int own_form(weight_form *form, const char *name, const char *where,
                    clipc_err *err)
{
    static const char *const names[] = {[WEIGHTS_F32] = "f32",
                                        [WEIGHTS_F16] = "f16",
                                        [WEIGHTS_BF16] = "bf16",
                                        [WEIGHTS_I8] = "int8"};

    for (int f = WEIGHTS_F32; name && f <= WEIGHTS_I8; f++)
        if (strcmp(names[f], name) == 0) return *form = (weight_form)f, CLIPC_OK;
    return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: clipc.weights is \"%.20s\"", where,
                      name ? name : "missing");
}

/* FORMAT.md */
static int read_own(model_source *s, clipc_err *err)
{
    const char *version = tensor_file_string(s->weights, "clipc.version");
    const char *config = tensor_file_string(s->weights, "clipc.config");
    json_t *root = NULL;
    int rc;

    s->format = "clipc", s->config_by = "clipc.config", s->packed = true;
    if (!version || strcmp(version, "1") != 0)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: version %.20s of clipc's format, this clipc reads 1",
                          s->path, version ? version : "(none)");
    if (!config) return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no clipc.config", s->path);
    rc = json_parse(&root, config, strlen(config), s->path, err);
    if (rc == CLIPC_OK) rc = config_open_clip_root(&s->cfg, root, s->path, err);
    json_decref(root);
    return rc == CLIPC_OK
               ? own_form(&s->form, tensor_file_string(s->weights, "clipc.weights"),
                          s->path, err)
               : rc;
}

/* A config beside the file, if there is one, describes it. */
static int read_beside(model_source *s, bool *found, clipc_err *err)
{
    const size_t dir = (size_t)(path_base(s->path) - s->path);
    buf path = {0};
    int rc = buf_add(&path, s->path, dir, err);

    if (rc == CLIPC_OK) rc = buf_puts(&path, "open_clip_config.json", err);
    *found = rc == CLIPC_OK && file_exists(path.data);
    if (*found) {
        s->format = "open_clip", s->config_by = "open_clip_config.json";
        rc = config_open_clip_file(&s->cfg, path.data, err);
    }
    buf_free(&path);
    return rc;
}

static int open_file(model_source *s, clipc_err *err)
{
    const char *format;
    bool found = false;
    int rc = open_tensors(s, s->path, err);

    if (rc != CLIPC_OK) return rc;
    format = tensor_file_string(s->weights, "format");
    if (format && strcmp(format, "clipc") == 0) return read_own(s, err);
    rc = read_beside(s, &found, err);
    if (rc != CLIPC_OK || found) return rc;
    s->format = "openai", s->config_by = "weights";
    return config_from_weights(&s->cfg, s->weights, s->path, err);
}

int source_open(model_source *s, const char *path, clipc_err *err)
{
    *s = (model_source){.path = strdup(path)};
    if (!s->path) return clipc_fail_memory(err, path, strlen(path));
    return file_is_dir(path) ? open_folder(s, err) : open_file(s, err);
}

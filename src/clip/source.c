#include "clip/source.h"

#include <stdlib.h>
#include <string.h>

#include "clip/checkpoint_view.h"
#include "clip/fold.h"
#include "clip/timm.h"
#include "io/any_file.h"

enum { FILE_MAX = 64 << 20 };

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
    return any_file_open(&s->weights, path, err);
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

/* ---- files beside the tensors ---- */

static const tensor *kept_file(const model_source *s, const char *name)
{
    char whole[64];

    snprintf(whole, sizeof whole, SOURCE_FILES "%s", name);
    return tensor_find(s->weights, whole);
}

bool source_has(const model_source *s, const char *name)
{
    char *path = s->packed ? NULL : path_join(s->path, name);
    const bool there = s->packed ? kept_file(s, name) != NULL : path && file_exists(path);

    free(path);
    return there;
}

int source_file(buf *out, const model_source *s, const char *name, clipc_err *err)
{
    const tensor *t = s->packed ? kept_file(s, name) : NULL;
    char *path = NULL;
    int rc;

    buf_clear(out);
    if (t && (t->dt != DT_U8 || t->n_dims != 1 || t->n > FILE_MAX))
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: " SOURCE_FILES "%s is no list of up to %d bytes", s->path,
                          name, FILE_MAX);
    if (t) return buf_add(out, t->data, t->n, err);
    if (!(path = path_join(s->path, name))) return clipc_fail_memory(err, s->path, 0);
    rc = file_read(out, path, FILE_MAX, err);
    free(path);
    return rc;
}

/* ---- folders ---- */

/* A file of the folder as JSON; NULL if it is not there. */
static int read_part(json_t **out, const model_source *s, const char *name,
                     clipc_err *err)
{
    char *path = path_join(s->path, name);
    int rc = CLIPC_OK;

    *out = NULL;
    if (!path) return clipc_fail_memory(err, s->path, 0);
    if (file_exists(path)) rc = json_read(out, path, err);
    free(path);
    return rc;
}

/* A file of the folder itself or of 0_Transformer/. */
static int read_module(json_t **out, const model_source *s, const char *name,
                       clipc_err *err)
{
    char inner[64];
    const int rc = read_part(out, s, name, err);

    snprintf(inner, sizeof inner, "0_Transformer/%s", name);
    return rc == CLIPC_OK && !*out ? read_part(out, s, inner, err) : rc;
}

/* sentence-transformers keeps a Transformer, a Pooling and maybe a Dense module. */
static int open_sentence(model_source *s, clipc_err *err)
{
    static const char *const bert_names[] = {
        "model.safetensors", "0_Transformer/model.safetensors", "pytorch_model.bin",
        "0_Transformer/pytorch_model.bin", NULL};
    static const char *const dense_names[] = {"2_Dense/model.safetensors",
                                              "2_Dense/pytorch_model.bin", NULL};
    json_t *bert = NULL, *limits = NULL, *pooling = NULL;
    model_source dense = {.path = s->path};
    int rc = read_module(&bert, s, "config.json", err);

    s->format = "sentence-transformers", s->config_by = "config.json";
    if (rc == CLIPC_OK) rc = read_module(&limits, s, "sentence_bert_config.json", err);
    if (rc == CLIPC_OK) rc = read_part(&pooling, s, "1_Pooling/config.json", err);
    if (rc == CLIPC_OK)
        rc = config_sentence(&s->cfg, bert, limits, pooling, s->path, err);
    if (rc == CLIPC_OK) rc = open_first(s, bert_names, err);
    if (rc == CLIPC_OK && open_first(&dense, dense_names, NULL) == CLIPC_OK)
        rc = tensor_file_join(s->weights, dense.weights, "dense.", s->path, err);
    if (rc == CLIPC_OK) rc = tensor_file_finish(s->weights, s->path, err);
    if (rc == CLIPC_OK) rc = config_bert_sizes(&s->cfg, s->weights, s->path, err);
    free(dense.weights_path);
    json_decref(bert);
    json_decref(limits);
    json_decref(pooling);
    return rc;
}

/* What open_clip's config leaves to timm and to transformers. */
static int open_clip_sizes(model_source *s, clipc_err *err)
{
    int rc = s->cfg.image.family == IMAGE_FASTVIT
                 ? fold_fastvit(s->weights, s->weights_path, err)
                 : CLIPC_OK;

    if (rc == CLIPC_OK && *s->cfg.timm) timm_sizes(&s->cfg, s->weights);
    return rc == CLIPC_OK && s->cfg.text.family == TEXT_BERT
               ? config_bert_sizes(&s->cfg, s->weights, s->weights_path, err)
               : rc;
}

static int open_folder(model_source *s, clipc_err *err)
{
    static const char *const open_clip_names[] = {
        "open_clip_model.safetensors",
        "open_clip_model.safetensors.index.json",
        "open_clip_pytorch_model.bin",
        "open_clip_pytorch_model.bin.index.json",
        "model.safetensors",
        "pytorch_model.bin",
        NULL};
    static const char *const hf_names[] = {
        "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
        "pytorch_model.bin.index.json", NULL};
    char *open_clip = path_join(s->path, "open_clip_config.json");
    char *hf = path_join(s->path, "config.json");
    char *pre = path_join(s->path, "preprocessor_config.json");
    char *modules = path_join(s->path, "modules.json");
    int rc;

    if (!open_clip || !hf || !pre) {
        rc = clipc_fail_memory(err, s->path, 0);
    } else if (file_exists(open_clip)) {
        s->format = "open_clip", s->config_by = "open_clip_config.json";
        rc = config_open_clip_file(&s->cfg, open_clip, err);
        if (rc == CLIPC_OK) rc = open_first(s, open_clip_names, err);
        if (rc == CLIPC_OK) rc = open_clip_sizes(s, err);
    } else if (modules && file_exists(modules)) {
        rc = open_sentence(s, err);
    } else if (file_exists(hf)) {
        s->format = "hf", s->config_by = "config.json";
        rc = config_hf_files(&s->cfg, hf, pre, err);
        if (rc == CLIPC_OK) rc = open_first(s, hf_names, err);
        if (rc == CLIPC_OK && s->cfg.text.family == TEXT_BERT)
            rc = config_bert_sizes(&s->cfg, s->weights, s->weights_path, err);
    } else {
        rc = clipc_fail(
            err, CLIPC_ERR_IO,
            "%s: no model: neither open_clip_config.json nor config.json in it", s->path);
    }
    free(open_clip);
    free(hf);
    free(pre);
    free(modules);
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
    if (!version || strcmp(version, OWN_FORMAT_VERSION) != 0)
        return clipc_fail(
            err, CLIPC_ERR_FORMAT,
            "%s: version %.20s of clipc's format, this clipc reads " OWN_FORMAT_VERSION
            ": convert the original again",
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

static int path_beside(buf *path, const model_source *s, const char *name, clipc_err *err)
{
    const int rc = buf_add(path, s->path, (size_t)(path_base(s->path) - s->path), err);

    return rc == CLIPC_OK ? buf_puts(path, name, err) : rc;
}

/* A checkpoint of a run, whose model's config is in the folder above. */
static int read_checkpoint(model_source *s, clipc_err *err)
{
    buf path = {0};
    int rc = path_beside(&path, s, "../open_clip_config.json", err);

    s->format = "checkpoint", s->config_by = "../open_clip_config.json";
    if (rc == CLIPC_OK) rc = config_open_clip_file(&s->cfg, path.data, err);
    if (rc == CLIPC_OK) rc = checkpoint_name_tensors(s->weights, &s->cfg, s->path, err);
    buf_free(&path);
    return rc;
}

/* A config beside the file, if there is one, describes it. */
static int read_beside(model_source *s, bool *found, clipc_err *err)
{
    buf path = {0};
    int rc = path_beside(&path, s, "open_clip_config.json", err);

    *found = rc == CLIPC_OK && file_exists(path.data);
    if (*found) {
        s->format = "open_clip", s->config_by = "open_clip_config.json";
        rc = config_open_clip_file(&s->cfg, path.data, err);
        if (rc == CLIPC_OK) rc = open_clip_sizes(s, err);
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
    if (format && strcmp(format, "clipc-train") == 0) return read_checkpoint(s, err);
    if (tensor_file_string(s->weights, "general.architecture")) {
        s->format = "gguf", s->config_by = "GGUF's keys";
        return config_gguf(&s->cfg, tensor_file_metadata(s->weights), s->path, err);
    }
    rc = read_beside(s, &found, err);
    if (rc != CLIPC_OK || found) return rc;
    s->format = "openai", s->config_by = "weights";
    rc = config_from_weights(&s->cfg, s->weights, s->path, err);
    if (s->cfg.image.family == IMAGE_EFFNET) s->format = "efficientnet";
    /* What open_clip's training leaves is GELU unless its config said otherwise. */
    const char *kind = tensor_file_string(s->weights, "torch.kind");
    if (kind && strcmp(kind, "checkpoint") == 0)
        s->cfg.image.act = s->cfg.text.act = ACT_GELU;
    return rc;
}

int source_open(model_source *s, const char *path, clipc_err *err)
{
    *s = (model_source){.path = strdup(path)};
    if (!s->path) return clipc_fail_memory(err, path, strlen(path));
    return file_is_dir(path) ? open_folder(s, err) : open_file(s, err);
}

static int resize(model_source *s, size_t rows, size_t columns, clipc_err *err)
{
    image_cfg *c = &s->cfg.image;
    const size_t was[2] = {c->image_size, image_columns(c)};

    if (s->cfg.no_image)
        return clipc_fail(err, CLIPC_ERR_FEATURE, "%s: the model has no image tower",
                          s->path);
    if (rows == was[0] && columns == was[1]) return CLIPC_OK;
    if (c->family == IMAGE_RESNET)
        return clipc_fail(err, CLIPC_ERR_FEATURE,
                          "%s: a ResNet with an attention pool takes pictures of %zux%zu "
                          "only, not %zux%zu",
                          s->path, was[0], was[1], rows, columns);
    memcpy(s->stored, was, sizeof was);
    c->image_size = s->cfg.preprocess.h = rows;
    c->image_width = s->cfg.preprocess.w = columns;
    return CLIPC_OK;
}

int source_set_context(model_source *s, size_t context_length, clipc_err *err)
{
    if (s->cfg.no_text || s->cfg.text.family == TEXT_BERT)
        return clipc_fail(err, CLIPC_ERR_FEATURE,
                          "%s: its texts have no other context length", s->path);
    s->other_context = context_length != s->cfg.text.context_length;
    s->cfg.text.context_length = context_length;
    return CLIPC_OK;
}

int source_open_as(model_source *s, const char *path, const clipc_open_options *options,
                   clipc_err *err)
{
    const int rc = source_open(s, path, err);

    if (rc != CLIPC_OK || !options || !options->image_size) return rc;
    return resize(s, options->image_size,
                  options->image_columns ? options->image_columns : options->image_size,
                  err);
}

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "clip/average.h"
#include "clip/find.h"
#include "clip/names.h"
#include "clip/net.h"
#include "clip/tokens.h"
#include "io/safetensors.h"

/* Adds the tensors that a parameter is stored as to t; *made is memory of a transposed
 * copy. */
static int add_tensors(tensor *t, size_t *count, stored_as *s, float **made,
                       const param *p, const naming *names, clipc_err *err)
{
    const float *data = *p->slot;

    names_of(s, p->name, names);
    if (s->transposed) {
        *made = malloc(p->n * sizeof **made);
        if (!*made) return clipc_fail_memory(err, p->name, p->n * sizeof **made);
        weights_transpose(*made, data, p->dims[0], p->dims[1]);
        data = *made;
    }
    for (size_t i = 0; i < s->n; i++) {
        tensor *to = &t[*count];
        const size_t n = stored_part(s, i, p->n);
        if (*s->names[i]) { /* else zeros */
            *to = (tensor){.name = s->names[i],
                           .dt = DT_F32,
                           .n_dims = s->lead + p->n_dims,
                           .n = n,
                           .data = data};
            for (size_t d = 0; d < s->lead; d++) to->dims[d] = 1;
            for (size_t d = 0; d < p->n_dims; d++)
                to->dims[s->lead + d] =
                    s->transposed ? p->dims[p->n_dims - 1 - d] : p->dims[d];
            if (s->n > 1) to->dims[0] = stored_part(s, i, to->dims[0]);
            ++*count;
        }
        data += n;
    }
    return CLIPC_OK;
}

static int save_weights(const net *n, const char *path, dtype stored, const kernels *k,
                        clipc_err *err)
{
    tensor *t = calloc(3 * n->params.n, sizeof *t);
    stored_as *s = calloc(n->params.n, sizeof *s);
    float **made = calloc(n->params.n, sizeof *made);
    int64_t *counts = calloc(n->params.n, sizeof *counts);
    const naming names = naming_of_config(&n->cfg);
    size_t count = 0;
    json_t *about = json_pack("{s:s}", "format", "pt");
    int rc =
        t && s && made && counts && about ? CLIPC_OK : clipc_fail_memory(err, path, 0);

    for (size_t i = 0; rc == CLIPC_OK && i < n->params.n; i++) {
        const param *p = &n->params.v[i];
        rc = add_tensors(t, &count, &s[i], &made[i], p, &names, err);
        /* Batch norm's counter is a whole number in torch. */
        if (rc == CLIPC_OK && p->kind == PARAM_STAT && p->n_dims == 0) {
            counts[i] = (int64_t) * *p->slot;
            t[count - 1].dt = DT_I64;
            t[count - 1].data = &counts[i];
        }
    }
    if (rc == CLIPC_OK) rc = safetensors_write(path, t, count, about, stored, k, err);
    json_decref(about);
    for (size_t i = 0; made && i < n->params.n; i++) free(made[i]);
    free(made);
    free(counts);
    free(s);
    free(t);
    return rc;
}

static int save_text(const char *folder, const char *name, const buf *text,
                     clipc_err *err)
{
    char *path = path_join(folder, name);
    const int rc = path ? file_replace(path, text->data, text->len, err)
                        : clipc_fail_memory(err, folder, 0);
    free(path);
    return rc;
}

static int save_open_clip(const net *n, const char *folder, clipc_err *err)
{
    buf config = {0};
    int rc = config_write_open_clip(&config, &n->cfg, err);

    if (rc == CLIPC_OK) rc = save_text(folder, "open_clip_config.json", &config, err);
    buf_free(&config);
    return rc;
}

static int save_hf(const net *n, const char *folder, clipc_err *err)
{
    buf config = {0}, pre = {0};
    int rc = config_write_hf(&config, &pre, &n->cfg, err);

    if (rc == CLIPC_OK) rc = save_text(folder, "config.json", &config, err);
    if (rc == CLIPC_OK) rc = save_text(folder, "preprocessor_config.json", &pre, err);
    buf_free(&config);
    buf_free(&pre);
    return rc;
}

/* OpenAI's vocabulary as files. */
static int openai_files(token_files *f, clipc_err *err)
{
    bpe *b = NULL;
    int rc = bpe_new(&b, err);

    if (rc == CLIPC_OK) rc = bpe_vocab_json(&f->bytes[TOKEN_VOCAB], b, err);
    if (rc == CLIPC_OK) rc = bpe_merges_txt(&f->bytes[TOKEN_MERGES], b, err);
    f->kept[TOKEN_VOCAB] = f->kept[TOKEN_MERGES] = true;
    bpe_free(b);
    return rc;
}

int net_save(const net *n, const char *folder, dtype stored, const token_files *tokens,
             const kernels *k, clipc_err *err)
{
    const bool hf = n->cfg.layout == LAYOUT_HF;
    char *path =
        path_join(folder, hf ? "model.safetensors" : "open_clip_model.safetensors");
    token_files openai = {0};
    int rc = path ? file_mkdirs(folder, err) : clipc_fail_memory(err, folder, 0);

    if (!tokens) tokens = &openai;
    if (rc == CLIPC_OK && hf && !n->cfg.foreign_tokens && !tokens->kept[TOKEN_VOCAB]) {
        rc = openai_files(&openai, err);
        tokens = &openai;
    }
    /* The weights first: where the disk has no room for them, nothing has changed. */
    if (rc == CLIPC_OK) rc = save_weights(n, path, stored, k, err);
    if (rc == CLIPC_OK)
        rc = hf ? save_hf(n, folder, err) : save_open_clip(n, folder, err);
    if (rc == CLIPC_OK) rc = token_files_save(tokens, folder, err);
    token_files_free(&openai);
    free(path);
    return rc;
}

/* ---- clipc's own format ---- */

/* The strings of the header. */
static int own_header(json_t **out, const net *n, weight_form form, const json_t *about,
                      clipc_err *err)
{
    static const char *const forms[] = {[WEIGHTS_F32] = "f32",
                                        [WEIGHTS_F16] = "f16",
                                        [WEIGHTS_BF16] = "bf16",
                                        [WEIGHTS_I8] = "int8"};
    buf config = {0};
    int rc = config_write_own(&config, &n->cfg, err);

    *out = NULL;
    if (rc == CLIPC_OK) {
        *out = json_pack("{s:s,s:s,s:s,s:s}", "format", "clipc", "clipc.version",
                         OWN_FORMAT_VERSION, "clipc.weights", forms[form], "clipc.config",
                         config.data);
        if (!*out || (about && json_object_update(*out, (json_t *)(uintptr_t)about)))
            rc = clipc_fail_memory(err, "header", 0);
    }
    buf_free(&config);
    return rc;
}

static bool is_packed(const param *p)
{
    return p->kind == PARAM_LINEAR || p->kind == PARAM_CONV || p->kind == PARAM_TABLE;
}

/* The tensor that a parameter becomes; *made is its memory. */
static int pack_tensor(tensor *t, void **made, const param *p, weight_form form,
                       const kernels *k, clipc_err *err)
{
    const size_t bytes = param_bytes(p, form);

    *t = (tensor){.name = p->name, .dt = DT_F32, .n = p->n, .data = *p->slot};
    t->n_dims = p->n_dims;
    memcpy(t->dims, p->dims, p->n_dims * sizeof *t->dims);
    if (!is_packed(p)) return CLIPC_OK;
    *made = malloc(bytes);
    if (!*made) return clipc_fail_memory(err, p->name, bytes);
    weights_place(*made, p, *p->slot, form, k);
    *t = (tensor){.name = p->name,
                  .dt = DT_U8,
                  .n_dims = 1,
                  .dims = {bytes},
                  .n = bytes,
                  .data = *made};
    return CLIPC_OK;
}

/* Adds a tokenizer's files, as bytes. */
static void add_files(tensor *t, size_t *count, char (*names)[64], const token_files *f)
{
    for (size_t i = 0; f && i < TOKEN_FILES; i++) {
        if (!f->kept[i]) continue;
        snprintf(names[i], sizeof names[i], SOURCE_FILES "%s", token_file_names[i]);
        t[(*count)++] = (tensor){.name = names[i],
                                 .dt = DT_U8,
                                 .n_dims = 1,
                                 .dims = {f->bytes[i].len},
                                 .n = f->bytes[i].len,
                                 .data = f->bytes[i].data};
    }
}

int net_save_packed(const net *n, const char *path, weight_form form, const json_t *about,
                    const token_files *tokens, const kernels *k, clipc_err *err)
{
    tensor *t = calloc(n->params.n + TOKEN_FILES, sizeof *t);
    void **made = calloc(n->params.n, sizeof *made);
    char names[TOKEN_FILES][64];
    json_t *header = NULL;
    size_t count = 0, all;
    int rc = t && made ? own_header(&header, n, form, about, err)
                       : clipc_fail_memory(err, path, 0);

    /* Packed ones first: their sizes are multiples of 64 bytes or nearly so. */
    for (int packed = 1; packed >= 0; packed--)
        for (size_t i = 0; rc == CLIPC_OK && i < n->params.n; i++)
            if (is_packed(&n->params.v[i]) == (packed != 0)) {
                rc = pack_tensor(&t[count], &made[count], &n->params.v[i], form, k, err);
                count++;
            }
    /* Files last: they have any size. */
    all = count;
    if (rc == CLIPC_OK) add_files(t, &all, names, tokens);
    if (rc == CLIPC_OK) rc = safetensors_write(path, t, all, header, DT_F32, k, err);
    for (size_t i = 0; made && i < count; i++) free(made[i]);
    free(made);
    free(t);
    json_decref(header);
    return rc;
}

/* ---- convert ---- */

static weight_form form_named(const char *precision)
{
    return strcmp(precision, "f32") == 0    ? WEIGHTS_F32
           : strcmp(precision, "f16") == 0  ? WEIGHTS_F16
           : strcmp(precision, "bf16") == 0 ? WEIGHTS_BF16
           : strcmp(precision, "int8") == 0 ? WEIGHTS_I8
                                            : WEIGHTS_PLAIN;
}

static dtype dtype_of(weight_form form)
{
    return form == WEIGHTS_F16 ? DT_F16 : form == WEIGHTS_BF16 ? DT_BF16 : DT_F32;
}

static int write_as(net *n, const char *to, const char *layout, weight_form form,
                    const json_t *about, token_files *tokens, const kernels *k,
                    clipc_err *err)
{
    const bool hf = strcmp(layout, "hf") == 0;
    int rc;

    if (strcmp(layout, "clipc") == 0)
        return net_save_packed(n, to, form, about, tokens, k, err);
    rc = config_lay_out(&n->cfg, hf ? LAYOUT_HF : LAYOUT_OPEN_CLIP, to, err);
    if (rc == CLIPC_OK && !hf) rc = token_files_tell(tokens, &n->cfg, err);
    return rc == CLIPC_OK ? net_save(n, to, dtype_of(form), tokens, k, err) : rc;
}

/* Licence and origin: what was asked for, else what the source says. */
static int about_model(json_t **about, const model_source *s,
                       const clipc_convert_options *o, clipc_err *err)
{
    const char *license = o->license, *origin = o->origin;
    int rc;

    if (!license) license = tensor_file_string(s->weights, "license");
    if (!origin) origin = tensor_file_string(s->weights, "origin");
    *about = json_object();
    rc = json_set_text(*about, "license", license, err);
    return rc == CLIPC_OK ? json_set_text(*about, "origin", origin, err) : rc;
}

/* A run goes on with its own model: another in its folder would be lost at the next save,
 * as the run's best would be now. */
static bool holds_run(const char *out)
{
    char *checkpoints = path_join(out, "checkpoints");
    const bool held = checkpoints && file_is_dir(checkpoints);

    free(checkpoints);
    return held;
}

/* Of another model the source's would be none. */
static float min_score_of(const net *n, const clipc_convert_options *o)
{
    const bool another = o->n_average || o->open.image_size || o->open.image_columns;

    return o->min_score != 0.0f ? o->min_score : another ? 0.0f : n->cfg.min_score;
}

int clipc_convert(const char *in, const char *out, const clipc_convert_options *options,
                  clipc_err *err)
{
    static const clipc_convert_options defaults;
    if (!options) options = &defaults;
    const char *to = options->to ? options->to : "open_clip";
    const char *precision = options->precision ? options->precision : "f32";
    const weight_form form = form_named(precision);
    const bool own = strcmp(to, "clipc") == 0;
    const kernels *k = NULL;
    json_t *about = NULL;
    char *found = NULL;
    token_files tokens = {0};
    tokenizer t = {0};
    model_source s = {0};
    net *n = NULL;
    int rc;

    if (form == WEIGHTS_PLAIN || (form == WEIGHTS_I8 && !own) ||
        (!own && strcmp(to, "hf") != 0 && strcmp(to, "open_clip") != 0))
        return clipc_fail(err, CLIPC_ERR_ARG, "%s, %s: no such layout or precision", to,
                          precision);
    if (!options->overwrite && file_exists(out))
        return clipc_fail(err, CLIPC_ERR_EXISTS, "%s: exists already", out);
    if (holds_run(out))
        return clipc_fail(err, CLIPC_ERR_EXISTS, "%s: holds a run; choose another folder",
                          out);
    rc = find_model(&found, in, err);
    if (rc == CLIPC_OK) rc = kernels_pick(&k, err);
    if (rc == CLIPC_OK) rc = source_open_as(&s, found, &options->open, err);
    if (rc == CLIPC_OK) rc = about_model(&about, &s, options, err);
    if (rc == CLIPC_OK) rc = tokenizer_copy(&t, &tokens, &s, to, err);
    if (rc == CLIPC_OK) rc = net_open(&n, &s, TOWER_EVAL, k, err);
    if (rc == CLIPC_OK) rc = net_average(n, options->average, options->n_average, k, err);
    if (rc == CLIPC_OK) n->cfg.min_score = min_score_of(n, options);
    if (rc == CLIPC_OK) rc = write_as(n, out, to, form, about, &tokens, k, err);
    json_decref(about);
    tokenizer_free(&t);
    token_files_free(&tokens);
    net_free(n);
    source_close(&s);
    free(found);
    return rc;
}

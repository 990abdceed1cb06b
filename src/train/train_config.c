#include "train/train_config.h"

#include <stdlib.h>
#include <string.h>

#include "base/cpus.h"
#include "train/budget.h"
#include "train/config_start.h"
#include "train/data_config.h"
#include "train/neighbours.h"

/* clang-format off */
static const char *const keys[] = {
    "model", "preprocess_cfg", "tokenizer", "templates",
    "init", "image_size", "context_length", "embed_dim", "new_head",
    "lock_image", "lock_image_unlocked_groups", "lock_image_freeze_bn_stats",
    "lock_text", "lock_text_unlocked_layers", "cache_texts", "cache_features", "cache_dir",
    "distill", "distill_loss", "distill_classes", "distill_weight",
    "data", "data_dir", "order", "shuffle", "hard_negatives", "alternative", "dictionary", "dictionary_prob",
    "max_broken", "max_megapixels",
    "csv_img_key", "csv_caption_key", "csv_separator",
    "augment",
    "batch_size", "chunk", "recompute", "max_memory",
    "steps", "epochs", "warmup",
    "lr", "lr_image", "lr_text", "layer_decay", "beta1", "beta2", "eps", "weight_decay",
    "grad_clip", "logit_scale_max", "ema",
    "loss", "label_smoothing", "equal_captions",
    "seed", "threads", "workers",
    "val", "val_every", "val_samples", "eval", "eval_every",
    "log_every", "save_every", "keep", "precision", NULL};
/* clang-format on */

/* What `clipc train --data shards/ --out model/` trains: small enough for two cores. */
static const char default_model[] =
    "{\"embed_dim\":256,\"quick_gelu\":false,"
    "\"vision_cfg\":{\"image_size\":64,\"layers\":6,\"width\":256,\"patch_size\":8},"
    "\"text_cfg\":{\"context_length\":32,\"width\":128,\"heads\":4,\"layers\":3}}";

void train_config_free(train_cfg *c)
{
    clip_cfg_free(&c->model);
    tokenizer_free(&c->tokenizer);
    token_files_free(&c->token_files);
    free(c->init.model);
    free(c->cache_dir);
    free(c->distill);
    free(c->distill_classes);
    data_config_free(c);
    memset(c, 0, sizeof *c);
}

typedef struct number {
    const char *key;
    size_t offset;
    double least, most;
} number;

#define AT(member) offsetof(train_cfg, member)

static const number sizes[] = {
    {"batch_size", AT(data.batch), 1, 1 << 20},
    {"steps", AT(steps), 1, 1e12},
    {"warmup", AT(warmup), 0, 1e12},
    {"threads", AT(threads), 0, CPUS_MOST},
    {"workers", AT(data.workers), 1, 256},
    {"log_every", AT(log_every), 1, 1e12},
    {"save_every", AT(save_every), 1, 1e12},
    {"keep", AT(keep), 1, 1e6},
    {"val_every", AT(val_every), 1, 1e12},
    {"val_samples", AT(val_samples), 2, 1e6},
    {"eval_every", AT(eval_every), 1, 1e12},
    {"seed", AT(seed), 0, 9e18},
    {"chunk", AT(chunk), 0, 1 << 20},
    {"image_size", AT(init.image_size), 1, 1 << 16},
    {"context_length", AT(init.context_length), 1, 4096},
    {"embed_dim", AT(init.embed_dim), 1, 1 << 16},
    {"lock_image_unlocked_groups", AT(lock_image_unlocked_groups), 0, 1 << 16},
    {"lock_text_unlocked_layers", AT(lock_text_unlocked_layers), 0, 1 << 16},
    {"cache_features", AT(data.views), 0, 1 << 16},
    {"hard_negatives", AT(hard_negatives), 0, NEIGHBOURS_MOST},
};

static const number reals[] = {
    {"lr", AT(lr), 0, 100},
    {"lr_image", AT(lr_image), 0, 100},
    {"lr_text", AT(lr_text), 0, 100},
    {"layer_decay", AT(layer_decay), 0, 1},
    {"ema", AT(ema), 0, 0.9999999},
    {"distill_weight", AT(distill_weight), 0, 1e6},
    {"beta1", AT(beta1), 0, 0.99999},
    {"beta2", AT(beta2), 0, 0.999999},
    {"eps", AT(eps), 0, 1},
    {"weight_decay", AT(weight_decay), 0, 100},
    {"grad_clip", AT(grad_clip), 0, 1e9},
    {"logit_scale_max", AT(logit_scale_max), 1, 1e6},
    {"alternative", AT(data.alternative), 0, 1},
    {"dictionary_prob", AT(data.dictionary_prob), 0, 1},
};

static int out_of_range(const number *n, double x, const char *where, clipc_err *err)
{
    return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: \"%s\" is %g, wanted %g to %g", where,
                      n->key, x, n->least, n->most);
}

static int get_numbers(train_cfg *c, const json_t *root, const char *where,
                       clipc_err *err)
{
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t *x = (size_t *)(void *)((char *)c + sizes[i].offset);
        rc = json_get_size(x, root, sizes[i].key, where, err);
        if (rc == CLIPC_OK && json_object_get(root, sizes[i].key) &&
            !((double)*x >= sizes[i].least && (double)*x <= sizes[i].most))
            rc = out_of_range(&sizes[i], (double)*x, where, err);
    }
    for (size_t i = 0; rc == CLIPC_OK && i < sizeof reals / sizeof reals[0]; i++) {
        float *x = (float *)(void *)((char *)c + reals[i].offset);
        rc = json_get_f32(x, root, reals[i].key, where, err);
        if (rc == CLIPC_OK &&
            !((double)*x >= reals[i].least && (double)*x <= reals[i].most))
            rc = out_of_range(&reals[i], (double)*x, where, err);
    }
    return rc;
}

static int get_precision(train_cfg *c, const json_t *root, const char *where,
                         clipc_err *err)
{
    const char *name = "f16";
    const int rc = json_get_string(&name, root, "precision", where, err);

    if (rc != CLIPC_OK) return rc;
    c->precision = strcmp(name, "f32") == 0    ? DT_F32
                   : strcmp(name, "f16") == 0  ? DT_F16
                   : strcmp(name, "bf16") == 0 ? DT_BF16
                                               : DT_COUNT;
    if (c->precision == DT_COUNT)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: \"precision\" is none of f32, f16, bf16", where);
    return CLIPC_OK;
}

/* A folder with vocab.json and merges.txt, as clipc_vocab_train writes it. */
static int read_vocabulary(train_cfg *c, const char *folder, clipc_err *err)
{
    token_files *f = &c->token_files;
    model_source s = {.path = strdup(folder)};
    int rc = s.path ? token_files_open(f, &s, err) : clipc_fail_memory(err, folder, 0);

    if (rc == CLIPC_OK && !(f->there[TOKEN_VOCAB] && f->there[TOKEN_MERGES]))
        rc = clipc_fail(err, CLIPC_ERR_IO, "%s: no vocab.json and merges.txt in it",
                        folder);
    if (rc == CLIPC_OK) rc = tokenizer_make(&c->tokenizer, f, err);
    f->source = NULL; /* what is needed of it was read */
    source_close(&s);
    return rc;
}

static int get_tokenizer(train_cfg *c, const json_t *root, const char *where,
                         clipc_err *err)
{
    const char *folder = NULL;
    const int rc = json_get_string(&folder, root, "tokenizer", where, err);

    if (rc != CLIPC_OK) return rc;
    return folder ? read_vocabulary(c, folder, err) : bpe_new(&c->tokenizer.bpe, err);
}

/* Makes the model one of texts of this tokenizer. */
static int join_tokenizer(train_cfg *c, const char *where, clipc_err *err)
{
    const bpe *b = c->tokenizer.bpe;

    if (!c->token_files.kept[TOKEN_VOCAB]) {
        bpe_set_rules(c->tokenizer.bpe, c->model.token_rules);
        return CLIPC_OK;
    }
    if (c->model.text.pool == TEXT_POOL_ARGMAX &&
        (size_t)bpe_eot(b) + 1 != bpe_vocab_size(b))
        return clipc_fail(
            err, CLIPC_ERR_FEATURE,
            "%s: \"tokenizer\": the end token has not the largest id, which "
            "the text tower looks for",
            where);
    c->model.foreign_tokens = false;
    c->model.token_rules = BPE_OPENAI;
    return token_files_tell(&c->token_files, &c->model, err);
}

/* A model has a row for each token unless it says otherwise. */
static int set_vocab_size(json_t *model, const bpe *b, const char *where, clipc_err *err)
{
    json_t *text = json_object_get(model, "text_cfg");

    if (!json_is_object(text) || json_object_get(text, "vocab_size")) return CLIPC_OK;
    return json_object_set_new(text, "vocab_size",
                               json_integer((json_int_t)bpe_vocab_size(b)))
               ? clipc_fail_memory(err, where, 0)
               : CLIPC_OK;
}

/* A model to be trained from random weights, and its tokenizer. */
static int get_new_model(train_cfg *c, const json_t *root, const char *where,
                         clipc_err *err)
{
    const json_t *templates = json_object_get(root, "templates");
    json_t *model = json_incref(json_object_get(root, "model"));
    int rc = get_tokenizer(c, root, where, err);

    if (rc == CLIPC_OK && !model)
        rc = json_parse(&model, default_model, strlen(default_model), where, err);
    if (rc == CLIPC_OK) rc = set_vocab_size(model, c->tokenizer.bpe, where, err);
    if (rc == CLIPC_OK)
        rc = config_open_clip(&c->model, model, json_object_get(root, "preprocess_cfg"),
                              where, err);
    if (rc == CLIPC_OK) rc = config_templates(&c->model, templates, where, err);
    if (rc == CLIPC_OK) rc = join_tokenizer(c, where, err);
    json_decref(model);
    return rc;
}

static int get_objective(train_cfg *c, const json_t *root, const char *where,
                         clipc_err *err)
{
    const int rc = objective_parse(&c->objective, &c->logits, root,
                                   json_object_get(root, "model"), where, err);

    c->init.new_bias = c->objective.loss == LOSS_SIGMOID && !c->model.logit_bias;
    c->model.logit_bias |= c->init.new_bias;
    return rc;
}

static int get_evals(train_cfg *c, const json_t *root, const char *where, clipc_err *err)
{
    const char *dir = NULL;
    const int rc = json_get_string(&dir, root, "data_dir", where, err);

    return rc == CLIPC_OK ? eval_list_parse(&c->evals, json_object_get(root, "eval"), dir,
                                            where, err)
                          : rc;
}

static int check_model(const train_cfg *c, const char *where, clipc_err *err)
{
    if (c->model.preprocess.h != c->model.preprocess.w)
        return clipc_fail(err, CLIPC_ERR_FEATURE,
                          "%s: a model of rectangular pictures runs but is not trained",
                          where);
    if (!(c->lr > 0.0f) && (c->lr_image > 0.0f || c->lr_text > 0.0f))
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: \"lr\" is 0, a tower's own rate is not", where);
    return CLIPC_OK;
}

static void set_defaults(train_cfg *c)
{
    *c = (train_cfg){.steps = 2000,
                     .warmup = 200,
                     .log_every = 10,
                     .save_every = 500,
                     .keep = 3,
                     .val_every = 500,
                     .eval_every = 1000,
                     .val_samples = 2000,
                     .seed = 1,
                     .lr = 1e-3f,
                     .layer_decay = 1.0f,
                     .distill_weight = 1.0f,
                     .beta1 = 0.9f,
                     .beta2 = 0.98f,
                     .eps = 1e-6f,
                     .weight_decay = 0.2f,
                     .grad_clip = 1.0f,
                     .logit_scale_max = 100.0f};
    c->data = (data_cfg){
        .batch = 256, .workers = 2, .alternative = 0.25f, .dictionary_prob = 0.25f};
}

int train_config_parse(train_cfg *out, const char *json, const char *where,
                       clipc_err *err)
{
    json_t *root = NULL;
    int rc;

    set_defaults(out);
    rc = json_parse(&root, json, strlen(json), where, err);
    if (rc == CLIPC_OK) rc = json_check_keys(root, keys, where, err);
    if (rc == CLIPC_OK) rc = config_start(out, root, where, err);
    if (rc == CLIPC_OK) rc = get_numbers(out, root, where, err);
    if (rc == CLIPC_OK && out->init.model) rc = config_start_model(out, root, where, err);
    else if (rc == CLIPC_OK) rc = get_new_model(out, root, where, err);
    if (rc == CLIPC_OK) rc = get_objective(out, root, where, err);
    if (rc == CLIPC_OK) rc = config_start_locks(out, root, where, err);
    if (rc == CLIPC_OK) rc = config_start_caches(out, root, where, err);
    if (rc == CLIPC_OK) rc = config_start_distill(out, root, where, err);
    if (rc == CLIPC_OK) rc = check_model(out, where, err);
    if (rc == CLIPC_OK) rc = data_config_parse(out, root, where, err);
    if (rc == CLIPC_OK) rc = get_evals(out, root, where, err);
    if (rc == CLIPC_OK) rc = get_precision(out, root, where, err);
    if (rc == CLIPC_OK)
        rc = json_get_bool(&out->recompute, root, "recompute", where, err);
    if (rc == CLIPC_OK) rc = budget_limit(&out->max_memory, root, where, err);
    if (json_object_get(root, "templates"))
        out->data.n_templates = out->model.n_templates;
    json_decref(root);
    if (rc != CLIPC_OK) {
        train_config_free(out);
        return rc;
    }
    if (!out->threads) out->threads = cpus_usable();
    out->data.seed = out->seed;
    out->data.preprocess = out->model.preprocess;
    out->data.tokenizer = &out->tokenizer;
    out->data.context_length = out->model.text.context_length;
    out->data.vocab_size = out->model.text.vocab_size;
    out->data.templates = (const char *const *)out->model.templates;
    return CLIPC_OK;
}

#include "train/config_start.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/sizes.h"
#include "train/groups.h"

/* What only makes sense with a model to begin with, and what that brings itself. */
static const char *const of_init[] = {"image_size", "context_length", "embed_dim",
                                      "new_head",   "lock_image",     "lock_text"};
static const char *const without_init[] = {"model", "preprocess_cfg", "tokenizer"};

/* With a teacher. */
static const char *const of_teacher[] = {"distill_loss", "distill_classes",
                                         "distill_weight"};

/* Of batch norm, which move even where nothing learns. */
static bool has_statistics(const clip_cfg *c)
{
    const image_family f = c->image.family;

    return (f == IMAGE_RESNET || f == IMAGE_EFFNET) && !group_in_parts(c, SIDE_IMAGE);
}

static int check_together(const json_t *root, bool init, const char *where,
                          clipc_err *err)
{
    const char *const *names = init ? without_init : of_init;
    const size_t n =
        init ? sizeof without_init / sizeof *names : sizeof of_init / sizeof *names;

    for (size_t i = 0; i < n; i++)
        if (json_object_get(root, names[i]))
            return clipc_fail(err, CLIPC_ERR_ARG,
                              init ? "%s: \"%s\" is told by the model of \"init\""
                                   : "%s: \"%s\" wants a model to begin with, \"init\"",
                              where, names[i]);
    return CLIPC_OK;
}

static int get_new_head(init_cfg *i, const json_t *root, const char *where,
                        clipc_err *err)
{
    const char *name = "";
    const int rc = json_get_string(&name, root, "new_head", where, err);
    const bool both = strcmp(name, "both") == 0;

    if (rc != CLIPC_OK) return rc;
    i->new_image_head = both || strcmp(name, "image") == 0;
    i->new_text_head = both || strcmp(name, "text") == 0;
    if (*name && !i->new_image_head && !i->new_text_head)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: \"new_head\" is none of image, text, both", where);
    if (json_object_get(root, "embed_dim") && !both)
        return clipc_fail(err, CLIPC_ERR_ARG,
                          "%s: \"embed_dim\" wants \"new_head\": \"both\"", where);
    return CLIPC_OK;
}

int config_start(train_cfg *c, const json_t *root, const char *where, clipc_err *err)
{
    const char *model = NULL;
    int rc = json_get_string(&model, root, "init", where, err);

    if (rc == CLIPC_OK) rc = check_together(root, model != NULL, where, err);
    if (rc == CLIPC_OK) rc = get_new_head(&c->init, root, where, err);
    if (rc != CLIPC_OK || !model) return rc;
    c->lr = 1e-5f;
    c->init.model = strdup(model);
    return c->init.model ? CLIPC_OK : clipc_fail_memory(err, where, 0);
}

static void drop_templates(clip_cfg *c)
{
    while (c->n_templates) free(c->templates[--c->n_templates]);
}

int config_start_model(train_cfg *c, const json_t *root, const char *where,
                       clipc_err *err)
{
    const json_t *templates = json_object_get(root, "templates");
    const int rc = init_config(&c->model, &c->tokenizer, &c->token_files, &c->init, err);

    if (rc != CLIPC_OK || !templates) return rc;
    drop_templates(&c->model);
    return config_templates(&c->model, templates, where, err);
}

static int lock_tower(size_t *locked, const train_cfg *c, tower_side side, bool lock,
                      size_t unlocked, const char *where, clipc_err *err)
{
    const size_t groups = group_count(&c->model, side);
    const bool whole =
        groups == 1 || (side == SIDE_IMAGE && c->model.image.family == IMAGE_RESNET);

    if (unlocked && !lock)
        return clipc_fail(err, CLIPC_ERR_ARG,
                          "%s: groups of a tower are unlocked that is not locked", where);
    if (unlocked && whole)
        return clipc_fail(err, CLIPC_ERR_FEATURE,
                          "%s: a tower of this kind is locked whole or not at all",
                          where);
    *locked = lock ? groups - min_size(unlocked, groups) : 0;
    return CLIPC_OK;
}

int config_start_locks(train_cfg *c, const json_t *root, const char *where,
                       clipc_err *err)
{
    bool lock_image = false, lock_text = false;
    int rc = json_get_bool(&lock_image, root, "lock_image", where, err);

    if (rc == CLIPC_OK) rc = json_get_bool(&lock_text, root, "lock_text", where, err);
    if (rc == CLIPC_OK)
        rc = json_get_bool(&c->model.image.locked_stats, root,
                           "lock_image_freeze_bn_stats", where, err);
    if (rc == CLIPC_OK)
        rc = lock_tower(&c->model.image.locked, c, SIDE_IMAGE, lock_image,
                        c->lock_image_unlocked_groups, where, err);
    if (rc == CLIPC_OK)
        rc = lock_tower(&c->model.text.locked, c, SIDE_TEXT, lock_text,
                        c->lock_text_unlocked_layers, where, err);
    if (rc != CLIPC_OK) return rc;
    if (c->model.image.locked_stats && !group_all_locked(&c->model, SIDE_IMAGE))
        return clipc_fail(err, CLIPC_ERR_ARG,
                          "%s: \"lock_image_freeze_bn_stats\" wants \"lock_image\"",
                          where);
    if (group_all_locked(&c->model, SIDE_IMAGE) && group_all_locked(&c->model, SIDE_TEXT))
        return clipc_fail(err, CLIPC_ERR_ARG,
                          "%s: both towers are locked: nothing is left to learn", where);
    return CLIPC_OK;
}

/* What a picture's views depend on beside the model and the picture. */
static uint64_t hash_views(const train_cfg *c, const json_t *root)
{
    char *augment = json_dumps(json_object_get(root, "augment"),
                               JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY);
    const uint64_t h = hash_text(c->seed, augment ? augment : "");

    free(augment);
    return h;
}

int config_start_caches(train_cfg *c, const json_t *root, const char *where,
                        clipc_err *err)
{
    const char *dir = NULL;
    int rc = json_get_bool(&c->cache_texts, root, "cache_texts", where, err);

    if (rc == CLIPC_OK) rc = json_get_string(&dir, root, "cache_dir", where, err);
    if (rc != CLIPC_OK) return rc;
    if (c->cache_texts && !group_kept(&c->model, SIDE_TEXT))
        return clipc_fail(err, CLIPC_ERR_ARG,
                          "%s: \"cache_texts\" wants all of the text tower locked",
                          where);
    if (c->data.views && !group_kept(&c->model, SIDE_IMAGE))
        return clipc_fail(err, CLIPC_ERR_ARG,
                          "%s: \"cache_features\" wants all of the image tower locked",
                          where);
    if (c->data.views && has_statistics(&c->model) && !c->model.image.locked_stats)
        return clipc_fail(err, CLIPC_ERR_ARG,
                          "%s: \"cache_features\" of a tower with batch norm wants "
                          "\"lock_image_freeze_bn_stats\"",
                          where);
    c->views = hash_views(c, root);
    if (!dir) return CLIPC_OK;
    c->cache_dir = strdup(dir);
    return c->cache_dir ? CLIPC_OK : clipc_fail_memory(err, where, 0);
}

static int get_kind(train_cfg *c, const json_t *root, const char *where, clipc_err *err)
{
    static const char *const names[] = {[DISTILL_LOGITS] = "logits",
                                        [DISTILL_EMBEDDINGS] = "embeddings",
                                        [DISTILL_FEATURES] = "features",
                                        [DISTILL_CLASSES] = "classes",
                                        NULL};
    const char *classes = NULL;
    size_t kind = 0;
    int rc = json_get_choice(&kind, names, "logits, embeddings, features or classes",
                             root, "distill_loss", where, err);

    if (rc == CLIPC_OK)
        rc = json_get_string(&classes, root, "distill_classes", where, err);
    if (rc != CLIPC_OK) return rc;
    c->distill_kind = (distill_kind)kind;
    if ((kind == DISTILL_CLASSES) != (classes != NULL))
        return clipc_fail(err, CLIPC_ERR_ARG,
                          classes
                              ? "%s: \"distill_classes\" wants \"distill_loss\": "
                                "\"classes\""
                              : "%s: \"distill_loss\" of classes wants a file of them, "
                                "\"distill_classes\"",
                          where);
    if (!classes) return CLIPC_OK;
    c->distill_classes = strdup(classes);
    return c->distill_classes ? CLIPC_OK : clipc_fail_memory(err, where, 0);
}

int config_start_distill(train_cfg *c, const json_t *root, const char *where,
                         clipc_err *err)
{
    const char *model = NULL;
    int rc = json_get_string(&model, root, "distill", where, err);

    if (rc != CLIPC_OK) return rc;
    for (size_t i = 0; !model && i < sizeof of_teacher / sizeof *of_teacher; i++)
        if (json_object_get(root, of_teacher[i]))
            return clipc_fail(err, CLIPC_ERR_ARG,
                              "%s: \"%s\" wants a model to learn from, \"distill\"",
                              where, of_teacher[i]);
    if (!model) return CLIPC_OK;
    if (c->data.views)
        return clipc_fail(err, CLIPC_ERR_ARG,
                          "%s: \"distill\" with \"cache_features\": the teacher would "
                          "see no picture",
                          where);
    c->distill = strdup(model);
    return c->distill ? get_kind(c, root, where, err) : clipc_fail_memory(err, where, 0);
}

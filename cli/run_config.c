#define _GNU_SOURCE
#include "cli/run_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

/* --data with a config whose data is a list names the folder that the list is relative
 * to. */
static void merge_data(json_t *config, json_t *given)
{
    json_t *data = json_object_get(given, "data");

    if (!data || !json_is_array(json_object_get(config, "data"))) return;
    json_object_set(config, "data_dir", data);
    json_object_del(given, "data");
}

/* Of steps and epochs the command line's goes before the config's. */
static void merge_length(json_t *config, json_t *given)
{
    if (json_object_get(given, "epochs")) json_object_del(config, "steps");
    if (json_object_get(given, "steps")) json_object_del(config, "epochs");
}

/* ---- paths ---- */

/* A path as it is from anywhere; what is none stays.  NULL when memory is out. */
static json_t *placed(json_t *v, const char *cwd)
{
    const char *path = json_string_value(v);

    if (!path || path[0] == '/') return json_incref(v);
    char *full = path_join(cwd, path);
    json_t *out = full ? json_string(full) : NULL;
    free(full);
    return out;
}

/* A key whose value is a path, or a list of them. */
static int place(json_t *config, const char *key, const char *cwd)
{
    json_t *v = json_object_get(config, key);
    int rc = 0;

    if (v && !json_is_array(v)) return json_object_set_new(config, key, placed(v, cwd));
    for (size_t i = 0; rc == 0 && i < json_array_size(v); i++)
        rc = json_array_set_new(v, i, placed(json_array_get(v, i), cwd));
    return rc;
}

/* What is relative to data_dir stays so; a list of sources gets one, which --data can
 * replace later.  A model may be a name that is no path. */
static int place_all(json_t *config, const char *cwd)
{
    static const char *const of_data[] = {"data", "val", "order", "eval"};
    static const char *const models[] = {"init", "distill"};
    static const char *const others[] = {"data_dir", "tokenizer", "cache_dir",
                                         "dictionary", "distill_classes"};
    int rc = 0;

    if (!json_object_get(config, "data_dir") &&
        json_is_array(json_object_get(config, "data")))
        rc = json_object_set_new(config, "data_dir", json_string(cwd));
    for (size_t i = 0; i < 4 && !json_object_get(config, "data_dir"); i++)
        rc |= place(config, of_data[i], cwd);
    for (size_t i = 0; i < 5; i++) rc |= place(config, others[i], cwd);
    for (size_t i = 0; i < 2; i++) {
        const char *model = json_string_value(json_object_get(config, models[i]));
        if (model && file_exists(model)) rc |= place(config, models[i], cwd);
    }
    return rc;
}

static int place_paths(json_t *config, clipc_err *err)
{
    char *cwd = getcwd(NULL, 0);

    if (!cwd)
        return clipc_fail(err, CLIPC_ERR_IO, "the working directory: %s",
                          strerror(errno));
    const int rc = place_all(config, cwd);
    if (rc != 0)
        clipc_fail(err, CLIPC_ERR_TEXT, "the working directory, %s: no UTF-8", cwd);
    free(cwd);
    return rc == 0 ? CLIPC_OK : CLIPC_ERR_TEXT;
}

/* ---- a run that goes on ---- */

/* What a key that is missing means. */
static bool is_default(const char *key, const json_t *v)
{
    const char *name = json_string_value(v);

    if (strcmp(key, "loss") == 0 && name) return strcmp(name, "softmax") == 0;
    return !v || json_is_false(v) || (json_is_number(v) && json_number_value(v) == 0.0);
}

/* Distillation by features has maps that learn. */
static bool by_features(const json_t *distill_loss)
{
    const char *name = json_string_value(distill_loss);
    return name && strcmp(name, "features") == 0;
}

static bool is_same(const char *key, const json_t *a, const json_t *b)
{
    if (strcmp(key, "distill_loss") == 0) return by_features(a) == by_features(b);
    if (is_default(key, a) || is_default(key, b))
        return is_default(key, a) == is_default(key, b);
    return strcmp(key, "ema") == 0 || json_equal(a, b); /* its decay may change */
}

static int check_kept(const json_t *config, const char *own, clipc_err *err)
{
    static const char *const keys[] = {"model",
                                       "image_size",
                                       "context_length",
                                       "embed_dim",
                                       "new_head",
                                       "lock_image",
                                       "lock_image_unlocked_groups",
                                       "lock_text",
                                       "lock_text_unlocked_layers",
                                       "loss",
                                       "distill_loss",
                                       "ema"};
    json_t *began = NULL;
    int rc = file_exists(own) ? json_read(&began, own, err) : CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && began && i < sizeof keys / sizeof *keys; i++)
        if (!is_same(keys[i], json_object_get(config, keys[i]),
                     json_object_get(began, keys[i])))
            rc = clipc_fail(err, CLIPC_ERR_ARG,
                            "\"%s\" is not what the run began with (%s): --resume cannot "
                            "change it",
                            keys[i], own);
    json_decref(began);
    return rc;
}

int run_config_make(char **text, const char *path, const char *own, json_t *given,
                    clipc_err *err)
{
    json_t *config = NULL;
    int rc = CLIPC_OK;

    *text = NULL;
    if (path) rc = json_read(&config, path, err);
    else config = json_object();
    if (rc == CLIPC_OK && !json_is_object(config))
        rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no JSON object", path);
    if (rc == CLIPC_OK) {
        merge_data(config, given);
        merge_length(config, given);
        json_object_update(config, given);
        rc = place_paths(config, err);
    }
    if (rc == CLIPC_OK && own) rc = check_kept(config, own, err);
    if (rc == CLIPC_OK && !(*text = json_dumps(config, JSON_INDENT(2))))
        rc = clipc_fail_memory(err, "config", 0);
    json_decref(config);
    return rc;
}

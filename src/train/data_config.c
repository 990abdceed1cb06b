#include "train/data_config.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "clipc_train.h"

static char *resolve(const char *dir, const char *path)
{
    return dir && path[0] != '/' ? path_join(dir, path) : strdup(path);
}

static int add_source(train_cfg *c, const json_t *v, const char *dir, const char *where,
                      clipc_err *err)
{
    const char *path =
        json_string_value(json_is_object(v) ? json_object_get(v, "path") : v);
    float weight = -1.0f;
    int rc = CLIPC_OK;

    if (!path || c->data.n_sources == SOURCES_MAX)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: \"data\": no path, or more than %d",
                          where, SOURCES_MAX);
    if (json_is_object(v)) {
        rc = json_get_f32(&weight, v, "weight", where, err);
        if (rc != CLIPC_OK) return rc;
        if (json_object_get(v, "weight") && !(weight >= 0.0f))
            return clipc_fail(err, CLIPC_ERR_FORMAT,
                              "%s: \"data\": weight %g of %s, wanted 0 or more", where,
                              (double)weight, path);
    }
    c->paths[c->data.n_sources] = resolve(dir, path);
    c->weights[c->data.n_sources] = weight;
    if (!c->paths[c->data.n_sources++]) return clipc_fail_memory(err, where, 0);
    return CLIPC_OK;
}

/* Either every source has a weight or none. */
static int check_weights(train_cfg *c, const char *where, clipc_err *err)
{
    size_t given = 0;
    float sum = 0.0f;

    for (size_t i = 0; i < c->data.n_sources; i++) {
        given += c->weights[i] >= 0.0f;
        sum += c->weights[i];
    }
    if (given == 0) return CLIPC_OK;
    if (given < c->data.n_sources || !(sum > 0.0f))
        return clipc_fail(
            err, CLIPC_ERR_FORMAT,
            "%s: \"data\": weights of 0 or more for all sources, or for none", where);
    c->data.weights = c->weights;
    return CLIPC_OK;
}

static int get_sources(train_cfg *c, const json_t *root, const char *where,
                       clipc_err *err)
{
    const json_t *data = json_object_get(root, "data");
    const char *dir = NULL, *val = NULL;
    int rc = json_get_string(&dir, root, "data_dir", where, err);

    if (rc == CLIPC_OK) rc = json_get_string(&val, root, "val", where, err);
    if (rc == CLIPC_OK && !data)
        rc = clipc_fail(err, CLIPC_ERR_ARG,
                        "%s: no training data: give --data or \"data\"", where);
    if (rc == CLIPC_OK && json_is_array(data))
        for (size_t i = 0; rc == CLIPC_OK && i < json_array_size(data); i++)
            rc = add_source(c, json_array_get(data, i), dir, where, err);
    else if (rc == CLIPC_OK) rc = add_source(c, data, dir, where, err);
    if (rc == CLIPC_OK) rc = check_weights(c, where, err);
    if (rc == CLIPC_OK && val && !(c->val = resolve(dir, val)))
        rc = clipc_fail_memory(err, where, 0);
    c->data.sources = (const char *const *)c->paths;
    return rc;
}

static int get_order(train_cfg *c, const json_t *root, const char *where, clipc_err *err)
{
    const char *name = NULL, *dir = NULL;
    int rc = json_get_string(&name, root, "order", where, err);

    if (rc == CLIPC_OK) rc = json_get_string(&dir, root, "data_dir", where, err);
    if (rc != CLIPC_OK || !name) return rc;
    char *path = resolve(dir, name);
    rc = path ? order_read(&c->order, path, err) : clipc_fail_memory(err, where, 0);
    free(path);
    c->data.order = &c->order;
    c->data.in_order = true;
    return rc;
}

/* Ranges in order, chances within 0 and 1. */
static bool augment_makes_sense(const augment_cfg *a)
{
    const float chances[] = {a->flip, a->grey, a->jitter_chance, a->erase_chance,
                             a->blur};

    for (size_t i = 0; i < sizeof chances / sizeof chances[0]; i++)
        if (!(chances[i] >= 0 && chances[i] <= 1)) return false;
    for (int i = 0; i < 4; i++)
        if (!(a->jitter[i] >= 0 && a->jitter[i] <= (i < 3 ? 100 : 0.5f))) return false;
    return a->scale[0] > 0 && a->scale[0] <= a->scale[1] && a->crop[0] > 0 &&
           a->crop[0] <= a->crop[1] && a->crop[1] <= 1 && a->ratio[0] > 0 &&
           a->ratio[0] <= a->ratio[1] && a->blur_sigma[0] > 0 &&
           a->blur_sigma[0] <= a->blur_sigma[1] && a->erase_count >= 1 &&
           a->erase_count <= 1000;
}

static int get_augment(augment_cfg *a, const json_t *o, const char *where, clipc_err *err)
{
    const struct {
        const char *key;
        float *x;
        size_t n;
    } reals[] = {{"ground", a->ground, 4},
                 {"rotate", &a->rotate, 1},
                 {"scale", a->scale, 2},
                 {"shift", &a->shift, 1},
                 {"crop", a->crop, 2},
                 {"ratio", a->ratio, 2},
                 {"flip", &a->flip, 1},
                 {"grey", &a->grey, 1},
                 {"color_jitter", a->jitter, 4},
                 {"color_jitter_prob", &a->jitter_chance, 1},
                 {"re_prob", &a->erase_chance, 1},
                 {"blur", &a->blur, 1},
                 {"blur_sigma", a->blur_sigma, 2}};
    enum { REALS = sizeof reals / sizeof reals[0] };
    const char *keys[REALS + 2] = {[REALS] = "re_count"};
    int rc;

    for (size_t i = 0; i < REALS; i++) keys[i] = reals[i].key;
    rc = json_check_keys(o, keys, where, err);
    for (size_t i = 0; rc == CLIPC_OK && i < REALS; i++)
        rc = reals[i].n == 1
                 ? json_get_f32(reals[i].x, o, reals[i].key, where, err)
                 : json_get_floats(reals[i].x, reals[i].n, o, reals[i].key, where, err);
    if (rc == CLIPC_OK) rc = json_get_size(&a->erase_count, o, "re_count", where, err);
    if (rc == CLIPC_OK && !augment_makes_sense(a))
        rc = clipc_fail(
            err, CLIPC_ERR_FORMAT,
            "%s: \"augment\": a range is out of order, or a chance not within 0 "
            "and 1",
            where);
    return rc;
}

static int get_tables(train_cfg *c, const json_t *root, const char *where, clipc_err *err)
{
    static const char *const keys[TABLE_KEYS] = {"csv_img_key", "csv_caption_key",
                                                 "csv_separator"};
    char **const t = c->table_keys;
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < TABLE_KEYS; i++) {
        const char *given = NULL;
        rc = json_get_string(&given, root, keys[i], where, err);
        if (rc == CLIPC_OK && given && !(t[i] = strdup(given)))
            rc = clipc_fail_memory(err, where, 0);
    }
    if (rc == CLIPC_OK && t[2] && strlen(t[2]) != 1)
        rc = clipc_fail(err, CLIPC_ERR_FORMAT,
                        "%s: \"csv_separator\" is not one character", where);
    c->data.tables = sources_tables(&(clipc_data_sources){
        .csv_img_key = t[0], .csv_caption_key = t[1], .csv_separator = t[2]});
    return rc;
}

static int get_dictionary(train_cfg *c, const json_t *root, const char *where,
                          clipc_err *err)
{
    const char *path = NULL;
    int rc = json_get_string(&path, root, "dictionary", where, err);

    if (rc != CLIPC_OK) return rc;
    if (path) rc = dictionary_read(&c->dictionary, path, err);
    else if (json_object_get(root, "dictionary_prob"))
        rc = clipc_fail(err, CLIPC_ERR_ARG,
                        "%s: \"dictionary_prob\" wants a \"dictionary\"", where);
    c->data.dictionary = c->dictionary;
    return rc;
}

/* By epochs each sample comes once in one; by steps they are drawn, unless told. */
static int get_sampling(train_cfg *c, const json_t *root, const char *where,
                        clipc_err *err)
{
    const bool both = json_object_get(root, "epochs") && json_object_get(root, "steps");
    int rc = json_get_size(&c->epochs, root, "epochs", where, err);

    if (rc == CLIPC_OK && both && c->epochs)
        rc =
            clipc_fail(err, CLIPC_ERR_FORMAT, "%s: both \"epochs\" and \"steps\"", where);
    if (rc == CLIPC_OK && json_object_get(root, "epochs") &&
        !(c->epochs >= 1 && c->epochs <= 1000000))
        rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s: \"epochs\" is %zu, wanted 1 to 1e+06",
                        where, c->epochs);
    c->data.shuffle = c->epochs > 0;
    if (rc == CLIPC_OK) rc = json_get_bool(&c->data.shuffle, root, "shuffle", where, err);
    if (rc == CLIPC_OK && c->hard_negatives && (!c->data.shuffle || c->data.in_order))
        rc = clipc_fail(err, CLIPC_ERR_ARG,
                        "%s: \"hard_negatives\" wants \"epochs\" or \"shuffle\", and no "
                        "\"order\"",
                        where);
    if (rc == CLIPC_OK)
        rc = json_get_f64(&c->data.max_broken, root, "max_broken", where, err);
    if (rc == CLIPC_OK && !(c->data.max_broken >= 0.0))
        rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s: \"max_broken\" is below 0", where);
    return rc;
}

int data_config_parse(train_cfg *c, const json_t *root, const char *where, clipc_err *err)
{
    int rc = get_sources(c, root, where, err);

    if (rc == CLIPC_OK) rc = get_order(c, root, where, err);
    c->data.augment = augment_default();
    c->data.max_megapixels = 256;
    c->data.max_broken = 0.1;
    if (rc == CLIPC_OK) rc = get_tables(c, root, where, err);
    if (rc == CLIPC_OK) rc = get_dictionary(c, root, where, err);
    if (rc == CLIPC_OK) rc = get_sampling(c, root, where, err);
    if (rc == CLIPC_OK)
        rc = get_augment(&c->data.augment, json_object_get(root, "augment"), where, err);
    if (rc == CLIPC_OK)
        rc = json_get_f64(&c->data.max_megapixels, root, "max_megapixels", where, err);
    return rc;
}

void data_config_free(train_cfg *c)
{
    for (size_t i = 0; i < c->data.n_sources; i++) free(c->paths[i]);
    for (size_t i = 0; i < TABLE_KEYS; i++) free(c->table_keys[i]);
    free(c->val);
    dictionary_free(c->dictionary);
    eval_list_free(&c->evals);
    order_free(&c->order);
}

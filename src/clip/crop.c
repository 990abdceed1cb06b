/* Crops without a model: the public side of image/preprocess.h. */
#include <string.h>

#include "base/file.h"
#include "clipc.h"
#include "image/preprocess.h"

enum { FILE_LIMIT = 1 << 30, SIDE_MAX = 1 << 14 };

static int settings(preprocess_cfg *cfg, const clipc_crop_options *o, clipc_err *err)
{
    static const struct {
        const char *name;
        resize_mode resize;
        bool rgb_first;
    } recipes[] = {
        {"openai", RESIZE_SHORTEST, false},   {"hf", RESIZE_SHORTEST, true},
        {"siglip", RESIZE_SQUASH, false},     {"siglip-hf", RESIZE_SQUASH, true},
        {"shortest", RESIZE_SHORTEST, false}, {"longest", RESIZE_LONGEST, false},
        {"squash", RESIZE_SQUASH, false},
    };
    const char *name = o->recipe ? o->recipe : recipes[0].name;
    const size_t rows = o->rows ? o->rows : 224;

    *cfg = preprocess_default(rows, o->columns ? o->columns : rows);
    if (o->bilinear) cfg->interpolation = FILTER_BILINEAR;
    if (cfg->h > SIDE_MAX || cfg->w > SIDE_MAX)
        return clipc_fail(err, CLIPC_ERR_ARG, "a crop of %zu x %zu, at most %d a side",
                          cfg->w, cfg->h, SIDE_MAX);
    for (size_t i = 0; i < sizeof recipes / sizeof recipes[0]; i++) {
        if (strcmp(recipes[i].name, name) != 0) continue;
        cfg->resize = recipes[i].resize;
        cfg->rgb_first = recipes[i].rgb_first;
        return CLIPC_OK;
    }
    return clipc_fail(err, CLIPC_ERR_ARG,
                      "recipe \"%.40s\": wanted openai, hf, siglip, siglip-hf, shortest, "
                      "longest or squash",
                      name);
}

int clipc_crop_file(uint8_t *rgb, const char *path, const clipc_crop_options *options,
                    clipc_err *err)
{
    const open_cfg open = {options->max_megapixels > 0 ? options->max_megapixels : 256,
                           options->auto_orient != 0, options->fast_decode != 0};
    resize_work work = {0};
    preprocess_cfg cfg;
    buf file = {0};
    int rc = settings(&cfg, options, err);

    if (rc == CLIPC_OK) rc = file_read(&file, path, FILE_LIMIT, err);
    if (rc == CLIPC_OK)
        rc = preprocess_file(rgb, &work, file.data, file.len, path, &open, &cfg, err);
    resize_work_free(&work);
    buf_free(&file);
    return rc;
}

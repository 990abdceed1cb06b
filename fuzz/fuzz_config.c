/* Any bytes as open_clip's config: what it accepts makes towers or is refused. */
#include "clip/config.h"
#include "model/textnet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    clip_cfg cfg;
    json_t *root = NULL;
    param_list l = {0};
    const image_ops *ops;
    void *tower = NULL;
    void *text = NULL;

    if (json_parse(&root, (const char *)data, size, "fuzz", NULL) != CLIPC_OK) return 0;
    if (config_open_clip(&cfg, root, json_object_get(root, "preprocess_cfg"), "fuzz",
                         NULL) != CLIPC_OK)
        goto done;
    ops = cfg.image.layers ? &vit_ops : &resnet_ops;
    if (ops->make(&tower, &cfg.image, NULL) == CLIPC_OK &&
        textnet_ops.make(&text, &cfg.text, NULL) == CLIPC_OK && cfg.image.layers < 64 &&
        cfg.text.layers < 64 && ops->params(tower, &l, NULL) == CLIPC_OK)
        textnet_ops.params(text, &l, NULL);
    param_list_free(&l);
    ops->destroy(tower);
    textnet_ops.destroy(text);
done:
    clip_cfg_free(&cfg);
    json_decref(root);
    return 0;
}

#include "model_rig.h"

#include <stdlib.h>

#include "base/file.h"
#include "check.h"

/* The one file of a case, or its folder. */
static const char *model_in(const char *folder, char *path, size_t size)
{
    static const char *const files[] = {"model.pt", "model.gguf"};

    for (size_t i = 0; i < 2; i++) {
        snprintf(path, size, "%s/%s", folder, files[i]);
        if (file_exists(path)) return path;
    }
    return folder;
}

/* Memory for passes of r->n, as it was made. */
static void rig_acts(rig *r, tower_mode mode)
{
    const size_t rows = r->B * r->cfg.text.context_length;
    clipc_err err;

    if (r->n->image)
        CHECK_OK(
            r->n->ops->acts_make(&r->image_acts, NULL, r->n->image, r->B, mode, &err),
            err);
    if (r->n->text)
        CHECK_OK(r->n->text_ops->acts_make(&r->text_acts, NULL, r->n->text, r->B, rows,
                                           mode, &err),
                 err);
}

void rig_drop(rig *r)
{
    if (r->n->image) r->n->ops->acts_destroy(r->image_acts);
    if (r->n->text) r->n->text_ops->acts_destroy(r->text_acts);
    net_free(r->n);
    source_close(&r->source);
}

void rig_load(rig *r, const char *path, char without, tower_mode mode)
{
    clipc_err err;

    CHECK_OK(source_open(&r->source, path, &err), err);
    r->source.cfg.no_image |= without == 'i', r->source.cfg.no_text |= without == 't';
    r->cfg = r->source.cfg;
    CHECK_OK(net_open(&r->n, &r->source, mode, r->e->k, &err), err);
    rig_acts(r, mode);
}

void rig_open_without(rig *r, const char *folder, char without, tower_mode mode)
{
    char path[256];
    clipc_err err;
    size_t n, n_pixels = 0;

    *r = (rig){.g = golden_open(folder)};
    CHECK_OK(exec_new(&r->e, 2, 1 << 18, &err), err);
    r->ids = golden_i32(r->g, "ids", &n);
    if (tensor_find(r->g, "pixels")) r->pixels = golden_f32(r->g, "pixels", &n_pixels);
    r->B = tensor_find(r->g, "ids")->dims[0];
    rig_load(r, model_in(folder, path, sizeof path), without, mode);
    r->E = r->cfg.image.embed_dim;
    assert_int_equal(n, r->B * r->cfg.text.context_length);
    if (r->n->image)
        assert_int_equal(n_pixels, r->B * 3 * r->cfg.image.image_size *
                                       image_columns(&r->cfg.image));
    r->img = malloc(r->B * r->E * sizeof(float));
    r->txt = malloc(r->B * r->E * sizeof(float));
    assert_non_null(r->img);
    assert_non_null(r->txt);
}

void rig_open(rig *r, const char *folder, tower_mode mode)
{
    rig_open_without(r, folder, 0, mode);
}

void rig_close(rig *r)
{
    rig_drop(r);
    exec_free(r->e);
    tensor_file_free(r->g);
    free(r->pixels), free(r->ids), free(r->img), free(r->txt);
}

void rig_forward(rig *r)
{
    if (r->n->image)
        r->n->ops->fwd(r->e, r->n->image, r->image_acts, r->img, r->pixels, r->B);
    if (r->n->text)
        r->n->text_ops->fwd(r->e, r->n->text, r->text_acts, r->txt, r->ids, r->B);
}

void check_within(const rig *r, const float *x, const char *name, double most)
{
    size_t n;
    double *want = golden_f64(r->g, name, &n);

    CHECK_NEAR(relative_error(x, want, n), 0.0, most);
    free(want);
}

void check_close(const rig *r, const float *x, const char *name)
{
    /* measured 6e-7 on AVX-512, 5e-7 on ref; PyTorch's own float32 5e-7; the ResNet 2e-6
     * and 2e-6 */
    check_within(r, x, name, 1e-5);
}

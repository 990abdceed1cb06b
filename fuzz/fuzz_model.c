/* Any bytes as a model's file: what opens for inference encodes a picture and a text, or
 * says why not. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "clip/net.h"

static char path[] = "/tmp/fuzz_model.XXXXXX";

static void remove_file(void)
{
    unlink(path);
}

static void use(const net *n)
{
    const size_t n_pixels = 3 * n->cfg.image.image_size * image_columns(&n->cfg.image);
    const size_t T = n->cfg.text.context_length;
    const size_t E = n->cfg.image.embed_dim;
    float *pixels = calloc(n_pixels + E, sizeof *pixels);
    int32_t *ids = calloc(T, sizeof *ids);
    void *image = NULL, *text = NULL;
    exec *e = NULL;

    if (pixels && ids && exec_new(&e, 1, 1 << 20, NULL) == CLIPC_OK) {
        if (n->image &&
            n->ops->acts_make(&image, n->image, 1, TOWER_INFER, NULL) == CLIPC_OK)
            n->ops->fwd(e, n->image, image, pixels + n_pixels, pixels, 1);
        if (n->text && E == n->cfg.text.embed_dim &&
            n->text_ops->acts_make(&text, n->text, 1, T, TOWER_INFER, NULL) == CLIPC_OK)
            n->text_ops->fwd(e, n->text, text, pixels + n_pixels, ids, 1);
    }
    if (image) n->ops->acts_destroy(image);
    if (text) n->text_ops->acts_destroy(text);
    exec_free(e);
    free(pixels);
    free(ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int made;
    const kernels *k = kernels_named("ref");
    model_source s;
    net *n = NULL;
    FILE *f;

    if (!made++) {
        const int fd = mkstemp(path);
        if (fd < 0 || close(fd) || atexit(remove_file)) abort();
    }
    f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f)) abort();
    if (source_open(&s, path, NULL) == CLIPC_OK && s.cfg.image.image_size <= 64 &&
        image_columns(&s.cfg.image) <= 64 && s.cfg.image.layers <= 4 &&
        s.cfg.text.layers <= 4 && s.cfg.text.context_length <= 64 &&
        s.cfg.image.width <= 128 && s.cfg.text.width <= 128 &&
        net_open(&n, &s, TOWER_INFER, k, NULL) == CLIPC_OK)
        use(n);
    net_free(n);
    source_close(&s);
    return 0;
}

/* Any bytes as a model's file: what opens for inference encodes a picture and a text, or
 * says why not; what it holds as a vocabulary is one or is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "clip/net.h"
#include "clip/tokens.h"

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
            n->ops->acts_make(&image, NULL, n->image, 1, TOWER_INFER, NULL) == CLIPC_OK)
            n->ops->fwd(e, n->image, image, pixels + n_pixels, pixels, 1);
        if (n->text && E == n->cfg.text.embed_dim &&
            n->text_ops->acts_make(&text, NULL, n->text, 1, T, TOWER_INFER, NULL) ==
                CLIPC_OK)
            n->text_ops->fwd(e, n->text, text, pixels + n_pixels, ids, 1);
    }
    if (image) n->ops->acts_destroy(image);
    if (text) n->text_ops->acts_destroy(text);
    exec_free(e);
    free(pixels);
    free(ids);
}

/* Ids of a text, and what they stand for. */
static void tokenize(const model_source *s)
{
    enum { CONTEXT = 16 };
    static const char text[] = "Two cats, caf\xc3\xa9";
    tokenizer t;
    tokens_work w = {0};
    int32_t ids[CONTEXT];
    char out[64];

    if (tokenizer_open(&t, s, NULL) == CLIPC_OK &&
        tokens_work_new(&w, &t, NULL) == CLIPC_OK &&
        tokenizer_run(&t, &w, ids, CONTEXT, NULL, (text_span){text, sizeof text - 1},
                      true, "fuzz", NULL) == CLIPC_OK)
        for (size_t i = 0; i < CONTEXT; i++) {
            if (ids[i] < 0 || (size_t)ids[i] >= tokenizer_size(&t)) abort();
            tokenizer_show(&t, ids[i], out, sizeof out);
        }
    tokens_work_free(&w);
    tokenizer_free(&t);
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
    const bool opened = source_open(&s, path, NULL) == CLIPC_OK;
    if (opened) tokenize(&s);
    if (opened && s.cfg.image.image_size <= 64 && image_columns(&s.cfg.image) <= 64 &&
        s.cfg.image.layers <= 4 && s.cfg.text.layers <= 4 &&
        s.cfg.text.context_length <= 64 && s.cfg.image.width <= 128 &&
        s.cfg.text.width <= 128 && net_open(&n, &s, TOWER_INFER, k, NULL) == CLIPC_OK)
        use(n);
    net_free(n);
    source_close(&s);
    return 0;
}

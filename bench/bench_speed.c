/* The FMA peak of one core, measured, and our ViT-B/32 image tower beside it.
 * usage: bench_speed [f32|bf16|int8 [BATCH [THREADS]]]
 * CLIPC_ISA chooses the instruction set.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "clip/net.h"
#include "tensor/peak.h"

enum { ROUNDS = 9 };

static int by_size(const void *x, const void *y)
{
    const double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

int main(int argc, char **argv)
{
    clip_cfg cfg = {.image = {.image_size = 224,
                              .embed_dim = 512,
                              .width = 768,
                              .heads = 12,
                              .layers = 12,
                              .patch_size = 32,
                              .mlp_width = 3072,
                              .act = ACT_QUICK_GELU,
                              .eps = 1e-5f},
                    .text = {.context_length = 77,
                             .vocab_size = 49408,
                             .embed_dim = 512,
                             .width = 64,
                             .heads = 1,
                             .layers = 1,
                             .mlp_width = 64,
                             .act = ACT_QUICK_GELU,
                             .eps = 1e-5f}};
    static const char *const names[] = {"f32", "bf16", "int8"};
    static const weight_form forms[] = {WEIGHTS_F32, WEIGHTS_BF16, WEIGHTS_I8};
    const size_t B = argc > 2 ? (size_t)atoi(argv[2]) : 1;
    const size_t threads = argc > 3 ? (size_t)atoi(argv[3]) : 1;
    float *pixels = calloc(B * 3 * 224 * 224, sizeof *pixels);
    float *out = calloc(B * 512, sizeof *out);
    compute p = PRECISION_F32;
    double seconds[ROUNDS];
    rng r = rng_seed(1, 0);
    void *acts = NULL;
    net *n = NULL;
    exec *e = NULL;
    clipc_err err;

    for (size_t i = 0; argc > 1 && i < 3; i++)
        if (strcmp(argv[1], names[i]) == 0) p = (compute)i;
    cfg.image.form = forms[p];
    if (!pixels || !out || exec_new(&e, threads, 1 << 16, &err) ||
        net_make(&n, &cfg, TOWER_INFER, &err) ||
        n->ops->acts_make(&acts, NULL, n->image, B, TOWER_INFER, &err))
        return fprintf(stderr, "%s\n", err.msg), 1;
    rng_fill_normal(&r, (float *)(void *)n->mem.mem, n->mem.size / sizeof(float), 0.0f,
                    0.02f);
    e->precision = p;
    rng_fill_normal(&r, pixels, B * 3 * 224 * 224, 0.0f, 1.0f);
    const double peak = kernels_peak(e->k, p) * 1e-9;
    n->ops->fwd(e, n->image, acts, out, pixels, B);
    const double flops = (double)e->operations;
    for (int i = 0; i < ROUNDS; i++) {
        const double begin = clock_now();
        n->ops->fwd(e, n->image, acts, out, pixels, B);
        seconds[i] = clock_now() - begin;
    }
    qsort(seconds, ROUNDS, sizeof *seconds, by_size);
    const double gflops = flops / seconds[ROUNDS / 2] * 1e-9;
    printf("%s: FMA peak %.0f GFLOP/s of a core; ViT-B/32 image, %s, batch %zu, threads "
           "%zu: "
           "median %.1f ms (%.1f to %.1f), %.0f GFLOP/s, %.0f %% of the peak\n",
           e->k->name, peak, names[p], B, threads, 1e3 * seconds[ROUNDS / 2],
           1e3 * seconds[0], 1e3 * seconds[ROUNDS - 1], gflops,
           100.0 * gflops / peak / (double)threads);
    n->ops->acts_destroy(acts);
    net_free(n);
    exec_free(e);
    free(pixels), free(out);
    return 0;
}

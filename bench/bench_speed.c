/* The FMA peak of one core, measured, and our ViT-B/32 image tower beside it.
 * usage: bench_speed [f32|bf16|int8 [BATCH]]    (CLIPC_ISA chooses the instruction set)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "clip/net.h"

enum { ROUNDS = 9 };

/* One tile over panels that stay in the first-level cache is nothing but multiply-adds.
 */
static double peak_gflops(const kernels *k)
{
    enum { KC = 256, TILES = 4000 };
    float *a = calloc(k->mr * KC, sizeof *a), *b = calloc(32 * (KC + 16), sizeof *b);
    float *c = calloc(k->mr * k->nr, sizeof *c);
    double best = 0.0;

    for (int round = 0; a && b && c && round < ROUNDS; round++) {
        const double begin = clock_now();
        for (int i = 0; i < TILES; i++)
            k->tile(c, k->nr, a, b, k->mr, k->nr, KC, 0, (char *)b, 0);
        const double flops = 2.0 * TILES * KC * (double)(k->mr * k->nr);
        const double rate = flops / (clock_now() - begin) * 1e-9;
        best = rate > best ? rate : best;
    }
    free(a), free(b), free(c);
    return best;
}

/* Multiply-adds of the tower's matrix products, counted twice; the last layer makes keys
 * and values of all tokens, the rest of the class token's row alone. */
static double tower_flops(const image_cfg *c)
{
    const double T =
        (double)((c->image_size / c->patch_size) * (c->image_size / c->patch_size) + 1);
    const double C = (double)c->width, F = (double)c->mlp_width;
    const double row = 2.0 * C * C + 2.0 * C * F + 2.0 * T * C, kv = 2.0 * C * C;

    return 2.0 * ((double)c->layers * T * (row + kv) - (T - 1.0) * row +
                  (T - 1.0) * C * 3.0 * (double)(c->patch_size * c->patch_size) +
                  C * (double)c->embed_dim);
}

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
    if (!pixels || !out || exec_new(&e, 1, 1 << 16, &err) ||
        net_make(&n, &cfg, TOWER_INFER, &err) ||
        n->ops->acts_make(&acts, n->image, B, TOWER_INFER, &err))
        return fprintf(stderr, "%s\n", err.msg), 1;
    rng_fill_normal(&r, (float *)(void *)n->mem.mem, n->mem.size / sizeof(float), 0.0f,
                    0.02f);
    e->precision = p;
    rng_fill_normal(&r, pixels, B * 3 * 224 * 224, 0.0f, 1.0f);
    const double peak = peak_gflops(e->k);
    n->ops->fwd(e, n->image, acts, out, pixels, B);
    for (int i = 0; i < ROUNDS; i++) {
        const double begin = clock_now();
        n->ops->fwd(e, n->image, acts, out, pixels, B);
        seconds[i] = clock_now() - begin;
    }
    qsort(seconds, ROUNDS, sizeof *seconds, by_size);
    const double gflops =
        (double)B * tower_flops(&cfg.image) / seconds[ROUNDS / 2] * 1e-9;
    printf("%s, one thread: FMA peak %.0f GFLOP/s; ViT-B/32 image, %s, batch %zu: median "
           "%.1f ms "
           "(%.1f to %.1f), %.0f GFLOP/s, %.0f %% of the peak\n",
           e->k->name, peak, names[p], B, 1e3 * seconds[ROUNDS / 2], 1e3 * seconds[0],
           1e3 * seconds[ROUNDS - 1], gflops, 100.0 * gflops / peak);
    n->ops->acts_destroy(acts);
    net_free(n);
    exec_free(e);
    free(pixels), free(out);
    return 0;
}

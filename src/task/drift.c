#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/rng.h"

enum { INPUTS = 64 };

static const char *const words[] = {"dog",   "red car",  "tree",   "old house",
                                    "river", "two cups", "violin", "night sky"};
static const char *const frames[] = {"a photo of a %s.",
                                     "a drawing of a %s",
                                     "%s",
                                     "the %s on the left",
                                     "a blurry %s at night",
                                     "my favourite %s!",
                                     "12 pictures of %s",
                                     "no %s here"};

typedef struct drift {
    clipc_ctx *a, *b;
    size_t H, W, E;
    uint8_t *rgb;                          /* [H,W,3] */
    float *image[2], *text[2], *logits[2]; /* [INPUTS,E] of a and b; [INPUTS] */
} drift;

/* Picture i: a gradient, with noise or edges on it by turns. */
static void draw(uint8_t *rgb, size_t H, size_t W, size_t i)
{
    rng r = rng_seed(i + 1, 0);

    for (size_t y = 0; y < H; y++)
        for (size_t x = 0; x < W; x++, rgb += 3)
            for (size_t c = 0; c < 3; c++) {
                const double wave = sin(0.02 * (double)((i + 1) * (c == 0   ? x
                                                                   : c == 1 ? y
                                                                            : x + y)));
                const double edge = (x / (4 + i % 13) + y / (6 + i % 7)) % 2 ? 40.0 : 0.0;
                const double noise = i % 2 ? 80.0 * ((double)rng_uniform(&r) - 0.5) : 0.0;
                const double v = 110.0 + 90.0 * wave + (i % 3 ? edge : 0.0) + noise;
                rgb[c] = (uint8_t)(v < 0.0 ? 0.0 : v > 255.0 ? 255.0 : v);
            }
}

static double cosine_error(const float *x, const float *y, size_t E)
{
    double xy = 0.0, xx = 0.0, yy = 0.0;

    for (size_t i = 0; i < E; i++) {
        xy += (double)x[i] * (double)y[i];
        xx += (double)x[i] * (double)x[i];
        yy += (double)y[i] * (double)y[i];
    }
    return 1.0 - xy / sqrt(xx * yy);
}

static int by_size(const void *x, const void *y)
{
    const double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

static void quantiles(double *out, float *const *rows, size_t E)
{
    double errors[INPUTS];

    for (size_t i = 0; i < INPUTS; i++)
        errors[i] = cosine_error(rows[0] + i * E, rows[1] + i * E, E);
    qsort(errors, INPUTS, sizeof *errors, by_size);
    out[0] = errors[INPUTS / 2];
    out[1] = errors[INPUTS * 9 / 10];
    out[2] = errors[INPUTS - 1];
}

static int encode_images(drift *d, clipc_err *err)
{
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < INPUTS; i++) {
        draw(d->rgb, d->H, d->W, i);
        rc = clipc_encode_image_crops(d->a, d->image[0] + i * d->E, d->rgb, 1, err);
        if (rc == CLIPC_OK)
            rc = clipc_encode_image_crops(d->b, d->image[1] + i * d->E, d->rgb, 1, err);
    }
    return rc;
}

static int encode_texts(drift *d, clipc_err *err)
{
    char text[96];
    const char *const texts = text;
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < INPUTS; i++) {
        const char *hole = strstr(frames[i / 8], "%s");
        snprintf(text, sizeof text, "%.*s%s%s", (int)(hole - frames[i / 8]),
                 frames[i / 8], words[i % 8], hole + 2);
        rc = clipc_encode_texts(d->a, d->text[0] + i * d->E, &texts, NULL, 1, err);
        if (rc == CLIPC_OK)
            rc = clipc_encode_texts(d->b, d->text[1] + i * d->E, &texts, NULL, 1, err);
    }
    return rc;
}

static size_t best(const float *x)
{
    size_t at = 0;

    for (size_t i = 1; i < INPUTS; i++)
        if (x[i] > x[at]) at = i;
    return at;
}

static double agreement(const drift *d)
{
    size_t same = 0;

    for (size_t i = 0; i < INPUTS; i++) {
        for (size_t m = 0; m < 2; m++)
            clipc_similarity(d->logits[m], d->image[m] + i * d->E, 1, d->text[m], INPUTS,
                             d->E, 1.0f);
        same += best(d->logits[0]) == best(d->logits[1]);
    }
    return (double)same / INPUTS;
}

static int measure(clipc_drift *out, drift *d, clipc_err *err)
{
    const clipc_model_info *i = clipc_model_info_of(clipc_ctx_model(d->a));
    const bool images = i->image_width > 0;
    const bool texts = i->text_width > 0 && (strcmp(i->tokenizer, "openai") == 0 ||
                                             strcmp(i->tokenizer, "bpe") == 0 ||
                                             strcmp(i->tokenizer, "wordpiece") == 0);
    int rc = images ? encode_images(d, err) : CLIPC_OK;

    if (rc == CLIPC_OK && images) {
        out->images = INPUTS;
        quantiles(out->image_error, d->image, d->E);
    }
    if (rc == CLIPC_OK && texts) rc = encode_texts(d, err);
    if (rc == CLIPC_OK && texts) {
        out->texts = INPUTS;
        quantiles(out->text_error, d->text, d->E);
        if (images) out->rank_agreement = agreement(d);
    }
    return rc;
}

int clipc_measure_drift(clipc_drift *out, clipc_ctx *a, clipc_ctx *b, clipc_err *err)
{
    const clipc_model_info *i = clipc_model_info_of(clipc_ctx_model(a)),
                           *k = clipc_model_info_of(clipc_ctx_model(b));
    const size_t E = i->embed_dim, pixels = i->image_size * i->image_columns * 3;
    drift d = {.a = a, .b = b, .H = i->image_size, .W = i->image_columns, .E = E};
    float *mem;
    int rc;

    *out = (clipc_drift){0};
    if (E != k->embed_dim || i->image_size != k->image_size ||
        i->image_columns != k->image_columns || i->context_length != k->context_length)
        return clipc_fail(err, CLIPC_ERR_ARG, "%s, %s: models of different sizes",
                          i->path, k->path);
    mem = malloc((4 * E + 2) * INPUTS * sizeof *mem);
    d.rgb = malloc(pixels);
    rc = mem && d.rgb ? CLIPC_OK : clipc_fail_memory(err, "drift", pixels);
    for (size_t m = 0; mem && m < 2; m++) {
        d.image[m] = mem + m * INPUTS * E;
        d.text[m] = mem + (2 + m) * INPUTS * E;
        d.logits[m] = mem + 4 * INPUTS * E + m * INPUTS;
    }
    if (rc == CLIPC_OK) rc = measure(out, &d, err);
    free(mem);
    free(d.rgb);
    return rc;
}

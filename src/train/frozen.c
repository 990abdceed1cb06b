#include "train/frozen.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "train/feature_cache.h"

struct frozen {
    const net *n;
    feature_cache *cache;
    size_t row, E; /* bytes of an input; numbers that come of it */
    bool first;    /* they are those of the tower's first part */
    uint64_t *keys;
    size_t *missing; /* [B] which inputs are not kept */
    char *inputs;    /* [B,row] these, one behind the other */
    float *features; /* [B,E] what they become */
    int failed;
    clipc_err why;
};

/* Of all that the features depend on. */
static int signature(uint64_t *out, const net *n, tower_side side, uint64_t also,
                     clipc_err *err)
{
    const bool first = group_in_parts(&n->cfg, side);
    clip_cfg bare = n->cfg;
    buf config = {0};
    int rc;

    bare.n_templates = 0; /* which change no text's features */
    if (first) bare.image.head = (head_cfg){0}, bare.image.embed_dim = 0;
    rc = config_write_own(&config, &bare, err);
    if (rc == CLIPC_OK) *out = hash_text(also, config.data);
    for (size_t i = 0; rc == CLIPC_OK && i < n->params.n; i++) {
        const param *p = &n->params.v[i];
        if (group_side(p) == side && (!first || group_in_first(p)))
            *out = hash_bytes(*out, *p->slot, p->n * sizeof(float));
    }
    buf_free(&config);
    return rc;
}

static int open_cache(frozen *f, tower_side side, const char *folder, uint64_t also,
                      clipc_err *err)
{
    char name[64];
    uint64_t mark = 0;
    char *path = NULL;
    int rc = signature(&mark, f->n, side, also, err);

    snprintf(name, sizeof name, "%s-%016" PRIx64 ".features",
             side == SIDE_TEXT ? "texts" : "pictures", mark);
    if (rc == CLIPC_OK && !(path = path_join(folder, name)))
        rc = clipc_fail_memory(err, folder, 0);
    if (rc == CLIPC_OK) rc = feature_cache_open(&f->cache, path, mark, f->E, err);
    free(path);
    return rc;
}

/* Of an input of a tower. */
static size_t input_bytes(const clip_cfg *c, tower_side side)
{
    const size_t S = c->image.image_size;

    return side == SIDE_TEXT ? c->text.context_length * sizeof(int32_t)
                             : 3 * S * S * sizeof(float);
}

/* Of what comes of it: the features, or what the tower's first part makes. */
static size_t row_numbers(const net *n, tower_side side)
{
    return group_in_parts(&n->cfg, side) ? n->ops->parts->width(n->image)
                                         : n->cfg.image.embed_dim;
}

size_t frozen_bytes(const net *n, tower_side side, size_t B, size_t inputs)
{
    const size_t E = row_numbers(n, side);
    const size_t one = input_bytes(&n->cfg, side) + E * sizeof(float) + sizeof(uint64_t) +
                       sizeof(size_t);

    return B * one + feature_cache_bytes(inputs, E);
}

int frozen_open(frozen **out, const net *n, tower_side side, const char *folder,
                uint64_t also, size_t B, clipc_err *err)
{
    frozen *f = calloc(1, sizeof *f);
    int rc;

    *out = NULL;
    if (!f) return clipc_fail_memory(err, folder, sizeof *f);
    f->n = n, f->first = group_in_parts(&n->cfg, side);
    f->E = row_numbers(n, side);
    f->row = input_bytes(&n->cfg, side);
    f->keys = calloc(B, sizeof *f->keys);
    f->missing = calloc(B, sizeof *f->missing);
    f->inputs = calloc(B, f->row);
    f->features = calloc(B, f->E * sizeof *f->features);
    rc = f->keys && f->missing && f->inputs && f->features
             ? open_cache(f, side, folder, also, err)
             : clipc_fail_memory(err, folder, B * f->row);
    if (rc == CLIPC_OK) *out = f;
    else frozen_close(f);
    return rc;
}

void frozen_close(frozen *f)
{
    if (!f) return;
    feature_cache_close(f->cache);
    free(f->keys);
    free(f->missing);
    free(f->inputs);
    free(f->features);
    free(f);
}

/* Rows that are ready or kept, into out; the inputs of the others are gathered.  Returns
 * how many these are. */
static size_t take_kept(frozen *f, float *out, const uint64_t *keys,
                        const float *const *ready, const void *inputs, size_t C)
{
    size_t n = 0;

    for (size_t i = 0; i < C; i++) {
        const float *row =
            ready && ready[i] ? ready[i] : feature_cache_get(f->cache, keys[i]);
        if (row) {
            memcpy(out + i * f->E, row, f->E * sizeof *row);
            continue;
        }
        memcpy(f->inputs + n * f->row, (const char *)inputs + i * f->row, f->row);
        f->missing[n++] = i;
    }
    return n;
}

/* The others' features, into out and the file. */
static void keep(frozen *f, float *out, const uint64_t *keys, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const float *row = f->features + i * f->E;
        memcpy(out + f->missing[i] * f->E, row, f->E * sizeof *row);
        if (f->failed == CLIPC_OK)
            f->failed = feature_cache_put(f->cache, keys[f->missing[i]], row, &f->why);
    }
}

void frozen_texts(frozen *f, exec *e, void *acts, float *out, const int32_t *ids,
                  size_t C)
{
    const size_t T = f->n->cfg.text.context_length;
    const text_ops *ops = f->n->text_ops;
    const int32_t *inputs = (const void *)f->inputs;

    for (size_t i = 0; i < C; i++) f->keys[i] = hash_bytes(0, ids + i * T, f->row);
    const size_t n = take_kept(f, out, f->keys, NULL, ids, C);
    if (n) ops->fwd(e, f->n->text, acts, f->features, inputs, n);
    keep(f, out, f->keys, n);
}

void frozen_pictures(frozen *f, exec *e, void *acts, float *out, const batch *b,
                     size_t at, size_t C)
{
    const image_ops *ops = f->n->ops;
    const float *inputs = (const void *)f->inputs;
    const char *pixels = b->pixels ? (const char *)b->pixels + at * f->row : NULL;
    const size_t n =
        take_kept(f, out, b->view + at, b->ready ? b->ready + at : NULL, pixels, C);

    if (n && f->first) ops->parts->first(e, f->n->image, acts, f->features, inputs, n);
    else if (n) ops->fwd(e, f->n->image, acts, f->features, inputs, n);
    keep(f, out, b->view + at, n);
}

bool frozen_has(void *f, uint64_t view)
{
    return feature_cache_has(((frozen *)f)->cache, view);
}

int frozen_error(const frozen *f, clipc_err *err)
{
    if (f && f->failed != CLIPC_OK && err) *err = f->why;
    return f ? f->failed : CLIPC_OK;
}

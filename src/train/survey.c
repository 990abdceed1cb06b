#include "train/survey.h"

#include <math.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

#include "train/scan.h"

/* The pixels, and what they mean. */
static void hash_pixels(uint8_t hash[16], const image *im)
{
    const uint64_t shape[] = {im->w, im->h, im->mode};
    struct sha256_ctx h;

    sha256_init(&h);
    sha256_update(&h, sizeof shape, (const uint8_t *)shape);
    if (im->mode == IMAGE_P || im->mode == IMAGE_PA)
        sha256_update(&h, sizeof im->palette, im->palette[0]);
    sha256_update(&h, im->w * im->h * image_channels(im->mode), im->px);
    sha256_digest(&h, 16, hash);
}

/* On white, as it is for the eye. */
static int make_thumb(uint8_t thumb[THUMB * THUMB], resize_work *work, const image *im,
                      clipc_err *err)
{
    image rgb;
    const int rc = shrink(&rgb, work, im, 0, err);

    if (rc != CLIPC_OK) return rc;
    shrink_on_white(&rgb);
    shrink_thumb(thumb, &rgb);
    image_free(&rgb);
    return CLIPC_OK;
}

static void find_near(seen *x, const survey *v, const uint8_t *thumb)
{
    for (size_t i = 0; i < v->against.n; i++) {
        const double d = v->sound[i] ? shrink_distance(thumb, v->thumbs[i]) : HUGE_VAL;
        if (d < x->distance) x->distance = d, x->near = i;
    }
}

static int look(void *user, scan_item *it, resize_work *work, clipc_err *err)
{
    survey *v = user;
    seen *x = &v->v[it->x - v->s.v];
    uint8_t thumb[THUMB * THUMB];
    int rc = CLIPC_OK;

    if (v->against.n && (rc = make_thumb(thumb, work, &it->im, err)) != CLIPC_OK)
        return rc;
    *x = (seen){.format = image_format(it->bytes.data, it->bytes.size),
                .w = (uint32_t)it->im.w,
                .h = (uint32_t)it->im.h,
                .bytes = (uint32_t)it->bytes.size,
                .alpha = image_has_alpha(&it->im),
                .distance = HUGE_VAL};
    hash_pixels(x->hash, &it->im);
    if (v->against.n) find_near(x, v, thumb);
    return CLIPC_OK;
}

static int take(void *user, size_t place, const scan_item *it, clipc_err *err)
{
    survey *v = user;

    if (it->rc != CLIPC_OK) broken_add(&v->s.broken, &it->why);
    if (!v->o->on_progress || !v->o->on_progress(v->o->user, place + 1, v->s.n))
        return CLIPC_OK;
    return clipc_fail(err, CLIPC_ERR_STOPPED, "stopped");
}

static int look_against(void *user, scan_item *it, resize_work *work, clipc_err *err)
{
    survey *v = user;
    const size_t i = (size_t)(it->x - v->against.v);
    const int rc = make_thumb(v->thumbs[i], work, &it->im, err);

    v->sound[i] = rc == CLIPC_OK;
    return rc;
}

static int take_against(void *user, size_t place, const scan_item *it, clipc_err *err)
{
    (void)user, (void)place, (void)it, (void)err;
    return CLIPC_OK;
}

static int open_against(survey *v, const table_cfg *tables, clipc_err *err)
{
    table_cfg bare = *tables;
    scan c = {.s = &v->against,
              .look = look_against,
              .take = take_against,
              .user = v,
              .threads = v->o->threads,
              .max_megapixels = v->o->max_megapixels};
    int rc;

    bare.bare = true;
    rc = sources_open(&v->against, v->o->against, v->o->n_against, &bare, err);
    if (rc != CLIPC_OK) return rc;
    v->thumbs = calloc(v->against.n, sizeof *v->thumbs);
    v->sound = calloc(v->against.n, sizeof *v->sound);
    return v->thumbs && v->sound ? scan_run(&c, err)
                                 : clipc_fail_memory(err, "evaluation set",
                                                     v->against.n * sizeof *v->thumbs);
}

int survey_run(survey *v, const clipc_data_sources *of, const clipc_stats_options *o,
               clipc_err *err)
{
    const table_cfg tables = sources_tables(of);
    int rc;

    *v = (survey){.o = o};
    rc = sources_open(&v->s, of->paths, of->n, &tables, err);
    if (rc == CLIPC_OK && o->n_against) rc = open_against(v, &tables, err);
    if (rc == CLIPC_OK && !(v->v = calloc(v->s.n, sizeof *v->v)))
        rc = clipc_fail_memory(err, "survey", v->s.n * sizeof *v->v);
    const scan c = {.s = &v->s,
                    .look = look,
                    .take = take,
                    .user = v,
                    .threads = o->threads,
                    .max_megapixels = o->max_megapixels};
    return rc == CLIPC_OK ? scan_run(&c, err) : rc;
}

void survey_free(survey *v)
{
    sources_free(&v->s);
    sources_free(&v->against);
    free(v->v);
    free(v->thumbs);
    free(v->sound);
}

/* ---- orders ---- */

/* A number with what it is sorted by. */
typedef struct key {
    double distance;
    uint8_t hash[16];
    size_t i;
} key;

static int by_key(const void *a, const void *b)
{
    const key *x = a, *y = b;
    const int hash = memcmp(x->hash, y->hash, sizeof x->hash);

    if (x->distance < y->distance || x->distance > y->distance)
        return x->distance < y->distance ? -1 : 1;
    return hash ? hash : (x->i > y->i) - (x->i < y->i);
}

/* by_distance: those below o->near; else all sound ones by hash. */
static int sort(size_t *order, size_t *n, const survey *v, bool by_distance,
                clipc_err *err)
{
    key *keys = calloc(v->s.n, sizeof *keys);

    *n = 0;
    if (!keys) return clipc_fail_memory(err, "survey", v->s.n * sizeof *keys);
    for (size_t i = 0; i < v->s.n; i++) {
        const seen *x = &v->v[i];
        if (!x->format || (by_distance && !(x->distance < v->o->near))) continue;
        keys[*n] = (key){.distance = by_distance ? x->distance : 0.0, .i = i};
        if (!by_distance) memcpy(keys[*n].hash, x->hash, sizeof x->hash);
        ++*n;
    }
    qsort(keys, *n, sizeof *keys, by_key);
    for (size_t i = 0; i < *n; i++) order[i] = keys[i].i;
    free(keys);
    return CLIPC_OK;
}

int survey_by_hash(size_t *order, size_t *n, const survey *v, clipc_err *err)
{
    return sort(order, n, v, false, err);
}

int survey_near(size_t *order, size_t *n, const survey *v, clipc_err *err)
{
    return sort(order, n, v, true, err);
}

bool survey_same(const survey *v, size_t a, size_t b)
{
    return memcmp(v->v[a].hash, v->v[b].hash, sizeof v->v[a].hash) == 0;
}

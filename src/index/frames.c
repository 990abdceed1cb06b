#include "index/frames.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/sizes.h"
#include "clip/model.h"
#include "image/video.h"
#include "index/steady.h"

enum { MOST = 1 << 16 }; /* pictures of a video */

/* ---- keys ---- */

bool frames_is_later(const store_item *it)
{
    return memchr(it->key.data, '\0', it->key.size) != NULL;
}

static bool key_is_video(store_bytes key)
{
    char end[12] = "";
    const size_t n = min_size(key.size, sizeof end - 1);

    memcpy(end, (const char *)key.data + key.size - n, n);
    return ending_is_video(path_ending(end));
}

double frames_seconds(const store_item *it)
{
    const char *key = it->key.data, *nul = memchr(key, '\0', it->key.size);
    char place[24] = "";

    if (!nul) return key_is_video(it->key) ? 0.0 : -1.0;
    const size_t n = it->key.size - (size_t)(nul + 1 - key);
    memcpy(place, nul + 1, min_size(n, sizeof place - 1));
    return strtod(place, NULL) / 1000.0;
}

/* ---- pictures of a video ---- */

typedef struct frame {
    int64_t ms;
    store_hash hash;
    int64_t width, height;
} frame;

typedef struct frames {
    batch_file *f;
    clipc_index *x;
    frame *v;
    float *rows; /* [n,dim] of those that are new */
    size_t n, cap;
    char *twin; /* a file of the same bytes */
    bool known; /* all have vectors */
    clipc_err *err;
} frames;

static void frames_free(frames *p)
{
    free(p->v);
    free(p->rows);
    free(p->twin);
}

static int add_frame(frames *p, frame it)
{
    const size_t dim = p->x->dim;

    if (p->n == p->cap) {
        const size_t cap = p->cap ? 2 * p->cap : 64;
        frame *v = realloc(p->v, cap * sizeof *v);
        if (v) p->v = v;
        float *rows = v ? realloc(p->rows, cap * dim * sizeof *rows) : NULL;
        if (!rows) return clipc_fail_memory(p->err, p->f->key, cap * dim * sizeof *rows);
        p->rows = rows;
        p->cap = cap;
    }
    p->v[p->n++] = it;
    return CLIPC_OK;
}

/* ---- known ones ---- */

static int note_twin(void *arg, const store_item *it)
{
    frames *p = arg;

    if (p->twin || frames_is_later(it)) return CLIPC_OK;
    p->twin = strndup(it->key.data, it->key.size);
    return p->twin ? add_frame(p, (frame){0, it->hash, it->width, it->height})
                   : clipc_fail_memory(p->err, p->f->key, it->key.size);
}

static int note_later(void *arg, const store_item *it)
{
    frames *p = arg;
    uint64_t slot;
    bool there;
    int rc = store_vector_find(p->x->s, &slot, &there, p->x->space, &it->hash, p->err);

    if (rc != CLIPC_OK) return rc;
    p->known = p->known && there;
    return add_frame(
        p, (frame){llrint(1000.0 * frames_seconds(it)), it->hash, it->width, it->height});
}

static int find_known(frames *p)
{
    const store_filter same = {.root = p->x->root, .hash = &p->f->hash};
    store_filter later = {.root = p->x->root};
    uint64_t slot;
    store *s = p->x->s;
    int rc = store_vector_find(s, &slot, &p->known, p->x->space, &p->f->hash, p->err);

    if (rc == CLIPC_OK && p->known) rc = store_each_item(s, &same, note_twin, p, p->err);
    if (rc != CLIPC_OK || !p->twin) return p->known = false, rc;
    later.prefix = bytes_of(p->twin, strlen(p->twin) + 1);
    return store_each_item(s, &later, note_later, p, p->err);
}

/* ---- new ones ---- */

static store_hash hash_of(const frames *p, int64_t ms)
{
    uint8_t both[sizeof(store_hash) + sizeof ms];

    if (!p->n) return p->f->hash;
    memcpy(both, &p->f->hash, sizeof(store_hash));
    memcpy(both + sizeof(store_hash), &ms, sizeof ms);
    return content_hash(both, sizeof both);
}

static int encode_frame(frames *p, clipc_ctx *ctx, const image *im, double seconds)
{
    const int64_t ms = llrint(1000.0 * seconds);
    const frame it = {ms, hash_of(p, ms), (int64_t)im->w, (int64_t)im->h};
    int rc = p->n < MOST ? add_frame(p, it)
                         : clipc_fail(p->err, CLIPC_ERR_LIMIT,
                                      "%s: more than %d pictures", p->f->key, MOST);

    return rc == CLIPC_OK
               ? clipc_encode_image_pixels(ctx, p->rows + (p->n - 1) * p->x->dim, im->px,
                                           im->w, im->h, p->err)
               : rc;
}

/* *stopped: before the end. */
static int take_frames(frames *p, bool *stopped, clipc_ctx *ctx,
                       const clipc_index_update_options *o)
{
    const video_options how = {o->every > 0.0 ? o->every : 5.0,
                               ctx->options.max_megapixels, ctx->options.threads};
    video *v = NULL;
    bool end = false;
    int rc = video_open(&v, p->f->key, &how, p->err);

    while (rc == CLIPC_OK && !end && !(*stopped = o->stop && o->stop(o->user))) {
        double seconds;
        image im;
        rc = video_next(&im, &seconds, &end, v, p->err);
        if (rc == CLIPC_OK && !end) rc = encode_frame(p, ctx, &im, seconds);
        image_free(&im);
    }
    video_free(v);
    return rc;
}

/* What fails is the file, not the index. */
static void make_frames(frames *p, clipc_ctx *ctx, const clipc_index_update_options *o)
{
    clipc_err *err = p->err;
    bool stopped = false;

    p->err = &p->f->why;
    p->n = 0;
    const int rc = take_frames(p, &stopped, ctx, o);
    p->f->state = rc != CLIPC_OK                                   ? BATCH_FAILED
                  : stopped || !steady_still(&p->f->st, p->f->key) ? BATCH_BUSY
                                                                   : BATCH_NEW;
    if (rc != CLIPC_OK) p->n = 0;
    p->err = err;
}

/* ---- into the store ---- */

static int put_frame(frames *p, size_t i, store_item it)
{
    const frame *v = &p->v[i];
    buf key = {0};
    int rc = buf_puts(&key, p->f->key, p->err);

    if (rc == CLIPC_OK && i) rc = buf_printf(&key, p->err, "%c%012" PRId64, '\0', v->ms);
    it.key = bytes_of(key.data, key.len);
    it.hash = v->hash;
    it.width = v->width;
    it.height = v->height;
    if (rc == CLIPC_OK && p->f->state == BATCH_NEW)
        rc = store_vector_put(p->x->s, p->x->space, &v->hash, p->rows + i * p->x->dim,
                              p->err);
    if (rc == CLIPC_OK) rc = store_item_put(p->x->s, NULL, &it, p->err);
    buf_free(&key);
    return rc;
}

static int put_frames(frames *p)
{
    const store_item it = batch_item(p->f, p->x, NULL);
    int rc = index_write_begin(p->x, p->err);

    if (rc != CLIPC_OK) return rc;
    rc = index_remove_frames(p->x, p->f->key, p->err);
    if (rc == CLIPC_OK && !p->n) rc = store_item_put(p->x->s, NULL, &it, p->err);
    for (size_t i = 0; rc == CLIPC_OK && i < p->n; i++) rc = put_frame(p, i, it);
    return index_write_end(p->x, rc, p->err);
}

int frames_update(batch_file *f, clipc_index *x, clipc_ctx *ctx,
                  const clipc_index_update_options *o, clipc_err *err)
{
    frames p = {.f = f, .x = x, .err = err};
    bool busy = false;
    int rc = CLIPC_OK;

    f->state = BATCH_FAILED;
    f->was_read = steady_hash(&f->hash, &f->st, &busy, f->key, &f->why) == CLIPC_OK;
    f->size = (size_t)f->st.st_size;
    if (busy) return f->state = BATCH_BUSY, CLIPC_OK;
    if (f->was_read) {
        index_lock(x);
        rc = find_known(&p);
        index_unlock(x);
        if (rc == CLIPC_OK && p.known) f->state = BATCH_KNOWN;
        else if (rc == CLIPC_OK) make_frames(&p, ctx, o);
    }
    if (rc == CLIPC_OK && f->state != BATCH_BUSY) rc = put_frames(&p);
    frames_free(&p);
    return rc;
}

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "index/folders.h"
#include "index/frames.h"
#include "index/near.h"

int index_each_below(clipc_index *x, const char *folder, store_filter f, store_item_fn fn,
                     void *arg, clipc_err *err)
{
    char *below = folder ? path_join(folder, "") : NULL;
    int rc = CLIPC_OK;

    if (!x->root) return CLIPC_OK;
    if (folder && !below) return clipc_fail_memory(err, folder, strlen(folder));
    f.root = x->root;
    if (folder) {
        f.key = bytes_of(folder, strlen(folder));
        rc = store_each_item(x->s, &f, fn, arg, err);
        f.key = (store_bytes){0};
        f.prefix = bytes_of(folder, strlen(folder) + 1); /* a video's later pictures */
        if (rc == CLIPC_OK) rc = store_each_item(x->s, &f, fn, arg, err);
        f.prefix = bytes_of(below, strlen(below));
    }
    if (rc == CLIPC_OK) rc = store_each_item(x->s, &f, fn, arg, err);
    free(below);
    return rc;
}

/* ---- removing ---- */

/* Items to be removed: not while they are walked. */
typedef struct ids {
    int64_t *v;
    size_t n, cap;
    clipc_err *err;
} ids;

static int note_id(void *arg, const store_item *item)
{
    ids *l = arg;

    if (l->n == l->cap) {
        const size_t cap = l->cap ? 2 * l->cap : 64;
        int64_t *v = realloc(l->v, cap * sizeof *v);
        if (!v) return clipc_fail_memory(l->err, "items", cap * sizeof *v);
        l->v = v, l->cap = cap;
    }
    l->v[l->n++] = item->id;
    return CLIPC_OK;
}

/* Within a write. */
static int remove_ids(ids *l, clipc_index *x)
{
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < l->n; i++)
        rc = store_item_remove(x->s, l->v[i], l->err);
    free(l->v);
    return rc;
}

int index_remove_frames(clipc_index *x, const char *path, clipc_err *err)
{
    const store_filter f = {.root = x->root, .prefix = bytes_of(path, strlen(path) + 1)};
    ids l = {.err = err};
    const int rc = store_each_item(x->s, &f, note_id, &l, err);
    const int removed = remove_ids(&l, x);

    return rc == CLIPC_OK ? removed : rc;
}

int clipc_index_remove(clipc_index *x, const char *key, size_t *removed, clipc_err *err)
{
    ids l = {.err = err};
    int rc = index_write_begin(x, err);

    if (rc != CLIPC_OK) return rc;
    rc = index_each_below(x, key, (store_filter){0}, note_id, &l, err);
    if (rc == CLIPC_OK) rc = folders_forget(x, key, err);
    const int gone = remove_ids(&l, x);
    rc = index_write_end(x, rc == CLIPC_OK ? gone : rc, err);
    if (rc == CLIPC_OK && removed) *removed = l.n;
    return rc;
}

/* ---- walking ---- */

typedef struct walking {
    int (*on)(void *user, const clipc_index_entry *e);
    void *user;
    buf key; /* with its NUL */
    clipc_err *err;
} walking;

static int tell_entry(void *arg, const store_item *item)
{
    walking *w = arg;
    int rc;

    if (!item->row && !item->error) return CLIPC_OK; /* another model's */
    buf_clear(&w->key);
    rc = buf_add(&w->key, item->key.data, item->key.size, w->err);
    if (rc != CLIPC_OK) return rc;
    return w->on(w->user, &(clipc_index_entry){
                              .key = w->key.data,
                              .meta = item->meta,
                              .failed = item->error,
                              .seconds = item->error ? -1.0 : frames_seconds(item),
                              .vector = item->row,
                              .bytes = item->size,
                              .time = item->time,
                              .width = (uint32_t)item->width,
                              .height = (uint32_t)item->height});
}

int clipc_index_each(clipc_index *x, const char *folder,
                     int (*on)(void *user, const clipc_index_entry *e), void *user,
                     clipc_err *err)
{
    walking w = {.on = on, .user = user, .err = err};
    int rc;

    if (!x->space) return CLIPC_OK;
    index_lock(x);
    rc = index_each_below(x, folder, (store_filter){.row_of = x->space}, tell_entry, &w,
                          err);
    index_unlock(x);
    buf_free(&w.key);
    return rc;
}

/* ---- counting ---- */

static int count_space(void *arg, const store_space *space)
{
    clipc_index_stats *st = arg;

    (void)space;
    st->models++;
    return CLIPC_OK;
}

static int count_failed(void *arg, const store_item *item)
{
    clipc_index_stats *st = arg;

    (void)item;
    st->failed++;
    return CLIPC_OK;
}

int clipc_index_stats_of(clipc_index_stats *out, clipc_index *x, clipc_err *err)
{
    store_space space = {0};
    store_approx near;
    int rc = CLIPC_OK;

    *out = (clipc_index_stats){.dim = x->dim};
    index_lock(x);
    rc = store_bytes_of(x->s, &out->bytes, err);
    if (rc == CLIPC_OK) rc = store_each_space(x->s, count_space, out, err);
    if (rc == CLIPC_OK)
        rc = index_each_below(x, NULL, (store_filter){.failed = true}, count_failed, out,
                              err);
    if (rc == CLIPC_OK && x->space) rc = store_space_get(x->s, &space, x->space, err);
    if (rc == CLIPC_OK && x->space && !store_searches(x->s) &&
        store_approx_get(x->s, &near, x->space, NULL) == CLIPC_OK)
        out->approximate = approximate_shown(&near);
    index_unlock(x);
    out->entries = (size_t)space.used;
    return rc;
}

#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/sizes.h"
#include "base/walk.h"
#include "index/emptied.h"
#include "index/folders.h"
#include "index/frames.h"
#include "index/known.h"

/* Paths one after the other, each with its NUL. */
typedef struct paths {
    buf text;
    size_t n;
} paths;

typedef struct update {
    clipc_index *x;
    clipc_ctx *ctx;
    clipc_index_update_options o;
    clipc_index_changes *count;
    char *top;           /* what is brought up to date, as an absolute path */
    size_t exclude_from; /* as in walk_options */
    const char **exclude;
    known before;
    paths todo;   /* new, changed, or without a vector of this model */
    paths videos; /* likewise */
    paths lost;   /* folders that could not be read */
    size_t seen;
    clipc_err *err;
} update;

static int add(paths *p, const char *path, clipc_err *err)
{
    p->n++;
    return buf_add(&p->text, path, strlen(path) + 1, err);
}

/* ---- what the catalogue has ---- */

static int note_known(void *arg, const store_item *it)
{
    update *u = arg;
    const known_file f = {.id = it->id,
                          .size = it->size,
                          .mtime_ns = it->mtime,
                          .inode = it->inode,
                          .failed = it->error != NULL};

    if (frames_is_later(it)) return CLIPC_OK;
    return known_add(&u->before, it->key.data, it->key.size, f, u->err);
}

static int note_missing(void *arg, const store_item *it)
{
    update *u = arg;
    known_file *f = known_find(&u->before, it->key.data, it->key.size);

    if (f && !f->failed) f->missing = true;
    return CLIPC_OK;
}

static int load_known(update *u)
{
    int rc;

    index_lock(u->x);
    rc = index_each_below(u->x, u->top, (store_filter){0}, note_known, u, u->err);
    if (rc == CLIPC_OK)
        rc = index_each_below(u->x, u->top, (store_filter){.missing_in = u->x->space},
                              note_missing, u, u->err);
    index_unlock(u->x);
    return rc;
}

/* ---- what is there ---- */

static int on_file(void *user, const char *path, const struct stat *st)
{
    update *u = user;
    known_file *f = known_find(&u->before, path, strlen(path));

    const bool video = ending_is_video(path_ending(path));

    if (video && !f && !u->o.videos) return CLIPC_OK;
    u->seen++;
    if (f) f->seen = true;
    if (!f || f->missing || !st || !known_same(f, st))
        return add(video ? &u->videos : &u->todo, path, u->err);
    if (f->failed) u->count->failed++;
    else u->count->unchanged++;
    return CLIPC_OK;
}

static int on_lost(void *user, const char *folder, const clipc_err *why)
{
    update *u = user;

    if (u->o.on_failed) u->o.on_failed(u->o.user, folder, why);
    return add(&u->lost, folder, u->err);
}

static int walk(update *u)
{
    const walk_options w = {.hidden = u->o.hidden,
                            .videos = true,
                            .one_disk = u->o.one_disk,
                            .exclude = u->o.exclude,
                            .n_exclude = u->o.n_exclude,
                            .exclude_from = u->exclude_from,
                            .on_lost = on_lost};
    struct stat st;

    if (file_is_dir(u->top)) return walk_pictures_with(u->top, &w, on_file, u, u->err);
    u->o.videos = 1; /* a file that was named */
    return on_file(u, u->top, stat(u->top, &st) == 0 ? &st : NULL);
}

/* ---- what is new ---- */

static void count_file(update *u, const batch_file *f)
{
    size_t *const counts[] = {[BATCH_BUSY] = &u->count->busy,
                              [BATCH_FAILED] = &u->count->failed,
                              [BATCH_KNOWN] = &u->count->known,
                              [BATCH_NEW] = &u->count->embedded};

    ++*counts[f->state];
    if (f->state == BATCH_FAILED && u->o.on_failed)
        u->o.on_failed(u->o.user, f->key, &f->why);
}

static int put_all(update *u, batch *b)
{
    const char *path = u->todo.text.data;
    int rc = CLIPC_OK;

    for (size_t done = 0; rc == CLIPC_OK && done < u->todo.n; done += b->n) {
        if (u->o.on_progress) u->o.on_progress(u->o.user, done, u->todo.n + u->videos.n);
        if (u->o.stop && u->o.stop(u->o.user)) return u->count->stopped = 1, CLIPC_OK;
        b->n = min_size(BATCH, u->todo.n - done);
        for (size_t i = 0; i < b->n; i++, path += strlen(path) + 1)
            batch_read(b, i, path);
        rc = batch_encode(b, u->x, u->ctx, u->err);
        if (rc == CLIPC_OK) rc = batch_put(b, u->x, NULL, u->err);
        for (size_t i = 0; rc == CLIPC_OK && i < b->n; i++) count_file(u, &b->v[i]);
    }
    return rc;
}

static int put_pictures(update *u)
{
    batch *b = malloc(sizeof *b);
    int rc = b ? batch_init(b, u->x->dim, u->err)
               : clipc_fail_memory(u->err, "batch", sizeof *b);

    if (rc == CLIPC_OK) rc = put_all(u, b);
    if (b) batch_free(b);
    free(b);
    return rc;
}

static int put_videos(update *u)
{
    const char *path = u->videos.text.data;
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < u->videos.n; i++, path += strlen(path) + 1) {
        batch_file f = {.key = path};
        if (u->o.on_progress)
            u->o.on_progress(u->o.user, u->todo.n + i, u->todo.n + u->videos.n);
        if (u->o.stop && u->o.stop(u->o.user)) return u->count->stopped = 1, CLIPC_OK;
        rc = frames_update(&f, u->x, u->ctx, &u->o, u->err);
        if (rc == CLIPC_OK) count_file(u, &f);
    }
    return rc;
}

static int put_new(update *u)
{
    const int rc = u->todo.n ? put_pictures(u) : CLIPC_OK;

    return rc == CLIPC_OK && !u->count->stopped ? put_videos(u) : rc;
}

/* ---- what is gone ---- */

static bool below_lost(const update *u, const char *path)
{
    const char *folder = u->lost.text.data;

    for (size_t i = 0; i < u->lost.n; i++) {
        const size_t len = strlen(folder);
        if (strncmp(path, folder, len) == 0 && path[len] == '/') return true;
        folder += len + 1;
    }
    return false;
}

static int remove_gone(update *u)
{
    emptied e = {.on = u->o.on_failed, .user = u->o.user};
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < u->before.n; i++) {
        const known_file *f = &u->before.v[i];
        if (f->seen || below_lost(u, known_path(&u->before, f))) continue;
        if (!u->count->removed++) rc = index_write_begin(u->x, u->err);
        if (rc != CLIPC_OK) return rc;
        rc = store_item_remove(u->x->s, f->id, u->err);
        if (rc == CLIPC_OK)
            rc = index_remove_frames(u->x, known_path(&u->before, f), u->err);
        emptied_add(&e, known_path(&u->before, f));
    }
    if (rc != CLIPC_OK) e.on = NULL; /* nothing will have gone */
    emptied_end(&e);
    return u->count->removed ? index_write_end(u->x, rc, u->err) : rc;
}

/* ---- all of it ---- */

/* Adds what a remembered folder is found with to the options. */
static int add_options(update *u, const json_t *remembered)
{
    const json_t *more = json_object_get(remembered, "exclude");
    const size_t n = u->o.n_exclude, m = json_array_size(more);

    u->o.hidden |= json_is_true(json_object_get(remembered, "hidden"));
    u->o.one_disk |= json_is_true(json_object_get(remembered, "one_disk"));
    u->o.videos |= json_is_true(json_object_get(remembered, "videos"));
    if (!(u->o.every > 0.0))
        u->o.every = json_number_value(json_object_get(remembered, "every"));
    if (!m) return CLIPC_OK;
    u->exclude = calloc(n + m, sizeof *u->exclude);
    if (!u->exclude) return clipc_fail_memory(u->err, "patterns", n + m);
    for (size_t i = 0; i < n; i++) u->exclude[i] = u->o.exclude[i];
    for (size_t i = 0; i < m; i++) {
        const char *pattern = json_string_value(json_array_get(more, i));
        u->exclude[n + i] = pattern ? pattern : "";
    }
    u->o.exclude = u->exclude;
    u->o.n_exclude = n + m;
    return CLIPC_OK;
}

static int bring_up_to_date(update *u)
{
    int rc = load_known(u);

    if (rc == CLIPC_OK) rc = walk(u);
    if (rc == CLIPC_OK) rc = put_new(u);
    /* Not one file: a drive that is not mounted looks so. */
    return rc == CLIPC_OK && u->seen && !u->count->stopped ? remove_gone(u) : rc;
}

static int run(update *u)
{
    json_t *remembered = NULL;
    int rc = CLIPC_OK;

    if (u->o.remember)
        rc = file_is_dir(u->top)
                 ? folders_remember(u->x, u->top, &u->o, u->err)
                 : clipc_fail(u->err, CLIPC_ERR_ARG, "%s: not a folder", u->top);
    if (rc == CLIPC_OK)
        rc = folders_options(&remembered, &u->exclude_from, u->x, u->top, u->err);
    if (rc == CLIPC_OK && !u->o.remember) rc = add_options(u, remembered);
    if (rc == CLIPC_OK) rc = bring_up_to_date(u);
    json_decref(remembered);
    free(u->exclude);
    return rc;
}

int clipc_index_update(clipc_index *x, clipc_ctx *ctx, const char *path,
                       const clipc_index_update_options *options,
                       clipc_index_changes *out, clipc_err *err)
{
    clipc_index_changes unused;
    update u = {.x = x, .ctx = ctx, .count = out ? out : &unused, .err = err};
    int rc;

    *u.count = (clipc_index_changes){0};
    if (options) u.o = *options;
    if (clipc_model_info_of(clipc_ctx_model(ctx))->embed_dim != x->dim)
        return clipc_fail(err, CLIPC_ERR_ARG, "the index was opened for another model");
    u.top = realpath(path, NULL);
    rc = u.top ? run(&u) : clipc_fail(err, CLIPC_ERR_IO, "%s: %s", path, strerror(errno));
    free(u.top);
    known_free(&u.before);
    buf_free(&u.todo.text);
    buf_free(&u.videos.text);
    buf_free(&u.lost.text);
    return rc;
}

/* Of each remembered folder in turn. */
typedef struct all_folders {
    clipc_index *x;
    clipc_ctx *ctx;
    const clipc_index_update_options *options;
    clipc_index_changes *sum;
    clipc_err *err;
} all_folders;

static int update_folder(void *user, const char *folder)
{
    const all_folders *a = user;
    clipc_index_changes c;
    clipc_err why;
    int rc = CLIPC_OK;

    if (a->sum->stopped) return CLIPC_OK;
    if (!file_is_dir(folder)) { /* a drive that is not there */
        clipc_fail(&why, CLIPC_ERR_IO, "%s: no such folder now", folder);
        if (a->options && a->options->on_failed)
            a->options->on_failed(a->options->user, folder, &why);
        return CLIPC_OK;
    }
    rc = clipc_index_update(a->x, a->ctx, folder, a->options, &c, a->err);
    a->sum->unchanged += c.unchanged;
    a->sum->embedded += c.embedded;
    a->sum->known += c.known;
    a->sum->removed += c.removed;
    a->sum->failed += c.failed;
    a->sum->busy += c.busy;
    a->sum->stopped |= c.stopped;
    return rc;
}

int clipc_index_update_all(clipc_index *x, clipc_ctx *ctx,
                           const clipc_index_update_options *options,
                           clipc_index_changes *out, clipc_err *err)
{
    clipc_index_changes unused;
    all_folders a = {x, ctx, options, out ? out : &unused, err};

    *a.sum = (clipc_index_changes){0};
    return clipc_index_each_folder(x, update_folder, &a, err);
}

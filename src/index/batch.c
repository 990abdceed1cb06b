#define _DEFAULT_SOURCE
#include "index/batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clip/model.h"
#include "index/known.h"
#include "index/steady.h"

int batch_init(batch *b, size_t dim, clipc_err *err)
{
    *b = (batch){0};
    b->rows = calloc(BATCH * dim, sizeof *b->rows);
    return b->rows ? CLIPC_OK : clipc_fail_memory(err, "vectors", BATCH * dim);
}

void batch_free(batch *b)
{
    for (size_t i = 0; i < BATCH; i++) buf_free(&b->v[i].bytes);
    free(b->rows);
}

void batch_look(batch *b, size_t i)
{
    batch_file *f = &b->v[i];

    f->was_read = true;
    f->size = f->bytes.len;
    f->hash = content_hash(f->bytes.data, f->bytes.len);
    f->facts = image_facts_of((const uint8_t *)f->bytes.data, f->bytes.len);
    f->state = BATCH_NEW;
}

void batch_read(batch *b, size_t i, const char *path)
{
    batch_file *f = &b->v[i];
    bool busy;

    *f = (batch_file){.key = path, .bytes = f->bytes, .state = BATCH_FAILED};
    if (steady_read(&f->bytes, &f->st, &busy, path, &f->why) != CLIPC_OK) return;
    if (busy) f->state = BATCH_BUSY;
    else batch_look(b, i);
}

static bool earlier(const batch *b, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (b->v[k].was_read &&
            memcmp(&b->v[k].hash, &b->v[i].hash, sizeof b->v[i].hash) == 0)
            return b->v[k].state == BATCH_NEW || b->v[k].state == BATCH_KNOWN;
    return false;
}

static int find_known(batch *b, clipc_index *x, clipc_err *err)
{
    int rc = CLIPC_OK;

    index_lock(x);
    for (size_t i = 0; rc == CLIPC_OK && i < b->n; i++) {
        batch_file *f = &b->v[i];
        uint64_t slot;
        bool there = false;
        if (f->state != BATCH_NEW) continue;
        rc = store_vector_find(x->s, &slot, &there, x->space, &f->hash, err);
        if (there || earlier(b, i)) f->state = BATCH_KNOWN;
    }
    index_unlock(x);
    return rc;
}

/* The vectors of what is new. */
static int encode_new(batch *b, clipc_index *x, clipc_ctx *ctx, clipc_err *err)
{
    batch_file *new[BATCH];
    const char *names[BATCH];
    span bytes[BATCH];
    clipc_err errs[BATCH];
    size_t n = 0;
    int rc = CLIPC_OK;

    for (size_t i = 0; i < b->n; i++) {
        batch_file *f = &b->v[i];
        if (f->state != BATCH_NEW) continue;
        new[n] = f;
        names[n] = f->key;
        bytes[n++] = (span){(const uint8_t *)f->bytes.data, f->bytes.len};
    }
    if (n) rc = encode_pictures(ctx, b->rows, names, bytes, n, errs, err);
    for (size_t i = 0; rc == CLIPC_OK && i < n; i++) {
        new[i]->row = b->rows + i * x->dim;
        if (errs[i].code == CLIPC_OK) continue;
        new[i]->state = BATCH_FAILED;
        new[i]->why = errs[i];
    }
    return rc;
}

int batch_encode(batch *b, clipc_index *x, clipc_ctx *ctx, clipc_err *err)
{
    const int rc = find_known(b, x, err);

    return rc == CLIPC_OK ? encode_new(b, x, ctx, err) : rc;
}

/* EXIF's time of the place where it was taken, as if that were here; else the file's. */
static int64_t time_of(const batch_file *f)
{
    struct tm t = {.tm_isdst = -1};
    time_t at;

    if (sscanf(f->facts.taken, "%4d:%2d:%2d %2d:%2d:%2d", &t.tm_year, &t.tm_mon,
               &t.tm_mday, &t.tm_hour, &t.tm_min, &t.tm_sec) != 6)
        return f->st.st_mtim.tv_sec;
    t.tm_year -= 1900, t.tm_mon--;
    at = mktime(&t);
    return at == (time_t)-1 ? f->st.st_mtim.tv_sec : at;
}

store_item batch_item(const batch_file *f, const clipc_index *x, const char *meta)
{
    store_item it = {.root = x->root,
                     .key = bytes_of(f->key, strlen(f->key)),
                     .meta = meta,
                     .error = f->state == BATCH_FAILED ? f->why.msg : NULL};

    /* What could not even be read has no size or time, so it is tried at each update. */
    if (!f->was_read) return it;
    it.size = (int64_t)f->size;
    it.mtime = mtime_ns(&f->st);
    it.inode = (uint64_t)f->st.st_ino;
    it.hashed = true;
    it.hash = f->hash;
    it.width = f->facts.width;
    it.height = f->facts.height;
    it.orientation = f->facts.orientation;
    it.time = time_of(f);
    return it;
}

int batch_put(const batch *b, clipc_index *x, const char *meta, clipc_err *err)
{
    int rc = index_write_begin(x, err);

    if (rc != CLIPC_OK) return rc;
    for (size_t i = 0; rc == CLIPC_OK && i < b->n; i++) {
        const batch_file *f = &b->v[i];
        const store_item it = batch_item(f, x, meta);
        if (f->state == BATCH_BUSY) continue;
        if (f->state == BATCH_NEW)
            rc = store_vector_put(x->s, x->space, &f->hash, f->row, err);
        if (rc == CLIPC_OK) rc = store_item_put(x->s, NULL, &it, err);
    }
    return index_write_end(x, rc, err);
}

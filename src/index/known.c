#include "index/known.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

void known_free(known *k)
{
    free(k->v);
    free(k->slots);
    buf_free(&k->text);
    *k = (known){0};
}

/* The slot of a path, or the free one where it belongs. */
static uint32_t *slot_of(const known *k, const char *path, size_t len)
{
    size_t i = (size_t)hash_bytes(0, path, len) & (k->n_slots - 1);

    for (; k->slots[i]; i = (i + 1) & (k->n_slots - 1)) {
        const char *there = known_path(k, &k->v[k->slots[i] - 1]);
        if (strncmp(there, path, len) == 0 && !there[len]) break;
    }
    return &k->slots[i];
}

static int grow(known *k, clipc_err *err)
{
    const size_t cap = k->cap ? 2 * k->cap : 1024;
    known_file *v = realloc(k->v, cap * sizeof *v);

    if (v) k->v = v;
    uint32_t *slots = v && cap < UINT32_MAX ? calloc(2 * cap, sizeof *slots) : NULL;
    if (!slots) return clipc_fail_memory(err, "catalogue", cap * sizeof *v);
    free(k->slots);
    k->slots = slots, k->cap = cap, k->n_slots = 2 * cap;
    for (size_t i = 0; i < k->n; i++) {
        const char *path = known_path(k, &k->v[i]);
        *slot_of(k, path, strlen(path)) = (uint32_t)i + 1;
    }
    return CLIPC_OK;
}

int known_add(known *k, const char *path, size_t len, known_file f, clipc_err *err)
{
    int rc = k->n == k->cap ? grow(k, err) : CLIPC_OK;

    f.path = k->text.len;
    if (rc == CLIPC_OK) rc = buf_add(&k->text, path, len, err);
    if (rc == CLIPC_OK) rc = buf_add(&k->text, "", 1, err);
    if (rc != CLIPC_OK) return rc;
    k->v[k->n] = f;
    *slot_of(k, path, len) = (uint32_t)++k->n;
    return CLIPC_OK;
}

known_file *known_find(const known *k, const char *path, size_t len)
{
    const uint32_t at = k->n_slots ? *slot_of(k, path, len) : 0;

    return at ? &k->v[at - 1] : NULL;
}

int64_t mtime_ns(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

bool known_same(const known_file *f, const struct stat *st)
{
    return f->size == st->st_size && f->mtime_ns == mtime_ns(st) &&
           f->inode == (uint64_t)st->st_ino;
}

#include <string.h>

#include "store/catalogue.h"
#include "store/kind.h"

bool store_is_url(const char *place)
{
    return strncmp(place, "postgresql://", 13) == 0 ||
           strncmp(place, "postgres://", 11) == 0;
}

int store_open(store **out, const char *place, store_mode mode, clipc_err *err)
{
    if (!store_is_url(place)) return disk_open(out, place, mode, err);
#ifdef CLIPC_HAVE_PQ
    return pg_open(out, place, mode, err);
#else
    *out = NULL; /* the place may hold a password */
    return clipc_fail(err, CLIPC_ERR_FEATURE,
                      "PostgreSQL: this clipc was built without libpq");
#endif
}

void store_close(store *s)
{
    if (s) s->kind->close(s);
}

const char *store_name(const store *s)
{
    return s->folder;
}

int store_bytes_of(store *s, uint64_t *bytes, clipc_err *err)
{
    return s->kind->bytes(s, bytes, err);
}

int store_begin(store *s, clipc_err *err)
{
    return s->kind->begin(s, err);
}

int store_commit(store *s, clipc_err *err)
{
    return s->kind->commit(s, err);
}

void store_rollback(store *s)
{
    if (s) s->kind->rollback(s);
}

/* ---- roots ---- */

int store_root_add(store *s, int64_t *id, store_bytes path, clipc_err *err)
{
    return s->kind->root_add(s, id, path, err);
}

int store_root_set_meta(store *s, int64_t id, const char *meta, clipc_err *err)
{
    return s->kind->root_set_meta(s, id, meta, err);
}

int store_root_remove(store *s, int64_t id, clipc_err *err)
{
    return s->kind->root_remove(s, id, err);
}

int store_each_root(store *s, int (*fn)(void *arg, const store_root *root), void *arg,
                    clipc_err *err)
{
    return s->kind->each_root(s, fn, arg, err);
}

/* ---- spaces ---- */

int store_space_find(store *s, int64_t *id, const store_hash *fingerprint, clipc_err *err)
{
    return s->kind->space_find(s, id, fingerprint, err);
}

int store_space_add(store *s, int64_t *id, const store_space *want, clipc_err *err)
{
    return s->kind->space_add(s, id, want, err);
}

int store_space_head(store *s, store_space *out, int64_t id, clipc_err *err)
{
    return s->kind->space_head(s, out, id, err);
}

int store_space_get(store *s, store_space *out, int64_t id, clipc_err *err)
{
    return s->kind->space_get(s, out, id, err);
}

int store_space_remove(store *s, int64_t id, clipc_err *err)
{
    return s->kind->space_remove(s, id, err);
}

int store_each_space(store *s, int (*fn)(void *arg, const store_space *space), void *arg,
                     clipc_err *err)
{
    return s->kind->each_space(s, fn, arg, err);
}

/* ---- items ---- */

int store_item_put(store *s, int64_t *id, const store_item *item, clipc_err *err)
{
    return s->kind->item_put(s, id, item, err);
}

int store_item_remove(store *s, int64_t id, clipc_err *err)
{
    return s->kind->item_remove(s, id, err);
}

int store_item_move(store *s, int64_t id, int64_t root, store_bytes key, clipc_err *err)
{
    return s->kind->item_move(s, id, root, key, err);
}

int store_each_item(store *s, const store_filter *f, store_item_fn fn, void *arg,
                    clipc_err *err)
{
    return s->kind->each_item(s, f ? f : &(store_filter){0}, fn, arg, err);
}

/* ---- vectors ---- */

int store_vector_find(store *s, uint64_t *slot, bool *there, int64_t space,
                      const store_hash *hash, clipc_err *err)
{
    return s->kind->vector_find(s, slot, there, space, hash, err);
}

int store_vector_put(store *s, int64_t space, const store_hash *hash, const float *row,
                     clipc_err *err)
{
    return s->kind->vector_put(s, space, hash, row, err);
}

int store_vector_get(store *s, float *row, store_hash *hash, int64_t space, uint64_t slot,
                     clipc_err *err)
{
    return s->kind->vector_get(s, row, hash, space, slot, err);
}

int store_each_item_of(store *s, int64_t space, uint64_t slot, store_item_fn fn,
                       void *arg, clipc_err *err)
{
    return s->kind->each_item_of(s, space, slot, fn, arg, err);
}

bool store_searches(const store *s)
{
    return s->kind->search != NULL;
}

int store_search(store *s, const store_query *q, store_scored_fn fn, void *arg,
                 clipc_err *err)
{
    return s->kind->search(s, q, fn, arg, err);
}

/* ---- what kinds share ---- */

int store_check_space(const char *name, const store_space *want, clipc_err *err)
{
    if (want->type != DT_F16 && want->type != DT_F32 && want->type != DT_I8)
        return clipc_fail(err, CLIPC_ERR_ARG, "%s: no vectors of %s", name,
                          dtype_name(want->type));
    if (want->dim < 1 || want->dim > VECTORS_DIM_MOST)
        return clipc_fail(err, CLIPC_ERR_LIMIT,
                          "%s: vectors of %zu numbers, wanted 1 to %d", name, want->dim,
                          VECTORS_DIM_MOST);
    if (!want->model || strlen(want->model) > VECTORS_MODEL_MOST)
        return clipc_fail(err, CLIPC_ERR_LIMIT,
                          "%s: the model's name is longer than %d bytes", name,
                          VECTORS_MODEL_MOST);
    return CLIPC_OK;
}

int store_behind_prefix(buf *out, store_bytes prefix, clipc_err *err)
{
    int rc = buf_add(out, prefix.data, prefix.size, err);

    while (out->len && (uint8_t)out->data[out->len - 1] == 0xff) out->len--;
    if (out->len) out->data[out->len - 1]++;
    return rc;
}

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/cpus.h"
#include "index/fingerprint.h"
#include "index/index.h"
#include "index/place.h"

void index_lock(clipc_index *x)
{
    pthread_mutex_lock(&x->lock);
}

void index_unlock(clipc_index *x)
{
    pthread_mutex_unlock(&x->lock);
}

int index_write_begin(clipc_index *x, clipc_err *err)
{
    if (x->read_only)
        return clipc_fail(err, CLIPC_ERR_ARG, "%s: the index was opened to be read",
                          store_name(x->s));
    index_lock(x);
    const int rc = store_begin(x->s, err);
    if (rc != CLIPC_OK) index_unlock(x);
    return rc;
}

int index_write_end(clipc_index *x, int rc, clipc_err *err)
{
    if (rc == CLIPC_OK) rc = store_commit(x->s, err);
    else store_rollback(x->s);
    index_unlock(x);
    return rc;
}

store_hash content_hash(const void *data, size_t size)
{
    store_hash out;
    XXH128_canonical_t x;

    XXH128_canonicalFromHash(&x, XXH3_128bits(data, size));
    memcpy(out.byte, x.digest, sizeof out.byte);
    return out;
}

/* ---- opening ---- */

static int find_root(void *arg, const store_root *root)
{
    clipc_index *x = arg;

    if (root->path.size == strlen(INDEX_ROOT) &&
        memcmp(root->path.data, INDEX_ROOT, root->path.size) == 0)
        x->root = root->id;
    return CLIPC_OK;
}

/* What the handle is for. */
static int want_space(store_space *want, char *name, size_t cap, const clipc_ctx *ctx,
                      const clipc_index_options *o, clipc_err *err)
{
    static const dtype types[] = {[CLIPC_VECTORS_F16] = DT_F16,
                                  [CLIPC_VECTORS_F32] = DT_F32,
                                  [CLIPC_VECTORS_INT8] = DT_I8};
    char print[FINGERPRINT_HEX];

    if (o->vectors < 0 || o->vectors > CLIPC_VECTORS_INT8)
        return clipc_fail(err, CLIPC_ERR_ARG, "no kind of vectors %d", o->vectors);
    *want = (store_space){.model = name, .type = types[o->vectors]};
    if (ctx) {
        const clipc_model_info *info = clipc_model_info_of(clipc_ctx_model(ctx));
        const int rc = fingerprint_of(print, ctx, err);
        snprintf(name, cap, "%s", info->path);
        want->dim = info->embed_dim;
        want->fingerprint = content_hash(print, sizeof print);
        return rc;
    }
    if (!o->space || !o->dim)
        return clipc_fail(err, CLIPC_ERR_ARG,
                          "an index without a model wants the name of a space and a dim");
    snprintf(name, cap, "%s", o->space);
    want->dim = o->dim;
    want->fingerprint = content_hash(name, strlen(name));
    return CLIPC_OK;
}

static int make_places(clipc_index *x, const store_space *want, clipc_err *err)
{
    int rc = store_begin(x->s, err);

    if (rc != CLIPC_OK) return rc;
    rc = store_root_add(x->s, &x->root, bytes_of(INDEX_ROOT, strlen(INDEX_ROOT)), err);
    if (rc == CLIPC_OK) /* another process may have made it just now */
        rc = store_space_find(x->s, &x->space, &want->fingerprint, err);
    if (rc == CLIPC_OK && !x->space) rc = store_space_add(x->s, &x->space, want, err);
    if (rc == CLIPC_OK) return store_commit(x->s, err);
    store_rollback(x->s);
    return rc;
}

static int open_places(clipc_index *x, const store_space *want, bool read_only,
                       clipc_err *err)
{
    store_space have;
    int rc = store_each_root(x->s, find_root, x, err);

    if (rc == CLIPC_OK) rc = store_space_find(x->s, &x->space, &want->fingerprint, err);
    if (rc == CLIPC_OK && !(x->root && x->space) && !read_only)
        rc = make_places(x, want, err);
    x->dim = want->dim;
    if (rc != CLIPC_OK || !x->space) return rc;
    rc = store_space_head(x->s, &have, x->space, err);
    if (rc == CLIPC_OK && have.dim != want->dim)
        rc = clipc_fail(err, CLIPC_ERR_ARG,
                        "%s: the vectors of %s have %zu numbers, not %zu",
                        store_name(x->s), want->model, have.dim, want->dim);
    return rc;
}

int clipc_index_open(clipc_index **out, const char *folder, const clipc_ctx *ctx,
                     const clipc_index_options *options, clipc_err *err)
{
    const clipc_index_options o = options ? *options : (clipc_index_options){0};
    clipc_index *x = calloc(1, sizeof *x);
    store_space want;
    char name[512];
    int rc;

    *out = NULL;
    if (!x) return clipc_fail_memory(err, "index", sizeof *x);
    pthread_mutex_init(&x->lock, NULL);
    rc = want_space(&want, name, sizeof name, ctx, &o, err);
    x->read_only = o.read_only;
    if (rc == CLIPC_OK) rc = index_place(&x->folder, folder, err);
    if (rc == CLIPC_OK) rc = exec_new(&x->e, cpus_usable(), 0, err);
    if (rc == CLIPC_OK)
        rc = store_open(&x->s, x->folder, o.read_only ? STORE_READ : STORE_WRITE, err);
    if (rc == CLIPC_OK) rc = open_places(x, &want, o.read_only, err);
    if (rc == CLIPC_OK) *out = x;
    else clipc_index_close(x);
    return rc;
}

void clipc_index_close(clipc_index *x)
{
    if (!x) return;
    store_close(x->s);
    exec_free(x->e);
    pthread_mutex_destroy(&x->lock);
    free(x->folder);
    free(x);
}

#include "index/folders.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

/* The nearest remembered folder above a path. */
typedef struct nearest {
    const char *path;
    size_t len; /* of the folder's path so far */
    json_t *options;
    clipc_err *err;
} nearest;

static int compare_folder(void *arg, const store_root *root)
{
    nearest *n = arg;
    const size_t len = root->path.size;
    json_t *o = NULL;

    if (len <= n->len || strncmp(n->path, root->path.data, len) != 0 ||
        (n->path[len] && n->path[len] != '/' && len > 1))
        return CLIPC_OK;
    if (root->meta) {
        const int rc = json_parse(&o, root->meta, strlen(root->meta), "index", n->err);
        if (rc != CLIPC_OK) return rc;
    }
    json_decref(n->options);
    n->options = o;
    n->len = len;
    return CLIPC_OK;
}

int folders_options(json_t **out, size_t *len, clipc_index *x, const char *path,
                    clipc_err *err)
{
    nearest n = {.path = path, .err = err};

    index_lock(x);
    const int rc = store_each_root(x->s, compare_folder, &n, err);
    index_unlock(x);
    *out = n.options;
    *len = n.len;
    return rc;
}

static char *options_text(const clipc_index_update_options *o)
{
    json_t *exclude = json_array();

    for (size_t i = 0; i < o->n_exclude; i++)
        json_array_append_new(exclude, json_text(o->exclude[i]));
    json_t *meta = json_pack("{s:b, s:b, s:b, s:f, s:o}", "hidden", o->hidden, "one_disk",
                             o->one_disk, "videos", o->videos, "every", o->every,
                             "exclude", exclude);
    char *text = json_dumps(meta, JSON_COMPACT);
    json_decref(meta);
    return text;
}

int folders_remember(clipc_index *x, const char *path,
                     const clipc_index_update_options *o, clipc_err *err)
{
    char *meta = options_text(o);
    int64_t id;
    int rc = meta ? index_write_begin(x, err) : clipc_fail_memory(err, path, 0);

    if (rc == CLIPC_OK) {
        rc = store_root_add(x->s, &id, bytes_of(path, strlen(path)), err);
        if (rc == CLIPC_OK) rc = store_root_set_meta(x->s, id, meta, err);
        rc = index_write_end(x, rc, err);
    }
    free(meta);
    return rc;
}

/* ---- all of them ---- */

typedef struct folder_list {
    buf paths; /* each with its NUL */
    size_t n;
    const char *want; /* forget: this one alone */
    int64_t id;
    clipc_err *err;
} folder_list;

static int note_folder(void *arg, const store_root *root)
{
    folder_list *l = arg;
    const char *path = root->path.data;

    if (!root->path.size || *path != '/') return CLIPC_OK;
    if (l->want && strlen(l->want) == root->path.size &&
        memcmp(path, l->want, root->path.size) == 0)
        l->id = root->id;
    l->n++;
    const int rc = buf_add(&l->paths, path, root->path.size, l->err);
    return rc == CLIPC_OK ? buf_add(&l->paths, "", 1, l->err) : rc;
}

int folders_forget(clipc_index *x, const char *path, clipc_err *err)
{
    folder_list l = {.want = path, .err = err};
    int rc = store_each_root(x->s, note_folder, &l, err);

    if (rc == CLIPC_OK && l.id) rc = store_root_remove(x->s, l.id, err);
    buf_free(&l.paths);
    return rc;
}

int clipc_index_each_folder(clipc_index *x, int (*on)(void *user, const char *folder),
                            void *user, clipc_err *err)
{
    folder_list l = {.err = err};
    int rc;

    index_lock(x);
    rc = store_each_root(x->s, note_folder, &l, err);
    index_unlock(x);
    for (const char *p = l.paths.data; rc == CLIPC_OK && l.n; l.n--, p += strlen(p) + 1)
        rc = on(user, p);
    buf_free(&l.paths);
    return rc;
}

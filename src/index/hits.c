#define _GNU_SOURCE
#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/sizes.h"
#include "index/frames.h"
#include "index/near.h"

/* ---- the query ---- */

static int encode_term(float *vector, clipc_ctx *ctx, const clipc_index_term *t,
                       clipc_err *err)
{
    if (t->text) return clipc_encode_text(ctx, vector, t->text, strlen(t->text), err);
    if (t->file) return clipc_encode_image_file(ctx, vector, t->file, err);
    return clipc_encode_image_memory(ctx, vector, t->data, t->size, "picture", err);
}

/* sum [dim] += weight times vector, of unit length; a zero vector adds nothing. */
static void add_unit(double *sum, const float *vector, float weight, size_t dim)
{
    double length = 0.0;

    for (size_t d = 0; d < dim; d++) length += (double)vector[d] * (double)vector[d];
    for (size_t d = 0; length > 0.0 && d < dim; d++)
        sum[d] += (double)weight * (double)vector[d] / sqrt(length);
}

static int sum_terms(float *vector, size_t dim, clipc_ctx *ctx,
                     const clipc_index_term *terms, size_t n, clipc_err *err)
{
    double *sum = calloc(dim, sizeof *sum), length = 0.0;
    int rc = sum ? CLIPC_OK : clipc_fail_memory(err, "query", dim * sizeof *sum);

    for (size_t i = 0; rc == CLIPC_OK && i < n; i++) {
        if (!terms[i].vector) rc = encode_term(vector, ctx, &terms[i], err);
        if (rc == CLIPC_OK)
            add_unit(sum, terms[i].vector ? terms[i].vector : vector, terms[i].weight,
                     dim);
    }
    for (size_t d = 0; rc == CLIPC_OK && d < dim; d++) length += sum[d] * sum[d];
    /* Rounding leaves about 1e-7 of terms that cancel each other. */
    if (rc == CLIPC_OK && !(isfinite(length) && length > 1e-10))
        rc = clipc_fail(err, CLIPC_ERR_ARG, "the terms of the query cancel each other");
    for (size_t d = 0; rc == CLIPC_OK && d < dim; d++)
        vector[d] = (float)(sum[d] / sqrt(length));
    free(sum);
    return rc;
}

int clipc_index_query(float *vector, clipc_ctx *ctx, const clipc_index_term *terms,
                      size_t n, clipc_err *err)
{
    return sum_terms(vector, clipc_model_info_of(clipc_ctx_model(ctx))->embed_dim, ctx,
                     terms, n, err);
}

/* ---- filters ---- */

typedef struct search {
    clipc_index *x;
    clipc_index_search_options o;
    char *below;  /* o.folder with its slash, or NULL */
    buf key;      /* of the item at hand, with its NUL */
    float *query; /* [dim] */
    float *row;   /* [dim] of the hit at hand */
    clipc_index_hits *out;
    float score;
    clipc_err *err;
} search;

static bool shape_fits(int shape, int64_t w, int64_t h)
{
    if (shape == CLIPC_ANY_SHAPE) return true;
    if (!w || !h) return false;
    return shape == CLIPC_LANDSCAPE ? w > h : shape == CLIPC_PORTRAIT ? w < h : w == h;
}

static bool name_fits(search *q, const store_item *it)
{
    if (!q->o.n_globs) return true;
    buf_clear(&q->key);
    if (buf_add(&q->key, it->key.data, it->key.size, NULL) != CLIPC_OK) return false;
    for (size_t i = 0; i < q->o.n_globs; i++) {
        const char *glob = q->o.globs[i];
        if (fnmatch(glob, strchr(glob, '/') ? q->key.data : path_base(q->key.data), 0) ==
            0)
            return true;
    }
    return false;
}

static bool lies_below(const char *below, const store_item *it)
{
    const size_t len = below ? strlen(below) : 0;

    return !below || (it->key.size > len && memcmp(it->key.data, below, len) == 0);
}

static bool fits(void *arg, const store_item *it)
{
    search *q = arg;
    const clipc_index_search_options *o = &q->o;

    if (!lies_below(q->below, it)) return false;
    if ((o->after || o->before) && !it->time) return false;
    if (o->after && it->time < o->after) return false;
    if (o->before && it->time >= o->before) return false;
    if (o->min_side && (it->width < o->min_side || it->height < o->min_side))
        return false;
    return shape_fits(o->shape, it->width, it->height) && name_fits(q, it);
}

/* Whether items are to be looked at, beside where they lie. */
static bool looks(const search *q)
{
    const clipc_index_search_options *o = &q->o;

    return o->after || o->before || o->min_side || o->shape || o->n_globs;
}

/* ---- hits ---- */

static int take_hit(void *arg, const store_item *it)
{
    search *q = arg;
    clipc_index_hits *h = q->out;

    if (h->n == q->o.k || !fits(q, it)) return CLIPC_OK;
    char *key = strndup(it->key.data, it->key.size);
    char *meta = it->meta ? strdup(it->meta) : NULL;
    if (!key || (it->meta && !meta)) {
        free(key);
        free(meta);
        return clipc_fail_memory(q->err, "hit", it->key.size);
    }
    h->v[h->n++] = (clipc_index_hit){.score = q->score,
                                     .key = key,
                                     .meta = meta,
                                     .time = it->time,
                                     .seconds = frames_seconds(it),
                                     .width = (uint32_t)it->width,
                                     .height = (uint32_t)it->height};
    return CLIPC_OK;
}

/* Whether a slot fits one of the `unless` better than the query; by its stored vector,
 * as the query's score is. */
static int fits_other(search *q, bool *other, uint64_t slot)
{
    const size_t dim = q->x->dim;
    int rc = CLIPC_OK;

    *other = false;
    if (q->o.n_unless)
        rc = store_vector_get(q->x->s, q->row, NULL, q->x->space, slot, q->err);
    for (size_t i = 0; rc == CLIPC_OK && i < q->o.n_unless; i++) {
        float score = 0.0f;
        clipc_similarity(&score, q->row, 1, q->o.unless + i * dim, 1, dim, 1.0f);
        *other = *other || score > q->score;
    }
    return rc;
}

static int take_slots(search *q, const store_hit *hits, size_t n)
{
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < n && q->out->n < q->o.k; i++) {
        bool other;
        q->score = hits[i].score;
        if (q->o.min_score != 0.0f && q->score < q->o.min_score) break;
        rc = fits_other(q, &other, hits[i].slot);
        if (rc == CLIPC_OK && !other)
            rc = store_each_item_of(q->x->s, q->x->space, hits[i].slot, take_hit, q,
                                    q->err);
    }
    return rc;
}

static void drop_hits(clipc_index_hits *h)
{
    for (size_t i = 0; i < h->n; i++) {
        free(h->v[i].key);
        free(h->v[i].meta);
    }
    h->n = 0;
}

/* A tenth of a second's scan and more, for few hits, and not of a small part of the
 * index: most of what is proposed would not be wanted. */
static bool near_is_worth_it(search *q, const slot_set *among)
{
    enum { HITS_MOST = 1000 };
    store_space is;

    if (q->o.scan != CLIPC_SCAN_AUTO) return q->o.scan == CLIPC_SCAN_APPROXIMATE;
    if (store_space_get(q->x->s, &is, q->x->space, NULL) != CLIPC_OK) return false;
    const uint64_t n = among ? among->count : is.used;
    return n >= approximate_from() && n >= is.used / 4 && q->o.k <= HITS_MOST;
}

/* A graph is read whole for its first search, which then costs what the scan does: it is
 * read for the handle's second. */
static bool near_is_there(search *q)
{
    store_approx is;
    clipc_err why;
    const int rc = store_approx_get(q->x->s, &is, q->x->space, &why);

    if (rc == CLIPC_ERR_FORMAT) q->out->passed = why;
    if (rc != CLIPC_OK) return false;
    return q->o.scan == CLIPC_SCAN_APPROXIMATE || is.kind != APPROX_HNSW ||
           q->x->searched++;
}

static int scan_exactly(search *q, store_hit *hits, size_t *n, size_t k,
                        const slot_set *among)
{
    q->out->approximate = 0;
    return store_scan(q->x->s, q->x->e, hits, n, q->x->space, q->query, 1, k, among,
                      q->err);
}

static int find_slots(search *q, store_hit *hits, size_t *n, size_t k,
                      const slot_set *among)
{
    if (!q->out->approximate) return scan_exactly(q, hits, n, k, among);
    if (store_near(q->x->s, q->x->e, hits, n, q->x->space, q->query, k, among,
                   &q->out->passed) == CLIPC_OK)
        return CLIPC_OK;
    return scan_exactly(q, hits, n, k, among);
}

/* The k best, or more of them while `unless` takes too many away. */
static int scan(search *q, const slot_set *among)
{
    bool more = true;
    int rc = CLIPC_OK;

    for (size_t k = q->o.k; rc == CLIPC_OK && more; k *= 4) {
        store_hit *hits = malloc(k * sizeof *hits);
        size_t n = 0;
        if (!hits) return clipc_fail_memory(q->err, "hits", k * sizeof *hits);
        rc = find_slots(q, hits, &n, k, among);
        drop_hits(q->out);
        if (rc == CLIPC_OK) rc = take_slots(q, hits, n);
        more = q->o.n_unless && n == k && q->out->n < q->o.k &&
               !(q->o.min_score != 0.0f && hits[n - 1].score < q->o.min_score);
        free(hits);
    }
    return rc;
}

static int select_and_scan(search *q)
{
    store_filter f = {.root = q->x->root, .accept = looks(q) ? fits : NULL, .arg = q};
    const bool all = !q->below && !looks(q);
    slot_set among = {0};
    int rc = CLIPC_OK;

    if (q->below) f.prefix = bytes_of(q->below, strlen(q->below));
    if (!all) rc = store_select(q->x->s, &among, q->x->space, &f, q->err);
    q->out->approximate =
        rc == CLIPC_OK && near_is_worth_it(q, all ? NULL : &among) && near_is_there(q);
    if (rc == CLIPC_OK) rc = scan(q, all ? NULL : &among);
    slot_set_free(&among);
    return rc;
}

/* ---- stores that search by themselves ---- */

static int take_scored(void *arg, const store_item *it, float score)
{
    search *q = arg;

    q->score = score;
    return q->o.min_score != 0.0f && score < q->o.min_score ? CLIPC_OK : take_hit(q, it);
}

static int search_there(search *q)
{
    store_query is = {
        .root = q->x->root, .space = q->x->space, .vector = q->query, .o = &q->o};

    if (q->below) is.prefix = bytes_of(q->below, strlen(q->below));
    return store_search(q->x->s, &is, take_scored, q, q->err);
}

/* ---- a search ---- */

static int start_search(search *q, clipc_ctx *ctx, const clipc_index_term *terms,
                        size_t n)
{
    const size_t dim = q->x->dim;

    for (size_t i = 0; i < n; i++)
        if (!ctx && !terms[i].vector)
            return clipc_fail(q->err, CLIPC_ERR_ARG,
                              "a query of texts or pictures needs a context");
    if (ctx && clipc_model_info_of(clipc_ctx_model(ctx))->embed_dim != dim)
        return clipc_fail(q->err, CLIPC_ERR_ARG, "the index is for another model");
    if (!q->o.k) q->o.k = 10;
    if (q->o.folder && !(q->below = path_join(q->o.folder, "")))
        return clipc_fail_memory(q->err, "path", strlen(q->o.folder));
    q->query = malloc(dim * sizeof *q->query);
    q->row = malloc(dim * sizeof *q->row);
    q->out->v = calloc(q->o.k, sizeof *q->out->v);
    if (!q->query || !q->row || !q->out->v)
        return clipc_fail_memory(q->err, "search", q->o.k * sizeof *q->out->v);
    return sum_terms(q->query, dim, ctx, terms, n, q->err);
}

int clipc_index_search(clipc_index_hits *out, clipc_index *x, clipc_ctx *ctx,
                       const clipc_index_term *terms, size_t n,
                       const clipc_index_search_options *options, clipc_err *err)
{
    search q = {.x = x, .out = out, .err = err};
    int rc;

    *out = (clipc_index_hits){0};
    if (options) q.o = *options;
    rc = start_search(&q, ctx, terms, n);
    if (rc == CLIPC_OK && x->space) {
        index_lock(x);
        rc = store_searches(x->s) ? search_there(&q) : select_and_scan(&q);
        index_unlock(x);
    }
    free(q.below);
    free(q.query);
    free(q.row);
    buf_free(&q.key);
    return rc;
}

void clipc_index_hits_free(clipc_index_hits *hits)
{
    drop_hits(hits);
    free(hits->v);
    *hits = (clipc_index_hits){0};
}

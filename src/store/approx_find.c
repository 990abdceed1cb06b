/* FAISS proposes, the stored vectors decide: what it finds is scored again as the exact
 * scan scores, and what it does not hold yet is scanned. */
#include <stdlib.h>
#include <string.h>

#include "base/ckd.h"
#include "base/sizes.h"
#include "store/approx.h"

/* Candidates for each that is wanted, of codes that tell little; and beyond those. */
enum { OF_CODES = 10, SPARE = 16 };

/* ---- FAISS's questions ---- */

static float row_dot(const void *arg, const float *query, uint64_t position)
{
    const approx_rows *r = arg;
    const uint64_t slot = r->a->slot[position];
    const void *row = vectors_row(r->v, slot);
    const dtype t = r->v->head.type;
    float score;

    (t == DT_F16   ? r->k->dots_f16
     : t == DT_F32 ? r->k->dots_f32
                   : r->k->dots_i8)(&score, &row, query, 1, r->v->head.dim);
    return t == DT_I8 ? score * vectors_scale(r->v, slot) : score;
}

static void row_read(const void *arg, float *x, uint64_t position)
{
    const approx_rows *r = arg;

    vectors_read(r->v, r->k, x, r->a->slot[position]);
}

static int row_wanted(const void *arg, uint64_t position)
{
    const approx_rows *r = arg;

    return position < r->a->is.vectors && slot_set_has(r->among, r->a->slot[position]);
}

shim_host approx_host(const approx_rows *rows)
{
    return (shim_host){
        .arg = rows, .dot = row_dot, .read = row_read, .wanted = row_wanted};
}

/* ---- what the file holds ---- */

/* Candidates, as positions, for k hits. */
static size_t candidates_for(const approx *a, size_t k)
{
    const uint64_t most = a->is.vectors;
    const size_t of = a->is.kind == APPROX_IVF_PQ ? OF_CODES : 1;

    return k < (most - most / 2) / of ? min_size(k * of + SPARE, (size_t)most)
                                      : (size_t)most;
}

/* A graph's search keeps as many as it looks at, of which some are not wanted. */
static size_t effort_for(const approx_rows *r, size_t n)
{
    const store_approx *is = &r->a->is;
    const size_t wanted = max_size((size_t)r->among->count, 1);

    if (is->kind == APPROX_IVF_PQ) return is->effort;
    return max_size(is->effort * min_size(div_up((size_t)is->vectors, wanted), 4), n);
}

static int propose(const approx_rows *r, int64_t *positions, size_t n, const float *query,
                   clipc_err *err)
{
    const shim_host host = approx_host(r);
    shim_why why;

    if (faiss_need("", NULL)->clipc_faiss_search(r->a->faiss, &host, query, n,
                                                 effort_for(r, n), positions, &why) == 0)
        return CLIPC_OK;
    return clipc_fail(err, CLIPC_ERR_MEMORY, "an approximate search: %s", why.text);
}

/* hits [m], in order, of the positions that are any. */
static size_t rank(const approx_rows *r, store_hit *hits, const int64_t *positions,
                   size_t m, const float *query, float *wide)
{
    size_t n = 0;

    for (size_t i = 0; i < m; i++)
        if (positions[i] >= 0 && row_wanted(r, (uint64_t)positions[i]))
            hits[n++].slot = r->a->slot[positions[i]];
    hits_rank(hits, n, r->v, r->k, query, wide);
    return n;
}

int approx_find(const approx_rows *r, store_hit *hits, size_t *n, const float *query,
                size_t k, clipc_err *err)
{
    const size_t m = candidates_for(r->a, k);
    int64_t *positions = malloc((m + 1) * sizeof *positions);
    store_hit *found = malloc((m + 1) * sizeof *found);
    float *wide = malloc(r->v->head.dim * sizeof *wide);
    int rc = positions && found && wide
                 ? CLIPC_OK
                 : clipc_fail_memory(err, "a search", m * sizeof *found);

    *n = 0;
    if (rc == CLIPC_OK) rc = propose(r, positions, m, query, err);
    if (rc == CLIPC_OK) {
        *n = min_size(k, rank(r, found, positions, m, query, wide));
        memcpy(hits, found, *n * sizeof *hits);
    }
    free(positions);
    free(found);
    free(wide);
    return rc;
}

/* ---- and what is newer ---- */

/* Of `among`, what the file does not hold. */
static int uncovered(slot_set *out, const approx *a, const slot_set *among,
                     clipc_err *err)
{
    const size_t words = (size_t)(among->slots / 64) + 1;
    const size_t have = min_size(words, (size_t)(a->covered.slots / 64) + 1);
    const int rc = slot_set_new(out, among->slots, err);

    for (size_t w = 0; rc == CLIPC_OK && w < words; w++) {
        out->bits[w] = among->bits[w] & ~(w < have ? a->covered.bits[w] : 0);
        out->count += (uint64_t)__builtin_popcountll(out->bits[w]);
    }
    return rc;
}

/* FAISS's of that space, as its file is now. */
static int need_index(store *s, space_file *f, int64_t space, clipc_err *err)
{
    approx_of of;
    int rc = approx_of_space(&of, s, space, err);

    if (rc == CLIPC_OK && (!f->near || f->near->file != approx_file_mark(of.path))) {
        approx_free(f->near);
        rc = approx_load(&f->near, &of, false, err);
    }
    free(of.path);
    return rc;
}

/* hits [2 k], of which *n come out in order. */
static int find_both(store *s, exec *x, const approx_rows *r, store_hit *hits, size_t *n,
                     int64_t space, const float *query, size_t k, clipc_err *err)
{
    slot_set rest = {0};
    size_t more = 0;
    int rc = approx_find(r, hits, n, query, k, err);

    if (rc == CLIPC_OK) rc = uncovered(&rest, r->a, r->among, err);
    if (rc == CLIPC_OK && rest.count)
        rc = store_scan(s, x, hits + *n, &more, space, query, 1, k, &rest, err);
    if (rc == CLIPC_OK && more) hits_sort(hits, *n + more);
    *n = min_size(k, *n + more);
    slot_set_free(&rest);
    return rc;
}

static int find_among(store *s, exec *x, const approx_rows *r, store_hit *hits,
                      size_t *n_hits, int64_t space, const float *query, size_t k,
                      clipc_err *err)
{
    const size_t most = min_size(k, (size_t)r->among->slots);
    store_hit *both = malloc((2 * most + 1) * sizeof *both);
    int rc = both ? queries_check(r->k, query, 1, r->v->head.dim, err)
                  : clipc_fail_memory(err, "a search", 2 * most * sizeof *both);

    *n_hits = 0;
    if (rc == CLIPC_OK && most)
        rc = find_both(s, x, r, both, n_hits, space, query, most, err);
    /* A graph's search ends early where few of its vectors are wanted. */
    if (rc == CLIPC_OK && *n_hits < min_size(most, (size_t)r->among->count))
        rc = store_scan(s, x, both, n_hits, space, query, 1, most, r->among, err);
    if (rc == CLIPC_OK) memcpy(hits, both, *n_hits * sizeof *hits);
    free(both);
    return rc;
}

int store_near(store *s, exec *x, store_hit *hits, size_t *n_hits, int64_t space,
               const float *query, size_t k, const slot_set *among, clipc_err *err)
{
    space_view v;
    int rc = space_view_open(&v, s, space, among, err);

    if (rc == CLIPC_OK) rc = need_index(s, v.f, space, err);
    if (rc == CLIPC_OK) {
        const approx_rows rows = {
            .a = v.f->near, .v = &v.f->v, .k = s->k, .among = v.among};
        rc = find_among(s, x, &rows, hits, n_hits, space, query, k, err);
    }
    space_view_close(&v);
    return rc;
}

int store_approx_get(store *s, store_approx *out, int64_t space, clipc_err *err)
{
    approx_of of;
    bool own;
    int rc = catalogue_hold(s, &own, err);

    *out = (store_approx){0};
    if (rc == CLIPC_OK) rc = approx_of_space(&of, s, space, err);
    if (rc == CLIPC_OK) {
        rc = approx_head_read(out, &of, err);
        free(of.path);
    }
    catalogue_release(s, own);
    return rc;
}

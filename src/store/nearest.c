/* The rows of a piece (the slots of a block that are wanted) against all queries: a few
 * queries by kernels that read the rows as they are stored, more of them as a matrix
 * product, whose panels are made of the stored rows where it needs them, so that nothing
 * is written out.  What beats the worst of a query's best so far goes into a heap, one
 * for each thread and query; what is best does not depend on which thread found it.  The
 * candidates, some more than wanted, are then scored again, all in one way. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/ckd.h"
#include "base/sizes.h"
#include "store/catalogue.h"
#include "tensor/block_sizes.h"
#include "tensor/gemm.h"

/* FEW: queries that are faster one by one.  ROWS: of a product at a time, a whole number
 * of tiles for every instruction set.  SPARE: candidates beyond those wanted, for sums
 * that were rounded another way. */
enum { FEW = 3, AT_ONCE = 256, ROWS = 84, SPARE = 16 };

/* The best so far, the worst of them first: a heap. */
typedef struct best {
    store_hit *hit; /* [most] */
    size_t n, most;
} best;

typedef struct scan {
    exec *x;
    const vectors *v;
    const slot_set *among;
    const float *queries; /* [Q,dim] */
    float *packed;        /* the same, as a product's weights; NULL: few */
    float *scores;        /* [threads,ROWS,Q] or, of few, [threads,VECTORS_BLOCK] */
    best *found;          /* [threads,Q] */
    store_hit *hits;      /* theirs */
    size_t Q, most;
} scan;

static bool better(const store_hit *a, const store_hit *b)
{
    return a->score > b->score || (a->score == b->score && a->slot < b->slot);
}

static void sink(store_hit *hit, size_t n, size_t i)
{
    const store_hit h = hit[i];

    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && better(&hit[child], &hit[child + 1])) child++;
        if (!better(&h, &hit[child])) break;
        hit[i] = hit[child];
    }
    hit[i] = h;
}

static void rise(store_hit *hit, size_t i)
{
    const store_hit h = hit[i];

    for (; i && better(&hit[(i - 1) / 2], &h); i = (i - 1) / 2) hit[i] = hit[(i - 1) / 2];
    hit[i] = h;
}

static void keep(best *b, store_hit h)
{
    if (b->n < b->most) {
        b->hit[b->n] = h;
        rise(b->hit, b->n++);
    } else if (better(&h, &b->hit[0])) {
        b->hit[0] = h;
        sink(b->hit, b->n, 0);
    }
}

/* What a score must reach to be looked at. */
static float bar(const best *b)
{
    return b->n < b->most ? -INFINITY : b->hit[0].score;
}

/* ---- the rows of a piece ---- */

typedef struct piece {
    size_t n;
    uint64_t slot[VECTORS_BLOCK];
    const void *row[VECTORS_BLOCK];
    const vectors *v;
} piece;

static void gather_piece(piece *p, const scan *s, size_t block)
{
    const uint64_t first = (uint64_t)block * VECTORS_BLOCK;

    p->v = s->v;
    p->n = 0;
    for (size_t w = 0; w < VECTORS_BLOCK / 64 && first + 64 * w < s->among->slots; w++)
        for (uint64_t bits = s->among->bits[first / 64 + w]; bits; bits &= bits - 1) {
            const uint64_t slot = first + 64 * w + (uint64_t)__builtin_ctzll(bits);
            p->slot[p->n] = slot;
            p->row[p->n++] = vectors_row(s->v, slot);
        }
}

static void scale_scores(float *scores, const piece *p, size_t i, size_t n, size_t Q)
{
    if (p->v->head.type != DT_I8) return;
    for (size_t r = 0; r < n; r++) {
        const float scale = vectors_scale(p->v, p->slot[i + r]);
        for (size_t q = 0; q < Q; q++) scores[r * Q + q] *= scale;
    }
}

/* ---- few queries ---- */

static void few(const scan *s, const piece *p, size_t thread)
{
    float *scores = s->scores + thread * VECTORS_BLOCK;
    const kernels *k = s->x->k;
    const dtype t = s->v->head.type;

    for (size_t q = 0; q < s->Q; q++) {
        best *b = &s->found[thread * s->Q + q];
        (t == DT_F16   ? k->dots_f16
         : t == DT_F32 ? k->dots_f32
                       : k->dots_i8)(scores, p->row, s->queries + q * s->v->head.dim,
                                     p->n, s->v->head.dim);
        scale_scores(scores, p, 0, p->n, 1);
        for (size_t i = 0; i < p->n; i++)
            if (scores[i] >= bar(b)) keep(b, (store_hit){p->slot[i], scores[i]});
    }
}

/* ---- many ---- */

static void to_f32(const kernels *k, float *y, const void *row, dtype t, size_t from,
                   size_t n)
{
    if (t == DT_F16) k->f16_to_f32(y, (const uint16_t *)row + from, n);
    else k->i8_to_f32(y, (const int8_t *)row + from, n);
}

/* mat.panel: `from` is a piece, from its row i0 on. */
static void panel(const kernels *k, float *dst, const void *from, size_t i0, size_t m,
                  size_t k0, size_t kc, size_t stride)
{
    const piece *p = from;
    const dtype t = p->v->head.type;
    float wide[GEMM_MR_MAX * GEMM_KC];
    const float *rows[GEMM_MR_MAX];

    assert(m <= GEMM_MR_MAX && kc <= GEMM_KC);
    for (size_t i = 0; i < m; i++) {
        rows[i] = wide + i * kc;
        if (t == DT_F32) rows[i] = (const float *)p->row[i0 + i] + k0;
        else to_f32(k, wide + i * kc, p->row[i0 + i], t, k0, kc);
    }
    k->gather(dst, stride, rows, m, kc);
}

/* Most rows beat no query's best. */
static bool any_reaches(const float *scores, const float *bars, size_t Q)
{
    int any = 0;

    for (size_t q = 0; q < Q; q++) any |= scores[q] >= bars[q];
    return any;
}

static void keep_row(const scan *s, float *bars, const float *scores, uint64_t slot,
                     best *found)
{
    for (size_t q = 0; q < s->Q; q++)
        if (scores[q] >= bars[q]) {
            keep(&found[q], (store_hit){slot, scores[q]});
            bars[q] = bar(&found[q]);
        }
}

static void many(const scan *s, const piece *p, size_t thread)
{
    float *scores = s->scores + thread * ROWS * s->Q;
    best *found = s->found + thread * s->Q;
    float bars[AT_ONCE];

    for (size_t q = 0; q < s->Q; q++) bars[q] = bar(&found[q]);
    for (size_t i = 0; i < p->n; i += ROWS) {
        const size_t n = min_size(ROWS, p->n - i);
        piece part = {.v = p->v};
        memcpy(part.row, p->row + i, n * sizeof *part.row);
        gemm_packed_serial(s->x, thread, scores, s->Q,
                           (mat){.panel = panel, .from = &part}, s->packed, n, s->Q,
                           s->v->head.dim);
        scale_scores(scores, p, i, n, s->Q);
        for (size_t r = 0; r < n; r++)
            if (any_reaches(scores + r * s->Q, bars, s->Q))
                keep_row(s, bars, scores + r * s->Q, p->slot[i + r], found);
    }
}

static void scan_block(void *arg, size_t thread, size_t block)
{
    const scan *s = arg;
    piece p;

    gather_piece(&p, s, block);
    if (p.n) (s->packed ? many : few)(s, &p, thread);
}

/* ---- the end ---- */

static int by_rank(const void *a, const void *b)
{
    return better(a, b) ? -1 : better(b, a);
}

void hits_sort(store_hit *hits, size_t n)
{
    qsort(hits, n, sizeof *hits, by_rank);
}

void hits_rank(store_hit *hits, size_t n, const vectors *v, const kernels *k,
               const float *query, float *wide)
{
    for (size_t i = 0; i < n; i++) {
        vectors_read(v, k, wide, hits[i].slot);
        hits[i].score = (float)k->dot(query, wide, v->head.dim);
    }
    hits_sort(hits, n);
}

/* Puts all threads' best of a query into the first one's, scored again, in order. */
static void finish(const scan *s, float *wide, size_t q)
{
    best *all = &s->found[q];

    for (size_t t = 1; t < s->x->threads; t++) {
        const best *b = &s->found[t * s->Q + q];
        for (size_t i = 0; i < b->n; i++) keep(all, b->hit[i]);
    }
    hits_rank(all->hit, all->n, s->v, s->x->k, s->queries + q * s->v->head.dim, wide);
}

/* ---- a scan ---- */

static int take_memory(scan *s, float **wide, clipc_err *err)
{
    const size_t threads = s->x->threads, dim = s->v->head.dim;
    const size_t rows = s->Q > FEW ? ROWS * s->Q : VECTORS_BLOCK;
    size_t bytes;

    if (ckd_mul_size(&bytes, threads * s->Q * sizeof *s->hits, s->most))
        return clipc_fail(err, CLIPC_ERR_LIMIT, "%zu best of %zu queries are too many",
                          s->most, s->Q);
    s->hits = malloc(max_size(bytes, 1));
    s->found = calloc(threads * s->Q, sizeof *s->found);
    s->scores = malloc(threads * rows * sizeof *s->scores);
    *wide = malloc(dim * sizeof **wide);
    if (s->Q > FEW)
        s->packed = aligned_alloc(
            ARENA_ALIGN,
            div_up(gemm_packed_bytes(WEIGHTS_F32, s->Q, dim), ARENA_ALIGN) * ARENA_ALIGN);
    if (!s->hits || !s->found || !s->scores || !*wide || (s->Q > FEW && !s->packed))
        return clipc_fail_memory(err, "a search", bytes);
    for (size_t i = 0; i < threads * s->Q; i++)
        s->found[i] = (best){.hit = s->hits + i * s->most, .most = s->most};
    return CLIPC_OK;
}

/* hits [Q,k] and n_hits [Q] of at most AT_ONCE queries. */
static int scan_some(scan s, store_hit *hits, size_t *n_hits, size_t k, clipc_err *err)
{
    const size_t dim = s.v->head.dim;
    float *wide = NULL;
    const int rc = take_memory(&s, &wide, err);

    if (rc == CLIPC_OK && s.packed)
        gemm_pack(s.x->k, s.packed, WEIGHTS_F32, mat_t(s.queries, dim), s.Q, dim);
    if (rc == CLIPC_OK)
        exec_each(s.x, scan_block, &s,
                  (size_t)((s.among->slots + VECTORS_BLOCK - 1) / VECTORS_BLOCK));
    for (size_t q = 0; rc == CLIPC_OK && q < s.Q; q++) {
        finish(&s, wide, q);
        n_hits[q] = min_size(k, s.found[q].n);
        memcpy(hits + q * k, s.found[q].hit, n_hits[q] * sizeof *hits);
    }
    free(s.hits);
    free(s.found);
    free(s.scores);
    free(s.packed);
    free(wide);
    return rc;
}

int queries_check(const kernels *k, const float *queries, size_t Q, size_t dim,
                  clipc_err *err)
{
    const float most = k->max_abs(queries, Q * dim);

    return isfinite(most)
               ? CLIPC_OK
               : clipc_fail(err, CLIPC_ERR_NUMBER, "a query holds a number that is none");
}

static int scan_all(scan s, store_hit *hits, size_t *n_hits, size_t k, clipc_err *err)
{
    const size_t Q = s.Q;
    int rc = queries_check(s.x->k, s.queries, Q, s.v->head.dim, err);

    s.most = (size_t)s.among->slots;
    if (k < s.most && s.most - k > SPARE) s.most = k + SPARE;
    for (size_t q = 0; q < Q && rc == CLIPC_OK; q += AT_ONCE) {
        s.Q = min_size(AT_ONCE, Q - q);
        rc = scan_some(s, hits + q * k, n_hits + q, k, err);
        s.queries += s.Q * s.v->head.dim;
    }
    return rc;
}

int space_view_open(space_view *v, store *s, int64_t space, const slot_set *among,
                    clipc_err *err)
{
    store_space is;
    int rc;

    *v = (space_view){.s = s, .among = among ? among : &v->used};
    rc = catalogue_hold(s, &v->own, err);
    if (rc == CLIPC_OK) rc = space_open(s, &v->f, &is, space, err);
    if (rc == CLIPC_OK && !among) rc = store_select(s, &v->used, space, NULL, err);
    if (rc == CLIPC_OK && v->among->slots > is.slots)
        rc = clipc_fail(err, CLIPC_ERR_ARG, "%s: slots of a later state", v->f->v.path);
    return rc == CLIPC_OK ? vectors_reach(&v->f->v, is.slots, err) : rc;
}

void space_view_close(space_view *v)
{
    slot_set_free(&v->used);
    catalogue_release(v->s, v->own);
}

int store_scan(store *s, exec *x, store_hit *hits, size_t *n_hits, int64_t space,
               const float *queries, size_t Q, size_t k, const slot_set *among,
               clipc_err *err)
{
    space_view v;
    int rc = space_view_open(&v, s, space, among, err);

    if (rc == CLIPC_OK)
        rc = scan_all(
            (scan){.x = x, .v = &v.f->v, .among = v.among, .queries = queries, .Q = Q},
            hits, n_hits, k, err);
    space_view_close(&v);
    return rc;
}

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "index/frames.h"

enum {
    SIDE = 32,    /* pixels that are compared, after a resize */
    QUERIES = 64, /* that are scanned together */
    NEAREST = 32  /* pictures that one is compared with */
};

typedef struct picture {
    size_t key; /* offset in the text */
    uint64_t slot;
    int64_t bytes, taken; /* taken: by EXIF; 0: not known */
    uint32_t width, height;
    uint8_t *pixels; /* [SIDE,SIDE,3], made when first wanted */
    bool no_pixels;
    size_t up; /* towards the group's first, by edges */
    bool told;
} picture;

/* Two pictures that are each other's twins.  Those of a group are a tree: n edges have
 * n + 1 pictures. */
typedef struct edge {
    size_t a, b, group;
    int reason;
    float score, difference;
} edge;

typedef struct twins {
    clipc_index *x;
    clipc_index_twin_options o;
    void *user;
    picture *v; /* in order of slot */
    size_t n, cap;
    buf keys;
    edge *edges;
    size_t n_edges, cap_edges;
    clipc_err *err;
} twins;

static const char *key_of(const twins *t, const picture *p)
{
    return t->keys.data + p->key;
}

/* ---- the pictures ---- */

/* Files that were copied together have one time, too: that says nothing. */
static int64_t taken_at(const store_item *it)
{
    return it->time == it->mtime / 1000000000 ? 0 : it->time;
}

static int note_picture(void *arg, const store_item *it)
{
    twins *t = arg;
    uint64_t slot;
    bool there = false;
    if (frames_seconds(it) >= 0.0) return CLIPC_OK; /* whose pixels no file has */
    int rc = it->hashed ? store_vector_find(t->x->s, &slot, &there, t->x->space,
                                            &it->hash, t->err)
                        : CLIPC_OK;

    if (rc != CLIPC_OK || !there) return rc;
    if (t->n == t->cap) {
        const size_t cap = t->cap ? 2 * t->cap : 256;
        picture *v = realloc(t->v, cap * sizeof *v);
        if (!v) return clipc_fail_memory(t->err, "pictures", cap * sizeof *v);
        t->v = v, t->cap = cap;
    }
    t->v[t->n++] = (picture){.key = t->keys.len,
                             .slot = slot,
                             .bytes = it->size,
                             .taken = taken_at(it),
                             .width = (uint32_t)it->width,
                             .height = (uint32_t)it->height};
    rc = buf_add(&t->keys, it->key.data, it->key.size, t->err);
    return rc == CLIPC_OK ? buf_add(&t->keys, "", 1, t->err) : rc;
}

/* Of one content, the best named first: so that the others are its copies. */
static int by_slot(const void *a, const void *b)
{
    const picture *x = a, *y = b;

    if (x->slot != y->slot) return x->slot < y->slot ? -1 : 1;
    return x->key < y->key ? -1 : x->key > y->key;
}

/* ---- groups ---- */

static size_t first_of(twins *t, size_t i)
{
    while (t->v[i].up != i) i = t->v[i].up = t->v[t->v[i].up].up;
    return i;
}

static int join(twins *t, edge e)
{
    const size_t a = first_of(t, e.a), b = first_of(t, e.b);

    if (a == b) return CLIPC_OK; /* one reason is enough */
    if (t->n_edges == t->cap_edges) {
        const size_t cap = t->cap_edges ? 2 * t->cap_edges : 64;
        edge *v = realloc(t->edges, cap * sizeof *v);
        if (!v) return clipc_fail_memory(t->err, "groups", cap * sizeof *v);
        t->edges = v, t->cap_edges = cap;
    }
    t->edges[t->n_edges++] = e;
    t->v[b].up = a;
    return CLIPC_OK;
}

/* ---- pixels ---- */

static const uint8_t *pixels_of(twins *t, picture *p)
{
    const clipc_crop_options o = {.recipe = "squash",
                                  .rows = SIDE,
                                  .columns = SIDE,
                                  .auto_orient = 1,
                                  .fast_decode = 1};

    if (p->pixels || p->no_pixels) return p->pixels;
    p->no_pixels = *key_of(t, p) != '/';
    if (!p->no_pixels) p->pixels = malloc(SIDE * SIDE * 3);
    if (p->pixels && clipc_crop_file(p->pixels, key_of(t, p), &o, NULL) != CLIPC_OK) {
        free(p->pixels);
        p->pixels = NULL;
        p->no_pixels = true; /* it is gone by now, say */
    }
    return p->pixels;
}

static float difference_of(twins *t, picture *a, picture *b)
{
    const uint8_t *x = pixels_of(t, a), *y = pixels_of(t, b);
    long sum = 0;

    if (!x || !y) return INFINITY;
    for (size_t i = 0; i < SIDE * SIDE * 3; i++) sum += labs((long)x[i] - (long)y[i]);
    return (float)sum / (SIDE * SIDE * 3);
}

static int compare(twins *t, size_t a, size_t b, float score)
{
    picture *x = &t->v[a], *y = &t->v[b];
    edge e = {.a = a, .b = b, .score = score};

    if (first_of(t, a) == first_of(t, b)) return CLIPC_OK;
    e.difference = difference_of(t, x, y);
    if (e.difference <= t->o.max_difference) e.reason = CLIPC_TWIN_COPY;
    else if (x->taken && y->taken && fabs((double)(x->taken - y->taken)) <= t->o.burst)
        e.reason = CLIPC_TWIN_BURST;
    return e.reason ? join(t, e) : CLIPC_OK;
}

/* ---- the search for them ---- */

/* Pictures of the same content follow each other. */
static int join_same(twins *t)
{
    int rc = CLIPC_OK;

    for (size_t i = 1; rc == CLIPC_OK && i < t->n; i++)
        if (t->v[i].slot == t->v[i - 1].slot)
            rc = join(
                t, (edge){.a = i - 1, .b = i, .reason = CLIPC_TWIN_BYTES, .score = 1.0f});
    return rc;
}

/* The first picture of a slot; t->n if there is none. */
static size_t find_slot(const twins *t, uint64_t slot)
{
    size_t low = 0, high = t->n;

    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (t->v[middle].slot < slot) low = middle + 1;
        else high = middle;
    }
    return low < t->n && t->v[low].slot == slot ? low : t->n;
}

/* What scans need. */
typedef struct scanning {
    float *queries; /* [QUERIES,dim] */
    store_hit hits[QUERIES * NEAREST];
    size_t n_hits[QUERIES], of[QUERIES], n;
} scanning;

/* The nearest pictures of the next ones that are first of their slot, from *at on. */
static int scan_some(twins *t, scanning *s, const slot_set *among, size_t *at)
{
    int rc = CLIPC_OK;

    index_lock(t->x);
    for (s->n = 0; rc == CLIPC_OK && *at < t->n && s->n < QUERIES; ++*at) {
        if (*at && t->v[*at].slot == t->v[*at - 1].slot) continue;
        rc = store_vector_get(t->x->s, s->queries + s->n * t->x->dim, NULL, t->x->space,
                              t->v[*at].slot, t->err);
        s->of[s->n++] = *at;
    }
    if (rc == CLIPC_OK && s->n)
        rc = store_scan(t->x->s, t->x->e, s->hits, s->n_hits, t->x->space, s->queries,
                        s->n, NEAREST, among, t->err);
    index_unlock(t->x);
    return rc;
}

static int join_near(twins *t, scanning *s, const slot_set *among)
{
    int rc = CLIPC_OK;

    for (size_t at = 0; rc == CLIPC_OK && at < t->n;) {
        if (t->o.stop && t->o.stop(t->user)) return CLIPC_OK;
        rc = scan_some(t, s, among, &at);
        for (size_t q = 0; rc == CLIPC_OK && q < s->n; q++)
            for (size_t i = 0; rc == CLIPC_OK && i < s->n_hits[q]; i++) {
                const store_hit *h = &s->hits[q * NEAREST + i];
                const size_t other = find_slot(t, h->slot);
                if (h->score < t->o.min_score) break;
                if (other > s->of[q] && other < t->n)
                    rc = compare(t, s->of[q], other, h->score);
            }
        if (t->o.on_progress) t->o.on_progress(t->user, at, t->n);
    }
    return rc;
}

static int find_near(twins *t)
{
    scanning *s = malloc(sizeof *s);
    slot_set among = {.slots = t->n ? t->v[t->n - 1].slot + 1 : 0};
    int rc = CLIPC_OK;

    if (s) s->queries = malloc(QUERIES * t->x->dim * sizeof *s->queries);
    among.bits = calloc(among.slots / 64 + 1, sizeof *among.bits);
    if (!s || !s->queries || !among.bits)
        rc = clipc_fail_memory(t->err, "scan", sizeof *s);
    for (size_t i = 0; rc == CLIPC_OK && i < t->n; i++) {
        uint64_t *word = &among.bits[t->v[i].slot / 64];
        const uint64_t bit = (uint64_t)1 << t->v[i].slot % 64;
        among.count += !(*word & bit);
        *word |= bit;
    }
    if (rc == CLIPC_OK) rc = join_near(t, s, &among);
    if (s) free(s->queries);
    free(s);
    slot_set_free(&among);
    return rc;
}

/* ---- telling ---- */

static bool better(const picture *a, const picture *b)
{
    const uint64_t x = (uint64_t)a->width * a->height, y = (uint64_t)b->width * b->height;

    return x != y ? x > y : a->bytes > b->bytes;
}

static clipc_index_twin twin_of(const twins *t, const picture *p)
{
    return (clipc_index_twin){
        .key = key_of(t, p), .bytes = p->bytes, .width = p->width, .height = p->height};
}

typedef struct telling {
    clipc_index_twin *group;
    size_t *members, n;
} telling;

static size_t place_of(const telling *g, size_t number)
{
    for (size_t i = 0; i < g->n; i++)
        if (g->members[i] == number) return i;
    return g->n;
}

/* Adds what an edge leads to from a member. */
static void follow(twins *t, telling *g, const edge *e)
{
    const bool forth = t->v[e->a].told && !t->v[e->b].told;
    const size_t from = forth ? e->a : e->b, to = forth ? e->b : e->a;

    if (t->v[e->a].told == t->v[e->b].told) return;
    clipc_index_twin *twin = &g->group[g->n];
    *twin = twin_of(t, &t->v[to]);
    twin->reason = e->reason;
    twin->of = place_of(g, from);
    twin->score = e->score;
    twin->difference = e->difference;
    twin->seconds = fabs((double)(t->v[to].taken - t->v[from].taken));
    g->members[g->n++] = to;
    t->v[to].told = true;
}

static int by_group(const void *a, const void *b)
{
    const edge *x = a, *y = b;

    if (x->group != y->group) return x->group < y->group ? -1 : 1;
    return x->a != y->a ? (x->a < y->a ? -1 : 1) : x->b < y->b ? -1 : x->b > y->b;
}

static int tell_group(twins *t, telling *g, const edge *edges, size_t n,
                      int (*on)(void *user, const clipc_index_twin *group, size_t n))
{
    size_t best = edges[0].a;

    for (size_t i = 0; i < n; i++) {
        if (better(&t->v[edges[i].a], &t->v[best])) best = edges[i].a;
        if (better(&t->v[edges[i].b], &t->v[best])) best = edges[i].b;
    }
    g->group[0] = twin_of(t, &t->v[best]);
    g->members[0] = best;
    g->n = 1;
    t->v[best].told = true;
    while (g->n <= n)
        for (size_t i = 0; i < n; i++) follow(t, g, &edges[i]);
    return on(t->user, g->group, g->n);
}

static int tell(twins *t, int (*on)(void *user, const clipc_index_twin *group, size_t n))
{
    telling g = {.group = malloc((t->n_edges + 1) * sizeof *g.group),
                 .members = malloc((t->n_edges + 1) * sizeof *g.members)};
    int rc =
        g.group && g.members ? CLIPC_OK : clipc_fail_memory(t->err, "groups", t->n_edges);

    for (size_t i = 0; i < t->n_edges; i++)
        t->edges[i].group = first_of(t, t->edges[i].a);
    if (t->n_edges) qsort(t->edges, t->n_edges, sizeof *t->edges, by_group);
    for (size_t i = 0, n; rc == CLIPC_OK && i < t->n_edges; i += n) {
        for (n = 1; i + n < t->n_edges; n++)
            if (t->edges[i + n].group != t->edges[i].group) break;
        rc = tell_group(t, &g, &t->edges[i], n, on);
    }
    free(g.group);
    free(g.members);
    return rc;
}

int clipc_index_twins(clipc_index *x, const char *folder,
                      const clipc_index_twin_options *options,
                      int (*on)(void *user, const clipc_index_twin *group, size_t n),
                      void *user, clipc_err *err)
{
    twins t = {.x = x, .user = user, .err = err};
    int rc;

    if (options) t.o = *options;
    if (!(t.o.min_score > 0)) t.o.min_score = 0.9f;
    if (!(t.o.max_difference > 0)) t.o.max_difference = 6.0f;
    if (!(t.o.burst > 0)) t.o.burst = 3.0;
    if (!x->space) return CLIPC_OK;
    if (store_searches(x->s))
        return clipc_fail(err, CLIPC_ERR_FEATURE,
                          "%s: copies are looked for in an index in a folder",
                          store_name(x->s));
    index_lock(x);
    rc = index_each_below(x, folder, (store_filter){0}, note_picture, &t, err);
    index_unlock(x);
    if (t.n) qsort(t.v, t.n, sizeof *t.v, by_slot);
    for (size_t i = 0; i < t.n; i++) t.v[i].up = i;
    if (rc == CLIPC_OK) rc = join_same(&t);
    if (rc == CLIPC_OK && t.n) rc = find_near(&t);
    if (rc == CLIPC_OK) rc = tell(&t, on);
    for (size_t i = 0; i < t.n; i++) free(t.v[i].pixels);
    free(t.v);
    free(t.edges);
    buf_free(&t.keys);
    return rc;
}

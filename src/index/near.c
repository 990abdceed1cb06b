#include "index/near.h"

#include <stdlib.h>
#include <time.h>

#include "base/cpus.h"
#include "index/place.h"

/* Seconds until what began, and may have failed, is due again. */
enum { AGAIN = 600 };
static const approx_kind kinds[] = {
    [CLIPC_APPROXIMATE_HNSW] = APPROX_HNSW, [CLIPC_APPROXIMATE_IVF_PQ] = APPROX_IVF_PQ};

uint64_t approximate_from(void)
{
    const char *text = getenv("CLIPC_APPROXIMATE_FROM");
    char *end;
    const unsigned long long n = text ? strtoull(text, &end, 10) : 0;

    return n && !*end ? n : CLIPC_APPROXIMATE_FROM;
}

clipc_index_approximate approximate_shown(const store_approx *is)
{
    return (clipc_index_approximate){.kind = !is->vectors ? CLIPC_APPROXIMATE_NONE
                                             : is->kind == APPROX_HNSW
                                                 ? CLIPC_APPROXIMATE_HNSW
                                                 : CLIPC_APPROXIMATE_IVF_PQ,
                                     .vectors = (size_t)is->vectors,
                                     .bytes = is->bytes,
                                     .recall = is->recall};
}

static store_approx_options store_options(const clipc_index_build_options *o)
{
    return (store_approx_options){.kind = o->kind ? &kinds[o->kind] : NULL,
                                  .least = o->due ? approximate_from() : 0,
                                  .due = o->due,
                                  .stop = o->stop,
                                  .on_progress = o->on_progress,
                                  .user = o->user};
}

/* ---- of all models ---- */

/* A store may not be asked for more while its spaces are walked. */
typedef struct spaces {
    int64_t id[64]; /* an index of more models is brought up to date in part */
    size_t n;
} spaces;

static int note_space(void *arg, const store_space *space)
{
    spaces *l = arg;

    if (l->n < sizeof l->id / sizeof *l->id) l->id[l->n++] = space->id;
    return CLIPC_OK;
}

static int build_space(store *s, exec *e, int64_t id, const clipc_index_build_options *o,
                       void (*on)(void *user, const clipc_index_approximate *a),
                       void *user, clipc_err *err)
{
    static const int made[] = {[APPROX_SOUND] = 0, [APPROX_ANEW] = 1, [APPROX_GROW] = 2};
    const store_approx_options options = store_options(o);
    store_approx_built built;
    store_space space;
    int rc = store_approx_build(s, e, &built, id, &options, err);

    if (rc == CLIPC_OK) rc = store_space_get(s, &space, id, err);
    if (rc != CLIPC_OK) return rc;
    clipc_index_approximate a = approximate_shown(&built.is);
    a.model = space.model;
    a.made = made[built.did];
    a.seconds = built.seconds;
    a.ms = built.near_ms;
    a.exact = built.exact_ms;
    if (on) on(user, &a);
    return CLIPC_OK;
}

int clipc_index_build(const char *folder, const clipc_index_build_options *options,
                      void (*on)(void *user, const clipc_index_approximate *a),
                      void *user, clipc_err *err)
{
    const clipc_index_build_options o =
        options ? *options : (clipc_index_build_options){0};
    spaces all = {0};
    char *place = NULL;
    store *s = NULL;
    exec *e = NULL;
    int rc = index_place(&place, folder, err);

    if (rc == CLIPC_OK && (o.kind < 0 || o.kind > CLIPC_APPROXIMATE_IVF_PQ))
        rc = clipc_fail(err, CLIPC_ERR_ARG, "no kind of approximate index %d", o.kind);
    if (rc == CLIPC_OK) rc = exec_new(&e, o.threads ? o.threads : cpus_usable(), 0, err);
    if (rc == CLIPC_OK) rc = store_open(&s, place, STORE_READ, err);
    if (rc == CLIPC_OK && store_searches(s))
        rc = clipc_fail(err, CLIPC_ERR_FEATURE, "%s: has an index of its own",
                        store_name(s));
    if (rc == CLIPC_OK) rc = store_each_space(s, note_space, &all, err);
    for (size_t i = 0; rc == CLIPC_OK && i < all.n; i++)
        rc = build_space(s, e, all.id[i], &o, on, user, err);
    store_close(s);
    exec_free(e);
    free(place);
    return rc;
}

int clipc_index_build_due(clipc_index *x)
{
    const store_approx_options o = {.least = approximate_from(), .due = true};
    approx_need need = APPROX_SOUND;

    if (!x->space || store_searches(x->s)) return 0;
    index_lock(x);
    if (time(NULL) - store_approx_began(x->s) >= AGAIN)
        store_approx_needs(x->s, &need, x->space, &o, NULL);
    index_unlock(x);
    return need != APPROX_SOUND;
}

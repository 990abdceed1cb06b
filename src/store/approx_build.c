/* Makes the file of an approximate index, or adds to it, from one state of the store,
 * while others go on writing: rows of a file of vectors never change. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/rng.h"
#include "base/sizes.h"
#include "store/approx.h"

/* PIECE: vectors that are added at a time.  QUERIES: that recall is measured with.
 * LISTS_LEAST: of fewer vectors there is nothing to learn codes from.  LISTS_FROM: of so
 * many, lists, which a process need not read whole before its first answer. */
enum { PIECE = 16384, QUERIES = 100, LISTS_LEAST = 1024, LISTS_FROM = 100000 };
/* Searches look at more until they find so much, or at so much. */
static const double RECALL_WANTED = 0.99;
enum { GRAPH_EFFORT = 64, GRAPH_EFFORT_MOST = 1024, LISTS_EFFORT = 8, LISTS_MOST = 512 };

typedef struct building {
    store *s;
    exec *x;
    const store_approx_options *o;
    approx_of of;
    const faiss *f;
    space_file *file;
    slot_set used;
    approx *a;
    float *piece;      /* [PIECE,dim] */
    size_t done, todo; /* vectors */
    clipc_err *err;
} building;

/* ---- what there is to do ---- */

static uint64_t count_both(const slot_set *a, const slot_set *b)
{
    uint64_t n = 0;

    for (uint64_t w = 0; w <= min_size((size_t)a->slots, (size_t)b->slots) / 64; w++)
        n += (uint64_t)__builtin_popcountll(a->bits[w] & b->bits[w]);
    return n;
}

/* Of a file of so many vectors, `held` of which an item still has: too much of it is
 * gone, or its lists were made for far fewer. */
static bool worn_out(const store_approx *is, uint64_t held)
{
    return is->vectors - held > is->vectors / 4 ||
           (is->kind == APPROX_IVF_PQ && held / 4 > is->trained);
}

/* By the head and the counts alone: what was removed may have been newer than the file,
 * which then is held for larger than it is by as many. */
static approx_need need_of(const store_approx *is, const store_space *space,
                           const store_approx_options *o)
{
    const uint64_t newer = space->slots - is->slots;
    const uint64_t held = is->vectors < space->used ? is->vectors : space->used;

    if (!is->vectors || (o->kind && *o->kind != is->kind) || worn_out(is, held))
        return APPROX_ANEW;
    if (o->due && newer <= is->vectors / 16) return APPROX_SOUND;
    return newer ? APPROX_GROW : APPROX_SOUND;
}

int store_approx_needs(store *s, approx_need *out, int64_t space,
                       const store_approx_options *o, clipc_err *err)
{
    store_approx is;
    store_space now;
    const int rc = store_space_get(s, &now, space, err);

    *out = APPROX_SOUND;
    if (rc != CLIPC_OK || now.used < max_size((size_t)o->least, 1)) return rc;
    *out = APPROX_ANEW; /* also of a file that is damaged */
    if (store_approx_get(s, &is, space, NULL) == CLIPC_OK) *out = need_of(&is, &now, o);
    return CLIPC_OK;
}

/* ---- adding ---- */

static int tell(const building *b, size_t more)
{
    if (b->o->on_progress) b->o->on_progress(b->o->user, b->done + more, b->todo);
    if (b->o->stop && b->o->stop(b->o->user))
        return clipc_fail(b->err, CLIPC_ERR_STOPPED, "%s: stopped", b->of.path);
    return CLIPC_OK;
}

static int failed(const building *b, const shim_why *why)
{
    return clipc_fail(b->err, CLIPC_ERR_MEMORY, "%s: cannot be made: %s", b->of.path,
                      why->text);
}

/* Adds the n rows of the piece, whose slots are known already. */
static int add_piece(building *b, size_t n)
{
    const approx_rows rows = {.a = b->a, .v = &b->file->v, .k = b->s->k};
    const shim_host host = approx_host(&rows);
    shim_why why;
    const int rc = tell(b, 0);

    if (rc != CLIPC_OK || !n) return rc;
    if (b->f->clipc_faiss_add(b->a->faiss, &host, b->piece, n, (int)b->x->threads,
                              &why) != 0)
        return failed(b, &why);
    b->done += n;
    return CLIPC_OK;
}

static int add_new(building *b)
{
    const size_t dim = b->of.space.dim;
    size_t n = 0;
    int rc = CLIPC_OK;

    for (uint64_t slot = 0; rc == CLIPC_OK && slot < b->used.slots; slot++) {
        if (!slot_set_has(&b->used, slot) || slot_set_has(&b->a->covered, slot)) continue;
        vectors_read(&b->file->v, b->s->k, b->piece + n++ * dim, slot);
        rc = approx_add_slot(b->a, slot, b->err);
        if (rc == CLIPC_OK && n == PIECE) rc = add_piece(b, n), n = 0;
    }
    if (rc == CLIPC_OK) rc = add_piece(b, n);
    b->a->is.slots = b->used.slots;
    return rc;
}

/* ---- anew ---- */

/* rows [at most n,dim] of used slots, evenly spread; returns how many. */
static size_t spread(const building *b, float *rows, size_t n)
{
    const size_t dim = b->of.space.dim, step = max_size((size_t)b->used.count / n, 1);
    size_t seen = 0, taken = 0;

    for (uint64_t slot = 0; taken < n && slot < b->used.slots; slot++) {
        if (!slot_set_has(&b->used, slot) || seen++ % step) continue;
        vectors_read(&b->file->v, b->s->k, rows + taken++ * dim, slot);
    }
    return taken;
}

static int train(building *b)
{
    const size_t dim = b->of.space.dim;
    const size_t n =
        min_size(b->f->clipc_faiss_sample(b->a->faiss), (size_t)b->used.count);
    float *rows = n ? malloc(n * dim * sizeof *rows) : NULL;
    shim_why why;
    int rc = CLIPC_OK;

    if (n && !rows) return clipc_fail_memory(b->err, "a sample", n * dim * sizeof *rows);
    if (n && b->f->clipc_faiss_train(b->a->faiss, rows, spread(b, rows, n),
                                     (int)b->x->threads, &why) != 0)
        rc = failed(b, &why);
    free(rows);
    return rc;
}

static int begin_anew(building *b)
{
    const approx_kind kind = b->o->kind                    ? *b->o->kind
                             : b->used.count >= LISTS_FROM ? APPROX_IVF_PQ
                                                           : APPROX_HNSW;
    shim_why why;
    int rc = CLIPC_OK;

    approx_free(b->a);
    b->a = NULL;
    if (kind == APPROX_IVF_PQ && b->used.count < LISTS_LEAST)
        return clipc_fail(b->err, CLIPC_ERR_ARG, "%s: IVF-PQ wants %d vectors, not %llu",
                          b->of.path, LISTS_LEAST, (unsigned long long)b->used.count);
    rc = approx_new(&b->a, kind, b->used.slots, b->err);
    if (rc != CLIPC_OK) return rc;
    if (b->f->clipc_faiss_new(&b->a->faiss, (int)kind, b->of.space.dim,
                              (size_t)b->used.count, &why) != 0)
        return failed(b, &why);
    b->a->is.trained = b->used.count;
    b->todo = (size_t)b->used.count;
    return train(b);
}

/* The file that is there, to be added to; or a new one. */
static int begin(building *b, approx_need *did)
{
    clipc_err why;

    if (*did == APPROX_GROW && approx_load(&b->a, &b->of, true, &why) == CLIPC_OK &&
        !worn_out(&b->a->is, count_both(&b->used, &b->a->covered))) {
        b->todo = (size_t)(b->used.count - count_both(&b->used, &b->a->covered));
        return CLIPC_OK;
    }
    *did = APPROX_ANEW;
    return begin_anew(b);
}

/* ---- measuring ---- */

/* Queries that, as texts do, lie nearer to the stored vectors' middle than to any of
 * them: a stored vector itself is found too easily. */
typedef struct measuring {
    float *rows;     /* [QUERIES,dim] */
    store_hit *want; /* [QUERIES,APPROX_BEST] of the exact scan */
    size_t *n_want;  /* [QUERIES] */
    size_t n;
} measuring;

static void measuring_free(measuring *m)
{
    free(m->rows);
    free(m->want);
    free(m->n_want);
}

/* rows [n,dim]: each becomes the sum of itself, the next and as much noise. */
static void mix(const kernels *k, float *rows, size_t n, size_t dim)
{
    rng r = rng_seed(1, 0);

    for (size_t q = 0; q < n; q++) {
        float *x = rows + q * dim;
        const float *next = rows + (q + 1) % n * dim;
        for (size_t i = 0; i < dim; i++)
            x[i] += next[i] + rng_normal(&r) / sqrtf((float)dim);
        k->scale(x, 1.0f / sqrtf((float)k->dot(x, x, dim)), dim);
    }
}

static int measuring_start(measuring *m, building *b)
{
    const size_t dim = b->of.space.dim;

    *m = (measuring){.rows = malloc(QUERIES * dim * sizeof *m->rows),
                     .want = malloc(QUERIES * APPROX_BEST * sizeof *m->want),
                     .n_want = malloc(QUERIES * sizeof *m->n_want)};
    if (!m->rows || !m->want || !m->n_want)
        return clipc_fail_memory(b->err, "queries", QUERIES * dim * sizeof *m->rows);
    m->n = spread(b, m->rows, QUERIES);
    mix(b->s->k, m->rows, m->n, dim);
    return store_scan(b->s, b->x, m->want, m->n_want, b->of.space.id, m->rows, m->n,
                      APPROX_BEST, &b->used, b->err);
}

/* Of equal vectors, as copies of a picture have, any is as good as another. */
static size_t as_good(const store_hit *hits, size_t n, const store_hit *want,
                      size_t n_want)
{
    size_t found = 0;

    for (size_t i = 0; n_want && i < n; i++)
        found += hits[i].score >= want[n_want - 1].score;
    return found;
}

/* Recall of all queries at the effort that a is set to; *ms: of one of them. */
static int measure(building *b, const measuring *m, double *ms)
{
    const approx_rows rows = {
        .a = b->a, .v = &b->file->v, .k = b->s->k, .among = &b->used};
    size_t found = 0, wanted = 0, n;
    store_hit hits[APPROX_BEST];
    const double start = clock_now();
    int rc = CLIPC_OK;

    for (size_t q = 0; rc == CLIPC_OK && q < m->n; q++) {
        const store_hit *want = m->want + q * APPROX_BEST;
        rc = approx_find(&rows, hits, &n, m->rows + q * b->of.space.dim, APPROX_BEST,
                         b->err);
        if (rc == CLIPC_OK) found += as_good(hits, n, want, m->n_want[q]);
        wanted += m->n_want[q];
    }
    *ms = 1e3 * (clock_now() - start) / (double)max_size(m->n, 1);
    b->a->is.recall = wanted ? (double)found / (double)wanted : 1.0;
    return rc;
}

/* Milliseconds of the exact scan for one query at a time. */
static int time_exact(building *b, const measuring *m, double *ms)
{
    enum { TIMES = 5 };
    store_hit hits[APPROX_BEST];
    const double start = clock_now();
    size_t n;
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < TIMES; i++)
        rc = store_scan(b->s, b->x, hits, &n, b->of.space.id, m->rows, 1, APPROX_BEST,
                        &b->used, b->err);
    *ms = 1e3 * (clock_now() - start) / TIMES;
    return rc;
}

/* Sets the effort, the smallest power of two that finds enough. */
static int measure_all(building *b, store_approx_built *out)
{
    const bool graph = b->a->is.kind == APPROX_HNSW;
    const size_t most = graph ? GRAPH_EFFORT_MOST : LISTS_MOST;
    measuring m;
    int rc = measuring_start(&m, b);

    b->a->is.effort = graph ? GRAPH_EFFORT : LISTS_EFFORT;
    if (rc == CLIPC_OK) rc = measure(b, &m, &out->near_ms);
    while (rc == CLIPC_OK && b->a->is.recall < RECALL_WANTED && b->a->is.effort < most) {
        b->a->is.effort *= 2;
        rc = measure(b, &m, &out->near_ms);
    }
    if (rc == CLIPC_OK) rc = time_exact(b, &m, &out->exact_ms);
    measuring_free(&m);
    return rc;
}

/* ---- all of it ---- */

static char *lock_path(const store *s)
{
    return path_join(s->folder, "faiss.lock");
}

int64_t store_approx_began(const store *s)
{
    char *path = lock_path(s);
    struct stat st;
    const int64_t when = path && stat(path, &st) == 0 ? st.st_mtime : 0;

    free(path);
    return when;
}

/* Held until it is closed, by whatever ends the process. */
static int take_lock(int *fd, store *s, clipc_err *err)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char *path = lock_path(s);

    *fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666) : -1;
    free(path);
    if (*fd >= 0 && fcntl(*fd, F_OFD_SETLK, &l) == 0)
        return futimens(*fd, NULL), CLIPC_OK;
    const int why = errno;
    if (*fd < 0)
        return clipc_fail(err, CLIPC_ERR_IO, "%s/faiss.lock: %s", s->folder,
                          strerror(why));
    close(*fd);
    return clipc_fail(err, CLIPC_ERR_EXISTS,
                      "%s: another process makes its approximate index", s->folder);
}

/* What a builder left that was killed. */
static void remove_unfinished(const building *b)
{
    const char *name = path_base(b->of.path);
    DIR *d = opendir(b->s->folder);

    for (struct dirent *e; d && (e = readdir(d));) {
        const size_t len = strlen(name);
        char *path = strncmp(e->d_name, name, len) == 0 && e->d_name[len]
                         ? path_join(b->s->folder, e->d_name)
                         : NULL;
        if (path) unlink(path);
        free(path);
    }
    if (d) closedir(d);
}

/* The slots, and their rows in reach. */
static int take_state(building *b, int64_t space)
{
    store_space is;
    int rc = approx_of_space(&b->of, b->s, space, b->err);

    if (rc == CLIPC_OK) rc = space_open(b->s, &b->file, &is, space, b->err);
    if (rc == CLIPC_OK) rc = vectors_reach(&b->file->v, is.slots, b->err);
    if (rc == CLIPC_OK) rc = store_select(b->s, &b->used, space, NULL, b->err);
    if (rc != CLIPC_OK) return rc;
    if (!(b->f = faiss_need(b->of.path, b->err))) return CLIPC_ERR_IO;
    b->piece = malloc(PIECE * b->of.space.dim * sizeof *b->piece);
    return b->piece ? CLIPC_OK
                    : clipc_fail_memory(b->err, b->of.path,
                                        PIECE * b->of.space.dim * sizeof *b->piece);
}

static int build(building *b, store_approx_built *out, int64_t space)
{
    const double start = clock_now();
    int rc = take_state(b, space);

    if (rc != CLIPC_OK) return rc;
    remove_unfinished(b);
    rc = begin(b, &out->did);
    if (rc == CLIPC_OK) rc = add_new(b);
    out->seconds = clock_now() - start;
    if (rc == CLIPC_OK) rc = measure_all(b, out);
    if (rc == CLIPC_OK) rc = approx_save(b->a, &b->of, b->err);
    if (rc == CLIPC_OK) out->is = b->a->is;
    return rc;
}

int store_approx_build(store *s, exec *x, store_approx_built *out, int64_t space,
                       const store_approx_options *o, clipc_err *err)
{
    building b = {.s = s, .x = x, .o = o, .err = err};
    bool own = false;
    int lock, rc = take_lock(&lock, s, err);

    *out = (store_approx_built){0};
    if (rc != CLIPC_OK) return rc;
    rc = catalogue_hold(s, &own, err); /* one state, whatever others write */
    if (rc == CLIPC_OK) rc = store_approx_needs(s, &out->did, space, o, err);
    if (rc == CLIPC_OK && out->did != APPROX_SOUND) rc = build(&b, out, space);
    else if (rc == CLIPC_OK) store_approx_get(s, &out->is, space, NULL);
    catalogue_release(s, own);
    approx_free(b.a);
    slot_set_free(&b.used);
    free(b.piece);
    free(b.of.path);
    close(lock);
    return rc;
}

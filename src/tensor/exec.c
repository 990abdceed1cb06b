#include "tensor/exec.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/cpus.h"
#include "tensor/block_sizes.h"

static void take(exec *x, arena *mem)
{
    x->of = arena_take(mem, x->threads, sizeof *x->of);
    x->scratch = ARENA_FLOATS(mem, x->threads * x->scratch_floats);
}

int exec_new(exec **out, size_t threads, size_t layer_floats, clipc_err *err)
{
    arena measure = arena_measure();
    exec *x = NULL;
    int rc = CLIPC_OK;

    *out = NULL;
    if (threads < 1 || threads > CPUS_MOST)
        return clipc_fail(err, CLIPC_ERR_ARG, "%zu threads: wanted 1 to %d", threads,
                          CPUS_MOST);
    x = calloc(1, sizeof *x);
    if (!x) return clipc_fail_memory(err, "compute threads", sizeof *x);
    if ((rc = kernels_pick(&x->k, err)) != CLIPC_OK) goto done;
    x->threads = threads;
    /* A multiple of 16 floats keeps every thread's part aligned. */
    x->scratch_floats = GEMM_SERIAL_FLOATS + (layer_floats + 15) / 16 * 16;
    take(x, &measure);
    rc = arena_make(&x->mem, NULL, &measure, "compute threads", err);
    if (rc != CLIPC_OK) goto done;
    take(x, &x->mem);
    x->pack_b = aligned_alloc(ARENA_ALIGN, GEMM_PACK_FLOATS * sizeof *x->pack_b);
    if (!x->pack_b) rc = clipc_fail_memory(err, "compute threads", GEMM_PACK_FLOATS);
    if (rc != CLIPC_OK) goto done;
    if (threads > 1) rc = thread_pool_new(&x->pool, threads, err);
    if (rc != CLIPC_OK) goto done;
    *out = x, x = NULL;
done:
    exec_free(x);
    return rc;
}

void exec_free(exec *x)
{
    if (!x) return;
    thread_pool_free(x->pool);
    free(x->pack_b);
    arena_free(&x->mem);
    free(x);
}

float *exec_scratch(const exec *x, size_t thread)
{
    assert(thread < x->threads);
    return x->scratch + thread * x->scratch_floats + GEMM_SERIAL_FLOATS;
}

/* Each worker (one for each thread) has a run of pieces of its own, and once that is done
 * takes what is left of the others': who does what varies, what is done does not.  The
 * worker's number is the thread's. */
typedef struct job {
    void (*fn)(void *arg, size_t thread, size_t i);
    void (*range)(void *arg, size_t thread, size_t begin, size_t end);
    void *arg;
    size_t n, grain;
    size_t workers;
    exec_thread *of; /* [workers] */
} job;

static void piece(const job *j, size_t thread, size_t i)
{
    const size_t begin = i * j->grain;

    if (j->fn) j->fn(j->arg, thread, i);
    else
        j->range(j->arg, thread, begin,
                 j->n - begin < j->grain ? j->n : begin + j->grain);
}

static void worker(void *arg, size_t thread)
{
    const job *j = arg;

    for (size_t w = 0; w < j->workers; w++) {
        exec_thread *t = &j->of[(thread + w) % j->workers];
        size_t i;
        while ((i = atomic_fetch_add(&t->next, 1)) < t->end) piece(j, thread, i);
    }
}

static void spread(exec *x, job *j)
{
    const size_t pieces = (j->n + j->grain - 1) / j->grain;

    if (!x->pool || pieces < 2) {
        for (size_t i = 0; i < pieces; i++) piece(j, 0, i);
        return;
    }
    j->workers = x->threads;
    j->of = x->of;
    for (size_t w = 0; w < j->workers; w++) {
        atomic_store_explicit(&x->of[w].next, w * pieces / j->workers,
                              memory_order_relaxed);
        x->of[w].end = (w + 1) * pieces / j->workers;
    }
    thread_pool_run(x->pool, worker, j);
}

void exec_each(exec *x, void (*fn)(void *arg, size_t thread, size_t i), void *arg,
               size_t n)
{
    job j = {.fn = fn, .arg = arg, .n = n, .grain = 1};
    spread(x, &j);
}

void exec_range(exec *x, void (*fn)(void *arg, size_t thread, size_t begin, size_t end),
                void *arg, size_t n, size_t grain)
{
    job j = {.range = fn, .arg = arg, .n = n, .grain = grain};
    spread(x, &j);
}

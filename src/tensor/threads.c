#include "tensor/threads.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

enum { SPINS = 4000 };
/* Of `gate`: no thread may come in any more; below it, how many are inside. */
#define CLOSED ((uint32_t)1 << 31)

typedef struct helper {
    thread_pool *p;
    pthread_t thread;
    size_t i;
} helper;

struct thread_pool {
    helper *helpers;
    size_t wanted, started; /* helpers */
    void (*fn)(void *arg, size_t thread);
    void *arg;
    _Atomic uint32_t gate;
    _Atomic uint32_t job; /* counts the jobs */
    _Atomic uint32_t sleepers;
    _Atomic int ending;
    pthread_mutex_t lock;
    pthread_cond_t wake;
};

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Waits for another job than the last; false: there will be none. */
static int next_job(thread_pool *p, uint32_t *last)
{
    for (int i = 0; i < SPINS && atomic_load(&p->job) == *last; i++) {
        if (atomic_load(&p->ending)) return 0;
        relax();
    }
    if (atomic_load(&p->job) == *last) {
        pthread_mutex_lock(&p->lock);
        atomic_fetch_add(&p->sleepers, 1);
        while (atomic_load(&p->job) == *last && !atomic_load(&p->ending))
            pthread_cond_wait(&p->wake, &p->lock);
        atomic_fetch_sub(&p->sleepers, 1);
        pthread_mutex_unlock(&p->lock);
    }
    *last = atomic_load(&p->job);
    return !atomic_load(&p->ending);
}

static int come_in(thread_pool *p)
{
    uint32_t gate = atomic_load(&p->gate);

    while (!(gate & CLOSED))
        if (atomic_compare_exchange_weak(&p->gate, &gate, gate + 1)) return 1;
    return 0;
}

static void *help(void *arg)
{
    const helper *h = arg;
    thread_pool *p = h->p;
    uint32_t last = 0;

    while (next_job(p, &last)) {
        if (!come_in(p)) continue;
        p->fn(p->arg, h->i);
        atomic_fetch_sub(&p->gate, 1);
    }
    return NULL;
}

/* As many as the system gives; the caller can do without.  Signals are the caller's. */
static void start(thread_pool *p)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (p->started < p->wanted) {
        helper *h = &p->helpers[p->started];
        *h = (helper){.p = p, .i = p->started + 1};
        if (pthread_create(&h->thread, NULL, help, h) != 0) break;
        p->started++;
    }
    p->wanted = p->started;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int thread_pool_new(thread_pool **out, size_t threads, clipc_err *err)
{
    thread_pool *p = calloc(1, sizeof *p);

    *out = NULL;
    if (p) p->helpers = calloc(threads, sizeof *p->helpers);
    if (!p || !p->helpers) {
        free(p);
        return clipc_fail_memory(err, "threads", threads);
    }
    p->wanted = threads - 1;
    p->gate = CLOSED;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    *out = p;
    return CLIPC_OK;
}

static void wake_all(thread_pool *p)
{
    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

void thread_pool_free(thread_pool *p)
{
    if (!p) return;
    atomic_store(&p->ending, 1);
    wake_all(p);
    for (size_t i = 0; i < p->started; i++) pthread_join(p->helpers[i].thread, NULL);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p->helpers);
    free(p);
}

void thread_pool_run(thread_pool *p, void (*fn)(void *arg, size_t thread), void *arg)
{
    if (p->started < p->wanted) start(p);
    p->fn = fn, p->arg = arg;
    atomic_store(&p->gate, 0);
    atomic_fetch_add(&p->job, 1);
    if (atomic_load(&p->sleepers)) wake_all(p);
    fn(arg, 0);
    atomic_fetch_or(&p->gate, CLOSED);
    for (int i = 0; atomic_load(&p->gate) != CLOSED; i++) {
        if (i < SPINS) relax();
        else sched_yield(); /* a helper that was stopped in its work wants a core */
    }
}

/* tensor/threads.h -- threads that help the caller with one job at a time.
 *
 * The caller works too and never waits for a thread that has not begun: a thread that the
 * system does not run just now, because others want its core, costs its help and no more.
 * (A pool whose caller waits for every thread stands still with the slowest of them.)
 * Threads start with the first job, look for the next for some tens of microseconds, and
 * then sleep. */
#ifndef CLIPC_TENSOR_THREADS_H
#define CLIPC_TENSOR_THREADS_H

#include <stddef.h>

#include "base/err.h"

typedef struct thread_pool thread_pool;

/* `threads` in all, the caller's included; 2 or more. */
int thread_pool_new(thread_pool **out, size_t threads, clipc_err *err);
void thread_pool_free(thread_pool *p);

/* Calls fn(arg, 0) here and, where threads come in time, fn(arg, i) in thread i: each
 * takes from the job what is left.  All have returned when this does.  One caller at a
 * time. */
void thread_pool_run(thread_pool *p, void (*fn)(void *arg, size_t thread), void *arg);

#endif

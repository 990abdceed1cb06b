/* tensor/exec.h -- who computes: a kernel table, a thread pool and scratch memory.
 * One for each context; used by one caller at a time. */
#ifndef CLIPC_TENSOR_EXEC_H
#define CLIPC_TENSOR_EXEC_H

#include <stddef.h>

#include "base/arena.h"
#include "tensor/kernels.h"
#include "tensor/threads.h"

/* What gemm_packed multiplies in.  Less than float32 only where that is faster: tables of
 * kernels without such products take float32 (narrow_precision). */
typedef enum compute { PRECISION_F32, PRECISION_BF16, PRECISION_I8 } compute;

/* What is one thread's alone, but that others take of its pieces once they have none. */
typedef struct exec_thread {
    _Alignas(ARENA_ALIGN) _Atomic size_t next; /* pieces of the job */
    size_t end;
} exec_thread;

typedef struct exec {
    const kernels *k;
    compute precision; /* PRECISION_F32 */
    thread_pool *pool; /* NULL: the calling thread alone */
    size_t threads;
    exec_thread *of;             /* [threads] */
    _Atomic uint64_t operations; /* of matrix products so far; a multiply-add is two */
    /* [GEMM_PACK_FLOATS] shared by all threads: B packed (gemm.c).  Not touched, and so
     * no memory, before the first product that packs. */
    float *pack_b;
    float *scratch;        /* threads * scratch_floats: thread i owns part i */
    size_t scratch_floats; /* a thread's part: gemm's block of A, then the layer's own */
    arena mem;
} exec;

/* threads >= 1.  layer_floats: what layers may ask of exec_scratch (attention: see
 * attention_scratch; 0 if none). */
int exec_new(exec **out, size_t threads, size_t layer_floats, clipc_err *err);
void exec_free(exec *x);

/* Thread i's scratch for a layer, layer_floats long, not touched by gemm_serial. */
float *exec_scratch(const exec *x, size_t thread);

/* Calls fn(arg, thread, i) for i in [0, n), spread over the pool; thread < x->threads and
 * unique among those running.  Which thread gets which i may vary: results must not.
 * Thread t begins at i = t n / threads and goes on from there. */
void exec_each(exec *x, void (*fn)(void *arg, size_t thread, size_t i), void *arg,
               size_t n);

/* Calls fn(arg, thread, begin, end) over [0, n) cut into pieces of at most `grain` (the
 * cut depends on n and grain alone, never on the number of threads). */
void exec_range(exec *x, void (*fn)(void *arg, size_t thread, size_t begin, size_t end),
                void *arg, size_t n, size_t grain);

#endif

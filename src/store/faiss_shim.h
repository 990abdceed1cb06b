/* store/faiss_shim.h -- FAISS, which is C++, behind a few functions of C: what
 * libclipc_faiss.so exports, which approx_faiss.c loads when it is first needed.
 *
 * Vectors are known by position: the order in which they were added.  HNSW's graph has no
 * vectors of its own: it asks the host for those of the store.  IVF-PQ has codes, which a
 * search reads where they lie in the file.
 *
 * Functions return 0, or -1 and say why.  An index is one thread's at a time; adding and
 * training use all `threads` of them. */
#ifndef CLIPC_STORE_FAISS_SHIM_H
#define CLIPC_STORE_FAISS_SHIM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#define SHIM_API __attribute__((visibility("default")))
#else
#define SHIM_API
#endif

enum { SHIM_HNSW, SHIM_IVF_PQ };

typedef struct shim_why {
    char text[160];
} shim_why;

/* Who has the vectors.  Called by several threads at a time while vectors are added. */
typedef struct shim_host {
    const void *arg;
    float (*dot)(const void *arg, const float *query, uint64_t position);
    void (*read)(const void *arg, float *x, uint64_t position); /* x [dim] */
    /* Whether a search is to find it. */
    int (*wanted)(const void *arg, uint64_t position);
} shim_host;

typedef struct shim_index shim_index;

/* An empty one for about so many vectors. */
SHIM_API int clipc_faiss_new(shim_index **out, int kind, size_t dim, size_t expected,
                             shim_why *why);
SHIM_API void clipc_faiss_free(shim_index *x);

/* Of how many vectors clipc_faiss_train makes good use; 0: it needs none. */
SHIM_API size_t clipc_faiss_sample(const shim_index *x);
/* x [n,dim] */
SHIM_API int clipc_faiss_train(shim_index *f, const float *x, size_t n, int threads,
                               shim_why *why);
/* Adds x [n,dim], which the host has at the positions that follow. */
SHIM_API int clipc_faiss_add(shim_index *f, const shim_host *host, const float *x,
                             size_t n, int threads, shim_why *why);

/* Writes all of it by put(arg, ..), which returns 0; *loose: the bytes at the end that
 * may be damaged without harm but to what is found. */
SHIM_API int clipc_faiss_write(const shim_index *f, size_t *loose,
                               int (*put)(void *arg, const void *data, size_t size),
                               void *arg, shim_why *why);
/* Reads what was written at `offset` of a file, of n vectors.  grows 0: to search alone;
 * it may then be mapped, and must stay as it is. */
SHIM_API int clipc_faiss_read(shim_index **out, int kind, size_t dim, size_t n,
                              const char *path, size_t offset, int grows, shim_why *why);

/* positions [k] of about the largest inner products with query [dim]; -1 where there are
 * no more.  effort: how many vectors of a graph, or lists, are looked at. */
SHIM_API int clipc_faiss_search(const shim_index *f, const shim_host *host,
                                const float *query, size_t k, size_t effort,
                                int64_t *positions, shim_why *why);

#ifdef __cplusplus
}
#endif
#endif

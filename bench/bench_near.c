/* Times the approximate search of an index.
 * usage: bench_near FOLDER ROWS.f32 DIM QUERIES.f32 TYPE KIND THREADS
 * Makes the index of the rows, of TYPE f32, f16 or i8, if there is none, and the
 * approximate one of KIND hnsw or ivf-pq. Prints, in a line: seconds to build, megabytes
 * of the file, megabytes of memory at most, recall as the build measured it, recall of
 * the 10 best of the queries; then milliseconds of a search in a store that was just
 * opened (median of 5), of the approximate and of the exact one, and of a later search.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "rows_index.h"

enum { K = 10, ROUNDS = 5 };

typedef struct bench {
    const char *folder, *type;
    size_t dim, Q;
    const float *queries; /* [Q,dim] */
    exec *x;
    int64_t space;
} bench;

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *v, size_t n)
{
    qsort(v, n, sizeof *v, by_size);
    return v[n / 2];
}

static int search(bench *b, store *s, bool near, size_t q, store_hit *hits, size_t *n,
                  double *ms, clipc_err *err)
{
    const float *query = b->queries + q * b->dim;
    const double begin = clock_now();
    const int rc = near ? store_near(s, b->x, hits, n, b->space, query, K, NULL, err)
                        : store_scan(s, b->x, hits, n, b->space, query, 1, K, NULL, err);

    *ms = 1e3 * (clock_now() - begin);
    return rc;
}

/* A search in a store that was just opened. */
static int first(bench *b, bool near, double *ms, clipc_err *err)
{
    double times[ROUNDS];
    store_hit hits[K];
    size_t n;
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < ROUNDS; i++) {
        store *s;
        rc = store_open(&s, b->folder, STORE_READ, err);
        if (rc == CLIPC_OK) rc = search(b, s, near, i, hits, &n, &times[i], err);
        store_close(s);
    }
    *ms = median(times, ROUNDS);
    return rc;
}

/* All queries in turn: what of the exact scan's is found, and how fast. */
static int later(bench *b, store *s, double *recall, double *ms, clipc_err *err)
{
    double *times = calloc(b->Q, sizeof *times), exact;
    store_hit want[K], have[K];
    size_t n_want, n_have, found = 0, wanted = 0;
    int rc = times ? CLIPC_OK : CLIPC_ERR_MEMORY;

    for (size_t q = 0; rc == CLIPC_OK && q < b->Q; q++) {
        rc = search(b, s, false, q, want, &n_want, &exact, err);
        if (rc == CLIPC_OK) rc = search(b, s, true, q, have, &n_have, &times[q], err);
        for (size_t i = 0; rc == CLIPC_OK && i < n_want; i++)
            for (size_t j = 0; j < n_have; j++) found += want[i].slot == have[j].slot;
        wanted += n_want;
    }
    *recall = (double)found / (double)wanted;
    *ms = median(times, b->Q);
    free(times);
    return rc;
}

/* Megabytes of the process at most, with the vectors that it has mapped. */
static double memory_most(void)
{
    struct rusage used;

    return getrusage(RUSAGE_SELF, &used) == 0 ? (double)used.ru_maxrss / 1e3 : 0.0;
}

static int run(bench *b, const char *kind, clipc_err *err)
{
    const approx_kind as = strcmp(kind, "hnsw") == 0 ? APPROX_HNSW : APPROX_IVF_PQ;
    const store_approx_options o = {.kind = &as};
    store_approx_built built;
    double ms[3], recall;
    store *s;
    int rc = store_open(&s, b->folder, STORE_READ, err);

    if (rc == CLIPC_OK) rc = find_type(s, &b->space, b->type, err);
    if (rc == CLIPC_OK) rc = store_approx_build(s, b->x, &built, b->space, &o, err);
    const double memory = memory_most();
    if (rc == CLIPC_OK) rc = first(b, true, &ms[0], err);
    if (rc == CLIPC_OK) rc = first(b, false, &ms[1], err);
    if (rc == CLIPC_OK) rc = later(b, s, &recall, &ms[2], err);
    if (rc == CLIPC_OK)
        printf("%.1f %.1f %.1f %.4f %.4f %.2f %.2f %.3f\n", built.seconds,
               (double)built.is.bytes / 1e6, memory, built.is.recall, recall, ms[0],
               ms[1], ms[2]);
    store_close(s);
    return rc;
}

int main(int argc, char **argv)
{
    span queries = {0};
    clipc_err err;

    if (argc != 8) return fprintf(stderr, "seven arguments, see the source\n"), 2;
    bench b = {.folder = argv[1], .type = argv[5], .dim = strtoul(argv[3], NULL, 10)};
    int rc = file_map(&queries, argv[4], &err);
    b.queries = (const float *)(const void *)queries.data;
    b.Q = queries.size / sizeof(float) / b.dim;
    if (rc == CLIPC_OK && !store_exists(b.folder))
        rc = make_index(b.folder, argv[2], b.dim, type_named(b.type), &err);
    if (rc == CLIPC_OK) rc = exec_new(&b.x, strtoul(argv[7], NULL, 10), 0, &err);
    if (rc == CLIPC_OK) rc = run(&b, argv[6], &err);
    if (rc != CLIPC_OK) fprintf(stderr, "%s\n", err.msg);
    exec_free(b.x);
    file_unmap(&queries);
    return rc != CLIPC_OK;
}

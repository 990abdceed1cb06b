/* Times the exact scan of an index.
 * usage: bench_scan FOLDER ROWS.f32 DIM QUERIES.f32
 * Makes the index of the rows, a space for each type, if there is none.  Then for each
 * line "TYPE Q THREADS K" that it reads, it searches for the first Q queries and prints
 * the seconds, and each query's slots. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "rows_index.h"

static int search(store *s, const char *type, const float *queries, size_t Q,
                  size_t threads, size_t k, clipc_err *err)
{
    size_t *n = malloc(Q * sizeof *n);
    store_hit *hits = malloc(Q * k * sizeof *hits);
    int64_t space;
    exec *x = NULL;

    int rc = n && hits ? exec_new(&x, threads, 0, err) : CLIPC_ERR_MEMORY;
    if (rc == CLIPC_OK) rc = find_type(s, &space, type, err);
    const double begin = clock_now();
    if (rc == CLIPC_OK) rc = store_scan(s, x, hits, n, space, queries, Q, k, NULL, err);
    if (rc == CLIPC_OK) printf("%.6f", clock_now() - begin);
    for (size_t i = 0; rc == CLIPC_OK && i < Q * k; i++)
        printf(" %" PRIu64, hits[i].slot);
    printf("\n");
    fflush(stdout);
    exec_free(x);
    free(hits);
    free(n);
    return rc;
}

int main(int argc, char **argv)
{
    char line[128], type[8];
    size_t Q, threads, k;
    span queries = {0};
    store *s = NULL;
    clipc_err err;

    if (argc != 5) return fprintf(stderr, "four arguments, see the source\n"), 2;
    const size_t dim = strtoul(argv[3], NULL, 10);
    int rc = file_map(&queries, argv[4], &err);
    if (rc == CLIPC_OK && !store_exists(argv[1]))
        rc = make_index(argv[1], argv[2], dim, TYPES, &err);
    if (rc == CLIPC_OK) rc = store_open(&s, argv[1], STORE_READ, &err);
    while (rc == CLIPC_OK && fgets(line, sizeof line, stdin) &&
           sscanf(line, "%7s %zu %zu %zu", type, &Q, &threads, &k) == 4)
        rc = search(s, type, (const float *)(const void *)queries.data, Q, threads, k,
                    &err);
    if (rc != CLIPC_OK) fprintf(stderr, "%s\n", err.msg);
    store_close(s);
    file_unmap(&queries);
    return rc != CLIPC_OK;
}

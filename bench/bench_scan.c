/* Times the exact scan of an index.
 * usage: bench_scan FOLDER ROWS.f32 DIM QUERIES.f32
 * Makes the index of the rows, a space for each type, if there is none.  Then for each
 * line "TYPE Q THREADS K" that it reads, it searches for the first Q queries and prints
 * the seconds, and each query's slots. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "store/store.h"

static const char *const names[] = {"f32", "f16", "i8"};
static const dtype types[] = {DT_F32, DT_F16, DT_I8};

static store_hash hash_of(uint64_t i)
{
    store_hash h = {{0}};

    memcpy(&h, &i, sizeof i);
    return h;
}

static int add_rows(store *s, span rows, size_t dim, clipc_err *err)
{
    const size_t n = rows.size / sizeof(float) / dim;
    const float *row = (const float *)(const void *)rows.data;
    int64_t root, space[3];
    int rc = store_root_add(s, &root, (store_bytes){"rows", 4}, err);

    for (size_t t = 0; t < 3 && rc == CLIPC_OK; t++) {
        const store_space want = {
            .model = names[t], .fingerprint = hash_of(t), .dim = dim, .type = types[t]};
        rc = store_space_add(s, &space[t], &want, err);
    }
    for (uint64_t i = 0; i < n && rc == CLIPC_OK; i++, row += dim) {
        const store_item item = {
            .root = root, .key = {&i, sizeof i}, .hashed = true, .hash = hash_of(i)};
        rc = store_item_put(s, NULL, &item, err);
        for (size_t t = 0; t < 3 && rc == CLIPC_OK; t++)
            rc = store_vector_put(s, space[t], &item.hash, row, err);
    }
    return rc;
}

static int make_index(const char *folder, const char *path, size_t dim, clipc_err *err)
{
    const double begin = clock_now();
    span rows = {0};
    store *s = NULL;
    int rc = file_map(&rows, path, err);

    if (rc == CLIPC_OK) rc = store_open(&s, folder, STORE_WRITE, err);
    if (rc == CLIPC_OK) rc = store_begin(s, err);
    if (rc == CLIPC_OK) rc = add_rows(s, rows, dim, err);
    if (rc == CLIPC_OK) rc = store_commit(s, err);
    store_close(s);
    file_unmap(&rows);
    if (rc == CLIPC_OK) fprintf(stderr, "made in %.1f s\n", clock_now() - begin);
    return rc;
}

static int search(store *s, const char *type, const float *queries, size_t Q,
                  size_t threads, size_t k, clipc_err *err)
{
    size_t *n = malloc(Q * sizeof *n), t = 0;
    store_hit *hits = malloc(Q * k * sizeof *hits);
    int64_t space;
    exec *x = NULL;

    while (t < 2 && strcmp(type, names[t]) != 0) t++;
    const store_hash which = hash_of(t);
    int rc = n && hits ? exec_new(&x, threads, 0, err) : CLIPC_ERR_MEMORY;
    if (rc == CLIPC_OK) rc = store_space_find(s, &space, &which, err);
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
        rc = make_index(argv[1], argv[2], dim, &err);
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

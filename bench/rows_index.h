/* bench/rows_index.h -- an index of the rows of a file, for programs that time searches
 * in it: a space for each type of vectors, contents known by their number. */
#ifndef CLIPC_BENCH_ROWS_INDEX_H
#define CLIPC_BENCH_ROWS_INDEX_H

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "store/store.h"

enum { TYPES = 3 };
static const char *const type_names[TYPES] = {"f32", "f16", "i8"};

/* Of a content, and of a space: by its type's place above. */
static store_hash hash_of(uint64_t i)
{
    store_hash h = {{0}};

    memcpy(&h, &i, sizeof i);
    return h;
}

static size_t type_named(const char *name)
{
    size_t t = 0;

    while (t < TYPES - 1 && strcmp(name, type_names[t]) != 0) t++;
    return t;
}

/* The space of a type. */
static int find_type(store *s, int64_t *space, const char *name, clipc_err *err)
{
    const store_hash which = hash_of(type_named(name));

    return store_space_find(s, space, &which, err);
}

/* only: one type; TYPES: all. */
static int add_rows(store *s, span rows, size_t dim, size_t only, clipc_err *err)
{
    static const dtype types[TYPES] = {DT_F32, DT_F16, DT_I8};
    const size_t n = rows.size / sizeof(float) / dim;
    const size_t from = only < TYPES ? only : 0, to = only < TYPES ? only + 1 : TYPES;
    const float *row = (const float *)(const void *)rows.data;
    int64_t root, space[TYPES];
    int rc = store_root_add(s, &root, (store_bytes){"rows", 4}, err);

    for (size_t t = from; t < to && rc == CLIPC_OK; t++) {
        const store_space want = {.model = type_names[t],
                                  .fingerprint = hash_of(t),
                                  .dim = dim,
                                  .type = types[t]};
        rc = store_space_add(s, &space[t], &want, err);
    }
    for (uint64_t i = 0; i < n && rc == CLIPC_OK; i++, row += dim) {
        const store_item item = {
            .root = root, .key = {&i, sizeof i}, .hashed = true, .hash = hash_of(i)};
        rc = store_item_put(s, NULL, &item, err);
        for (size_t t = from; t < to && rc == CLIPC_OK; t++)
            rc = store_vector_put(s, space[t], &item.hash, row, err);
    }
    return rc;
}

/* Makes the index of the rows at `path`. */
static int make_index(const char *folder, const char *path, size_t dim, size_t only,
                      clipc_err *err)
{
    const double begin = clock_now();
    span rows = {0};
    store *s = NULL;
    int rc = file_map(&rows, path, err);

    if (rc == CLIPC_OK) rc = store_open(&s, folder, STORE_WRITE, err);
    if (rc == CLIPC_OK) rc = store_begin(s, err);
    if (rc == CLIPC_OK) rc = add_rows(s, rows, dim, only, err);
    if (rc == CLIPC_OK) rc = store_commit(s, err);
    store_close(s);
    file_unmap(&rows);
    if (rc == CLIPC_OK) fprintf(stderr, "made in %.1f s\n", clock_now() - begin);
    return rc;
}

#endif

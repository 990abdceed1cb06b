#include "store_rig.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/rng.h"
#include "check.h"

enum { DIM_MOST = 1024 };

store_hash srig_hash(uint64_t content)
{
    const uint64_t parts[2] = {hash_bytes(1, &content, sizeof content),
                               hash_bytes(2, &content, sizeof content)};
    store_hash h;

    memcpy(&h, parts, sizeof h);
    return h;
}

void srig_row(float *row, size_t dim, uint64_t content)
{
    rng r = rng_seed(7, content);
    double sum = 0.0;

    rng_fill_normal(&r, row, dim, 0.0f, 1.0f);
    for (size_t i = 0; i < dim; i++) sum += (double)row[i] * (double)row[i];
    for (size_t i = 0; i < dim; i++) row[i] = (float)((double)row[i] / sqrt(sum));
}

store_item srig_item(int64_t root, const char *name, uint64_t content)
{
    return (store_item){.root = root,
                        .key = {name, strlen(name)},
                        .size = (int64_t)content + 1000,
                        .mtime = (int64_t)content * 1000003,
                        .inode = content + 7,
                        .hashed = true,
                        .hash = srig_hash(content),
                        .width = 640,
                        .height = 480,
                        .time = (int64_t)content + 5,
                        .orientation = 1};
}

store *srig_open(const char *folder, store_mode mode)
{
    store *s;
    clipc_err err;

    CHECK_OK(store_open(&s, folder, mode, &err), err);
    return s;
}

int64_t srig_space(store *s, size_t dim, dtype type)
{
    const store_space want = {
        .model = "a model", .fingerprint = srig_hash(99), .dim = dim, .type = type};
    int64_t id;
    clipc_err err;

    CHECK_OK(store_begin(s, &err), err);
    CHECK_OK(store_space_add(s, &id, &want, &err), err);
    CHECK_OK(store_commit(s, &err), err);
    return id;
}

void srig_fill(store *s, int64_t space, uint64_t from, uint64_t to)
{
    int64_t root;
    store_space is;
    float row[DIM_MOST];
    clipc_err err;

    CHECK_OK(store_begin(s, &err), err);
    CHECK_OK(store_root_add(s, &root, (store_bytes){"root", 4}, &err), err);
    CHECK_OK(store_space_get(s, &is, space, &err), err);
    for (uint64_t i = from; i < to; i++) {
        char name[32];
        snprintf(name, sizeof name, "item %llu", (unsigned long long)i);
        const store_item item = srig_item(root, name, i);
        srig_row(row, is.dim, i);
        CHECK_OK(store_item_put(s, NULL, &item, &err), err);
        CHECK_OK(store_vector_put(s, space, &item.hash, row, &err), err);
    }
    CHECK_OK(store_commit(s, &err), err);
}

int srig_count(void *arg, const store_item *item)
{
    (void)item;
    ++*(uint64_t *)arg;
    return CLIPC_OK;
}

uint64_t srig_items(store *s, const store_filter *f)
{
    uint64_t n = 0;
    clipc_err err;

    CHECK_OK(store_each_item(s, f, srig_count, &n, &err), err);
    return n;
}

const char *srig_file(const char *folder, const char *ending)
{
    static char path[512];
    DIR *dir = opendir(folder);
    int n = 0;

    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        const size_t len = strlen(e->d_name);
        if (len < strlen(ending) || strcmp(e->d_name + len - strlen(ending), ending) != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        n++;
    }
    closedir(dir);
    assert_int_equal(n, 1);
    return path;
}

void srig_damage(const char *path, long at)
{
    FILE *f = fopen(path, "r+b");

    assert_non_null(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    const int c = fgetc(f);
    assert_true(c != EOF);
    fseek(f, at, SEEK_SET);
    fputc(c ^ 4, f);
    assert_int_equal(fclose(f), 0);
}

void srig_cut(const char *path, long size)
{
    assert_int_equal(truncate(path, size), 0);
}

store_bytes srig_bytes(const char *s)
{
    return (store_bytes){s, strlen(s)};
}

static int same_item(void *arg, const store_item *item)
{
    const store_item *want = arg;

    assert_int_equal(item->root, want->root);
    assert_int_equal(item->key.size, want->key.size);
    assert_memory_equal(item->key.data, want->key.data, want->key.size);
    assert_int_equal(item->size, want->size);
    assert_int_equal(item->mtime, want->mtime);
    assert_int_equal(item->inode, want->inode);
    assert_int_equal(item->hashed, want->hashed);
    assert_memory_equal(&item->hash, &want->hash, sizeof want->hash);
    assert_int_equal(item->width, want->width);
    assert_int_equal(item->height, want->height);
    assert_int_equal(item->time, want->time);
    assert_int_equal(item->orientation, want->orientation);
    assert_string_equal(item->meta ? item->meta : "-", want->meta ? want->meta : "-");
    assert_string_equal(item->error ? item->error : "-", want->error ? want->error : "-");
    return CLIPC_OK;
}

void srig_check_item(store *s, const store_item *want)
{
    clipc_err err;
    const store_filter f = {.root = want->root, .key = want->key};

    assert_int_equal(srig_items(s, &f), 1);
    CHECK_OK(store_each_item(s, &f, same_item, (void *)want, &err), err);
}

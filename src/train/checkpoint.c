#include "train/checkpoint.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "io/safetensors.h"

enum { COUNTERS = 4 };

static int is_checkpoint(const struct dirent *e)
{
    int64_t step;
    int end = 0;

    return sscanf(e->d_name, "step-%" SCNd64 ".safetensors%n", &step, &end) == 1 && end &&
           !e->d_name[end];
}

/* What a killed process left of a write: the name and six characters more. */
static int is_leftover(const struct dirent *e)
{
    int64_t step;
    int end = 0;

    return sscanf(e->d_name, "step-%" SCNd64 ".safetensors.%n", &step, &end) == 1 &&
           end && strlen(e->d_name + end) == 6;
}

/* Names sort by step, oldest first; the caller frees them and the list. */
static int list(struct dirent ***names, const char *folder,
                int (*which)(const struct dirent *))
{
    *names = NULL;
    const int n = scandir(folder, names, which, alphasort);
    return n < 0 ? 0 : n;
}

static void free_list(struct dirent **names, int n)
{
    for (int i = 0; i < n; i++) free(names[i]);
    free(names);
}

size_t checkpoint_count(size_t *bytes, int64_t *step, const char *folder)
{
    struct dirent **names;
    const int n = list(&names, folder, is_checkpoint);

    *bytes = 0, *step = -1;
    for (int i = 0; i < n; i++) {
        char *path = path_join(folder, names[i]->d_name);
        struct stat s;
        if (path && stat(path, &s) == 0) *bytes += (size_t)s.st_size;
        sscanf(names[i]->d_name, "step-%" SCNd64, step);
        free(path);
    }
    free_list(names, n);
    return (size_t)n;
}

bool checkpoint_exists(const char *folder)
{
    size_t bytes;
    int64_t step;

    return checkpoint_count(&bytes, &step, folder) > 0;
}

/* Removes all of a kind but the last `keep`. */
static void prune(const char *folder, size_t keep, int (*which)(const struct dirent *))
{
    struct dirent **names;
    const int n = list(&names, folder, which);

    for (int i = 0; i + (int)keep < n; i++) {
        char *path = path_join(folder, names[i]->d_name);
        if (path) unlink(path);
        free(path);
    }
    free_list(names, n);
}

size_t checkpoint_remove(const char *folder)
{
    size_t bytes;
    int64_t step;
    const size_t n = checkpoint_count(&bytes, &step, folder);

    prune(folder, 0, is_checkpoint);
    prune(folder, 0, is_leftover);
    return n;
}

int checkpoint_write(const checkpoint *c, const char *folder, size_t keep,
                     const kernels *k, clipc_err *err)
{
    const int64_t counters[COUNTERS] = {c->step, c->skipped, c->threads,
                                        (int64_t)(c->best * 1e9)};
    const broken *b = c->broken.broken;
    const int64_t n_broken = (int64_t)b->n;
    tensor t[12] = {
        {"weights", DT_F32, 1, {c->floats}, c->floats, c->weights},
        {"adam_m", DT_F32, 1, {c->learned}, c->learned, c->m},
        {"adam_v", DT_F32, 1, {c->learned}, c->learned, c->v},
        {"counters", DT_I64, 1, {COUNTERS}, COUNTERS, counters},
        {"isa", DT_U8, 1, {sizeof c->isa}, sizeof c->isa, c->isa},
    };
    size_t n = 5;
    char name[64];
    int rc = file_mkdirs(folder, err);

    if (c->ema) t[n++] = (tensor){"ema", DT_F32, 1, {c->floats}, c->floats, c->ema};
    if (c->n_maps) t[n++] = (tensor){"maps", DT_F32, 1, {c->n_maps}, c->n_maps, c->maps};
    if (b->n) {
        t[n++] = (tensor){"broken", DT_I64, 1, {1}, 1, &n_broken};
        t[n++] = (tensor){"broken_first",    DT_U8,           1,
                          {sizeof b->first}, sizeof b->first, b->first};
        t[n++] = (tensor){"broken_known",    DT_U8,           1,
                          {c->broken.bytes}, c->broken.bytes, c->broken.known};
    }
    if (c->near) {
        t[n++] = (tensor){"near", DT_F16, 1, {c->nears}, c->nears, c->near};
        t[n++] = (tensor){"groups", DT_I64, 1, {c->n_groups}, c->n_groups, c->groups};
    }
    snprintf(name, sizeof name, "step-%010" PRId64 ".safetensors", c->step);
    char *path = path_join(folder, name);
    json_t *about = json_pack("{s:s}", "format", "clipc-train");
    if (rc == CLIPC_OK && (!path || !about)) rc = clipc_fail_memory(err, folder, 0);
    if (rc == CLIPC_OK) rc = safetensors_write(path, t, n, about, DT_F32, k, err);
    json_decref(about);
    if (rc == CLIPC_OK) {
        prune(folder, keep, is_checkpoint);
        prune(folder, 0, is_leftover);
    }
    free(path);
    return rc;
}

static int copy(void *to, const tensor_file *f, const char *name, dtype dt, size_t n,
                const char *path, clipc_err *err)
{
    const tensor *t = tensor_find(f, name);

    if (!t || t->dt != dt || t->n != n)
        return clipc_fail(
            err, CLIPC_ERR_FORMAT,
            "%s: not a checkpoint of this model (%s has %zu elements, wanted %zu)", path,
            name, t ? t->n : 0, n);
    memcpy(to, t->data, n * dtype_size(dt));
    return CLIPC_OK;
}

static const void *bytes_of(const tensor_file *f, const char *name, dtype dt, size_t n)
{
    const tensor *t = tensor_find(f, name);
    return t && t->dt == dt && t->n == n ? t->data : NULL;
}

/* Files of old have none of it; where the data changed it is known anew. */
static void read_broken(const account *a, const tensor_file *f)
{
    broken *b = a->broken;
    const void *n = bytes_of(f, "broken", DT_I64, 1);
    const void *first = bytes_of(f, "broken_first", DT_U8, sizeof b->first);
    const void *known = bytes_of(f, "broken_known", DT_U8, a->bytes);
    int64_t count = -1;

    if (n) memcpy(&count, n, sizeof count);
    if (!first || !known || count < (int64_t)b->n || (size_t)count > a->samples) return;
    b->n = (size_t)count;
    memcpy(b->first, first, sizeof b->first);
    for (size_t i = 0; i < BROKEN_TOLD; i++)
        b->first[i].msg[sizeof b->first[i].msg - 1] = '\0';
    memcpy(a->known, known, a->bytes);
}

static int read_one(checkpoint *c, const char *path, clipc_err *err)
{
    int64_t counters[COUNTERS];
    tensor_file *f = NULL;
    int rc = safetensors_open(&f, path, err);

    if (rc == CLIPC_OK) rc = copy(c->weights, f, "weights", DT_F32, c->floats, path, err);
    if (rc == CLIPC_OK) rc = copy(c->m, f, "adam_m", DT_F32, c->learned, path, err);
    if (rc == CLIPC_OK) rc = copy(c->v, f, "adam_v", DT_F32, c->learned, path, err);
    if (rc == CLIPC_OK && c->ema)
        rc = copy(c->ema, f, "ema", DT_F32, c->floats, path, err);
    if (rc == CLIPC_OK && c->n_maps)
        rc = copy(c->maps, f, "maps", DT_F32, c->n_maps, path, err);
    if (rc == CLIPC_OK && c->near)
        rc = copy(c->near, f, "near", DT_F16, c->nears, path, err);
    if (rc == CLIPC_OK && c->near)
        rc = copy(c->groups, f, "groups", DT_I64, c->n_groups, path, err);
    if (rc == CLIPC_OK) rc = copy(counters, f, "counters", DT_I64, COUNTERS, path, err);
    if (rc == CLIPC_OK) rc = copy(c->isa, f, "isa", DT_U8, sizeof c->isa, path, err);
    c->isa[sizeof c->isa - 1] = '\0';
    if (rc == CLIPC_OK && !(counters[1] >= 0 && counters[1] <= counters[0]))
        rc = clipc_fail(err, CLIPC_ERR_FORMAT,
                        "%s: step %" PRId64 " with %" PRId64 " skipped", path,
                        counters[0], counters[1]);
    if (rc == CLIPC_OK) {
        c->step = counters[0], c->skipped = counters[1], c->threads = counters[2];
        c->best = (double)counters[3] * 1e-9;
        read_broken(&c->broken, f);
    }
    tensor_file_free(f);
    return rc;
}

int checkpoint_read(checkpoint *c, const char *folder, clipc_err *err)
{
    struct dirent **names;
    const int n = list(&names, folder, is_checkpoint);
    int rc = clipc_fail(err, CLIPC_ERR_IO, "%s: no checkpoint to go on from", folder);

    for (int i = n; rc != CLIPC_OK && i-- > 0;) {
        char *path = path_join(folder, names[i]->d_name);
        rc = path ? read_one(c, path, err) : clipc_fail_memory(err, folder, 0);
        free(path);
    }
    free_list(names, n);
    return rc;
}

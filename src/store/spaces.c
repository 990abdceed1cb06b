#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "store/approx.h"
#include "store/catalogue.h"

/* ---- files ---- */

char *space_path(const store *s, int64_t id, int64_t generation, const char *ending)
{
    char name[64];

    snprintf(name, sizeof name, "%" PRId64 ".%" PRId64 ".vectors%s", id, generation,
             ending);
    return path_join(s->folder, name);
}

int spaces_each_file(const char *folder,
                     int (*fn)(void *arg, int64_t id, int64_t generation), void *arg,
                     clipc_err *err)
{
    DIR *dir = opendir(folder);
    int rc = CLIPC_OK;

    if (!dir)
        return clipc_fail(err, CLIPC_ERR_IO, "%s: cannot read: %s", folder,
                          strerror(errno));
    for (struct dirent *e; rc == CLIPC_OK && (e = readdir(dir));) {
        int64_t id, generation;
        int end = 0;
        if (sscanf(e->d_name, "%" SCNd64 ".%" SCNd64 ".vectors%n", &id, &generation,
                   &end) == 2 &&
            end && !e->d_name[end])
            rc = fn(arg, id, generation);
    }
    closedir(dir);
    return rc;
}

static void close_file(space_file *f)
{
    vectors_close(&f->v);
    approx_free(f->near);
    f->near = NULL;
    f->id = 0;
}

void spaces_close(store *s)
{
    for (size_t i = 0; i < s->n_files; i++) close_file(&s->files[i]);
    free(s->files);
    s->files = NULL;
    s->n_files = 0;
}

/* A file's place among those open; CLIPC_ERR_MEMORY without one. */
static int add_file(store *s, space_file **out, clipc_err *err)
{
    space_file *files = realloc(s->files, (s->n_files + 1) * sizeof *files);

    if (!files) return clipc_fail_memory(err, s->folder, sizeof *files);
    s->files = files;
    *out = &files[s->n_files];
    **out = (space_file){.v = {.fd = -1}};
    return CLIPC_OK;
}

int space_fits(const vectors *v, const store_space *space, clipc_err *err)
{
    if (v->head.dim == space->dim && v->head.type == space->type &&
        memcmp(&v->head.fingerprint, &space->fingerprint, sizeof space->fingerprint) == 0)
        return CLIPC_OK;
    return clipc_fail(err, CLIPC_ERR_FORMAT,
                      "%s: holds vectors of another model than the catalogue says",
                      v->path);
}

static int open_file(store *s, space_file *f, const store_space *space,
                     int64_t generation, clipc_err *err)
{
    char *path = space_path(s, space->id, generation, "");
    int rc = path ? CLIPC_OK : clipc_fail_memory(err, s->folder, 0);

    if (rc == CLIPC_OK) rc = vectors_open(&f->v, path, s->mode == STORE_WRITE, err);
    free(path);
    if (rc != CLIPC_OK) return rc;
    f->id = space->id;
    f->generation = generation;
    if ((rc = space_fits(&f->v, space, err)) != CLIPC_OK) vectors_close(&f->v);
    return rc;
}

/* ---- rows of the catalogue ---- */

static void read_space(store_space *out, sqlite3_stmt *st)
{
    const char *type = (const char *)sqlite3_column_text(st, 4);

    *out = (store_space){.id = sqlite3_column_int64(st, 0),
                         .model = (const char *)sqlite3_column_text(st, 1),
                         .dim = (size_t)sqlite3_column_int64(st, 3),
                         .type = dtype_named(type ? type : ""),
                         .slots = (uint64_t)sqlite3_column_int64(st, 5)};
    catalogue_hash(&out->fingerprint, st, 2);
}

int space_row(store *s, store_space *out, int64_t *generation, int64_t id, clipc_err *err)
{
    sqlite3_stmt *st = catalogue_ready(s, SQL_SPACE_GET, err);
    bool row;
    int rc;

    if (!st) return catalogue_error(s, NULL);
    sqlite3_bind_int64(st, 1, id);
    if ((rc = catalogue_step(s, st, &row, err)) != CLIPC_OK) return rc;
    if (!row)
        return clipc_fail(err, CLIPC_ERR_ARG, "%s: no space %" PRId64, s->folder, id);
    read_space(out, st);
    *generation = sqlite3_column_int64(st, 6);
    snprintf(s->model, sizeof s->model, "%s", out->model ? out->model : "");
    out->model = s->model;
    sqlite3_reset(st); /* which else would keep later reads at this state */
    return CLIPC_OK;
}

int space_open(store *s, space_file **out, store_space *space, int64_t id, clipc_err *err)
{
    int64_t generation;
    space_file *f = NULL;
    int rc = space_row(s, space, &generation, id, err);

    for (size_t i = 0; rc == CLIPC_OK && i < s->n_files; i++)
        if (s->files[i].id == id) f = &s->files[i];
    if (f && f->generation == generation) return *out = f, CLIPC_OK;
    if (f) close_file(f); /* it was compacted by another */
    else if (rc == CLIPC_OK && (rc = add_file(s, &f, err)) == CLIPC_OK) s->n_files++;
    if (rc == CLIPC_OK) rc = open_file(s, f, space, generation, err);
    *out = f;
    return rc;
}

/* ---- spaces ---- */

int disk_space_find(store *s, int64_t *id, const store_hash *fingerprint, clipc_err *err)
{
    sqlite3_stmt *st = catalogue_ready(s, SQL_SPACE_FIND, err);
    bool row = false;

    *id = 0;
    if (!st) return catalogue_error(s, NULL);
    catalogue_bind_hash(st, 1, fingerprint);
    const int rc = catalogue_step(s, st, &row, err);
    if (row) *id = sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return rc;
}

int space_sync_folder(const store *s, clipc_err *err)
{
    const int fd = open(s->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool done = fd >= 0 && fsync(fd) == 0;
    const int why = errno;

    if (fd >= 0) close(fd);
    return done ? CLIPC_OK
                : clipc_fail(err, CLIPC_ERR_IO, "%s: %s", s->folder, strerror(why));
}

static int make_file(store *s, int64_t id, const store_space *want, clipc_err *err)
{
    vectors_head head = {
        .fingerprint = want->fingerprint, .dim = want->dim, .type = want->type};
    char *path = space_path(s, id, 1, "");
    space_file *f = NULL;
    int rc = path ? add_file(s, &f, err) : clipc_fail_memory(err, s->folder, 0);

    memcpy(head.model, want->model, strlen(want->model));
    if (rc == CLIPC_OK) rc = vectors_create(&f->v, path, &head, err);
    if (rc == CLIPC_OK) f->id = id, f->generation = 1, s->n_files++;
    if (rc == CLIPC_OK) rc = space_sync_folder(s, err);
    free(path);
    return rc;
}

int disk_space_add(store *s, int64_t *id, const store_space *want, clipc_err *err)
{
    sqlite3_stmt *st;
    int rc = store_check_space(s->folder, want, err);

    assert(s->begun && s->mode == STORE_WRITE);
    if (rc != CLIPC_OK) return rc;
    if (!(st = catalogue_ready(s, SQL_SPACE_ADD, err))) return catalogue_error(s, NULL);
    sqlite3_bind_text(st, 1, want->model, -1, SQLITE_STATIC);
    catalogue_bind_hash(st, 2, &want->fingerprint);
    sqlite3_bind_int64(st, 3, (int64_t)want->dim);
    sqlite3_bind_text(st, 4, dtype_name(want->type), -1, SQLITE_STATIC);
    if ((rc = catalogue_run(s, st, err)) != CLIPC_OK) return rc;
    *id = sqlite3_last_insert_rowid(s->db);
    return make_file(s, *id, want, err);
}

static int count_used(store *s, store_space *space, clipc_err *err)
{
    sqlite3_stmt *st = catalogue_ready(s, SQL_SPACE_USED, err);
    bool row;

    if (!st) return catalogue_error(s, NULL);
    sqlite3_bind_int64(st, 1, space->id);
    const int rc = catalogue_step(s, st, &row, err);
    if (rc != CLIPC_OK) return rc;
    space->used = space->slots - (uint64_t)sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return CLIPC_OK;
}

int disk_space_head(store *s, store_space *out, int64_t id, clipc_err *err)
{
    int64_t generation;

    return space_row(s, out, &generation, id, err);
}

int disk_space_get(store *s, store_space *out, int64_t id, clipc_err *err)
{
    const int rc = disk_space_head(s, out, id, err);

    return rc == CLIPC_OK ? count_used(s, out, err) : rc;
}

int disk_space_remove(store *s, int64_t id, clipc_err *err)
{
    const statement steps[] = {SQL_SPACE_CLEAR, SQL_SPACE_REMOVE};
    int rc = CLIPC_OK;

    assert(s->begun && s->mode == STORE_WRITE);
    for (size_t i = 0; i < 2 && rc == CLIPC_OK; i++) {
        sqlite3_stmt *st = catalogue_ready(s, steps[i], err);
        if (!st) return catalogue_error(s, NULL);
        sqlite3_bind_int64(st, 1, id);
        rc = catalogue_run(s, st, err);
    }
    return rc;
}

int disk_each_space(store *s, int (*fn)(void *arg, const store_space *space), void *arg,
                    clipc_err *err)
{
    sqlite3_stmt *st = catalogue_prepare(
        s, "SELECT id, model, fingerprint, dim, type, slots FROM space ORDER BY id", err);
    bool row = true;
    int rc = st ? CLIPC_OK : catalogue_error(s, NULL);

    while (rc == CLIPC_OK && (rc = catalogue_step(s, st, &row, err)) == CLIPC_OK && row) {
        store_space space;
        read_space(&space, st);
        rc = count_used(s, &space, err);
        if (rc == CLIPC_OK) rc = fn(arg, &space);
    }
    sqlite3_finalize(st);
    return rc;
}

/* ---- vectors ---- */

int disk_vector_find(store *s, uint64_t *slot, bool *there, int64_t space,
                     const store_hash *hash, clipc_err *err)
{
    sqlite3_stmt *st = catalogue_ready(s, SQL_VECTOR_FIND, err);

    *there = false;
    if (!st) return catalogue_error(s, NULL);
    sqlite3_bind_int64(st, 1, space);
    catalogue_bind_hash(st, 2, hash);
    const int rc = catalogue_step(s, st, there, err);
    if (*there) *slot = (uint64_t)sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return rc;
}

static int add_vector(store *s, int64_t space, uint64_t slot, const store_hash *hash,
                      clipc_err *err)
{
    sqlite3_stmt *add = catalogue_ready(s, SQL_VECTOR_ADD, err);
    sqlite3_stmt *grow = add ? catalogue_ready(s, SQL_SPACE_GROW, err) : NULL;

    if (!grow) return catalogue_error(s, NULL);
    sqlite3_bind_int64(add, 1, space);
    sqlite3_bind_int64(add, 2, (int64_t)slot);
    catalogue_bind_hash(add, 3, hash);
    sqlite3_bind_int64(grow, 1, space);
    sqlite3_bind_int64(grow, 2, (int64_t)slot + 1);
    const int rc = catalogue_run(s, add, err);
    return rc == CLIPC_OK ? catalogue_run(s, grow, err) : rc;
}

int disk_vector_put(store *s, int64_t space, const store_hash *hash, const float *row,
                    clipc_err *err)
{
    store_space is;
    space_file *f;
    uint64_t slot;
    bool there;
    int rc = disk_vector_find(s, &slot, &there, space, hash, err);

    assert(s->begun && s->mode == STORE_WRITE);
    if (rc != CLIPC_OK || there) return rc;
    if ((rc = space_open(s, &f, &is, space, err)) != CLIPC_OK) return rc;
    rc = vectors_append(&f->v, s->k, is.slots, hash, row, err);
    return rc == CLIPC_OK ? add_vector(s, space, is.slots, hash, err) : rc;
}

/* The file of a space, reaching up to this slot of it. */
static int reach_slot(store *s, space_file **f, int64_t space, uint64_t slot,
                      clipc_err *err)
{
    store_space is;
    int rc = space_open(s, f, &is, space, err);

    if (rc == CLIPC_OK && slot >= is.slots)
        rc = clipc_fail(err, CLIPC_ERR_ARG, "%s: no vector %" PRIu64 " of %" PRIu64,
                        (*f)->v.path, slot, is.slots);
    return rc == CLIPC_OK ? vectors_reach(&(*f)->v, is.slots, err) : rc;
}

int disk_vector_get(store *s, float *row, store_hash *hash, int64_t space, uint64_t slot,
                    clipc_err *err)
{
    space_file *f;
    const int rc = reach_slot(s, &f, space, slot, err);

    if (rc != CLIPC_OK) return rc;
    vectors_read(&f->v, s->k, row, slot);
    if (hash) *hash = *vectors_key(&f->v, slot);
    return CLIPC_OK;
}

int disk_each_item_of(store *s, int64_t space, uint64_t slot, store_item_fn fn, void *arg,
                      clipc_err *err)
{
    space_file *f;
    const int rc = reach_slot(s, &f, space, slot, err);

    if (rc != CLIPC_OK) return rc;
    const store_hash hash = *vectors_key(&f->v, slot);
    return disk_each_item(s, &(store_filter){.hash = &hash}, fn, arg, err);
}

/* ---- what is left over ---- */

static void remove_file(const store *s, int64_t id, int64_t generation,
                        const char *ending)
{
    char *path = space_path(s, id, generation, ending);

    if (path) unlink(path);
    free(path);
}

static int tidy_file(void *arg, int64_t id, int64_t generation)
{
    store *s = arg;
    store_space space;
    int64_t named = 0;
    const int rc = space_row(s, &space, &named, id, NULL);

    if (rc == CLIPC_ERR_ARG || (rc == CLIPC_OK && named != generation))
        remove_file(s, id, generation, ""), remove_file(s, id, generation, APPROX_ENDING);
    remove_file(s, id, generation - 1, APPROX_ENDING); /* whose builder came too late */
    remove_file(s, id, generation + 1, SPACE_UNFINISHED);
    return CLIPC_OK;
}

/* While it writes, another one's files may be named only once it has committed. */
void spaces_tidy(store *s)
{
    sqlite3_busy_timeout(s->db, 0);
    if (catalogue_exec(s, "BEGIN IMMEDIATE", NULL) == CLIPC_OK) {
        spaces_each_file(s->folder, tidy_file, s, NULL);
        catalogue_exec(s, "COMMIT", NULL);
    }
    sqlite3_busy_timeout(s->db, CATALOGUE_BUSY_MS);
}

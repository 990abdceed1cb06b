#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "store/catalogue.h"

typedef struct care {
    store *s;
    bool mend;
    store_report *out;
    void (*note)(void *arg, const char *line);
    void *arg;
} care;

static void tell(const care *c, const char *line)
{
    if (c->note) c->note(c->arg, line);
}

static int with_slot(store *s, statement which, int64_t space, uint64_t slot,
                     clipc_err *err)
{
    sqlite3_stmt *st = catalogue_ready(s, which, err);

    if (!st) return catalogue_error(s, NULL);
    sqlite3_bind_int64(st, 1, space);
    sqlite3_bind_int64(st, 2, (int64_t)slot);
    return catalogue_run(s, st, err);
}

static int add_slot(store *s, int64_t space, uint64_t slot, const store_hash *hash,
                    clipc_err *err)
{
    sqlite3_stmt *st = catalogue_ready(s, SQL_VECTOR_ADD, err);

    if (!st) return catalogue_error(s, NULL);
    sqlite3_bind_int64(st, 1, space);
    sqlite3_bind_int64(st, 2, (int64_t)slot);
    catalogue_bind_hash(st, 3, hash);
    return catalogue_run(s, st, err);
}

/* A vector as the catalogue has it. */
typedef struct entry {
    uint64_t slot;
    store_hash hash;
} entry;

/* Adds to `out` the entries of a space, all that have a hash or those that are used. */
static int read_entries(store *s, buf *out, int64_t space, bool used, clipc_err *err)
{
    sqlite3_stmt *st = catalogue_prepare(
        s,
        "SELECT slot, hash FROM vector WHERE space = ? AND hash IS NOT NULL"
        " AND used >= ? ORDER BY slot",
        err);
    bool row = true;
    int rc = st ? CLIPC_OK : catalogue_error(s, NULL);

    if (st) sqlite3_bind_int64(st, 1, space), sqlite3_bind_int(st, 2, used);
    while (rc == CLIPC_OK && (rc = catalogue_step(s, st, &row, err)) == CLIPC_OK && row) {
        entry e = {.slot = (uint64_t)sqlite3_column_int64(st, 0)};
        catalogue_hash(&e.hash, st, 1);
        rc = buf_add(out, &e, sizeof e, err);
    }
    sqlite3_finalize(st);
    return rc;
}

/* ---- a space and its file ---- */

static bool is_right(const vectors *v, const entry *e)
{
    return memcmp(vectors_key(v, e->slot), &e->hash, sizeof e->hash) == 0 &&
           vectors_sound(v, e->slot);
}

/* Counts what is wrong with entries [0, n), of which the file reaches slots [0, room),
 * and takes them out of the catalogue. */
static int check_entries(care *c, int64_t space, const vectors *v, const char *path,
                         const entry *e, size_t n, uint64_t room, clipc_err *err)
{
    const uint64_t before = c->out->bad + c->out->lost;
    char line[300];
    int rc = CLIPC_OK;

    c->out->vectors += n;
    for (size_t i = 0; i < n && rc == CLIPC_OK; i++) {
        const bool lost = e[i].slot >= room;
        if (!lost && is_right(v, &e[i])) continue;
        ++*(lost ? &c->out->lost : &c->out->bad);
        if (!c->mend) continue;
        rc = with_slot(c->s, SQL_VECTOR_DROP, space, e[i].slot, err);
        c->out->dropped++;
    }
    const uint64_t wrong = c->out->bad + c->out->lost - before;
    snprintf(line, sizeof line, "%s: %" PRIu64 " of %zu vectors are damaged or gone%s",
             path, wrong, n, c->mend ? ": dropped" : "");
    if (wrong) tell(c, line);
    return rc;
}

/* Opens a space's file.  If it cannot be as it is, its header is written anew from what
 * the catalogue knows; rows that are not there will be found lost. */
static int open_or_mend(care *c, vectors *v, const char *path, const store_space *space,
                        clipc_err *err)
{
    clipc_err why;
    int rc = vectors_open(v, path, c->mend, &why);

    if (rc == CLIPC_OK && (rc = space_fits(v, space, &why)) != CLIPC_OK) vectors_close(v);
    if (rc == CLIPC_OK) return rc;
    tell(c, why.msg);
    if (!c->mend) return CLIPC_OK;
    vectors_head head = {
        .fingerprint = space->fingerprint, .dim = space->dim, .type = space->type};
    snprintf(head.model, sizeof head.model, "%s", space->model);
    return vectors_mend(v, path, &head, err);
}

/* The file in reach as far as it goes. */
static int reach_all(vectors *v, uint64_t slots, uint64_t *room, clipc_err *err)
{
    int rc = CLIPC_OK;

    *room = 0;
    if (v->path && (rc = vectors_room(v, room, err)) == CLIPC_OK) {
        if (*room > slots) *room = slots;
        rc = vectors_reach(v, *room, err);
    }
    return rc;
}

static int check_file(care *c, const store_space *space, const char *path, clipc_err *err)
{
    vectors v = {.fd = -1};
    buf entries = {0};
    uint64_t room;
    int rc = open_or_mend(c, &v, path, space, err);

    if (rc == CLIPC_OK) rc = reach_all(&v, space->slots, &room, err);
    if (rc == CLIPC_OK) rc = read_entries(c->s, &entries, space->id, false, err);
    if (rc == CLIPC_OK)
        rc = check_entries(c, space->id, &v, path, (const entry *)(void *)entries.data,
                           entries.len / sizeof(entry), room, err);
    if (rc == CLIPC_OK && c->mend) rc = vectors_extend(&v, space->slots, err);
    if (rc == CLIPC_OK && c->mend) rc = vectors_sync(&v, err);
    vectors_close(&v);
    buf_free(&entries);
    return rc;
}

typedef struct space_check {
    care *c;
    clipc_err *err;
} space_check;

static int check_space(void *arg, const store_space *shown)
{
    const space_check *k = arg;
    store *s = k->c->s;
    store_space space;
    int64_t generation;
    int rc = space_row(s, &space, &generation, shown->id, k->err);

    if (rc != CLIPC_OK) return rc;
    char *path = space_path(s, space.id, generation, "");
    rc = path ? check_file(k->c, &space, path, k->err)
              : clipc_fail_memory(k->err, s->folder, 0);
    free(path);
    return rc;
}

static int check_spaces(care *c, clipc_err *err)
{
    space_check k = {c, err};
    int rc = disk_begin(c->s, err);

    if (rc == CLIPC_OK) rc = disk_each_space(c->s, check_space, &k, err);
    if (rc == CLIPC_OK) return disk_commit(c->s, err);
    disk_rollback(c->s);
    return rc;
}

/* ---- the catalogue ---- */

static bool has_catalogue(const store *s)
{
    char *path = path_join(s->folder, CATALOGUE_NAME);
    const bool there = path && file_exists(path);

    free(path);
    return there;
}

/* CLIPC_ERR_FORMAT: it is broken or gone; *err says how. */
static int check_catalogue(care *c, clipc_err *err)
{
    sqlite3_stmt *st;
    bool row;
    int rc = CLIPC_OK;

    if (!has_catalogue(c->s))
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s/%s: is gone", c->s->folder,
                          CATALOGUE_NAME);
    if ((rc = catalogue_open(c->s, false, err)) != CLIPC_OK) return rc;
    if (!(st = catalogue_prepare(c->s, "PRAGMA integrity_check(1)", err)))
        return catalogue_error(c->s, NULL);
    rc = catalogue_step(c->s, st, &row, err);
    if (rc == CLIPC_OK && strcmp((const char *)sqlite3_column_text(st, 0), "ok") != 0)
        rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s/%s: %s", c->s->folder, CATALOGUE_NAME,
                        (const char *)sqlite3_column_text(st, 0));
    sqlite3_finalize(st);
    return rc;
}

/* "catalogue.broken", or with a number behind it, whichever is free. */
static int put_aside(care *c, clipc_err *err)
{
    static const char *const endings[] = {"", "-wal", "-shm"};
    char from[4096], to[4096];
    int n = 0;

    do {
        snprintf(to, sizeof to, "%s/catalogue.broken%.0d", c->s->folder, n++); /* 0: "" */
    } while (file_exists(to));
    const size_t len = strlen(to);
    for (size_t i = 0; i < 3; i++) {
        snprintf(from, sizeof from, "%s/%s%s", c->s->folder, CATALOGUE_NAME, endings[i]);
        snprintf(to + len, sizeof to - len, "%s", endings[i]);
        if (rename(from, to) != 0 && errno != ENOENT)
            return clipc_fail(err, CLIPC_ERR_IO, "%s: cannot put it aside: %s", from,
                              strerror(errno));
    }
    return CLIPC_OK;
}

static int add_space(store *s, int64_t id, int64_t generation, const vectors_head *h,
                     clipc_err *err)
{
    sqlite3_stmt *st = catalogue_prepare(
        s,
        "INSERT INTO space (id, generation, model, fingerprint, dim, type, slots)"
        " VALUES (?, ?, ?, ?, ?, ?, 0)"
        " ON CONFLICT DO UPDATE SET generation = excluded.generation"
        " WHERE excluded.generation > generation AND excluded.id = id",
        err);

    if (!st) return catalogue_error(s, NULL);
    sqlite3_bind_int64(st, 1, id);
    sqlite3_bind_int64(st, 2, generation);
    sqlite3_bind_text(st, 3, h->model, -1, SQLITE_STATIC);
    catalogue_bind_hash(st, 4, &h->fingerprint);
    sqlite3_bind_int64(st, 5, (int64_t)h->dim);
    sqlite3_bind_text(st, 6, dtype_name(h->type), -1, SQLITE_STATIC);
    const int rc = catalogue_run(s, st, err);
    sqlite3_finalize(st);
    return rc;
}

/* A file of vectors that its header still describes names a space; of several generations
 * the last, which is whole before it has its name. */
static int find_space(void *arg, int64_t id, int64_t generation)
{
    const space_check *k = arg;
    char *path = space_path(k->c->s, id, generation, "");
    vectors v = {.fd = -1};
    clipc_err why = {0};
    int rc = path ? vectors_open(&v, path, false, &why) : CLIPC_ERR_MEMORY;

    if (rc == CLIPC_OK) rc = add_space(k->c->s, id, generation, &v.head, &why);
    if (rc != CLIPC_OK) tell(k->c, why.msg);
    vectors_close(&v);
    free(path);
    return CLIPC_OK;
}

/* A sound row goes into the catalogue, unless its content has one already. */
static int find_vector(care *c, int64_t space, const vectors *v, uint64_t slot,
                       clipc_err *err)
{
    uint64_t other;
    bool twice;
    const store_hash *key = vectors_key(v, slot);
    int rc = disk_vector_find(c->s, &other, &twice, space, key, err);

    if (rc != CLIPC_OK) return rc;
    if (twice || !vectors_sound(v, slot))
        return with_slot(c->s, SQL_VECTOR_DROP, space, slot, err);
    c->out->found++;
    return add_slot(c->s, space, slot, key, err);
}

static int find_vectors(void *arg, const store_space *shown)
{
    const space_check *k = arg;
    store *s = k->c->s;
    store_space space;
    space_file *f;
    uint64_t room = 0;
    int rc = space_open(s, &f, &space, shown->id, k->err);

    if (rc == CLIPC_OK) rc = vectors_room(&f->v, &room, k->err);
    if (rc == CLIPC_OK) rc = vectors_reach(&f->v, room, k->err);
    for (uint64_t slot = 0; slot < room && rc == CLIPC_OK; slot++)
        rc = find_vector(k->c, space.id, &f->v, slot, k->err);
    return rc == CLIPC_OK ? with_slot(s, SQL_SPACE_GROW, space.id, room, k->err) : rc;
}

static int make_catalogue(care *c, clipc_err *err)
{
    space_check k = {c, err};
    int rc;

    catalogue_close(c->s);
    if ((rc = put_aside(c, err)) != CLIPC_OK) return rc;
    if ((rc = catalogue_open(c->s, true, err)) != CLIPC_OK) return rc;
    if ((rc = disk_begin(c->s, err)) != CLIPC_OK) return rc;
    rc = spaces_each_file(c->s->folder, find_space, &k, err);
    if (rc == CLIPC_OK) rc = disk_each_space(c->s, find_vectors, &k, err);
    if (rc == CLIPC_OK) rc = disk_commit(c->s, err);
    else disk_rollback(c->s);
    c->out->made_again = rc == CLIPC_OK;
    return rc;
}

static int look_after(care *c, clipc_err *err)
{
    clipc_err why;
    const int rc = check_catalogue(c, &why);

    if (rc == CLIPC_OK) return check_spaces(c, err);
    if (rc != CLIPC_ERR_FORMAT) return clipc_fail(err, rc, "%s", why.msg);
    c->out->catalogue = true;
    tell(c, why.msg);
    return c->mend ? make_catalogue(c, err) : CLIPC_OK;
}

static int care_for(const char *folder, care c, clipc_err *err)
{
    store s = {.kind = &disk_kind,
               .mode = c.mend ? STORE_WRITE : STORE_READ,
               .folder = strdup(folder)};
    int rc = kernels_pick(&s.k, err);

    c.s = &s;
    *c.out = (store_report){0};
    if (!s.folder) return clipc_fail_memory(err, folder, strlen(folder));
    if (rc == CLIPC_OK && !store_exists(folder))
        rc = clipc_fail(err, CLIPC_ERR_IO, "%s: no index", folder);
    if (rc == CLIPC_OK) rc = look_after(&c, err);
    disk_rollback(&s);
    spaces_close(&s);
    catalogue_close(&s);
    free(s.folder);
    return rc;
}

int store_verify(const char *folder, store_report *out,
                 void (*note)(void *arg, const char *line), void *arg, clipc_err *err)
{
    return care_for(folder, (care){.out = out, .note = note, .arg = arg}, err);
}

int store_repair(const char *folder, store_report *out,
                 void (*note)(void *arg, const char *line), void *arg, clipc_err *err)
{
    return care_for(folder, (care){.mend = true, .out = out, .note = note, .arg = arg},
                    err);
}

/* ---- compaction ---- */

/* Copies the sound ones of entries [0, n) to a new file; those that are not are left to
 * be embedded again. */
static int copy_entries(vectors *to, const vectors *from, entry *e, size_t *n,
                        clipc_err *err)
{
    size_t kept = 0;
    int rc = CLIPC_OK;

    for (size_t i = 0; i < *n && rc == CLIPC_OK; i++) {
        if (!is_right(from, &e[i])) continue;
        rc = vectors_copy(to, kept, from, e[i].slot, err);
        e[kept++] = e[i];
    }
    *n = kept;
    return rc == CLIPC_OK ? vectors_sync(to, err) : rc;
}

/* Of the next generation.  It gets its name once it is whole. */
static int write_file(const store *s, const space_file *f, entry *e, size_t *n,
                      clipc_err *err)
{
    char *tmp = space_path(s, f->id, f->generation + 1, SPACE_UNFINISHED);
    char *path = space_path(s, f->id, f->generation + 1, "");
    vectors to = {.fd = -1};
    int rc = tmp && path ? CLIPC_OK : clipc_fail_memory(err, s->folder, 0);

    if (rc == CLIPC_OK) rc = vectors_create(&to, tmp, &f->v.head, err);
    if (rc == CLIPC_OK) rc = copy_entries(&to, &f->v, e, n, err);
    vectors_close(&to);
    if (rc == CLIPC_OK && rename(tmp, path) != 0)
        rc = clipc_fail(err, CLIPC_ERR_IO, "%s: %s", path, strerror(errno));
    if (rc == CLIPC_OK) rc = space_sync_folder(s, err);
    else if (tmp) unlink(tmp);
    free(tmp);
    free(path);
    return rc;
}

/* The catalogue's side: slots [0, n) are those of the entries. */
static int renew_space(store *s, int64_t space, int64_t generation, const entry *e,
                       size_t n, clipc_err *err)
{
    sqlite3_stmt *st = catalogue_ready(s, SQL_SPACE_CLEAR, err);
    int rc = st ? CLIPC_OK : catalogue_error(s, NULL);

    if (st) sqlite3_bind_int64(st, 1, space), rc = catalogue_run(s, st, err);
    for (size_t i = 0; i < n && rc == CLIPC_OK; i++)
        rc = add_slot(s, space, i, &e[i].hash, err);
    if (rc != CLIPC_OK) return rc;
    if (!(st = catalogue_ready(s, SQL_SPACE_RENEW, err))) return catalogue_error(s, NULL);
    sqlite3_bind_int64(st, 1, space);
    sqlite3_bind_int64(st, 2, generation);
    sqlite3_bind_int64(st, 3, (int64_t)n);
    return catalogue_run(s, st, err);
}

static int compact(store *s, int64_t id, clipc_err *err)
{
    store_space space;
    space_file *f;
    buf entries = {0};
    int rc = space_open(s, &f, &space, id, err);

    if (rc == CLIPC_OK) rc = vectors_reach(&f->v, space.slots, err);
    if (rc == CLIPC_OK) rc = read_entries(s, &entries, id, true, err);
    entry *e = (entry *)(void *)entries.data;
    size_t n = entries.len / sizeof *e;
    if (rc == CLIPC_OK) rc = write_file(s, f, e, &n, err);
    if (rc == CLIPC_OK) rc = renew_space(s, id, f->generation + 1, e, n, err);
    buf_free(&entries);
    return rc;
}

int store_compact(store *s, int64_t space, clipc_err *err)
{
    int rc = disk_begin(s, err);

    assert(s->mode == STORE_WRITE);
    if (rc != CLIPC_OK) return rc;
    if ((rc = compact(s, space, err)) != CLIPC_OK) {
        disk_rollback(s);
        return rc;
    }
    if ((rc = disk_commit(s, err)) == CLIPC_OK) spaces_tidy(s);
    return rc;
}

#include "store/catalogue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

enum { VERSION = 1 };

/* vector: a row for each slot; hash NULL once it was dropped.  Whether an item has a
 * vector is kept by the triggers, so that the few that none has are found at once.
 * application_id: "clix". */
static const char schema[] =
    "PRAGMA application_id = 0x636c6978;"
    "CREATE TABLE root (id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " path BLOB NOT NULL UNIQUE, meta TEXT);"
    "CREATE TABLE space (id INTEGER PRIMARY KEY AUTOINCREMENT, model TEXT NOT NULL,"
    " fingerprint BLOB NOT NULL UNIQUE, dim INTEGER NOT NULL, type TEXT NOT NULL,"
    " generation INTEGER NOT NULL, slots INTEGER NOT NULL);"
    "CREATE TABLE vector (space INTEGER NOT NULL, slot INTEGER NOT NULL, hash BLOB,"
    " used INTEGER NOT NULL, PRIMARY KEY (space, slot)) WITHOUT ROWID;"
    "CREATE UNIQUE INDEX vector_hash ON vector (hash, space);"
    "CREATE INDEX vector_unused ON vector (space, slot) WHERE used = 0;"
    "CREATE TABLE item (id INTEGER PRIMARY KEY AUTOINCREMENT, root INTEGER NOT NULL,"
    " key BLOB NOT NULL, size INTEGER NOT NULL, mtime INTEGER NOT NULL,"
    " inode INTEGER NOT NULL, hash BLOB, width INTEGER NOT NULL,"
    " height INTEGER NOT NULL, time INTEGER NOT NULL, orientation INTEGER NOT NULL,"
    " meta TEXT, error TEXT, UNIQUE (root, key));"
    "CREATE INDEX item_hash ON item (hash) WHERE hash IS NOT NULL;"
    "CREATE TRIGGER item_added AFTER INSERT ON item WHEN new.hash IS NOT NULL BEGIN"
    " UPDATE vector SET used = 1 WHERE hash = new.hash AND used = 0; END;"
    "CREATE TRIGGER item_removed AFTER DELETE ON item WHEN old.hash IS NOT NULL BEGIN"
    " UPDATE vector SET used = 0 WHERE hash = old.hash"
    " AND NOT EXISTS (SELECT 1 FROM item WHERE hash = old.hash); END;"
    "CREATE TRIGGER item_changed AFTER UPDATE OF hash ON item"
    " WHEN old.hash IS NOT new.hash BEGIN"
    " UPDATE vector SET used = 1 WHERE hash = new.hash AND used = 0;"
    " UPDATE vector SET used = 0 WHERE hash = old.hash"
    " AND NOT EXISTS (SELECT 1 FROM item WHERE hash = old.hash); END;"
    "PRAGMA user_version = 1;";

static const char *const texts[SQL_COUNT] = {
    [SQL_ROOT_FIND] = "SELECT id FROM root WHERE path = ?",
    [SQL_ROOT_ADD] = "INSERT INTO root (path) VALUES (?)",
    [SQL_ROOT_SET_META] = "UPDATE root SET meta = ?2 WHERE id = ?1",
    [SQL_ROOT_REMOVE] = "DELETE FROM root WHERE id = ?",
    [SQL_ROOT_CLEAR] = "DELETE FROM item WHERE root = ?",
    [SQL_SPACE_FIND] = "SELECT id FROM space WHERE fingerprint = ?",
    [SQL_SPACE_ADD] = "INSERT INTO space (model, fingerprint, dim, type, generation,"
                      " slots) VALUES (?, ?, ?, ?, 1, 0)",
    [SQL_SPACE_GET] = "SELECT id, model, fingerprint, dim, type, slots, generation"
                      " FROM space WHERE id = ?",
    [SQL_SPACE_USED] = "SELECT count(*) FROM vector INDEXED BY vector_unused"
                       " WHERE space = ? AND used = 0",
    [SQL_SPACE_GROW] = "UPDATE space SET slots = ?2 WHERE id = ?1",
    [SQL_SPACE_REMOVE] = "DELETE FROM space WHERE id = ?",
    [SQL_SPACE_CLEAR] = "DELETE FROM vector WHERE space = ?",
    [SQL_SPACE_RENEW] = "UPDATE space SET generation = ?2, slots = ?3 WHERE id = ?1",
    [SQL_ITEM_PUT] =
        "INSERT INTO item (root, key, size, mtime, inode, hash, width, height, time,"
        " orientation, meta, error) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (root, key) DO UPDATE SET size = excluded.size,"
        " mtime = excluded.mtime, inode = excluded.inode, hash = excluded.hash,"
        " width = excluded.width, height = excluded.height, time = excluded.time,"
        " orientation = excluded.orientation, meta = excluded.meta,"
        " error = excluded.error RETURNING id",
    [SQL_ITEM_REMOVE] = "DELETE FROM item WHERE id = ?",
    [SQL_ITEM_REMOVE_KEY] = "DELETE FROM item WHERE root = ?2 AND key = ?3 AND id <> ?1",
    [SQL_ITEM_MOVE] = "UPDATE item SET root = ?2, key = ?3 WHERE id = ?1",
    [SQL_VECTOR_FIND] = "SELECT slot FROM vector WHERE hash = ?2 AND space = ?1",
    [SQL_VECTOR_ADD] =
        "INSERT INTO vector (space, slot, hash, used)"
        " VALUES (?1, ?2, ?3, EXISTS (SELECT 1 FROM item WHERE hash = ?3))",
    [SQL_VECTOR_DROP] =
        "INSERT INTO vector (space, slot, hash, used) VALUES (?1, ?2, NULL, 0)"
        " ON CONFLICT (space, slot) DO UPDATE SET hash = NULL, used = 0",
};

/* ---- errors and statements ---- */

int catalogue_error(const store *s, clipc_err *err)
{
    const int code = s->db ? sqlite3_errcode(s->db) & 0xff : SQLITE_NOMEM;
    const char *why = s->db ? sqlite3_errmsg(s->db) : "out of memory";

    if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
        return clipc_fail(err, CLIPC_ERR_EXISTS,
                          "%s: another process is writing to the index", s->folder);
    return clipc_fail(err,
                      code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? CLIPC_ERR_FORMAT
                      : code == SQLITE_NOMEM                          ? CLIPC_ERR_MEMORY
                                                                      : CLIPC_ERR_IO,
                      "%s/%s: %s", s->folder, CATALOGUE_NAME, why);
}

sqlite3_stmt *catalogue_prepare(store *s, const char *sql, clipc_err *err)
{
    sqlite3_stmt *st = NULL;

    if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK)
        catalogue_error(s, err);
    return st;
}

sqlite3_stmt *catalogue_ready(store *s, statement which, clipc_err *err)
{
    sqlite3_stmt **st = &s->prepared[which];

    if (!*st) *st = catalogue_prepare(s, texts[which], err);
    if (*st) sqlite3_reset(*st);
    return *st;
}

int catalogue_step(store *s, sqlite3_stmt *st, bool *row, clipc_err *err)
{
    const int code = sqlite3_step(st);

    *row = code == SQLITE_ROW;
    if (*row) return CLIPC_OK;
    const int rc = code == SQLITE_DONE ? CLIPC_OK : catalogue_error(s, err);
    sqlite3_reset(st);
    return rc;
}

int catalogue_run(store *s, sqlite3_stmt *st, clipc_err *err)
{
    bool row = true;
    int rc = CLIPC_OK;

    while (rc == CLIPC_OK && row) rc = catalogue_step(s, st, &row, err);
    return rc;
}

int catalogue_exec(store *s, const char *sql, clipc_err *err)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK
               ? CLIPC_OK
               : catalogue_error(s, err);
}

void catalogue_bind(sqlite3_stmt *st, int i, store_bytes b)
{
    sqlite3_bind_blob64(st, i, b.data ? b.data : "", b.size, SQLITE_STATIC);
}

void catalogue_bind_hash(sqlite3_stmt *st, int i, const store_hash *hash)
{
    if (hash) sqlite3_bind_blob(st, i, hash, sizeof *hash, SQLITE_STATIC);
    else sqlite3_bind_null(st, i);
}

store_bytes catalogue_bytes(sqlite3_stmt *st, int column)
{
    const void *data = sqlite3_column_blob(st, column);

    return (store_bytes){data ? data : "", (size_t)sqlite3_column_bytes(st, column)};
}

bool catalogue_hash(store_hash *out, sqlite3_stmt *st, int column)
{
    const store_bytes b = catalogue_bytes(st, column);

    *out = (store_hash){{0}};
    if (b.size != sizeof *out) return false;
    memcpy(out, b.data, sizeof *out);
    return true;
}

/* ---- transactions ---- */

/* The state that a reader sees is that of its first read. */
static int begin_reading(store *s, clipc_err *err)
{
    int rc = catalogue_exec(s, "BEGIN", err);

    if (rc == CLIPC_OK) rc = catalogue_exec(s, "SELECT count(*) FROM space", err);
    if (rc == CLIPC_OK) s->begun = true;
    else disk_rollback(s);
    return rc;
}

int disk_begin(store *s, clipc_err *err)
{
    assert(!s->begun);
    if (s->mode == STORE_READ) return begin_reading(s, err);
    const int rc = catalogue_exec(s, "BEGIN IMMEDIATE", err);
    s->begun = rc == CLIPC_OK;
    return rc;
}

/* Vectors are on the disk before the catalogue says that they are. */
int disk_commit(store *s, clipc_err *err)
{
    int rc = CLIPC_OK;

    assert(s->begun);
    for (size_t i = 0; s->mode == STORE_WRITE && i < s->n_files && rc == CLIPC_OK; i++)
        rc = vectors_sync(&s->files[i].v, err);
    if (rc == CLIPC_OK) rc = catalogue_exec(s, "COMMIT", err);
    if (rc == CLIPC_OK) s->begun = false;
    else disk_rollback(s);
    return rc;
}

void disk_rollback(store *s)
{
    if (!s || !s->db) return;
    for (size_t i = 0; i < SQL_COUNT; i++)
        if (s->prepared[i]) sqlite3_reset(s->prepared[i]);
    if (!sqlite3_get_autocommit(s->db)) catalogue_exec(s, "ROLLBACK", NULL);
    if (s->mode == STORE_WRITE) spaces_close(s); /* with what is pending */
    s->begun = false;
}

int catalogue_hold(store *s, bool *own, clipc_err *err)
{
    *own = !s->begun;
    return *own ? begin_reading(s, err) : CLIPC_OK;
}

void catalogue_release(store *s, bool own)
{
    if (!own || !s->begun) return;
    catalogue_exec(s, "COMMIT", NULL);
    s->begun = false;
}

/* ---- opening ---- */

static int number_of(store *s, const char *pragma, int64_t *out, clipc_err *err)
{
    sqlite3_stmt *st = catalogue_prepare(s, pragma, err);
    bool row = false;

    if (!st) return catalogue_error(s, NULL);
    const int rc = catalogue_step(s, st, &row, err);
    *out = row ? sqlite3_column_int64(st, 0) : 0;
    sqlite3_finalize(st);
    return rc;
}

static int check_version(store *s, clipc_err *err)
{
    int64_t version = 0;
    const int rc = number_of(s, "PRAGMA user_version", &version, err);

    if (rc != CLIPC_OK || version == VERSION) return rc;
    return clipc_fail(err, CLIPC_ERR_FORMAT, "%s/%s: %s", s->folder, CATALOGUE_NAME,
                      version > VERSION ? "made by a later clipc" : "no catalogue");
}

/* Two that make one at the same time: the second finds it made. */
static int make_tables(store *s, clipc_err *err)
{
    int64_t version = 0;
    int rc = catalogue_exec(s, "BEGIN IMMEDIATE", err);

    if (rc == CLIPC_OK) rc = number_of(s, "PRAGMA user_version", &version, err);
    if (rc == CLIPC_OK && !version) rc = catalogue_exec(s, schema, err);
    if (rc == CLIPC_OK) rc = catalogue_exec(s, "COMMIT", err);
    if (rc != CLIPC_OK) disk_rollback(s);
    return rc;
}

static int open_database(store *s, const char *path, bool create, clipc_err *err)
{
    const int how = s->mode == STORE_READ
                        ? SQLITE_OPEN_READONLY
                        : SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0);

    if (sqlite3_open_v2(path, &s->db, how | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return catalogue_error(s, err);
    sqlite3_extended_result_codes(s->db, 1);
    sqlite3_busy_timeout(s->db, CATALOGUE_BUSY_MS);
    /* FULL: what is committed outlives the fall of the machine as well. */
    return s->mode == STORE_READ
               ? CLIPC_OK
               : catalogue_exec(s,
                                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                "PRAGMA cache_size = -16000;",
                                err);
}

int catalogue_open(store *s, bool create, clipc_err *err)
{
    char *path = path_join(s->folder, CATALOGUE_NAME);
    int rc = path ? CLIPC_OK : clipc_fail_memory(err, s->folder, strlen(s->folder));

    if (rc == CLIPC_OK) rc = open_database(s, path, create, err);
    if (rc == CLIPC_OK && create) rc = make_tables(s, err);
    if (rc == CLIPC_OK) rc = check_version(s, err);
    free(path);
    return rc;
}

void catalogue_close(store *s)
{
    for (size_t i = 0; i < SQL_COUNT; i++) {
        sqlite3_finalize(s->prepared[i]);
        s->prepared[i] = NULL;
    }
    sqlite3_close(s->db);
    s->db = NULL;
}

static int any_file(void *arg, int64_t id, int64_t generation)
{
    (void)id, (void)generation;
    *(bool *)arg = true;
    return CLIPC_OK;
}

/* Whether the folder holds an index, and a catalogue of it. */
static int look(const char *folder, bool *catalogue, bool *files, clipc_err *err)
{
    char *path = path_join(folder, CATALOGUE_NAME);

    *catalogue = *files = false;
    if (!path) return clipc_fail_memory(err, folder, strlen(folder));
    *catalogue = file_exists(path);
    free(path);
    return file_is_dir(folder) ? spaces_each_file(folder, any_file, files, err)
                               : CLIPC_OK;
}

bool store_exists(const char *folder)
{
    bool catalogue, files;

    return look(folder, &catalogue, &files, NULL) == CLIPC_OK && (catalogue || files);
}

static int open_there(store *s, clipc_err *err)
{
    bool catalogue, files;
    int rc = look(s->folder, &catalogue, &files, err);

    if (rc != CLIPC_OK) return rc;
    if (!catalogue && files)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: an index without its catalogue; verify --repair makes a "
                          "new one",
                          s->folder);
    if (!catalogue && s->mode == STORE_READ)
        return clipc_fail(err, CLIPC_ERR_IO, "%s: no index", s->folder);
    if (!catalogue) rc = file_mkdirs(s->folder, err);
    return rc == CLIPC_OK ? catalogue_open(s, !catalogue, err) : rc;
}

int disk_open(store **out, const char *folder, store_mode mode, clipc_err *err)
{
    store *s = calloc(1, sizeof *s);
    int rc = s ? CLIPC_OK : clipc_fail_memory(err, folder, sizeof *s);

    *out = NULL;
    if (rc != CLIPC_OK) return rc;
    s->kind = &disk_kind;
    s->mode = mode;
    s->folder = strdup(folder);
    if (!s->folder) rc = clipc_fail_memory(err, folder, strlen(folder));
    if (rc == CLIPC_OK) rc = kernels_pick(&s->k, err);
    if (rc == CLIPC_OK) rc = open_there(s, err);
    if (rc == CLIPC_OK && mode == STORE_WRITE) spaces_tidy(s);
    if (rc == CLIPC_OK) *out = s;
    else disk_close(s);
    return rc;
}

void disk_close(store *s)
{
    if (!s) return;
    disk_rollback(s);
    spaces_close(s);
    catalogue_close(s);
    free(s->folder);
    free(s);
}

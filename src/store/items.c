#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "store/catalogue.h"

/* ---- roots ---- */

int disk_root_add(store *s, int64_t *id, store_bytes path, clipc_err *err)
{
    sqlite3_stmt *st = catalogue_ready(s, SQL_ROOT_FIND, err);
    bool row;
    int rc;

    assert(s->begun && s->mode == STORE_WRITE);
    if (!st) return catalogue_error(s, NULL);
    catalogue_bind(st, 1, path);
    if ((rc = catalogue_step(s, st, &row, err)) != CLIPC_OK) return rc;
    *id = row ? sqlite3_column_int64(st, 0) : 0;
    sqlite3_reset(st);
    if (row) return CLIPC_OK;
    if (!(st = catalogue_ready(s, SQL_ROOT_ADD, err))) return catalogue_error(s, NULL);
    catalogue_bind(st, 1, path);
    rc = catalogue_run(s, st, err);
    *id = sqlite3_last_insert_rowid(s->db);
    return rc;
}

int disk_root_set_meta(store *s, int64_t id, const char *meta, clipc_err *err)
{
    sqlite3_stmt *st = catalogue_ready(s, SQL_ROOT_SET_META, err);

    assert(s->begun && s->mode == STORE_WRITE);
    if (!st) return catalogue_error(s, NULL);
    sqlite3_bind_int64(st, 1, id);
    sqlite3_bind_text(st, 2, meta, -1, SQLITE_STATIC);
    return catalogue_run(s, st, err);
}

static int run_with_id(store *s, statement which, int64_t id, clipc_err *err)
{
    sqlite3_stmt *st = catalogue_ready(s, which, err);

    if (!st) return catalogue_error(s, NULL);
    sqlite3_bind_int64(st, 1, id);
    return catalogue_run(s, st, err);
}

int disk_root_remove(store *s, int64_t id, clipc_err *err)
{
    const int rc = run_with_id(s, SQL_ROOT_CLEAR, id, err);

    assert(s->begun && s->mode == STORE_WRITE);
    return rc == CLIPC_OK ? run_with_id(s, SQL_ROOT_REMOVE, id, err) : rc;
}

int disk_each_root(store *s, int (*fn)(void *arg, const store_root *root), void *arg,
                   clipc_err *err)
{
    sqlite3_stmt *st = catalogue_prepare(
        s,
        "SELECT id, path, meta, (SELECT count(*) FROM item WHERE root = root.id)"
        " FROM root ORDER BY id",
        err);
    bool row = true;
    int rc = st ? CLIPC_OK : catalogue_error(s, NULL);

    while (rc == CLIPC_OK && (rc = catalogue_step(s, st, &row, err)) == CLIPC_OK && row) {
        const store_root root = {.id = sqlite3_column_int64(st, 0),
                                 .path = catalogue_bytes(st, 1),
                                 .meta = (const char *)sqlite3_column_text(st, 2),
                                 .items = (uint64_t)sqlite3_column_int64(st, 3)};
        rc = fn(arg, &root);
    }
    sqlite3_finalize(st);
    return rc;
}

/* ---- items ---- */

#define ITEM_COLUMNS                                                              \
    "item.id, item.root, item.key, item.size, item.mtime, item.inode, item.hash," \
    " item.width, item.height, item.time, item.orientation, item.meta, item.error"

static void read_item(store_item *out, sqlite3_stmt *st)
{
    *out = (store_item){.id = sqlite3_column_int64(st, 0),
                        .root = sqlite3_column_int64(st, 1),
                        .key = catalogue_bytes(st, 2),
                        .size = sqlite3_column_int64(st, 3),
                        .mtime = sqlite3_column_int64(st, 4),
                        .inode = (uint64_t)sqlite3_column_int64(st, 5),
                        .width = sqlite3_column_int64(st, 7),
                        .height = sqlite3_column_int64(st, 8),
                        .time = sqlite3_column_int64(st, 9),
                        .orientation = sqlite3_column_int64(st, 10),
                        .meta = (const char *)sqlite3_column_text(st, 11),
                        .error = (const char *)sqlite3_column_text(st, 12)};
    out->hashed = catalogue_hash(&out->hash, st, 6);
}

int disk_item_put(store *s, int64_t *id, const store_item *item, clipc_err *err)
{
    sqlite3_stmt *st = catalogue_ready(s, SQL_ITEM_PUT, err);
    const int64_t numbers[] = {item->width, item->height, item->time, item->orientation};
    bool row;
    int rc;

    assert(s->begun && s->mode == STORE_WRITE);
    if (!st) return catalogue_error(s, NULL);
    sqlite3_bind_int64(st, 1, item->root);
    catalogue_bind(st, 2, item->key);
    sqlite3_bind_int64(st, 3, item->size);
    sqlite3_bind_int64(st, 4, item->mtime);
    sqlite3_bind_int64(st, 5, (int64_t)item->inode);
    catalogue_bind_hash(st, 6, item->hashed ? &item->hash : NULL);
    for (int i = 0; i < 4; i++) sqlite3_bind_int64(st, 7 + i, numbers[i]);
    sqlite3_bind_text(st, 11, item->meta, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 12, item->error, -1, SQLITE_STATIC);
    if ((rc = catalogue_step(s, st, &row, err)) != CLIPC_OK) return rc;
    if (id) *id = sqlite3_column_int64(st, 0);
    return catalogue_run(s, st, err);
}

int disk_item_remove(store *s, int64_t id, clipc_err *err)
{
    assert(s->begun && s->mode == STORE_WRITE);
    return run_with_id(s, SQL_ITEM_REMOVE, id, err);
}

int disk_item_move(store *s, int64_t id, int64_t root, store_bytes key, clipc_err *err)
{
    const statement steps[] = {SQL_ITEM_REMOVE_KEY, SQL_ITEM_MOVE};
    int rc = CLIPC_OK;

    assert(s->begun && s->mode == STORE_WRITE);
    for (size_t i = 0; i < 2 && rc == CLIPC_OK; i++) {
        sqlite3_stmt *st = catalogue_ready(s, steps[i], err);
        if (!st) return catalogue_error(s, NULL);
        sqlite3_bind_int64(st, 1, id);
        sqlite3_bind_int64(st, 2, root);
        catalogue_bind(st, 3, key);
        rc = catalogue_run(s, st, err);
    }
    return rc;
}

/* ---- filters ---- */

/* "SELECT columns FROM tables WHERE ...", its parameters bound; they live as long as f
 * and `behind`. */
static int prepare_filter(store *s, sqlite3_stmt **out, const char *select,
                          const char *order, const store_filter *f, buf *behind,
                          clipc_err *err)
{
    char sql[1024];
    int rc = store_behind_prefix(behind, f->prefix, err);

    if (rc != CLIPC_OK) return rc;
    snprintf(sql, sizeof sql, "%s WHERE 1%s%s%s%s%s%s%s%s", select,
             f->root ? " AND root = :root" : "", f->key.data ? " AND key = :key" : "",
             f->prefix.size ? " AND key >= :prefix" : "",
             behind->len ? " AND key < :behind" : "",
             f->hash ? " AND item.hash = :hash" : "",
             f->missing_in ? " AND item.hash IS NOT NULL AND NOT EXISTS (SELECT 1 FROM"
                             " vector v WHERE v.hash = item.hash AND v.space = :missing)"
                           : "",
             f->failed ? " AND error IS NOT NULL" : "", order);
    if (!(*out = catalogue_prepare(s, sql, err))) return catalogue_error(s, NULL);
#define AT(name) sqlite3_bind_parameter_index(*out, name)
    /* Of what is not in the text the index is 0, and nothing is bound. */
    sqlite3_bind_int64(*out, AT(":root"), f->root);
    catalogue_bind(*out, AT(":key"), f->key);
    catalogue_bind(*out, AT(":prefix"), f->prefix);
    catalogue_bind(*out, AT(":behind"), (store_bytes){behind->data, behind->len});
    catalogue_bind_hash(*out, AT(":hash"), f->hash);
    sqlite3_bind_int64(*out, AT(":missing"), f->missing_in);
#undef AT
    return CLIPC_OK;
}

/* The next that f lets through; the item's columns begin at `column`. */
static int next_item(store *s, sqlite3_stmt *st, const store_filter *f, bool *row,
                     store_item *item, clipc_err *err)
{
    int rc;

    do {
        rc = catalogue_step(s, st, row, err);
        if (rc != CLIPC_OK || !*row) return rc;
        read_item(item, st);
    } while (f->accept && !f->accept(f->arg, item));
    return CLIPC_OK;
}

/* An item's vector in a space, into row; NULL without one. */
static int read_row(store *s, store_item *item, float *row, int64_t space, clipc_err *err)
{
    uint64_t slot;
    bool there = false;
    int rc = item->hashed ? disk_vector_find(s, &slot, &there, space, &item->hash, err)
                          : CLIPC_OK;

    if (rc == CLIPC_OK && there) rc = disk_vector_get(s, row, NULL, space, slot, err);
    item->row = rc == CLIPC_OK && there ? row : NULL;
    return rc;
}

static int new_row(store *s, float **row, int64_t space, clipc_err *err)
{
    store_space is;
    const int rc = disk_space_head(s, &is, space, err);

    *row = rc == CLIPC_OK ? malloc(is.dim * sizeof **row) : NULL;
    return rc == CLIPC_OK && !*row
               ? clipc_fail_memory(err, "vector", is.dim * sizeof **row)
               : rc;
}

int disk_each_item(store *s, const store_filter *f, store_item_fn fn, void *arg,
                   clipc_err *err)
{
    sqlite3_stmt *st = NULL;
    buf behind = {0};
    float *vector = NULL;
    bool row = true;
    store_item item;

    int rc =
        prepare_filter(s, &st, "SELECT " ITEM_COLUMNS " FROM item",
                       f->hash ? " ORDER BY id" : " ORDER BY root, key", f, &behind, err);
    if (rc == CLIPC_OK && f->row_of) rc = new_row(s, &vector, f->row_of, err);
    while (rc == CLIPC_OK) {
        rc = next_item(s, st, f, &row, &item, err);
        if (rc != CLIPC_OK || !row) break;
        if (f->row_of) rc = read_row(s, &item, vector, f->row_of, err);
        if (rc == CLIPC_OK) rc = fn(arg, &item);
    }
    sqlite3_finalize(st);
    buf_free(&behind);
    free(vector);
    return rc;
}

/* ---- slots ---- */

void slot_set_free(slot_set *set)
{
    free(set->bits);
    *set = (slot_set){0};
}

static void set_slot(slot_set *set, uint64_t slot)
{
    const uint64_t bit = UINT64_C(1) << slot % 64;

    if (slot >= set->slots || set->bits[slot / 64] & bit) return;
    set->bits[slot / 64] |= bit;
    set->count++;
}

static void clear_slot(slot_set *set, uint64_t slot)
{
    const uint64_t bit = UINT64_C(1) << slot % 64;

    if (slot >= set->slots || !(set->bits[slot / 64] & bit)) return;
    set->bits[slot / 64] &= ~bit;
    set->count--;
}

int slot_set_new(slot_set *set, uint64_t slots, clipc_err *err)
{
    const size_t words = (size_t)(slots / 64) + 1;

    *set = (slot_set){.slots = slots};
    set->bits = calloc(words, sizeof *set->bits);
    return set->bits ? CLIPC_OK : clipc_fail_memory(err, "slots", words * 8);
}

/* All but the few that no item has. */
static int select_used(store *s, slot_set *out, int64_t space, clipc_err *err)
{
    sqlite3_stmt *st = catalogue_prepare(
        s,
        "SELECT slot FROM vector INDEXED BY vector_unused WHERE space = ? AND used = 0",
        err);
    bool row = true;
    int rc = st ? CLIPC_OK : catalogue_error(s, NULL);

    memset(out->bits, 0xff, (size_t)(out->slots / 64) * 8);
    for (uint64_t i = out->slots / 64 * 64; i < out->slots; i++)
        out->bits[i / 64] |= UINT64_C(1) << i % 64;
    out->count = out->slots;
    if (st) sqlite3_bind_int64(st, 1, space);
    while (rc == CLIPC_OK && (rc = catalogue_step(s, st, &row, err)) == CLIPC_OK && row)
        clear_slot(out, (uint64_t)sqlite3_column_int64(st, 0));
    sqlite3_finalize(st);
    return rc;
}

static int select_filtered(store *s, slot_set *out, int64_t space, const store_filter *f,
                           clipc_err *err)
{
    sqlite3_stmt *st = NULL;
    buf behind = {0};
    bool row = true;
    store_item item;
    int rc = prepare_filter(s, &st,
                            "SELECT " ITEM_COLUMNS ", vector.slot FROM item JOIN vector"
                            " ON vector.hash = item.hash AND vector.space = :space",
                            "", f, &behind, err);

    if (rc == CLIPC_OK)
        sqlite3_bind_int64(st, sqlite3_bind_parameter_index(st, ":space"), space);
    while (rc == CLIPC_OK) {
        rc = next_item(s, st, f, &row, &item, err);
        if (rc != CLIPC_OK || !row) break;
        set_slot(out, (uint64_t)sqlite3_column_int64(st, 13));
    }
    sqlite3_finalize(st);
    buf_free(&behind);
    return rc;
}

int store_select(store *s, slot_set *out, int64_t space, const store_filter *f,
                 clipc_err *err)
{
    store_space is;
    bool own;
    int rc = catalogue_hold(s, &own, err);

    *out = (slot_set){0};
    if (rc == CLIPC_OK) rc = disk_space_get(s, &is, space, err);
    if (rc == CLIPC_OK) rc = slot_set_new(out, is.slots, err);
    if (rc == CLIPC_OK)
        rc = f ? select_filtered(s, out, space, f, err) : select_used(s, out, space, err);
    catalogue_release(s, own);
    if (rc != CLIPC_OK) slot_set_free(out);
    return rc;
}

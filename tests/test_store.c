/* The index on the disk: items and filters, what a failure leaves behind, readers beside
 * a writer, damage that is noticed and mended. */
#include "check.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "store_rig.h"

#define FOLDER "build/test_store/of/an/index"
enum { DIM = 24 };

static int remove_all(void **state)
{
    (void)state;
    return system("rm -rf build/test_store");
}

/* An index with contents [0, n). */
static store *new_index(int64_t *space, dtype type, uint64_t n)
{
    remove_all(NULL);
    store *s = srig_open(FOLDER, STORE_WRITE);
    *space = srig_space(s, DIM, type);
    srig_fill(s, *space, 0, n);
    return s;
}

static uint64_t used(store *s, int64_t space)
{
    store_space is;
    clipc_err err;

    CHECK_OK(store_space_get(s, &is, space, &err), err);
    return is.used;
}

/* The content's vector is there, as near as its type allows. */
static void check_vector(store *s, int64_t space, uint64_t content, double tol)
{
    const store_hash hash = srig_hash(content);
    store_hash there;
    float row[DIM], want[DIM];
    uint64_t slot;
    bool found;
    clipc_err err;

    CHECK_OK(store_vector_find(s, &slot, &found, space, &hash, &err), err);
    assert_true(found);
    CHECK_OK(store_vector_get(s, row, &there, space, slot, &err), err);
    assert_memory_equal(&there, &hash, sizeof hash);
    srig_row(want, DIM, content);
    for (size_t i = 0; i < DIM; i++) CHECK_NEAR(row[i], want[i], tol);
}

/* ---- items ---- */

/* What is put is what is got, bytes that are no text and all; putting again replaces. */
static void test_items(void **state)
{
    store_item item = srig_item(0, "a\xff\0b", 3);
    int64_t root, other, id, again;
    clipc_err err;

    (void)state;
    remove_all(NULL);
    store *s = srig_open(FOLDER, STORE_WRITE);
    CHECK_OK(store_begin(s, &err), err);
    CHECK_OK(store_root_add(s, &root, srig_bytes("/photos\xfe"), &err), err);
    CHECK_OK(store_root_add(s, &other, srig_bytes("/photos"), &err), err);
    CHECK_OK(store_root_add(s, &again, srig_bytes("/photos\xfe"), &err), err);
    assert_int_equal(root, again);
    assert_int_not_equal(root, other);
    item.root = root, item.key.size = 4, item.inode = UINT64_MAX;
    CHECK_OK(store_item_put(s, &id, &item, &err), err);
    srig_check_item(s, &item);
    item.hashed = false, item.hash = (store_hash){{0}};
    item.meta = "{\"by\":\"me\"}", item.error = "no picture", item.mtime = -5;
    CHECK_OK(store_item_put(s, &again, &item, &err), err);
    assert_int_equal(id, again);
    srig_check_item(s, &item);
    /* Moving pushes out what was there. */
    store_item third = srig_item(other, "c", 4);
    CHECK_OK(store_item_put(s, NULL, &third, &err), err);
    CHECK_OK(store_item_move(s, id, other, srig_bytes("c"), &err), err);
    item.root = other, item.key = srig_bytes("c");
    srig_check_item(s, &item);
    assert_int_equal(srig_items(s, NULL), 1);
    CHECK_OK(store_item_remove(s, id, &err), err);
    CHECK_OK(store_item_remove(s, id, &err), err);
    assert_int_equal(srig_items(s, NULL), 0);
    CHECK_OK(store_commit(s, &err), err);
    store_close(s);
}

static int in_order(void *arg, const store_item *item)
{
    char *before = arg, key[32] = "";

    memcpy(key, item->key.data, item->key.size);
    assert_true(strcmp(before, key) < 0);
    strcpy(before, key);
    return CLIPC_OK;
}

static bool odd(void *arg, const store_item *item)
{
    (void)arg;
    return item->size % 2;
}

static int stop_here(void *arg, const store_item *item)
{
    (void)item;
    return ++*(int *)arg == 3 ? CLIPC_ERR_LIMIT : CLIPC_OK;
}

/* Each filter by itself and with others. */
static void test_filters(void **state)
{
    static const char *const names[] = {"a/1",   "a/2",         "ab/1",
                                        "a\xff", "a\xff\xff/1", "b"};
    const store_hash hash = srig_hash(2);
    char before[32] = "";
    int64_t space, root, roots[2];
    slot_set set;
    int calls = 0;
    clipc_err err;

    (void)state;
    store *s = new_index(&space, DT_F32, 0);
    CHECK_OK(store_begin(s, &err), err);
    for (int r = 0; r < 2; r++) {
        CHECK_OK(store_root_add(s, &roots[r], srig_bytes(r ? "two" : "one"), &err), err);
        for (uint64_t i = 0; i < 6; i++) {
            store_item item = srig_item(roots[r], names[5 - i], i);
            if (i == 5) item.hashed = false, item.error = "broken";
            CHECK_OK(store_item_put(s, NULL, &item, &err), err);
        }
    }
    root = roots[1];
    assert_int_equal(srig_items(s, NULL), 12);
    assert_int_equal(srig_items(s, &(store_filter){.root = root}), 6);
#define PREFIX(p) srig_items(s, &(store_filter){.root = root, .prefix = srig_bytes(p)})
    assert_int_equal(PREFIX("a/"), 2);
    assert_int_equal(PREFIX("a"), 5);
    assert_int_equal(PREFIX("a\xff"), 2);
    assert_int_equal(PREFIX("a\xff\xff"), 1);
    assert_int_equal(PREFIX("\xff"), 0);
    assert_int_equal(srig_items(s, &(store_filter){.hash = &hash}), 2);
    assert_int_equal(srig_items(s, &(store_filter){.failed = true}), 2);
    assert_int_equal(srig_items(s, &(store_filter){.missing_in = space}), 10);
    assert_int_equal(srig_items(s, &(store_filter){.accept = odd}), 6);
    CHECK_OK(store_each_item(s, &(store_filter){.root = root}, in_order, before, &err),
             err);
    assert_int_equal(store_each_item(s, NULL, stop_here, &calls, &err), CLIPC_ERR_LIMIT);

    float row[DIM];
    for (uint64_t i = 1; i < 4; i++) {
        const store_hash h = srig_hash(i);
        srig_row(row, DIM, i);
        CHECK_OK(store_vector_put(s, space, &h, row, &err), err);
    }
    assert_int_equal(srig_items(s, &(store_filter){.missing_in = space}), 4);
    /* Contents 0 to 4 have names "b" to "a/2": of "a..." those with a vector. */
    const store_filter some = {.root = root, .prefix = srig_bytes("a\xff")};
    CHECK_OK(store_select(s, &set, space, &some, &err), err);
    assert_int_equal(set.slots, 3);
    assert_int_equal(set.count, 2);
    assert_int_equal(set.bits[0], 3);
    slot_set_free(&set);
    CHECK_OK(store_root_remove(s, roots[0], &err), err);
    assert_int_equal(srig_items(s, NULL), 6);
    CHECK_OK(store_commit(s, &err), err);
    store_close(s);
}

static int last_root(void *arg, const store_root *root)
{
    store_root *out = arg;

    assert_memory_equal(root->path.data, "root", 4);
    assert_string_equal(root->meta, "{}");
    *out = *root;
    return CLIPC_OK;
}

static void test_roots(void **state)
{
    store_root root = {0};
    int64_t space;
    clipc_err err;

    (void)state;
    store *s = new_index(&space, DT_F16, 4);
    CHECK_OK(store_begin(s, &err), err);
    CHECK_OK(store_root_set_meta(s, 1, "{}", &err), err);
    CHECK_OK(store_commit(s, &err), err);
    CHECK_OK(store_each_root(s, last_root, &root, &err), err);
    assert_int_equal(root.items, 4);
    store_close(s);
}

/* ---- vectors ---- */

/* Types hold what they can, and refuse what they cannot. */
static void test_types(void **state)
{
    static const dtype types[] = {DT_F32, DT_F16, DT_I8};
    static const double tols[] = {0, 0x1p-12, 0.5 / 127};
    const store_hash hash = srig_hash(1000);
    float row[DIM] = {0};
    int64_t space;
    clipc_err err;

    (void)state;
    for (int t = 0; t < 3; t++) {
        store *s = new_index(&space, types[t], 600);
        for (uint64_t i = 0; i < 600; i++) check_vector(s, space, i, tols[t]);
        CHECK_OK(store_begin(s, &err), err);
        row[3] = NAN;
        CHECK_FAILS(store_vector_put(s, space, &hash, row, &err), CLIPC_ERR_NUMBER, err,
                    "none or too large");
        row[3] = 70000.0f;
        const int rc = store_vector_put(s, space, &hash, row, &err);
        assert_int_equal(rc, types[t] == DT_F16 ? CLIPC_ERR_NUMBER : CLIPC_OK);
        CHECK_OK(store_commit(s, &err), err);
        store_close(s);
    }
}

/* A vector is used while an item has its content, and kept and found again after. */
static void test_used(void **state)
{
    int64_t space, id;
    slot_set set;
    clipc_err err;

    (void)state;
    store *s = new_index(&space, DT_F16, 10);
    assert_int_equal(used(s, space), 10);
    CHECK_OK(store_begin(s, &err), err);
    store_item twin = srig_item(1, "twin of 3", 3);
    CHECK_OK(store_item_put(s, &id, &twin, &err), err);
    CHECK_OK(store_item_remove(s, 4, &err), err); /* "item 3" */
    assert_int_equal(used(s, space), 10);
    CHECK_OK(store_item_remove(s, id, &err), err);
    assert_int_equal(used(s, space), 9);
    CHECK_OK(store_select(s, &set, space, NULL, &err), err);
    assert_int_equal(set.count, 9);
    assert_int_equal(set.bits[0], 0x3f7);
    slot_set_free(&set);
    CHECK_OK(store_item_put(s, &id, &twin, &err), err);
    assert_int_equal(used(s, space), 10);
    twin.hash = srig_hash(4000); /* the file changed */
    CHECK_OK(store_item_put(s, NULL, &twin, &err), err);
    assert_int_equal(used(s, space), 9);
    CHECK_OK(store_commit(s, &err), err);
    store_close(s);
}

/* Nothing of what was rolled back is there, and its slots are given to others. */
static void test_rollback(void **state)
{
    int64_t space, more;
    const store_space want = {
        .model = "b", .fingerprint = srig_hash(5), .dim = 3, .type = DT_F32};
    float row[DIM];
    store_report report;
    clipc_err err;

    (void)state;
    store *s = new_index(&space, DT_F32, 5);
    CHECK_OK(store_begin(s, &err), err);
    CHECK_OK(store_space_add(s, &more, &want, &err), err);
    for (uint64_t i = 50; i < 900; i++) {
        const store_hash hash = srig_hash(i);
        srig_row(row, DIM, i);
        CHECK_OK(store_vector_put(s, space, &hash, row, &err), err);
    }
    store_rollback(s);
    CHECK_FAILS(store_space_get(s, &(store_space){0}, more, &err), CLIPC_ERR_ARG, err,
                "no space");
    srig_fill(s, space, 5, 7);
    assert_int_equal(used(s, space), 7);
    for (uint64_t i = 0; i < 7; i++) check_vector(s, space, i, 0);
    store_close(s);
    CHECK_OK(store_verify(FOLDER, &report, NULL, NULL, &err), err);
    assert_int_equal(report.vectors, 7);
    assert_int_equal(report.bad + report.lost, 0);
    store_close(srig_open(FOLDER, STORE_WRITE)); /* takes away the other space's file */
    srig_file(FOLDER, ".vectors");
}

/* Several models side by side, each with its own vectors; one goes. */
static void test_spaces(void **state)
{
    int64_t space, more, found;
    const store_space want = {
        .model = "other", .fingerprint = srig_hash(5), .dim = 3, .type = DT_I8};
    const store_hash hash = srig_hash(1);
    const float row[3] = {1, 2, 3};
    store_space is;
    clipc_err err;

    (void)state;
    store *s = new_index(&space, DT_F16, 5);
    CHECK_OK(store_begin(s, &err), err);
    CHECK_OK(store_space_add(s, &more, &want, &err), err);
    CHECK_OK(store_vector_put(s, more, &hash, row, &err), err);
    CHECK_OK(store_commit(s, &err), err);
    CHECK_OK(store_space_find(s, &found, &want.fingerprint, &err), err);
    assert_int_equal(found, more);
    CHECK_OK(store_space_get(s, &is, more, &err), err);
    assert_string_equal(is.model, "other");
    assert_int_equal(is.dim, 3);
    assert_int_equal(is.type, DT_I8);
    assert_int_equal(is.slots, 1);
    assert_int_equal(used(s, space), 5);
    CHECK_OK(store_begin(s, &err), err);
    CHECK_OK(store_space_remove(s, more, &err), err);
    CHECK_OK(store_commit(s, &err), err);
    CHECK_OK(store_space_find(s, &found, &want.fingerprint, &err), err);
    assert_int_equal(found, 0);
    check_vector(s, space, 4, 0x1p-12);
    store_close(s);
}

/* ---- readers and a full disk ---- */

static void write_batches(int64_t space)
{
    store *s = srig_open(FOLDER, STORE_WRITE);
    clipc_err err;

    for (uint64_t i = 0; i < 40; i++) {
        srig_fill(s, space, 10 * i, 10 * i + 10);
        if (i % 10 == 9 && store_compact(s, space, &err) != CLIPC_OK) _exit(1);
    }
    store_close(s);
    _exit(0);
}

/* One state: as many items as vectors, in whole batches, however often it is asked. */
static uint64_t read_state(store *s, int64_t space, exec *x)
{
    float query[DIM];
    store_hit hits[5];
    size_t n;
    clipc_err err;

    CHECK_OK(store_begin(s, &err), err);
    const uint64_t items = srig_items(s, NULL);
    assert_int_equal(items % 10, 0);
    srig_row(query, DIM, items - 1); /* the last that there should be */
    CHECK_OK(store_scan(s, x, hits, &n, space, query, 1, 5, NULL, &err), err);
    assert_int_equal(n, items < 5 ? items : 5);
    if (items) CHECK_NEAR(hits[0].score, 1.0, 1e-3);
    assert_int_equal(used(s, space), items);
    assert_int_equal(srig_items(s, NULL), items);
    CHECK_OK(store_commit(s, &err), err);
    return items;
}

/* Readers beside a writer in another process: they see states, later ones later. */
static void test_readers(void **state)
{
    int64_t space;
    uint64_t before = 0, states = 0;
    int status;
    exec *x;
    clipc_err err;

    (void)state;
    store_close(new_index(&space, DT_F16, 0));
    const pid_t writer = fork();
    if (writer == 0) write_batches(space);
    CHECK_OK(exec_new(&x, 2, 0, &err), err);
    store *a = srig_open(FOLDER, STORE_READ), *b = srig_open(FOLDER, STORE_READ);
    while (waitpid(writer, &status, WNOHANG) == 0) {
        const uint64_t seen = read_state(states % 2 ? a : b, space, x);
        assert_true(seen >= before);
        states += seen > before;
        before = seen;
    }
    assert_int_equal(status, 0);
    assert_int_equal(read_state(a, space, x), 400);
    assert_int_equal(read_state(b, space, x), 400);
    store_close(a), store_close(b);
    exec_free(x);
}

/* A second writer waits for the first, or says who is in its way. */
static void test_two_writers(void **state)
{
    const store_hash hash = srig_hash(1000);
    const float row[DIM] = {1};
    int64_t space;
    clipc_err err;

    (void)state;
    store *a = new_index(&space, DT_F16, 3), *b = srig_open(FOLDER, STORE_WRITE);
    CHECK_OK(store_begin(a, &err), err);
    CHECK_FAILS(store_begin(b, &err), CLIPC_ERR_EXISTS, err, "another process");
    CHECK_OK(store_commit(a, &err), err);
    srig_fill(b, space, 3, 6);
    srig_fill(a, space, 6, 9);
    /* What one rolled back never reaches the slots that the other then fills. */
    CHECK_OK(store_begin(a, &err), err);
    CHECK_OK(store_vector_put(a, space, &hash, row, &err), err);
    store_rollback(a);
    srig_fill(b, space, 9, 12);
    for (uint64_t i = 0; i < 12; i++) check_vector(a, space, i, 0x1p-12);
    for (uint64_t i = 0; i < 12; i++) check_vector(b, space, i, 0x1p-12);
    store_close(a), store_close(b);
}

/* Puts items without end; returns what stopped it. */
static int fill_up(store *s, int64_t space, clipc_err *err)
{
    float row[DIM] = {1};
    int rc = store_begin(s, err);

    for (uint64_t i = 1000; i < 200000 && rc == CLIPC_OK; i++) {
        char name[32];
        snprintf(name, sizeof name, "item %u", (unsigned)i);
        const store_item item = srig_item(1, name, i);
        rc = store_item_put(s, NULL, &item, err);
        if (rc == CLIPC_OK) rc = store_vector_put(s, space, &item.hash, row, err);
    }
    if (rc == CLIPC_OK) rc = store_commit(s, err);
    store_rollback(s);
    return rc;
}

/* Where files cannot grow, as on a full disk: a message, and the index as it was. */
static void test_full(void **state)
{
    struct rlimit before, small;
    int64_t space;
    clipc_err err;

    (void)state;
    store *s = new_index(&space, DT_F32, 20);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    for (rlim_t size = 100 << 10; size <= 800 << 10; size += 350 << 10) {
        small = before, small.rlim_cur = size;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        const int rc = fill_up(s, space, &err);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(rc, CLIPC_ERR_IO);
        assert_non_null(strstr(err.msg, FOLDER));
        assert_int_equal(srig_items(s, NULL), 20);
        assert_int_equal(used(s, space), 20);
    }
    srig_fill(s, space, 20, 30);
    for (uint64_t i = 0; i < 30; i++) check_vector(s, space, i, 0);
    store_close(s);
}

/* ---- damage ---- */

static void count_notes(void *arg, const char *line)
{
    assert_non_null(strstr(line, FOLDER));
    ++*(int *)arg;
}

static store_report verify(bool repair)
{
    store_report r;
    int notes = 0;
    clipc_err err;

    CHECK_OK(
        (repair ? store_repair : store_verify)(FOLDER, &r, count_notes, &notes, &err),
        err);
    return r;
}

static int nearest(store *s, int64_t space, uint64_t content, store_hit *hit,
                   clipc_err *err)
{
    float query[DIM];
    size_t n;
    exec *x;
    clipc_err why;

    CHECK_OK(exec_new(&x, 1, 0, &why), why);
    srig_row(query, DIM, content);
    const int rc = store_scan(s, x, hit, &n, space, query, 1, 1, NULL, err);
    exec_free(x);
    return rc;
}

/* A flipped bit of a row, of a key, of a scale: noticed, dropped, embedded again. */
static void test_damage(void **state)
{
    const long block = 8192 + 256 * DIM;
    const long rows[] = {4096 + 8192 + 7 * DIM + 2, 4096 + block + 16 * 11 + 3,
                         4096 + block + 6144 + 4 * 12 + 1};
    int64_t space;
    clipc_err err;

    (void)state;
    store_close(new_index(&space, DT_I8, 300));
    for (int i = 0; i < 3; i++) srig_damage(srig_file(FOLDER, ".vectors"), rows[i]);
    store_report r = verify(false);
    assert_int_equal(r.vectors, 300);
    assert_int_equal(r.bad, 3);
    assert_int_equal(r.dropped, 0);
    r = verify(true);
    assert_int_equal(r.bad, 3);
    assert_int_equal(r.dropped, 3);
    r = verify(false);
    assert_int_equal(r.vectors, 297);
    assert_int_equal(r.bad + r.lost, 0);
    store *s = srig_open(FOLDER, STORE_WRITE);
    assert_int_equal(srig_items(s, &(store_filter){.missing_in = space}), 3);
    srig_fill(s, space, 0, 300);
    assert_int_equal(used(s, space), 300);
    for (uint64_t i = 0; i < 300; i++) check_vector(s, space, i, 0.5 / 127);
    CHECK_OK(store_compact(s, space, &err), err);
    store_close(s);
    assert_int_equal(verify(false).vectors, 300);
}

/* A file of vectors that lost its end is an error, no signal; what is there is kept. */
static void test_cut(void **state)
{
    int64_t space;
    store_hit hit;
    clipc_err err;

    (void)state;
    store_close(new_index(&space, DT_F32, 600));
    srig_cut(srig_file(FOLDER, ".vectors"), 4096 + 8192 + 100 * DIM * 4 + 5);
    store *s = srig_open(FOLDER, STORE_READ);
    CHECK_FAILS(nearest(s, space, 3, &hit, &err), CLIPC_ERR_FORMAT, err, "cut short");
    store_close(s);
    assert_int_equal(verify(false).lost, 500);
    store_report r = verify(true);
    assert_int_equal(r.lost, 500);
    assert_int_equal(r.dropped, 500);
    s = srig_open(FOLDER, STORE_WRITE);
    CHECK_OK(nearest(s, space, 3, &hit, &err), err);
    assert_int_equal(hit.slot, 3);
    assert_int_equal(used(s, space), 100);
    srig_fill(s, space, 0, 600);
    CHECK_OK(nearest(s, space, 599, &hit, &err), err);
    CHECK_NEAR(hit.score, 1.0, 1e-6);
    store_close(s);
    r = verify(false);
    assert_int_equal(r.vectors, 600);
    assert_int_equal(r.bad + r.lost, 0);
}

/* Each byte of the header matters, none of its loss costs a vector; and a file that is
 * gone as a whole. */
static void test_header(void **state)
{
    int64_t space;
    store_hit hit;
    clipc_err err;

    (void)state;
    store_close(new_index(&space, DT_F16, 300));
    for (long at = 0; at < 312; at += 9) {
        srig_damage(srig_file(FOLDER, ".vectors"), at);
        store *s = srig_open(FOLDER, STORE_READ);
        CHECK_FAILS(nearest(s, space, 3, &hit, &err), CLIPC_ERR_FORMAT, err, ".vectors:");
        store_close(s);
        store_report r = verify(true);
        assert_int_equal(r.bad + r.lost, 0);
        s = srig_open(FOLDER, STORE_READ);
        CHECK_OK(nearest(s, space, 3, &hit, &err), err);
        store_close(s);
    }
    assert_int_equal(unlink(srig_file(FOLDER, ".vectors")), 0);
    store_report r = verify(true);
    assert_int_equal(r.dropped, 300);
    store *s = srig_open(FOLDER, STORE_WRITE);
    srig_fill(s, space, 0, 300);
    CHECK_OK(nearest(s, space, 3, &hit, &err), err);
    store_close(s);
}

/* A catalogue that is no more, or no catalogue: made again from the files of vectors, and
 * items that come back find theirs. */
static void test_catalogue(void **state)
{
    int64_t space, found;
    store_space is;
    clipc_err err;
    const store_hash model = srig_hash(99);

    (void)state;
    for (int how = 0; how < 3; how++) {
        store *s = new_index(&space, DT_F16, 300);
        CHECK_OK(store_begin(s, &err), err);
        CHECK_OK(store_item_remove(s, 8, &err), err);
        CHECK_OK(store_commit(s, &err), err);
        CHECK_OK(store_compact(s, space, &err), err);
        store_close(s);
        if (how == 0) assert_int_equal(unlink(FOLDER "/catalogue.db"), 0);
        if (how == 1)
            for (long at = 0; at < 16000; at += 50)
                srig_damage(FOLDER "/catalogue.db", at);
        if (how == 2) srig_cut(FOLDER "/catalogue.db", 0);
        CHECK_FAILS(store_open(&s, FOLDER, STORE_WRITE, &err), CLIPC_ERR_FORMAT, err,
                    FOLDER);
        assert_true(store_exists(FOLDER));
        assert_true(verify(false).catalogue);
        store_report r = verify(true);
        assert_true(r.made_again);
        assert_int_equal(r.found, 299);
        assert_int_equal(file_exists(FOLDER "/catalogue.broken"), how > 0);
        s = srig_open(FOLDER, STORE_WRITE);
        CHECK_OK(store_space_find(s, &found, &model, &err), err);
        CHECK_OK(store_space_get(s, &is, found, &err), err);
        assert_string_equal(is.model, "a model");
        assert_int_equal(is.slots, 299);
        assert_int_equal(is.used, 0);
        srig_fill(s, found, 0, 300);
        CHECK_OK(store_space_get(s, &is, found, &err), err);
        assert_int_equal(is.slots, 300);
        assert_int_equal(is.used, 300);
        for (uint64_t i = 0; i < 300; i++) check_vector(s, found, i, 0x1p-12);
        store_close(s);
        assert_false(verify(false).catalogue);
    }
}

/* Compaction: only what is used is kept; a reader that began before sees the old state.
 */
static void test_compact(void **state)
{
    int64_t space;
    store_space is;
    store_hit hit;
    clipc_err err;

    (void)state;
    store *s = new_index(&space, DT_F16, 600), *reader = srig_open(FOLDER, STORE_READ);
    CHECK_OK(store_begin(reader, &err), err);
    CHECK_OK(nearest(reader, space, 599, &hit, &err), err);
    CHECK_OK(store_begin(s, &err), err);
    for (int64_t id = 1; id <= 500; id++)
        if (id % 5) CHECK_OK(store_item_remove(s, id, &err), err);
    CHECK_OK(store_commit(s, &err), err);
    CHECK_OK(store_compact(s, space, &err), err);
    CHECK_OK(nearest(reader, space, 599, &hit, &err), err);
    assert_int_equal(hit.slot, 599);
    CHECK_OK(nearest(reader, space, 1, &hit, &err), err);
    CHECK_NEAR(hit.score, 1.0, 1e-3);
    CHECK_OK(store_commit(reader, &err), err);
    CHECK_OK(nearest(reader, space, 599, &hit, &err), err);
    assert_int_equal(hit.slot, 199);
    CHECK_OK(store_space_get(s, &is, space, &err), err);
    assert_int_equal(is.slots, 200);
    assert_int_equal(is.used, 200);
    check_vector(s, space, 4, 0x1p-12);
    check_vector(s, space, 555, 0x1p-12);
    srig_file(FOLDER, ".vectors"); /* one alone */
    store_close(s), store_close(reader);
    assert_int_equal(verify(false).vectors, 200);
}

static void test_refusals(void **state)
{
    const store_space want[] = {{.model = "m", .dim = 0, .type = DT_F16},
                                {.model = "m", .dim = 1 << 20, .type = DT_F16},
                                {.model = "m", .dim = 8, .type = DT_BF16}};
    int64_t id;
    store *s;
    clipc_err err;

    (void)state;
    remove_all(NULL);
    assert_false(store_exists(FOLDER));
    CHECK_FAILS(store_open(&s, FOLDER, STORE_READ, &err), CLIPC_ERR_IO, err, "no index");
    assert_null(s);
    s = srig_open(FOLDER, STORE_WRITE);
    CHECK_OK(store_begin(s, &err), err);
    CHECK_FAILS(store_space_add(s, &id, &want[0], &err), CLIPC_ERR_LIMIT, err, "0");
    CHECK_FAILS(store_space_add(s, &id, &want[1], &err), CLIPC_ERR_LIMIT, err, "1048576");
    CHECK_FAILS(store_space_add(s, &id, &want[2], &err), CLIPC_ERR_ARG, err, "BF16");
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items),       cmocka_unit_test(test_filters),
        cmocka_unit_test(test_roots),       cmocka_unit_test(test_types),
        cmocka_unit_test(test_used),        cmocka_unit_test(test_rollback),
        cmocka_unit_test(test_spaces),      cmocka_unit_test(test_readers),
        cmocka_unit_test(test_two_writers), cmocka_unit_test(test_full),
        cmocka_unit_test(test_damage),      cmocka_unit_test(test_cut),
        cmocka_unit_test(test_header),      cmocka_unit_test(test_catalogue),
        cmocka_unit_test(test_compact),     cmocka_unit_test(test_refusals)};

    return cmocka_run_group_tests_name("store", tests, NULL, remove_all);
}

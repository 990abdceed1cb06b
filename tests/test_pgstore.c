/* An index in PostgreSQL, on a server that this test starts (tests/pg/server.sh): what is
 * put is what is got; searches answer as an index in a folder does, whose scan is exact
 * and whose globs are fnmatch's; several writers; one that is killed; what a failure
 * tells. */
#include "check.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "index/index.h"
#include "store_rig.h"

#ifndef CLIPC_HAVE_PQ

static void test_without(void **state)
{
    (void)state;
    skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_without)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

#include "store/pglink.h"

#define FOLDER "build/test_pgstore"
enum { DIM = 24, N = 3000 };

static char url[200]; /* empty: there is no server */

static int start_server(void **state)
{
    FILE *f = popen("sh tests/pg/server.sh start 2>/dev/null", "r");

    (void)state;
    if (!f || !fgets(url, sizeof url, f)) *url = '\0';
    if (f) pclose(f);
    url[strcspn(url, "\n")] = '\0';
    return 0;
}

static int stop_server(void **state)
{
    FILE *f = *url ? popen("sh tests/pg/server.sh stop", "w") : NULL;

    (void)state;
    if (f) fprintf(f, "%s\n", url), pclose(f);
    return system("rm -rf " FOLDER);
}

static void sql(const char *text)
{
    pglink p;
    clipc_err err;

    CHECK_OK(pglink_open(&p, url, &err), err);
    CHECK_OK(pg_run(&p, NULL, text, NULL, &err), err);
    pglink_close(&p);
}

static int64_t sql_number(const char *text)
{
    pglink p;
    pg_rows *rows;
    clipc_err err;

    CHECK_OK(pglink_open(&p, url, &err), err);
    CHECK_OK(pg_run(&p, &rows, text, NULL, &err), err);
    assert_int_equal(pg_count(rows), 1);
    const int64_t x = pg_number(rows, 0, 0);
    pg_rows_free(rows);
    pglink_close(&p);
    return x;
}

/* Without a server the test counts as skipped. */
static void begin(void)
{
    if (!*url) skip();
    sql("DROP SCHEMA IF EXISTS clipc CASCADE");
    assert_int_equal(system("rm -rf " FOLDER), 0);
}

/* ---- items ---- */

/* What is put is what is got, paths that are no text and all; of one key put twice in one
 * transaction the later counts; what is moved pushes out what was there. */
static void test_items(void **state)
{
    store_item item = srig_item(0, "/a\xff'; DROP TABLE clipc.item; --\\", 3);
    int64_t root, other, id, again;
    clipc_err err;

    (void)state;
    begin();
    store *s = srig_open(url, STORE_WRITE);
    CHECK_OK(store_begin(s, &err), err);
    CHECK_OK(store_root_add(s, &root, srig_bytes("/photos\xfe"), &err), err);
    CHECK_OK(store_root_add(s, &other, srig_bytes("/photos"), &err), err);
    CHECK_OK(store_root_add(s, &again, srig_bytes("/photos\xfe"), &err), err);
    assert_int_equal(root, again);
    assert_int_not_equal(root, other);
    item.root = root, item.inode = UINT64_MAX, item.mtime = -5;
    CHECK_OK(store_item_put(s, NULL, &(store_item){.root = root, .key = item.key}, &err),
             err);
    CHECK_OK(store_item_put(s, &id, &item, &err), err);
    srig_check_item(s, &item);
    item.hashed = false, item.hash = (store_hash){{0}};
    item.meta = "{\"by\":\"me\"}", item.error = "no \"picture\"";
    CHECK_OK(store_item_put(s, &again, &item, &err), err);
    assert_int_equal(id, again);
    srig_check_item(s, &item);
    store_item third = srig_item(other, "c", 4);
    CHECK_OK(store_item_put(s, NULL, &third, &err), err);
    CHECK_OK(store_item_move(s, id, other, srig_bytes("c"), &err), err);
    item.root = other, item.key = srig_bytes("c");
    srig_check_item(s, &item);
    assert_int_equal(srig_items(s, NULL), 1);
    CHECK_OK(store_commit(s, &err), err);
    assert_int_equal(sql_number("SELECT count(*) FROM clipc.item WHERE path = 'c'"), 1);
    CHECK_OK(store_begin(s, &err), err);
    CHECK_OK(store_root_remove(s, other, &err), err);
    assert_int_equal(srig_items(s, NULL), 0);
    store_rollback(s);
    assert_int_equal(srig_items(s, NULL), 1);
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

/* Vectors come back as the space's type rounds them; walks are in order of key; items
 * whose content has no vector are told; a space goes with its table. */
static void test_vectors(void **state)
{
    const store_filter first = {.prefix = srig_bytes("item 1"), .root = 1};
    char before[32] = "";
    float row[DIM], want[DIM];
    store_space is;
    store_hash hash = srig_hash(7), got;
    uint64_t slot;
    int64_t space;
    bool there;
    clipc_err err;

    (void)state;
    begin();
    store *s = srig_open(url, STORE_WRITE);
    space = srig_space(s, DIM, DT_F16);
    assert_int_equal(srig_space(s, DIM, DT_F16), space); /* made by another meanwhile */
    srig_fill(s, space, 0, 40);
    CHECK_OK(store_space_get(s, &is, space, &err), err);
    assert_int_equal(is.used, 40);
    assert_int_equal(is.dim, DIM);
    CHECK_OK(store_vector_find(s, &slot, &there, space, &hash, &err), err);
    assert_true(there);
    CHECK_OK(store_vector_get(s, row, &got, space, slot, &err), err);
    assert_memory_equal(&got, &hash, sizeof hash);
    srig_row(want, DIM, 7);
    for (size_t i = 0; i < DIM; i++) CHECK_NEAR(row[i], want[i], 5e-4); /* half's */
    CHECK_OK(store_each_item(s, NULL, in_order, before, &err), err);
    assert_string_equal(before, "item 9");
    assert_int_equal(srig_items(s, &first), 11);
    hash = srig_hash(99);
    CHECK_OK(store_vector_find(s, &slot, &there, space, &hash, &err), err);
    assert_false(there);
    CHECK_OK(store_begin(s, &err), err);
    const store_item bare = srig_item(1, "bare", 99);
    CHECK_OK(store_item_put(s, NULL, &bare, &err), err);
    assert_int_equal(srig_items(s, &(store_filter){.missing_in = space}), 1);
    CHECK_OK(store_space_remove(s, space, &err), err);
    CHECK_OK(store_commit(s, &err), err);
    assert_int_equal(sql_number("SELECT count(*) FROM clipc.space"), 0);
    store_close(s);
}

/* ---- searches ---- */

static clipc_index *open_index(const char *place, int read_only)
{
    const clipc_index_options o = {.space = "test",
                                   .dim = DIM,
                                   .vectors = CLIPC_VECTORS_F32,
                                   .read_only = read_only};
    clipc_index *x;
    clipc_err err;

    CHECK_OK(clipc_index_open(&x, place, NULL, &o, &err), err);
    return x;
}

/* Names that the globs below tell apart, and such as SQL would. */
static void name_of(char *key, size_t size, uint64_t i)
{
    static const char *const names[] = {
        "IMG_%llu.jpg",     "img [%llu].png",  "a'b%llu.JPG",  "caf\xc3\xa9%llu.webp",
        "\xff\xfe%llu.jpg", "back\\slash%llu", "x_%llu%%.png", "^$%llu.(jpg)"};
    static const char *const folders[] = {"/p/2023/", "/p/2024/", "/p/2024/05/",
                                          "/p/20",    "/q\xff/",  "/q\xff\xff"};
    char name[64];

    snprintf(name, sizeof name, names[i % 8], (unsigned long long)i);
    snprintf(key, size, "%s%s", folders[i % 6], name);
}

static void fill(clipc_index *x, uint64_t from, uint64_t to)
{
    float row[DIM];
    char key[128];
    clipc_err err;

    CHECK_OK(index_write_begin(x, &err), err);
    for (uint64_t i = from; i < to; i++) {
        name_of(key, sizeof key, i);
        store_item it = srig_item(x->root, key, i);
        it.width = (int64_t)(i % 5) * 100;
        it.height = (int64_t)(i % 7) * 100;
        it.time = i % 11 ? (int64_t)i * 1000 : 0;
        srig_row(row, DIM, i);
        CHECK_OK(store_vector_put(x->s, x->space, &it.hash, row, &err), err);
        CHECK_OK(store_item_put(x->s, NULL, &it, &err), err);
    }
    CHECK_OK(index_write_end(x, CLIPC_OK, &err), err);
}

static void search(clipc_index_hits *out, clipc_index *x, uint64_t query,
                   const clipc_index_search_options *o)
{
    float row[DIM];
    const clipc_index_term term = {.weight = 1, .vector = row};
    clipc_err err;

    srig_row(row, DIM, 1000000 + query);
    CHECK_OK(clipc_index_search(out, x, NULL, &term, 1, o, &err), err);
}

/* Both answer the same; sums of products in another order differ in the last bits. */
static void compare(clipc_index *there, clipc_index *here, uint64_t query,
                    const clipc_index_search_options *o, size_t least)
{
    clipc_index_hits a, b;

    search(&a, there, query, o);
    search(&b, here, query, o);
    if (b.n < least) fail_msg("query %d: %zu %zu", (int)query, a.n, b.n);
    assert_int_equal(a.n, b.n);
    for (size_t i = 0; i < a.n; i++) {
        assert_string_equal(a.v[i].key, b.v[i].key);
        CHECK_NEAR(a.v[i].score, b.v[i].score, 1e-6); /* measured 1.2e-7 */
        assert_int_equal(a.v[i].width, b.v[i].width);
        assert_int_equal(a.v[i].time, b.v[i].time);
    }
    clipc_index_hits_free(&a);
    clipc_index_hits_free(&b);
}

/* Every filter of a search, and those together, against an index in a folder. */
static void test_filters(void **state)
{
    static const char *const globs[][2] = {{"*.jpg"},
                                           {"*.JPG", "*.png"},
                                           {"img \\[*"},
                                           {"img [[]*"},
                                           {"*[!a-zA-Z_ 0-9.]*"},
                                           {"caf??[0-9]*"},
                                           {"*\\\\*"},
                                           {"[[:upper:]]*_?*"},
                                           {"*/2024/*.png"},
                                           {"/p/20*1*"},
                                           {"\xff*"},
                                           {"[^!-~]*"},
                                           {"*%*"},
                                           {"^$*(jpg)"},
                                           {"a'b*"},
                                           {"*[]]*"},
                                           {"[a"},
                                           {"a\\"},
                                           {"*[\\]]*"},
                                           {"[a-]*"},
                                           {"*.j[n-q][g]"},
                                           {"2024"},
                                           {"*2024*x*"},
                                           {"*4*"},
                                           {"*\xc3\xa9[!x]*"}};
    static const clipc_index_search_options filters[] = {
        {.k = 1},
        {.k = 5000},
        {.k = 20, .folder = "/p/2024"},
        {.k = 3000, .folder = "/q\xff"},
        {.k = 20, .folder = "/nowhere"},
        {.k = 30, .after = 400000, .before = 700000},
        {.k = 2, .before = 20000},
        {.k = 3000, .before = 700000},
        {.k = 3000, .min_side = 300},
        {.k = 3000, .shape = CLIPC_LANDSCAPE},
        {.k = 3000, .shape = CLIPC_PORTRAIT, .min_score = 0.2f},
        {.k = 10, .shape = CLIPC_SQUARE, .folder = "/p", .after = 100000},
    };
    float other[2][DIM];
    (void)state;
    begin();
    clipc_index *there = open_index(url, 0), *here = open_index(FOLDER, 0);
    fill(there, 0, 800);
    fill(here, 0, 800);
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        compare(there, here, i, &filters[i], i == 4 ? 0 : 1);
    size_t found = 0;
    for (size_t i = 0; i < sizeof globs / sizeof *globs; i++) {
        const clipc_index_search_options o = {
            .k = 5, .globs = globs[i], .n_globs = globs[i][1] ? 2 : 1};
        clipc_index_hits h;
        search(&h, here, i, &o);
        found += h.n > 0;
        clipc_index_hits_free(&h);
        compare(there, here, i, &o, 0);
    }
    assert_true(found >= 19); /* of 25 there are such as are to match nothing */
    for (uint64_t i = 0; i < 2; i++) srig_row(other[i], DIM, 2000000 + i);
    for (size_t n = 1; n <= 2; n++)
        compare(there, here, 3,
                &(clipc_index_search_options){
                    .k = 30, .unless = other[0], .n_unless = n, .shape = CLIPC_LANDSCAPE},
                30);
    clipc_index_close(there);
    clipc_index_close(here);
}

/* A large index is asked by HNSW, which finds nearly all of the nearest; filters that
 * leave less than it came by are answered in full. */
static void test_hnsw(void **state)
{
    enum { K = 10, QUERIES = 20 };
    const clipc_index_search_options best = {.k = K};
    size_t same = 0;

    (void)state;
    begin();
    clipc_index *there = open_index(url, 0), *here = open_index(FOLDER, 0);
    fill(there, 0, N);
    fill(here, 0, N);
    sql("ANALYZE");
    sql("ALTER DATABASE postgres SET enable_sort = off");
    sql("ALTER DATABASE postgres SET hnsw.max_scan_tuples = 100");
    clipc_index_close(there);
    there = open_index(url, 1);
    for (uint64_t q = 0; q < QUERIES; q++) {
        clipc_index_hits a, b;
        search(&a, there, q, &best);
        search(&b, here, q, &best);
        assert_int_equal(a.n, K);
        for (size_t i = 0; i < K; i++)
            for (size_t k = 0; k < K; k++) same += !strcmp(a.v[i].key, b.v[k].key);
        clipc_index_hits_free(&a);
        clipc_index_hits_free(&b);
    }
    assert_true(same >= K * QUERIES * 9 / 10); /* measured: all */
    compare(there, here, 1,
            &(clipc_index_search_options){.k = K, .after = 1, .before = 12000}, 5);
    clipc_index_close(there);
    clipc_index_close(here);
    sql("SELECT pg_stat_force_next_flush()");
    sql("ALTER DATABASE postgres RESET ALL");
    assert_true(sql_number("SELECT sum(idx_scan)::bigint FROM pg_stat_user_indexes"
                           " WHERE indexrelname LIKE 'vector_%_hnsw'") >= QUERIES);
}

/* ---- several ---- */

/* Three processes make the tables, the space and the same items, each in an order of its
 * own; all are there once and no writer fails. */
static void test_writers(void **state)
{
    enum { WRITERS = 3, ROUNDS = 12, EACH = 40 };
    pid_t child[WRITERS];

    (void)state;
    begin();
    for (uint64_t w = 0; w < WRITERS; w++) {
        child[w] = fork();
        if (child[w]) continue;
        clipc_index *x = open_index(url, 0);
        for (uint64_t r = 0; r < ROUNDS; r++) {
            const uint64_t part = w == 1 ? ROUNDS - 1 - r : r;
            fill(x, part * EACH, (part + 1) * EACH);
        }
        clipc_index_close(x);
        _exit(0);
    }
    for (int w = 0; w < WRITERS; w++) {
        int status;
        assert_int_equal(waitpid(child[w], &status, 0), child[w]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(sql_number("SELECT count(*) FROM clipc.item"), ROUNDS * EACH);
    assert_int_equal(sql_number("SELECT count(*) FROM clipc.space"), 1);
    clipc_index *x = open_index(url, 1);
    clipc_index_stats st;
    clipc_err err;
    CHECK_OK(clipc_index_stats_of(&st, x, &err), err);
    assert_int_equal(st.entries, ROUNDS * EACH);
    assert_int_equal(st.models, 1);
    assert_true(st.bytes > ROUNDS * EACH * DIM * 4);
    clipc_index_close(x);
}

/* A writer that is killed in the middle leaves what it had committed, and the next one
 * goes on. */
static void test_killed(void **state)
{
    (void)state;
    begin();
    const pid_t child = fork();
    if (!child) {
        clipc_err err;
        clipc_index *x = open_index(url, 0);
        fill(x, 0, 50);
        index_write_begin(x, &err);
        const store_item it = srig_item(x->root, "lost", 99);
        int64_t id;
        store_item_put(x->s, &id, &it, &err); /* sent to the server: an id is asked for */
        raise(SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    clipc_index *x = open_index(url, 0), *here = open_index(FOLDER, 0);
    fill(x, 50, 60);
    fill(here, 0, 60);
    compare(x, here, 0, &(clipc_index_search_options){.k = 100}, 60);
    clipc_index_close(x);
    clipc_index_close(here);
}

/* ---- failures ---- */

/* The store cannot be opened, for that reason, in words without the password. */
static void check_refused(const char *at, store_mode mode, const char *why)
{
    store *s;
    clipc_err err;

    assert_true(store_open(&s, at, mode, &err) != CLIPC_OK);
    assert_null(s);
    if (!strstr(err.msg, why)) fail_msg("\"%s\" tells not \"%s\"", err.msg, why);
    assert_null(strstr(err.msg, "s3cret"));
    assert_null(strstr(err.msg, "p@ss"));
}

static void test_refused(void **state)
{
    (void)state;
    begin();
    check_refused(url, STORE_READ, "no index");
    check_refused("postgresql://me:s3cret@127.0.0.1:1/db", STORE_WRITE,
                  "postgresql://me@127.0.0.1:1/db: ");
    check_refused("postgresql://me:s3cret/p@ss@127.0.0.1/db", STORE_WRITE, "%2F for '/'");
    check_refused("postgresql://me:p@ss3cret@127.0.0.1/db", STORE_WRITE, "%40 for '@'");
    check_refused("postgres://me:1/s3cretp@ss/db", STORE_WRITE,
                  "wanted is postgresql://");
    check_refused("postgres://me@/db?nothing=s3cret", STORE_WRITE, "cannot be read");
    store_close(srig_open(url, STORE_WRITE));
    store_close(srig_open(url, STORE_READ));
    sql("UPDATE clipc.about SET version = 2");
    check_refused(url, STORE_READ, "not of version 1");
    sql("DROP SCHEMA clipc CASCADE");
    sql("DROP EXTENSION vector CASCADE");
    sql("CREATE ROLE nobody LOGIN PASSWORD 's3cret'");
    char poor[300];
    snprintf(poor, sizeof poor, "postgresql://nobody:s3cret@%s", strchr(url, '@') + 1);
    check_refused(poor, STORE_WRITE, "pgvector is wanted");
    sql("DROP ROLE nobody");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items),   cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_filters), cmocka_unit_test(test_hnsw),
        cmocka_unit_test(test_writers), cmocka_unit_test(test_killed),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}

#endif

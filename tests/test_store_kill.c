/* A writer that is killed at random moments: what it had committed is there, whole, and
 * what it had not is not.  After each kill the index is compared with one into which the
 * same batches went one after the other, undisturbed. */
#include "check.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/rng.h"
#include "store_rig.h"

#define LIVE   "build/test_store_kill/live"
#define REPLAY "build/test_store_kill/replay"
enum { ROUNDS = 4, KILLS = 50, DIM = 40, BATCH = 12, SEED = 20, QUERIES = 5, K = 10 };
enum { LONGEST_US = 25000 };

static int remove_all(void **state)
{
    (void)state;
    return system("rm -rf build/test_store_kill");
}

/* ---- batches ---- */

static int take_id(void *arg, const store_item *item)
{
    *(int64_t *)arg = item->id;
    return CLIPC_OK;
}

/* The id of an item by its number; 0: there is none. */
static int64_t find_item(store *s, uint64_t n)
{
    char name[32];
    int64_t id = 0;
    clipc_err err;

    snprintf(name, sizeof name, "item %" PRIu64, n);
    const store_filter f = {.root = 1, .key = {name, strlen(name)}};
    CHECK_OK(store_each_item(s, &f, take_id, &id, &err), err);
    return id;
}

static void put(store *s, uint64_t n, uint64_t content)
{
    char name[32];
    float row[DIM];
    clipc_err err;

    snprintf(name, sizeof name, "item %" PRIu64, n);
    const store_item item = srig_item(1, name, content);
    srig_row(row, DIM, content);
    CHECK_OK(store_item_put(s, NULL, &item, &err), err);
    CHECK_OK(store_vector_put(s, 1, &item.hash, row, &err), err);
}

/* Batch b: new items and copies, then some are removed, some moved, some change. */
static void write_batch(store *s, uint64_t b)
{
    rng r = rng_seed(SEED, b);
    char text[32];
    clipc_err err;

    CHECK_OK(store_begin(s, &err), err);
    for (uint64_t i = 0; i < BATCH; i++) {
        const uint64_t n = b * BATCH + i;
        put(s, n, rng_below(&r, 5) ? n : rng_below(&r, n + 1));
    }
    for (int i = 0; i < BATCH / 2; i++) {
        const uint64_t n = rng_below(&r, (b + 1) * BATCH), how = rng_below(&r, 3);
        const int64_t id = find_item(s, n);
        if (!id) continue;
        snprintf(text, sizeof text, "moved %" PRIu64, n);
        if (how == 0) CHECK_OK(store_item_remove(s, id, &err), err);
        if (how == 1)
            CHECK_OK(store_item_move(s, id, 1, (store_bytes){text, strlen(text)}, &err),
                     err);
        if (how == 2) put(s, n, 1000000 + b * BATCH + (uint64_t)i);
    }
    snprintf(text, sizeof text, "%" PRIu64, b);
    CHECK_OK(store_root_set_meta(s, 1, text, &err), err);
    CHECK_OK(store_commit(s, &err), err);
    if (b % 6 == 5) CHECK_OK(store_compact(s, 1, &err), err);
}

static int take_batch(void *arg, const store_root *root)
{
    *(uint64_t *)arg = strtoull(root->meta, NULL, 10);
    return CLIPC_OK;
}

static uint64_t last_batch(store *s)
{
    uint64_t b = 0;
    clipc_err err;

    CHECK_OK(store_each_root(s, take_batch, &b, &err), err);
    return b;
}

static void begin_index(const char *folder, dtype type)
{
    int64_t root;
    clipc_err err;
    store *s = srig_open(folder, STORE_WRITE);

    assert_int_equal(srig_space(s, DIM, type), 1);
    CHECK_OK(store_begin(s, &err), err);
    CHECK_OK(store_root_add(s, &root, (store_bytes){"root", 4}, &err), err);
    CHECK_OK(store_commit(s, &err), err);
    write_batch(s, 0);
    store_close(s);
}

/* ---- comparison ---- */

/* What a listing shows of an item. */
typedef struct listed {
    char key[32];
    int64_t size, mtime;
    store_hash hash;
} listed;

static int list_item(void *arg, const store_item *item)
{
    listed l = {.size = item->size, .mtime = item->mtime, .hash = item->hash};

    assert_true(item->key.size < sizeof l.key);
    memcpy(l.key, item->key.data, item->key.size);
    return buf_add(arg, &l, sizeof l, NULL);
}

static void compare_vectors(store *a, store *b, const listed *l, size_t n)
{
    float rows[2][DIM];
    uint64_t slot;
    bool there;
    clipc_err err;

    for (size_t i = 0; i < n; i++) {
        for (int j = 0; j < 2; j++) {
            store *s = j ? b : a;
            CHECK_OK(store_vector_find(s, &slot, &there, 1, &l[i].hash, &err), err);
            assert_true(there);
            CHECK_OK(store_vector_get(s, rows[j], NULL, 1, slot, &err), err);
        }
        assert_memory_equal(rows[0], rows[1], sizeof rows[0]);
    }
}

static void compare_answers(store *a, store *b, exec *x, uint64_t seed)
{
    float queries[QUERIES * DIM], row[DIM];
    store_hit hits[2][QUERIES * K];
    size_t n[2][QUERIES];
    store_hash hash[2];
    clipc_err err;

    for (uint64_t q = 0; q < QUERIES; q++)
        srig_row(queries + q * DIM, DIM, 1000 * seed + q);
    for (int j = 0; j < 2; j++)
        CHECK_OK(
            store_scan(j ? b : a, x, hits[j], n[j], 1, queries, QUERIES, K, NULL, &err),
            err);
    for (size_t q = 0; q < QUERIES; q++) {
        assert_int_equal(n[0][q], n[1][q]);
        for (size_t i = q * K; i < q * K + n[0][q]; i++) {
            for (int j = 0; j < 2; j++)
                CHECK_OK(
                    store_vector_get(j ? b : a, row, &hash[j], 1, hits[j][i].slot, &err),
                    err);
            assert_memory_equal(&hash[0], &hash[1], sizeof hash[0]);
            CHECK_NEAR(hits[0][i].score, hits[1][i].score, 0.0);
        }
    }
}

static void compare(store *live, store *replay, exec *x, uint64_t seed)
{
    buf a = {0}, b = {0};
    clipc_err err;

    CHECK_OK(store_each_item(live, NULL, list_item, &a, &err), err);
    CHECK_OK(store_each_item(replay, NULL, list_item, &b, &err), err);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
    compare_vectors(live, replay, (const listed *)(void *)a.data, a.len / sizeof(listed));
    compare_answers(live, replay, x, seed);
    buf_free(&a), buf_free(&b);
}

/* ---- kills ---- */

typedef struct tally {
    unsigned kills, in_flight, torn;
    uint64_t batches, items;
} tally;

/* Says on the pipe when a batch begins (0) and when it is committed (1). */
static void write_on(int fd)
{
    store *s = srig_open(LIVE, STORE_WRITE);

    for (uint64_t b = last_batch(s) + 1;; b++) {
        const uint64_t begun = 2 * b, done = 2 * b + 1;
        if (write(fd, &begun, sizeof begun) < 0) _exit(1);
        write_batch(s, b);
        if (write(fd, &done, sizeof done) < 0) _exit(1);
    }
}

/* The last that the killed writer said; 0: nothing. */
static uint64_t kill_writer(rng *r)
{
    const struct timespec t = {.tv_nsec = (long)rng_below(r, LONGEST_US) * 1000};
    uint64_t said, last = 0;
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    const pid_t writer = fork();
    if (writer == 0) close(ends[0]), write_on(ends[1]);
    close(ends[1]);
    /* Half of the delays begin when the first batch does, past opening. */
    if (rng_below(r, 2) && read(ends[0], &said, sizeof said) == sizeof said) last = said;
    nanosleep(&t, NULL);
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
    while (read(ends[0], &said, sizeof said) == sizeof said) last = said;
    close(ends[0]);
    return last;
}

static void check_after(tally *t, exec *x, uint64_t said, uint64_t *replayed)
{
    store_report r;
    clipc_err err;

    CHECK_OK(store_verify(LIVE, &r, NULL, NULL, &err), err);
    assert_false(r.catalogue);
    assert_int_equal(r.bad + r.lost, 0);
    store *live = srig_open(LIVE, STORE_READ), *replay = srig_open(REPLAY, STORE_WRITE);
    const uint64_t b = last_batch(live);
    if (said) { /* what was committed before the kill is there; the next one may be */
        assert_true(b >= (said % 2 ? said / 2 : said / 2 - 1));
        assert_true(b <= (said % 2 ? said / 2 + 1 : said / 2));
    } else assert_true(b == *replayed);
    t->in_flight += said && said % 2 == 0;
    t->torn += said && said % 2 == 0 && b < said / 2;
    t->batches += b - *replayed;
    while (*replayed < b) write_batch(replay, ++*replayed);
    compare(live, replay, x, b);
    t->items = srig_items(live, NULL);
    store_close(live);
    store_close(replay);
}

static void test_kill(void **state)
{
    static const dtype types[ROUNDS] = {DT_F16, DT_F32, DT_I8, DT_F16};
    rng r = rng_seed(SEED, 1u << 20);
    tally t = {0};
    exec *x;
    clipc_err err;

    (void)state;
    CHECK_OK(exec_new(&x, 1, 0, &err), err);
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t replayed = 0;
        remove_all(NULL);
        begin_index(LIVE, types[round]);
        begin_index(REPLAY, types[round]);
        for (int i = 0; i < KILLS; i++, t.kills++)
            check_after(&t, x, kill_writer(&r), &replayed);
    }
    exec_free(x);
    print_message("store: %u kills, %" PRIu64 " batches committed, %u kills within a "
                  "batch, of which %u left nothing; every index as replayed\n",
                  t.kills, t.batches, t.in_flight, t.torn);
    assert_true(t.batches > 0 && t.in_flight > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kill)};

    return cmocka_run_group_tests_name("store_kill", tests, NULL, remove_all);
}

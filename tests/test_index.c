/* The index: what files tell, which of them changed, and what a search finds. */
#include "check.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"
#include "base/walk.h"
#include "clipc_index.h"
#include "image/facts.h"
#include "image/image.h"
#include "index/known.h"
#include "index/steady.h"

#define ROOT "build/test_index/"

/* A line each: name, width, height and date. */
static void check_facts(const char *folder, const char *list, size_t expected)
{
    char name[64], path[128], date[24];
    snprintf(path, sizeof path, "%s%s", folder, list);
    FILE *f = fopen(path, "r");
    unsigned w, h;
    size_t n = 0;
    clipc_err err;

    assert_non_null(f);
    for (; fscanf(f, "%63s %u %u %23[^\n]", name, &w, &h, date) == 4; n++) {
        buf b = {0};
        snprintf(path, sizeof path, "%s%s", folder, name);
        CHECK_OK(file_read(&b, path, 1 << 20, &err), err);
        const image_facts got = image_facts_of((const uint8_t *)b.data, b.len);
        assert_int_equal(got.width, w);
        assert_int_equal(got.height, h);
        assert_string_equal(*got.taken ? got.taken : "-", date);
        buf_free(&b);
    }
    assert_int_equal(n, expected);
    fclose(f);
}

/* facts: size as shown and date as Pillow 13 tells them, or of RAW as exiftool */
static void test_facts(void **state)
{
    image none;
    clipc_err err;

    (void)state;
    check_facts("tests/golden/dated/", "index.txt", 8);
    /* Nothing but a mark: a fault of the file, or, told first, the library's lack. */
    const int rc = image_decode(&none, "FUJIFILMCCD-RAW", 15, "a.raf", 1, &err);
    if (rc == CLIPC_ERR_FORMAT) check_facts("tests/golden/raw/", "facts.txt", 12);
    else print_message("not compared: %s\n", err.msg);
}

/* facts: a file cut anywhere is read within its bytes (the sanitizers look) */
static void test_facts_cut(void **state)
{
    static const char *const names[] = {"turned.jpg", "winter.png", "lossy.webp",
                                        "plain.bmp", "plain.gif"};
    clipc_err err;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        buf b = {0};
        char path[128];
        snprintf(path, sizeof path, "tests/golden/dated/%s", names[i]);
        CHECK_OK(file_read(&b, path, 1 << 20, &err), err);
        for (size_t size = 0; size < b.len; size++) {
            uint8_t *cut = malloc(size + 1);
            memcpy(cut, b.data, size);
            cut = realloc(cut, size ? size : 1);
            const image_facts got = image_facts_of(cut, size);
            assert_true(strlen(got.taken) < sizeof got.taken);
            free(cut);
        }
        buf_free(&b);
    }
}

/* known: every path of many is found by itself, and none that only begins like one */
static void test_known(void **state)
{
    enum { N = 5000 };
    known k = {0};
    char path[64];
    clipc_err err;

    (void)state;
    for (int i = 0; i < N; i++) {
        const int len = snprintf(path, sizeof path, "/a/\xff%d", i);
        CHECK_OK(known_add(&k, path, (size_t)len, (known_file){.id = i}, &err), err);
    }
    for (int i = 0; i < N; i++) {
        const int len = snprintf(path, sizeof path, "/a/\xff%d", i);
        const known_file *f = known_find(&k, path, (size_t)len);
        assert_non_null(f);
        assert_int_equal(f->id, i);
        assert_string_equal(known_path(&k, f), path);
    }
    assert_null(known_find(&k, "/a/", 3));
    assert_null(known_find(&k,
                           "/a/\xff"
                           "5000",
                           8));
    known_free(&k);
}

/* steady: a pipe is not waited for, and what a name no longer leads to is told */
static void test_steady(void **state)
{
    buf b = {0};
    struct stat st;
    bool busy;
    clipc_err err;

    (void)state;
    CHECK_OK(file_mkdirs(ROOT, &err), err);
    unlink(ROOT "pipe");
    assert_int_equal(mkfifo(ROOT "pipe", 0600), 0);
    assert_int_equal(steady_read(&b, &st, &busy, ROOT "pipe", &err), CLIPC_ERR_IO);
    assert_non_null(strstr(err.msg, ROOT "pipe: not a regular file"));
    assert_int_equal(steady_read(&b, &st, &busy, ROOT "gone", &err), CLIPC_ERR_IO);
    CHECK_OK(file_replace(ROOT "there", "bytes", 5, &err), err);
    CHECK_OK(steady_read(&b, &st, &busy, ROOT "there", &err), err);
    assert_false(busy);
    assert_int_equal(b.len, 5);
    assert_int_equal(st.st_size, 5);
    buf_free(&b);
}

/* ---- walking ---- */

typedef struct walked {
    char names[512]; /* each with a blank behind it */
} walked;

static int note_path(void *user, const char *path, const struct stat *st)
{
    walked *w = user;

    assert_non_null(st);
    strcat(w->names, path + strlen(ROOT "walk/"));
    strcat(w->names, " ");
    return CLIPC_OK;
}

static void check_walk(const walk_options *o, const char *want)
{
    walked w = {""};
    clipc_err err;

    CHECK_OK(walk_pictures_with(ROOT "walk", o, note_path, &w, &err), err);
    assert_string_equal(w.names, want);
}

/* walk: hidden names on demand; patterns of names, and of paths below the folder, which
 * may be another than the first */
static void test_walk(void **state)
{
    static const char *const files[] = {"a.jpg",    "b/c.png",   "b/thumb/d.jpg",
                                        ".e/f.jpg", "g/b/h.jpg", "b/i.txt"};
    const char *const thumb[] = {"thumb"}, *const below[] = {"b/*.png"};
    char path[128], folder[128];
    clipc_err err;

    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, ROOT "walk/%s", files[i]);
        snprintf(folder, sizeof folder, "%.*s", (int)(path_base(path) - path), path);
        CHECK_OK(file_mkdirs(folder, &err), err);
        CHECK_OK(file_replace(path, "x", 1, &err), err);
    }
    check_walk(NULL, "a.jpg b/c.png b/thumb/d.jpg g/b/h.jpg ");
    check_walk(&(walk_options){.hidden = true},
               ".e/f.jpg a.jpg b/c.png b/thumb/d.jpg g/b/h.jpg ");
    check_walk(&(walk_options){.exclude = thumb, .n_exclude = 1},
               "a.jpg b/c.png g/b/h.jpg ");
    check_walk(&(walk_options){.exclude = below, .n_exclude = 1},
               "a.jpg b/thumb/d.jpg g/b/h.jpg ");
    check_walk(&(walk_options){.exclude = below,
                               .n_exclude = 1,
                               .exclude_from = strlen(ROOT) - 1},
               "a.jpg b/c.png b/thumb/d.jpg g/b/h.jpg ");
}

/* ---- searching ---- */

enum { N = 500, DIM = 32 };

static void remove_index(const char *folder)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
}

static clipc_index *open_index(const char *folder, int vectors)
{
    const clipc_index_options o = {.space = "test", .dim = DIM, .vectors = vectors};
    clipc_index *x;
    clipc_err err;

    CHECK_OK(clipc_index_open(&x, folder, NULL, &o, &err), err);
    return x;
}

/* rows [N,DIM] of unit length. */
static void make_rows(float *rows)
{
    rng r = rng_seed(3, 0);

    rng_fill_normal(&r, rows, (size_t)N * DIM, 0.0f, 1.0f);
    for (size_t i = 0; i < N; i++) {
        double sum = 0.0;
        for (size_t d = 0; d < DIM; d++)
            sum += (double)rows[i * DIM + d] * (double)rows[i * DIM + d];
        for (size_t d = 0; d < DIM; d++) rows[i * DIM + d] /= (float)sqrt(sum);
    }
}

static void fill(clipc_index *x, const float *rows)
{
    char names[N][16], metas[N][16];
    const char *keys[N], *meta[N];
    clipc_err err;

    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "v/%d", i);
        snprintf(metas[i], sizeof metas[i], "{\"n\":%d}", i);
        keys[i] = names[i];
        meta[i] = i % 2 ? metas[i] : NULL;
    }
    CHECK_OK(clipc_index_add_vectors(x, keys, rows, meta, N, &err), err);
}

static double dot(const float *a, const float *b)
{
    double sum = 0.0;

    for (size_t d = 0; d < DIM; d++) sum += (double)a[d] * (double)b[d];
    return sum;
}

static size_t number_of(const clipc_index_hit *h)
{
    return (size_t)atoi(h->key + 2);
}

/* Hits are the best of all rows, best first, with their own scores. */
static void check_hits(const clipc_index_hits *h, const float *rows, const float *query,
                       size_t k)
{
    assert_int_equal(h->n, k);
    for (size_t i = 0; i < h->n; i++) {
        const double score = dot(rows + number_of(&h->v[i]) * DIM, query);
        size_t better = 0;
        for (size_t j = 0; j < N; j++)
            better += dot(rows + j * DIM, query) > score + 1e-6;
        assert_int_equal(better, i);
        CHECK_NEAR(h->v[i].score, score, 1e-5);
        assert_true((h->v[i].meta != NULL) == (number_of(&h->v[i]) % 2 == 1));
    }
}

/* search: the same as comparing every row, by a vector and by a weighted difference */
static void test_search(void **state)
{
    static float rows[N * DIM];
    float query[DIM];
    clipc_index_hits h;
    clipc_err err;

    (void)state;
    remove_index(ROOT "search");
    make_rows(rows);
    clipc_index *x = open_index(ROOT "search", CLIPC_VECTORS_F32);
    fill(x, rows);
    const clipc_index_term terms[] = {{.weight = 2, .vector = rows},
                                      {.weight = -1, .vector = rows + DIM}};
    CHECK_OK(clipc_index_search(&h, x, NULL, terms, 1, NULL, &err), err);
    check_hits(&h, rows, rows, 10);
    assert_string_equal(h.v[0].key, "v/0");
    clipc_index_hits_free(&h);

    double sum = 0.0;
    for (size_t d = 0; d < DIM; d++) query[d] = 2 * rows[d] - rows[DIM + d];
    for (size_t d = 0; d < DIM; d++) sum += (double)query[d] * (double)query[d];
    for (size_t d = 0; d < DIM; d++) query[d] /= (float)sqrt(sum);
    const clipc_index_search_options o = {.k = 25};
    CHECK_OK(clipc_index_search(&h, x, NULL, terms, 2, &o, &err), err);
    check_hits(&h, rows, query, 25);
    clipc_index_hits_free(&h);

    /* What cancels itself has no direction. */
    const clipc_index_term none[] = {terms[0], {.weight = -2, .vector = rows}};
    assert_int_equal(clipc_index_search(&h, x, NULL, none, 2, NULL, &err), CLIPC_ERR_ARG);
    clipc_index_hits_free(&h);
    clipc_index_close(x);
}

/* search: unless, min_score, globs and folders leave out what they say, and as many hits
 * come as are wanted all the same */
static void test_filters(void **state)
{
    static float rows[N * DIM];
    const char *const globs[] = {"*7"};
    clipc_index_hits h;
    clipc_err err;

    (void)state;
    remove_index(ROOT "filters");
    make_rows(rows);
    clipc_index *x = open_index(ROOT "filters", CLIPC_VECTORS_F32);
    fill(x, rows);
    const clipc_index_term term = {.weight = 1, .vector = rows};
    clipc_index_search_options o = {.k = 20, .unless = rows + DIM, .n_unless = 1};
    CHECK_OK(clipc_index_search(&h, x, NULL, &term, 1, &o, &err), err);
    assert_int_equal(h.n, 20);
    for (size_t i = 0, passed = 0; i < 20; i++) {
        const float *row = rows + number_of(&h.v[i]) * DIM;
        const double score = dot(row, rows);
        assert_true(score > dot(row, rows + DIM));
        for (size_t j = 0, better = 0; j < N; j++) {
            const float *other = rows + j * DIM;
            better += dot(other, rows) > score + 1e-6 &&
                      dot(other, rows) > dot(other, rows + DIM);
            if (j == N - 1) passed = better;
        }
        assert_int_equal(passed, i);
    }
    clipc_index_hits_free(&h);

    o = (clipc_index_search_options){.k = N, .min_score = 0.2f};
    CHECK_OK(clipc_index_search(&h, x, NULL, &term, 1, &o, &err), err);
    size_t above = 0;
    for (size_t j = 0; j < N; j++) above += dot(rows + j * DIM, rows) >= 0.2;
    assert_int_equal(h.n, above);
    clipc_index_hits_free(&h);

    o = (clipc_index_search_options){.k = N, .globs = globs, .n_globs = 1};
    CHECK_OK(clipc_index_search(&h, x, NULL, &term, 1, &o, &err), err);
    assert_int_equal(h.n, N / 10);
    for (size_t i = 0; i < h.n; i++) assert_int_equal(number_of(&h.v[i]) % 10, 7);
    clipc_index_hits_free(&h);

    o = (clipc_index_search_options){.k = 3, .folder = "w"};
    CHECK_OK(clipc_index_search(&h, x, NULL, &term, 1, &o, &err), err);
    assert_int_equal(h.n, 0);
    clipc_index_hits_free(&h);
    o.folder = "v";
    CHECK_OK(clipc_index_search(&h, x, NULL, &term, 1, &o, &err), err);
    assert_int_equal(h.n, 3);
    clipc_index_hits_free(&h);
    clipc_index_close(x);
}

static int count_entry(void *user, const clipc_index_entry *e)
{
    size_t *n = user;

    assert_non_null(e->vector);
    ++*n;
    return CLIPC_OK;
}

/* One folder, several models; removing; what was there when it is opened again. */
static void test_spaces(void **state)
{
    static float rows[N * DIM];
    const clipc_index_options other = {.space = "other", .dim = 7};
    const clipc_index_options missing = {.space = "test", .dim = DIM, .read_only = 1};
    clipc_index *x, *y;
    clipc_index_stats st;
    size_t n = 0;
    clipc_err err;

    (void)state;
    remove_index(ROOT "spaces");
    make_rows(rows);
    assert_true(clipc_index_open(&x, ROOT "spaces", NULL, &missing, &err) != CLIPC_OK);
    assert_false(file_exists(ROOT "spaces"));
    x = open_index(ROOT "spaces", CLIPC_VECTORS_F16);
    fill(x, rows);
    CHECK_OK(clipc_index_open(&y, ROOT "spaces", NULL, &other, &err), err);
    CHECK_OK(clipc_index_stats_of(&st, y, &err), err);
    assert_int_equal(st.models, 2);
    assert_int_equal(st.entries, 0);
    assert_int_equal(st.dim, 7);
    CHECK_OK(clipc_index_remove(x, "v/3", &n, &err), err);
    assert_int_equal(n, 1);
    clipc_index_close(y);
    clipc_index_close(x);

    CHECK_OK(clipc_index_open(&x, ROOT "spaces", NULL, &missing, &err), err);
    n = 0;
    CHECK_OK(clipc_index_each(x, NULL, count_entry, &n, &err), err);
    assert_int_equal(n, N - 1);
    assert_int_equal(clipc_index_remove(x, "v", &n, &err), CLIPC_ERR_ARG);
    clipc_index_close(x);
    x = open_index(ROOT "spaces", CLIPC_VECTORS_F16);
    CHECK_OK(clipc_index_remove(x, "v", &n, &err), err);
    assert_int_equal(n, N - 1);
    clipc_index_close(x);
}

/* ---- pictures ---- */

#define MODEL   "tests/golden/models/e2e"
#define PICTURE "tests/golden/pixels/rgb_64x64.png"

/* Stops when it is asked for the second time: behind the first batch. */
static int stop_second(void *user)
{
    int *asked = user;

    return ++*asked == 2;
}

/* 40 pictures, each of other bytes: an end of its own. */
static void make_pictures(const char *folder)
{
    buf b = {0};
    char path[128];
    clipc_err err;

    remove_index(folder);
    CHECK_OK(file_mkdirs(folder, &err), err);
    CHECK_OK(file_read(&b, PICTURE, 1 << 20, &err), err);
    CHECK_OK(buf_add(&b, "  ", 2, &err), err);
    for (int i = 0; i < 40; i++) {
        snprintf(path, sizeof path, "%s/%02d.png", folder, i);
        snprintf(b.data + b.len - 2, 3, "%02d", i);
        CHECK_OK(file_replace(path, b.data, b.len, &err), err);
    }
    buf_free(&b);
}

/* update: stopped between batches it keeps what is done, removes nothing, and goes on
 * there; add_image: found by its key, and in place of what that had */
static void test_update(void **state)
{
    clipc_index_update_options o = {.stop = stop_second};
    clipc_model *model;
    clipc_ctx *ctx;
    clipc_index *x;
    clipc_index_changes c;
    clipc_index_hits h;
    clipc_index_stats st;
    buf b = {0};
    int asked = 0;
    clipc_err err;

    (void)state;
    remove_index(ROOT "update");
    make_pictures(ROOT "pictures");
    CHECK_OK(clipc_model_open(&model, MODEL, &err), err);
    CHECK_OK(clipc_ctx_new(&ctx, model, NULL, &err), err);
    CHECK_OK(clipc_index_open(&x, ROOT "update", ctx, NULL, &err), err);
    o.user = &asked;
    CHECK_OK(clipc_index_update(x, ctx, ROOT "pictures", &o, &c, &err), err);
    assert_int_equal(c.stopped, 1);
    assert_int_equal(c.embedded, 32);
    CHECK_OK(clipc_index_update(x, ctx, ROOT "pictures", NULL, &c, &err), err);
    assert_int_equal(c.stopped, 0);
    assert_int_equal(c.unchanged, 32);
    assert_int_equal(c.embedded, 8);

    CHECK_OK(file_read(&b, MODEL "/photo.jpg", 1 << 20, &err), err);
    for (int i = 0; i < 2; i++)
        CHECK_OK(clipc_index_add_image(x, ctx, "mine", b.data, b.len, "[1]", &err), err);
    const clipc_index_term term = {.weight = 1, .data = b.data, .size = b.len};
    const clipc_index_search_options one = {.k = 1};
    CHECK_OK(clipc_index_search(&h, x, ctx, &term, 1, &one, &err), err);
    assert_int_equal(h.n, 1);
    assert_string_equal(h.v[0].key, "mine");
    assert_string_equal(h.v[0].meta, "[1]");
    CHECK_NEAR(h.v[0].score, 1.0, 2e-3);
    CHECK_OK(clipc_index_stats_of(&st, x, &err), err);
    assert_int_equal(st.entries, 41);
    clipc_index_hits_free(&h);
    /* Damaged: an error, and what was there stays. */
    assert_int_equal(clipc_index_add_image(x, ctx, "mine", b.data, 700, NULL, &err),
                     CLIPC_ERR_FORMAT);
    CHECK_OK(clipc_index_search(&h, x, ctx, &term, 1, &one, &err), err);
    assert_string_equal(h.v[0].key, "mine");
    clipc_index_hits_free(&h);
    buf_free(&b);
    clipc_index_close(x);
    clipc_ctx_free(ctx);
    clipc_model_free(model);
}

/* ---- several threads ---- */

typedef struct shared {
    clipc_index *x;
    const float *rows;
    _Atomic int failed;
} shared;

static void *search_often(void *arg)
{
    shared *s = arg;

    for (size_t i = 0; i < 50; i++) {
        const clipc_index_term term = {.weight = 1, .vector = s->rows + i * DIM};
        clipc_index_hits h;
        if (clipc_index_search(&h, s->x, NULL, &term, 1, NULL, NULL) != CLIPC_OK ||
            h.n != 10 || number_of(&h.v[0]) != i)
            s->failed = 1;
        clipc_index_hits_free(&h);
    }
    return NULL;
}

static void *add_often(void *arg)
{
    shared *s = arg;

    for (size_t i = 0; i < 20; i++) {
        char name[16];
        const char *key = name;
        snprintf(name, sizeof name, "v/%zu", i);
        if (clipc_index_add_vectors(s->x, &key, s->rows + i * DIM, NULL, 1, NULL) !=
            CLIPC_OK)
            s->failed = 1;
    }
    return NULL;
}

/* One handle, searched by threads while another adds. */
static void test_threads(void **state)
{
    static float rows[N * DIM];
    pthread_t threads[4];
    shared s = {.rows = rows};

    (void)state;
    remove_index(ROOT "threads");
    make_rows(rows);
    s.x = open_index(ROOT "threads", CLIPC_VECTORS_F32);
    fill(s.x, rows);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, i ? search_often : add_often, &s), 0);
    for (size_t i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    assert_int_equal(s.failed, 0);
    clipc_index_close(s.x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_facts),   cmocka_unit_test(test_facts_cut),
        cmocka_unit_test(test_known),   cmocka_unit_test(test_steady),
        cmocka_unit_test(test_walk),    cmocka_unit_test(test_search),
        cmocka_unit_test(test_filters), cmocka_unit_test(test_spaces),
        cmocka_unit_test(test_threads), cmocka_unit_test(test_update),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

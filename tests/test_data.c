/* What comes when in training: permutations, epochs, mixtures, and that it depends on
 * nothing else than the seed and the place. */
#include "check.h"

#include <stdlib.h>

#include "base/permute.h"
#include "train/data.h"
#include "train/sampling.h"

/* permute: every number once, whatever n */
static void test_permutation(void **state)
{
    static uint8_t seen[5000];

    (void)state;
    for (uint64_t n = 1; n < sizeof seen; n += n < 70 ? 1 : 613) {
        rng r = rng_seed(n, 1);
        const permutation p = permute_make(&r, n);
        memset(seen, 0, sizeof seen);
        for (uint64_t i = 0; i < n; i++) {
            const uint64_t x = permute_at(&p, i);
            assert_true(x < n);
            assert_false(seen[x]++);
        }
    }
}

/* permute: over many seeds every number is as often at every place, and neighbours are no
 * likelier to stay neighbours than by chance */
static void test_permutation_fair(void **state)
{
    enum { N = 6, SEEDS = 36000 };
    size_t count[N][N] = {{0}}, together = 0;

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        rng r = rng_seed(seed, 0);
        const permutation p = permute_make(&r, N);
        for (uint64_t i = 0; i < N; i++) {
            count[i][permute_at(&p, i)]++;
            together += i && permute_at(&p, i) == permute_at(&p, i - 1) + 1;
        }
    }
    double chi2 = 0.0;
    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++) {
            const double want = (double)SEEDS / N;
            chi2 += pow((double)count[i][k] - want, 2.0) / want;
        }
    assert_true(chi2 < 60.0); /* 25 degrees of freedom: 52.6 once in a thousand */
    /* N - 1 pairs, each together once in N: 30000, with a deviation of about 150 */
    CHECK_NEAR(together, SEEDS * (N - 1) / N, 600);
}

/* sampling: without weights every sample once an epoch, every epoch in another order */
static void test_epochs(void **state)
{
    const size_t ends[] = {7, 8, 40};
    size_t seen[40] = {0}, moved = 0;
    sampling s;
    clipc_err err;

    (void)state;
    CHECK_OK(sampling_init(&s, ends, NULL, 3, 5, &err), err);
    for (size_t epoch = 0; epoch < 3; epoch++) {
        for (size_t i = 0; i < 40; i++) seen[sampling_shuffled(&s, epoch * 40 + i)]++;
        for (size_t i = 0; i < 40; i++) assert_int_equal(seen[i], epoch + 1);
    }
    for (size_t i = 0; i < 40; i++)
        moved += sampling_shuffled(&s, i) != sampling_shuffled(&s, 40 + i);
    assert_true(moved > 30);
    sampling_free(&s);
}

/* sampling: with weights every source has its share of each epoch, and all its samples
 * come equally often, but for one time */
static void test_mixture(void **state)
{
    const size_t ends[] = {3, 100};
    const float weights[] = {1.0f, 3.0f};
    size_t seen[100] = {0};
    sampling s;
    clipc_err err;

    (void)state;
    CHECK_OK(sampling_init(&s, ends, weights, 2, 5, &err), err);
    for (size_t epoch = 1; epoch < 12; epoch++) {
        for (size_t i = 0; i < 100; i++)
            seen[sampling_shuffled(&s, (epoch - 1) * 100 + i)]++;
        assert_int_equal(seen[0] + seen[1] + seen[2], 25 * epoch);
        for (size_t i = 0; i < 100; i++) {
            const size_t all = i < 3 ? 25 * epoch : 75 * epoch, n = i < 3 ? 3 : 97;
            assert_in_range(seen[i], all / n, all / n + 1);
        }
    }
    sampling_free(&s);
}

/* ---- batches ---- */

enum { PICTURES = 12, BATCH = 5, BATCHES = 9 };

static const char table[] = "build/test_data.csv";

/* Twelve pictures that are there and, if bad, one that is not and one that is none. */
static void write_table(bool bad)
{
    static const char *const names[PICTURES] = {
        "rgb_7x5.png",   "rgb_300x37.png", "rgb_33x64.png", "rgb_32x80.png",
        "rgb_64x64.png", "rgb_41x29.png",  "grey.png",      "rgba.png",
        "palette.png",   "jpeg_420.jpg",   "lossy.webp",    "alpha.webp"};
    buf b = {0};
    clipc_err err;

    CHECK_OK(buf_puts(&b, "filepath,title\n", &err), err);
    for (size_t i = 0; i < PICTURES; i++)
        CHECK_OK(buf_printf(&b, &err, "tests/golden/pixels/%s,thing %zu\n", names[i], i),
                 err);
    if (bad)
        CHECK_OK(buf_puts(&b, "gone.png,x\ntests/golden/pixels/index.txt,y\n", &err),
                 err);
    CHECK_OK(file_replace(table, b.data, b.len, &err), err);
    buf_free(&b);
}

static const char *const table_path = table;

static data_cfg config(const tokenizer *tokens, size_t workers)
{
    return (data_cfg){.sources = &table_path,
                      .n_sources = 1,
                      .tables = {"filepath", "title", ",", false, 0},
                      .batch = BATCH,
                      .workers = workers,
                      .shuffle = true,
                      .max_broken = 0.1,
                      .alternative = 0.25f,
                      .tokenizer = tokens,
                      .context_length = 16,
                      .vocab_size = 49408,
                      .seed = 3,
                      .preprocess = preprocess_default(16, 16),
                      .augment = augment_default(),
                      .max_megapixels = 1};
}

/* A batch's samples, texts and pixels in one number. */
static uint64_t digest(const batch *b)
{
    uint64_t h = 1;

    for (size_t i = 0; i < BATCH; i++) h = h * 31 + b->sample[i];
    for (size_t i = 0; i < BATCH * 16; i++) h = h * 31 + (uint64_t)b->ids[i];
    for (size_t i = 0; i < BATCH * 3 * 16 * 16; i++)
        h = h * 31 + (uint64_t)lrintf(b->pixels[i] * 1e4f);
    return h;
}

static void run(uint64_t *digests, size_t *seen, const data_cfg *cfg, size_t first)
{
    const batch *b;
    dataset *d;
    double waited;
    clipc_err err;

    CHECK_OK(dataset_open(&d, cfg, first, &err), err);
    for (size_t i = first; i < BATCHES; i++) {
        CHECK_OK(dataset_next(&b, d, &waited, &err), err);
        digests[i] = digest(b);
        for (size_t k = 0; seen && k < BATCH; k++) seen[b->sample[k]]++;
    }
    dataset_close(d);
}

/* data: batches are the same whoever makes them and wherever one begins, also in the
 * middle of an epoch; after some epochs every sample came equally often */
static void test_batches(void **state)
{
    uint64_t whole[BATCHES], other[BATCHES];
    size_t seen[PICTURES] = {0};
    clipc_err err;
    tokenizer tokens = {0};

    (void)state;
    write_table(false);
    CHECK_OK(bpe_new(&tokens.bpe, &err), err);
    data_cfg one = config(&tokens, 1), three = config(&tokens, 3);
    run(whole, seen, &one, 0);
    for (size_t i = 0; i < PICTURES; i++) /* 45 = 3 epochs of 12, and 9 */
        assert_in_range(seen[i], 3, 4);
    for (size_t first = 0; first < BATCHES; first += 4) {
        run(other, NULL, &three, first);
        assert_memory_equal(other + first, whole + first,
                            (BATCHES - first) * sizeof *whole);
    }
    tokenizer_free(&tokens);
}

/* How many of a run's texts, and of its samples and pixels, are others than in another's.
 */
static void compare(size_t *texts, size_t *rest, const data_cfg *x, const data_cfg *y)
{
    const data_cfg *const cfgs[2] = {x, y};
    const batch *b[2];
    dataset *d[2];
    double waited;
    clipc_err err;

    *texts = *rest = 0;
    for (int i = 0; i < 2; i++) CHECK_OK(dataset_open(&d[i], cfgs[i], 0, &err), err);
    for (size_t step = 0; step < BATCHES; step++) {
        for (int i = 0; i < 2; i++)
            CHECK_OK(dataset_next(&b[i], d[i], &waited, &err), err);
        for (size_t k = 0; k < BATCH; k++) {
            *texts += memcmp(b[0]->ids + 16 * k, b[1]->ids + 16 * k, 16 * 4) != 0;
            *rest += b[0]->sample[k] != b[1]->sample[k] ||
                     b[0]->caption[k] != b[1]->caption[k] ||
                     memcmp(b[0]->pixels + 768 * k, b[1]->pixels + 768 * k, 768 * 4) != 0;
        }
    }
    for (int i = 0; i < 2; i++) dataset_close(d[i]);
}

/* data: a dictionary says some texts otherwise and changes nothing else; likewise by any
 * number of workers and from any step on; at chance 0 it changes nothing */
static void test_dictionary(void **state)
{
    static const char words[] = "thing\tobject\n";
    static const char *const templates[] = {"a {}.", "one {}"};
    uint64_t whole[BATCHES], other[BATCHES];
    size_t texts, rest;
    dictionary *words_of;
    clipc_err err;
    tokenizer tokens = {0};

    (void)state;
    write_table(false);
    CHECK_OK(bpe_new(&tokens.bpe, &err), err);
    CHECK_OK(dictionary_parse(&words_of, words, strlen(words), "words", &err), err);
    data_cfg plain = config(&tokens, 2), reworded;
    plain.templates = templates;
    plain.n_templates = 2;
    reworded = plain;
    reworded.dictionary = words_of;
    compare(&texts, &rest, &plain, &reworded);
    assert_int_equal(texts, 0);
    reworded.dictionary_prob = 0.5f;
    compare(&texts, &rest, &plain, &reworded);
    assert_in_range(texts, 12, 33); /* of 45, with a deviation of 3.4 */
    assert_int_equal(rest, 0);
    run(whole, NULL, &reworded, 0);
    reworded.workers = 3;
    run(other, NULL, &reworded, 4);
    assert_memory_equal(other + 4, whole + 4, (BATCHES - 4) * sizeof *whole);
    dictionary_free(words_of);
    tokenizer_free(&tokens);
}

/* How many of a run's texts begin with a token. */
static size_t count_ids(const data_cfg *cfg, int32_t id)
{
    const batch *b;
    dataset *d;
    double waited;
    clipc_err err;
    size_t n = 0;

    CHECK_OK(dataset_open(&d, cfg, 0, &err), err);
    for (size_t step = 0; step < BATCHES; step++) {
        CHECK_OK(dataset_next(&b, d, &waited, &err), err);
        for (size_t k = 0; k < BATCH; k++) n += b->ids[16 * k + 1] == id;
    }
    dataset_close(d);
    return n;
}

/* data: a synonym goes into the template, a gloss does without */
static void test_gloss(void **state)
{
    static const char *const templates[] = {"a {}."};
    buf words = {0};
    dictionary *synonyms, *glosses;
    clipc_err err;
    tokenizer tokens = {0};

    (void)state;
    write_table(false);
    CHECK_OK(bpe_new(&tokens.bpe, &err), err);
    for (size_t i = 0; i < PICTURES; i++)
        CHECK_OK(buf_printf(&words, &err, "thing %zu\tobject\tgloss\n", i), err);
    CHECK_OK(dictionary_parse(&synonyms, "thing\tobject", 12, "words", &err), err);
    CHECK_OK(dictionary_parse(&glosses, words.data, words.len, "words", &err), err);
    data_cfg cfg = config(&tokens, 2);
    cfg.templates = templates;
    cfg.n_templates = 1;
    cfg.dictionary_prob = 1.0f;
    cfg.dictionary = synonyms;
    const int32_t a = 320, object = 14115; /* "a</w>", "object</w>" */
    assert_int_equal(count_ids(&cfg, a), BATCH * BATCHES);
    cfg.dictionary = glosses;
    assert_int_equal(count_ids(&cfg, object), BATCH * BATCHES);
    dictionary_free(synonyms);
    dictionary_free(glosses);
    buf_free(&words);
    tokenizer_free(&tokens);
}

/* Batches of one worker or three, until the limit; the message it ends with. */
static size_t count_broken(char *message, const data_cfg *cfg)
{
    const batch *b;
    dataset *d;
    double waited;
    clipc_err err = {0};
    int rc = CLIPC_OK;

    CHECK_OK(dataset_open(&d, cfg, 0, &err), err);
    for (size_t i = 0; rc == CLIPC_OK && i < BATCHES; i++)
        rc = dataset_next(&b, d, &waited, &err);
    const size_t n = dataset_broken(d)->n;
    strcpy(message, rc == CLIPC_OK ? dataset_broken(d)->first[0].msg : err.msg);
    dataset_close(d);
    return n;
}

/* data: a broken sample counts once however often it comes up, and is told the same with
 * any number of workers; too many end it */
static void test_broken(void **state)
{
    char one[300], three[300];
    clipc_err err;
    tokenizer tokens = {0};

    (void)state;
    write_table(true);
    CHECK_OK(bpe_new(&tokens.bpe, &err), err);
    data_cfg cfg = config(&tokens, 1);
    cfg.max_broken = 2;
    assert_int_equal(count_broken(one, &cfg), 2);
    assert_true(strstr(one, "gone.png: ") || strstr(one, "index.txt: "));
    cfg.workers = 3;
    assert_int_equal(count_broken(three, &cfg), 2);
    assert_string_equal(one, three);
    cfg.max_broken = 0.1; /* 1.4 of 14 */
    assert_int_equal(count_broken(three, &cfg), 2);
    assert_non_null(
        strstr(three, "2 of 14 samples are broken, more than max_broken 0.1: "));
    cfg.max_broken = 0;
    assert_int_equal(count_broken(three, &cfg), 1);
    tokenizer_free(&tokens);
}

static int remove_table(void **state)
{
    (void)state;
    return remove(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_permutation), cmocka_unit_test(test_permutation_fair),
        cmocka_unit_test(test_epochs),      cmocka_unit_test(test_mixture),
        cmocka_unit_test(test_batches),     cmocka_unit_test(test_broken),
        cmocka_unit_test(test_dictionary),  cmocka_unit_test(test_gloss)};
    return cmocka_run_group_tests_name("data", tests, NULL, remove_table);
}

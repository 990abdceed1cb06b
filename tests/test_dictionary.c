/* What captions could say otherwise: dictionaries read, words found, texts put in their
 * place. */
#include "check.h"

#include <stdlib.h>

#include "train/reword.h"

static const char small[] = "\xef\xbb\xbf# furniture, and others\n"
                            "sofa\tCouch\r\n"
                            "\n"
                            "couch\tSOFA\n"    /* said already */
                            "sofa \t settee\n" /* blanks at the ends are none's */
                            "sofa\tSofa\n"     /* of itself */
                            "sofa\ta long soft seat\tgloss\n"
                            "sofa\ta  long soft SEAT\tgloss\n" /* said already */
                            "sofa bed\tdavenport\tsynonym\n"
                            "hot dog\ta sausage in a bun\tgloss\n"
                            "dog\thound\n"
                            "c++\tC plus plus\n"
                            "\xc3\x89T\xc3\x89\tsummer\n";

static dictionary *parse(const char *text)
{
    dictionary *d;
    clipc_err err;

    CHECK_OK(dictionary_parse(&d, text, strlen(text), "d.tsv", &err), err);
    return d;
}

/* The words found in a caption, in brackets. */
static void check_found(const char *caption, const char *want)
{
    dictionary *d = parse(small);
    reword_work w = {0};
    buf have = {0};
    size_t at = 0;
    clipc_err err;

    CHECK_OK(reword_work_new(&w, &err), err);
    CHECK_OK(reword_find(&w, d, caption, &err), err);
    for (size_t i = 0; i < w.n; at = w.found[i++].end) {
        const reword_place p = w.found[i];
        CHECK_OK(buf_add(&have, w.text.data + at, p.begin - at, &err), err);
        CHECK_OK(buf_printf(&have, &err, "[%.*s]", (int)(p.end - p.begin),
                            w.text.data + p.begin),
                 err);
    }
    CHECK_OK(buf_puts(&have, w.text.data + at, &err), err);
    assert_string_equal(have.data, want);
    buf_free(&have);
    reword_work_free(&w);
    dictionary_free(d);
}

/* reword: whole words, longest first, whatever their case; a word with nothing but a
 * gloss stays as it is inside a caption */
static void test_found(void **state)
{
    (void)state;
    check_found("a Sofa, a\tsofa  bed and a COUCH.",
                "a [Sofa], a [sofa bed] and a [COUCH].");
    check_found("sofas, a sofa-like thing, the dog's sofa",
                "sofas, a sofa-like thing, the dog's [sofa]");
    check_found("two hot dogs, a hot dog, a dog", "two hot dogs, a hot dog, a [dog]");
    check_found("Hot Dog", "[Hot Dog]");
    check_found("L'\xc3\x89t\xc3\xa9 - \xc3\xa9t\xc3\xa9",
                "L'\xc3\x89t\xc3\xa9 - [\xc3\xa9t\xc3\xa9]");
    check_found("books on C++, c", "books on [C++], c");
    check_found("dog&amp;sofa", "[dog]&[sofa]");
    check_found("", "");
}

/* Everything that a caption becomes in many draws, sorted, glosses with a star. */
static void check_said(const char *caption, const char *want)
{
    dictionary *d = parse(small);
    reword_work w = {0};
    buf out = {0}, have = {0};
    char seen[8][64];
    size_t n = 0, k;
    bool gloss;
    clipc_err err;

    CHECK_OK(reword_work_new(&w, &err), err);
    for (uint64_t seed = 0; seed < 200; seed++) {
        rng r = rng_seed(seed, 0);
        char text[64];
        CHECK_OK(reword_caption(&out, &gloss, &w, d, caption, &r, &err), err);
        snprintf(text, sizeof text, "%s%s", out.len ? out.data : "", gloss ? "*" : "");
        for (k = 0; k < n && strcmp(seen[k], text) != 0;) k++;
        assert_true(k < 8);
        if (k == n) strcpy(seen[n++], text);
    }
    qsort(seen, n, sizeof *seen, (int (*)(const void *, const void *))strcmp);
    for (k = 0; k < n; k++)
        CHECK_OK(buf_printf(&have, &err, "%s%s", k ? " | " : "", seen[k]), err);
    assert_string_equal(have.data, want);
    buf_free(&have);
    buf_free(&out);
    reword_work_free(&w);
    dictionary_free(d);
}

/* reword: synonyms both ways and anywhere, glosses for whole captions alone, each text
 * once; the rest of the caption keeps its case */
static void test_said(void **state)
{
    (void)state;
    check_said("Sofa", "Couch | a long soft seat* | settee");
    check_said("A sofa in Rome", "A Couch in Rome | A settee in Rome");
    check_said("couch", "sofa");
    check_said("hot dog", "a sausage in a bun*");
    check_said("a sausage in a bun", "");
    check_said("dog, hound", "dog, dog | hound, hound");
    check_said("table", "");
    check_said("caf\xe9 sofa", "");
}

/* reword: each entry of a word and each word of a caption is as likely */
static void test_fair(void **state)
{
    enum { DRAWS = 3000 };
    dictionary *d = parse("a b\tx\na b\ty\na b\tz\tgloss\nc\tw\n");
    reword_work w = {0};
    buf out = {0};
    size_t whole[3] = {0}, second = 0;
    bool gloss;
    clipc_err err;

    (void)state;
    CHECK_OK(reword_work_new(&w, &err), err);
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        rng r = rng_seed(seed, 1);
        CHECK_OK(reword_caption(&out, &gloss, &w, d, "a b", &r, &err), err);
        whole[out.data[0] - 'x']++;
        assert_int_equal(gloss, out.data[0] == 'z');
        CHECK_OK(reword_caption(&out, &gloss, &w, d, "c, a b", &r, &err), err);
        second += out.data[0] == 'c';
    }
    /* deviations of 26 and 27 */
    for (int i = 0; i < 3; i++) CHECK_NEAR(whole[i], DRAWS / 3, 110);
    CHECK_NEAR(second, DRAWS / 2, 110);
    buf_free(&out);
    reword_work_free(&w);
    dictionary_free(d);
}

static void check_bad(const char *text, size_t len, int code, const char *why)
{
    dictionary *d;
    clipc_err err;

    CHECK_FAILS(dictionary_parse(&d, text, len, "d.tsv", &err), code, err, why);
    assert_null(d);
}

/* dictionary: what is wrong is told with file and line */
static void test_bad(void **state)
{
    static const struct {
        const char *text, *why;
    } bad[] = {{"a\tb\nsofa couch\n", "d.tsv: line 2: no tab"},
               {"\n\na\t \n", "d.tsv: line 3: an empty text"},
               {"\tb", "d.tsv: line 1: an empty text"},
               {"a\tb\tglos\n", "d.tsv: line 1: the third column is neither"},
               {"a\tb\tgloss\tx\n", "d.tsv: line 1: the third column is neither"},
               {"a\tb\ncaf\xe9\tb\n", "d.tsv: line 2: no UTF-8"},
               {"# none\n", "d.tsv: no entry in it"},
               {"a\tA\n", "d.tsv: no entry in it"},
               {"", "d.tsv: no entry in it"}};
    char wide[DICTIONARY_TEXT_MAX + 8];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_bad(bad[i].text, strlen(bad[i].text), CLIPC_ERR_FORMAT, bad[i].why);
    check_bad("a\tb\0c\n", 6, CLIPC_ERR_FORMAT, "d.tsv: line 1: a NUL");
    memset(wide, 'x', sizeof wide);
    wide[1] = '\t';
    check_bad(wide, sizeof wide, CLIPC_ERR_LIMIT,
              "d.tsv: line 1: a text of more than 1024");
    dictionary_free(parse("a\tb\tgloss\r\nc\td\tsynonym"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found), cmocka_unit_test(test_said),
        cmocka_unit_test(test_fair), cmocka_unit_test(test_bad)};
    return cmocka_run_group_tests_name("dictionary", tests, NULL, NULL);
}

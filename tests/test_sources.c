/* What there is to train on: tables against Python's csv (tests/golden/make_csv.py),
 * patterns, and the same samples from every kind of source. */
#include "check.h"

#include <stdlib.h>

#include "base/csv.h"
#include "base/json.h"
#include "train/patterns.h"
#include "train/sources.h"

#define GOLDEN "tests/golden/csv/"

static const char root[] = "build/test_sources";

static void check_table(const char *name, const json_t *want)
{
    char path[128];
    clipc_err err;
    span text;
    size_t n = 0;

    snprintf(path, sizeof path, GOLDEN "%s", name);
    CHECK_OK(file_map(&text, path, &err), err);
    csv c = csv_start(text, strstr(name, ".tsv") ? '\t' : ',', name);
    for (;; n++) {
        const json_t *row = json_array_get(want, n);
        CHECK_OK(csv_next(&c, &err), err);
        if (!c.n) break;
        assert_int_equal(c.n, json_array_size(row));
        for (size_t i = 0; i < c.n; i++)
            assert_string_equal(csv_field(&c, i),
                                json_string_value(json_array_get(row, i)));
    }
    assert_int_equal(n, json_array_size(want));
    csv_free(&c);
    file_unmap(&text);
}

/* csv: quotes, doubled quotes, line ends of all kinds, a byte order mark, empty fields */
static void test_tables(void **state)
{
    json_t *golden;
    const char *name;
    json_t *rows;
    clipc_err err;

    (void)state;
    CHECK_OK(json_read(&golden, GOLDEN "records.json", &err), err);
    assert_true(json_object_size(golden) >= 4);
    json_object_foreach(golden, name, rows) check_table(name, rows);
    json_decref(golden);
}

/* csv: a quote that is not closed costs one line, and says which */
static void test_bad_quotes(void **state)
{
    static const char text[] = "a,b\n\"x\"y,1\nz,2\n\"never closed\nlast,3\n";
    csv c = csv_start((span){(const uint8_t *)text, sizeof text - 1}, ',', "t.csv");
    clipc_err err;

    (void)state;
    CHECK_OK(csv_next(&c, &err), err);
    CHECK_FAILS(csv_next(&c, &err), CLIPC_ERR_FORMAT, err, "t.csv: line 2: text behind");
    CHECK_OK(csv_next(&c, &err), err);
    assert_string_equal(csv_field(&c, 0), "z");
    CHECK_FAILS(csv_next(&c, &err), CLIPC_ERR_FORMAT, err, "t.csv: line 4: a quote");
    CHECK_OK(csv_next(&c, &err), err);
    assert_string_equal(csv_field(&c, 1), "3");
    assert_int_equal(c.line, 5);
    CHECK_OK(csv_next(&c, &err), err);
    assert_int_equal(c.n, 0);
    csv_free(&c);
}

static int join(void *user, const char *path)
{
    clipc_err err;

    CHECK_OK(buf_printf(user, &err, "%s ", path), err);
    return CLIPC_OK;
}

static void check_pattern(const char *pattern, const char *want)
{
    buf have = {0};
    clipc_err err;

    CHECK_OK(pattern_each(pattern, join, &have, &err), err);
    assert_string_equal(have.data, want);
    buf_free(&have);
}

/* patterns: what bash makes of them */
static void test_patterns(void **state)
{
    buf have = {0};
    clipc_err err;

    (void)state;
    check_pattern("d/{08..11}.tar", "d/08.tar d/09.tar d/10.tar d/11.tar ");
    check_pattern("{a,b}/{0..1}.tar", "a/0.tar a/1.tar b/0.tar b/1.tar ");
    check_pattern("plain", "plain ");
    check_pattern("{one}{2..1}{", "{one}{2..1}{ ");
    check_pattern("x{,y}", "x xy ");
    check_pattern("{,}", "  ");
    CHECK_FAILS(pattern_each("{0..9999}{0..9999}", join, &have, &err), CLIPC_ERR_LIMIT,
                err, "more than 1000000");
    buf_free(&have);
    char deep[3 * 65 + 1] = "";
    for (int i = 0; i < 65; i++) strcat(deep, "{a}");
    CHECK_FAILS(pattern_each(deep, join, &have, &err), CLIPC_ERR_LIMIT, err,
                "more than 64 braces");
}

/* ---- sources ---- */

static void sh(const char *command)
{
    if (system(command) != 0) fail_msg("%s", command);
}

/* Four pictures (bytes are enough here), one of them with two captions. */
static int make_sets(void **state)
{
    (void)state;
    sh("rm -rf build/test_sources && mkdir -p build/test_sources/set/in && "
       "cd build/test_sources && for i in 1 2 3 4; do printf picture$i >set/$i.png; "
       "done; "
       "mv set/4.png set/in/ && printf 'one\\n' >set/1.txt && "
       "printf '{\"caption\":\"two\",\"captions\":[\"two\",\"zwei\"],\"tint\":true}' "
       ">set/2.json && printf three >set/3.txt && printf 'four\\r\\n' >set/in/4.txt && "
       "(cd set && tar cf ../set.tar * && tar czf ../set.tgz *) && "
       "mkdir part && (cd set && tar cf ../part/00.tar 1.* 2.* && tar cf ../part/01.tar "
       "3.* in) && printf '# both\\npart/{00..01}.tar\\n' >list.txt && "
       "mkdir -p class/a_cat class/dog/old class/empty && cp set/1.png class/a_cat/ && "
       "cp set/2.png set/3.png class/dog/ && cp set/in/4.png class/dog/old/ && "
       "printf 'title\\tfilepath\\none\\tset/1.png\\n\"t\"\"wo\"\\tset/2.png\\n' >t.csv");
    return 0;
}

static int remove_sets(void **state)
{
    (void)state;
    return system("rm -rf build/test_sources");
}

static const table_cfg tables = {.img_key = "filepath", .caption_key = "title"};

static int opened(sources *s, const char *name, const table_cfg *cfg, clipc_err *err)
{
    char path[128];
    const char *const paths[] = {path};

    snprintf(path, sizeof path, "%s/%s", root, name);
    return sources_open(s, paths, 1, cfg, err);
}

/* As many samples as picture numbers in `want`; `said`: their captions, joined by /. */
static void check_samples(const sources *s, const char *pictures, const char *said)
{
    buf keep = {0}, have = {0}, texts = {0};
    clipc_err err;
    span p;

    for (size_t i = 0; i < s->n; i++) {
        CHECK_OK(sources_read(&p, &keep, s, &s->v[i], &err), err);
        assert_int_equal(p.size, 8);
        assert_memory_equal(p.data, "picture", 7);
        CHECK_OK(buf_add(&have, p.data + 7, 1, &err), err);
        for (size_t k = 0; k < s->v[i].captions; k++)
            CHECK_OK(buf_printf(&texts, &err, "%s/", sources_caption(s, &s->v[i], k)),
                     err);
    }
    assert_string_equal(have.data, pictures);
    assert_string_equal(texts.data ? texts.data : "", said);
    buf_free(&keep);
    buf_free(&have);
    buf_free(&texts);
}

/* sources: the same samples from a folder, a shard, a compressed one, several by a
 * pattern and by a list */
static void test_kinds(void **state)
{
    static const char *const names[] = {"set", "set.tar", "set.tgz", "part/{00..01}.tar",
                                        "list.txt"};
    clipc_err err;
    sources s;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        CHECK_OK(opened(&s, names[i], &tables, &err), err);
        check_samples(&s, "1234", "one/two/zwei/three/four/");
        assert_true(s.v[1].tint && !s.v[0].tint);
        assert_int_equal(s.broken.n, 0);
        sources_free(&s);
    }
}

/* sources: folders of classes, where no picture has a caption of its own */
static void test_classes(void **state)
{
    clipc_err err;
    sources s;

    (void)state;
    CHECK_OK(opened(&s, "class", &tables, &err), err);
    check_samples(&s, "1234", "a cat/dog/dog/old/");
    sources_free(&s);
    sh("printf 'one' >build/test_sources/class/a_cat/1.txt");
    CHECK_OK(opened(&s, "class", &tables, &err), err);
    check_samples(&s, "1", "one/");
    assert_int_equal(s.broken.n, 3);
    assert_non_null(strstr(s.broken.first[0].msg, "dog/2.png: no caption"));
    sources_free(&s);
    sh("rm build/test_sources/class/a_cat/1.txt");
    CHECK_FAILS(opened(&s, "class/dog/old", &tables, &err), CLIPC_ERR_ARG, err,
                "old/4.png: no caption");
    sources_free(&s);
}

/* sources: tables, pictures beside them; their columns by name; what lacks in a record */
static void test_csv(void **state)
{
    clipc_err err;
    sources s;

    (void)state;
    CHECK_OK(opened(&s, "t.csv", &tables, &err), err);
    check_samples(&s, "12", "one/t\"wo/");
    sources_free(&s);
    sh("cd build/test_sources && printf 'p;c\\nset/1.png;one, two\\nset/2.png\\n;x\\n"
       "set/3.png; \\n\"open;\\nset/in/4.png;four' >odd.csv");
    CHECK_OK(opened(&s, "odd.csv", &(table_cfg){"p", "c", ";", false, 0}, &err), err);
    check_samples(&s, "14", "one, two/four/");
    assert_int_equal(s.broken.n, 4);
    assert_non_null(strstr(s.broken.first[0].msg, "odd.csv: line 3: no picture and"));
    assert_non_null(strstr(s.broken.first[1].msg, "line 4: no picture"));
    assert_non_null(strstr(s.broken.first[2].msg, "line 5: no caption"));
    assert_non_null(strstr(s.broken.first[3].msg, "line 6: a quote"));
    sources_free(&s);
    CHECK_FAILS(opened(&s, "odd.csv", &tables, &err), CLIPC_ERR_FORMAT, err,
                "odd.csv: no column \"filepath\"");
    sources_free(&s);
}

/* sources: where captions are not needed, pictures without are samples too */
static void test_bare(void **state)
{
    table_cfg bare = tables;
    clipc_err err;
    sources s;

    (void)state;
    bare.bare = true;
    CHECK_OK(opened(&s, "class", &bare, &err), err);
    check_samples(&s, "1234", "");
    sources_free(&s);
    sh("cd build/test_sources/set && tar cf ../bare.tar 1.png 2.png 3.txt");
    CHECK_OK(opened(&s, "bare.tar", &bare, &err), err);
    check_samples(&s, "12", "");
    assert_int_equal(s.broken.n, 1);
    sources_free(&s);
}

/* sources: bad samples are counted and named, bad sources end it */
static void test_broken(void **state)
{
    clipc_err err;
    sources s;
    buf keep = {0};
    span p;

    (void)state;
    sh("cd build/test_sources && mkdir bad && cp set/* bad/ 2>/dev/null; cd bad && "
       "echo '{' >2.json && rm 3.png && tar cf ../bad.tar * && head -c 1500 ../bad.tar "
       ">../cut.tar");
    CHECK_OK(opened(&s, "bad.tar", &tables, &err), err);
    check_samples(&s, "1", "one/");
    assert_int_equal(s.broken.n, 2);
    assert_non_null(strstr(s.broken.first[0].msg, "bad.tar: 2: "));
    assert_non_null(strstr(s.broken.first[1].msg, "bad.tar: 3: no picture"));
    sh("truncate -s 515 build/test_sources/bad.tar"); /* while it is in use */
    CHECK_FAILS(sources_read(&p, &keep, &s, &s.v[0], &err), CLIPC_ERR_IO, err,
                "bad.tar: ends too early");
    sources_free(&s);
    buf_free(&keep);
    CHECK_FAILS(opened(&s, "cut.tar", &tables, &err), CLIPC_ERR_FORMAT, err,
                "cut.tar: damaged");
    sources_free(&s);
    CHECK_FAILS(opened(&s, "no{1,2}.tar", &tables, &err), CLIPC_ERR_IO, err, "no1.tar");
    sources_free(&s);
    CHECK_FAILS(opened(&s, "class/empty", &tables, &err), CLIPC_ERR_ARG, err,
                "class/empty: no picture");
    sources_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),   cmocka_unit_test(test_bad_quotes),
        cmocka_unit_test(test_patterns), cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_classes),  cmocka_unit_test(test_csv),
        cmocka_unit_test(test_bare),     cmocka_unit_test(test_broken)};
    return cmocka_run_group_tests_name("sources", tests, make_sets, remove_sets);
}

/* clipc_data_stats: what a survey of a training set says, as JSON and as a page. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/page.h"
#include "base/permute.h"
#include "base/sizes.h"
#include "text/bpe.h"
#include "train/contact_sheet.h"
#include "train/reword.h"
#include "train/survey.h"

enum { MOST = 10, GROUPS = 100, PAIRS = 1000, SHEET_GROUPS = 25, SHEET_PAIRS = 50 };

typedef struct report {
    survey v;
    json_t *root;
    size_t *order;     /* [s.n] sample numbers, for whoever sorts */
    dictionary *words; /* or NULL */
    clipc_err *err;
} report;

static void put(json_t *to, const char *key, json_t *value)
{
    json_object_set_new(to, key, value);
}

static json_t *number(size_t n)
{
    return json_integer((json_int_t)n);
}

/* ---- lengths ---- */

static int by_size(const void *a, const void *b)
{
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

/* Sorts x. */
static json_t *spread(size_t *x, size_t n)
{
    json_t *o = json_object();
    double sum = 0.0;

    if (!n) return o;
    qsort(x, n, sizeof *x, by_size);
    for (size_t i = 0; i < n; i++) sum += (double)x[i];
    put(o, "least", number(x[0]));
    put(o, "median", number(x[n / 2]));
    put(o, "p95", number(x[min_size(n - 1, n * 95 / 100)]));
    put(o, "most", number(x[n - 1]));
    put(o, "mean", json_real(sum / (double)n));
    return o;
}

/* ---- pictures ---- */

static void count(json_t *counts, const char *key)
{
    const json_int_t before = json_integer_value(json_object_get(counts, key));
    put(counts, key, json_integer(before + 1));
}

static int add_pictures(report *r)
{
    const survey *v = &r->v;
    json_t *formats = json_object();
    size_t *w = calloc(2 * v->s.n, sizeof *w), *h = w ? w + v->s.n : NULL, n = 0;
    size_t bytes = 0, alpha = 0, tint = 0;

    put(r->root, "formats", formats);
    if (!w) return clipc_fail_memory(r->err, "sizes", 2 * v->s.n * sizeof *w);
    for (size_t i = 0; i < v->s.n; i++) {
        const seen *x = &v->v[i];
        tint += v->s.v[i].tint;
        if (!x->format) continue;
        count(formats, x->format);
        w[n] = x->w;
        h[n++] = x->h;
        bytes += x->bytes;
        alpha += x->alpha;
    }
    put(r->root, "bytes", number(bytes));
    put(r->root, "index_bytes", number(sources_memory(&v->s)));
    put(r->root, "transparent", number(alpha));
    put(r->root, "tint", number(tint));
    put(r->root, "width", spread(w, n));
    put(r->root, "height", spread(h, n));
    free(w);
    return CLIPC_OK;
}

/* ---- captions ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

typedef struct run {
    const char *text;
    size_t n;
} run;

/* Into the first of `most`, in order, if it is more frequent than the last. */
static void rank(run most[MOST], run x)
{
    for (size_t i = 0; i < MOST; i++)
        if (x.n > most[i].n) {
            const run keep = most[i];
            most[i] = x, x = keep;
        }
}

/* Sorts the texts. */
static void add_most(json_t *to, const char **texts, size_t n)
{
    run most[MOST] = {{0}};
    json_t *list = json_array();
    size_t different = 0;

    qsort(texts, n, sizeof *texts, by_text);
    for (size_t i = 0, end; i < n; i = end, different++) {
        for (end = i + 1; end < n && strcmp(texts[end], texts[i]) == 0;) end++;
        rank(most, (run){texts[i], end - i});
    }
    for (size_t i = 0; i < MOST && most[i].n > 1; i++)
        json_array_append_new(list,
                              json_pack("{s:o, s:I}", "caption", json_text(most[i].text),
                                        "times", (json_int_t)most[i].n));
    put(to, "different", number(different));
    put(to, "most", list);
}

static size_t characters(const char *s)
{
    size_t n = 0;

    for (; *s; s++) n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

/* Lengths of n texts in characters and in OpenAI's tokens, start and end included; a text
 * that is no UTF-8 has none. */
static int add_lengths(report *r, json_t *to, const char *const *texts, size_t n)
{
    size_t *x = calloc(2 * n, sizeof *x), *tokens = x ? x + n : NULL, over = 0;
    bpe *b = NULL;
    bpe_work *w = NULL;
    int rc = x ? bpe_new(&b, r->err) : clipc_fail_memory(r->err, "captions", 2 * n);

    if (rc == CLIPC_OK) rc = bpe_work_new(&w, b, r->err);
    for (size_t i = 0; rc == CLIPC_OK && i < n; i++) {
        const int32_t *ids;
        size_t len = 0;
        if (bpe_encode(w, &ids, &len, texts[i], strlen(texts[i]), false, NULL) ==
            CLIPC_OK)
            len += 2;
        x[i] = characters(texts[i]);
        tokens[i] = len;
        over += len > 77;
    }
    if (rc == CLIPC_OK) {
        put(to, "characters", spread(x, n));
        put(to, "tokens", spread(tokens, n));
        put(to, "over_77", number(over));
    }
    bpe_work_free(w);
    bpe_free(b);
    free(x);
    return rc;
}

/* Of n texts, those that a dictionary has something to say for, as a whole or in part. */
static int add_words(report *r, json_t *to, const char *const *texts, size_t n)
{
    size_t whole = 0, part = 0;
    reword_work w = {0};
    int rc = reword_work_new(&w, r->err);

    for (size_t i = 0; rc == CLIPC_OK && i < n; i++) {
        rc = reword_find(&w, r->words, texts[i], r->err);
        if (reword_whole(&w)) whole++;
        else part += w.n > 0;
    }
    reword_work_free(&w);
    put(to, "dictionary",
        json_pack("{s:I, s:I, s:I}", "words", (json_int_t)trie_words(r->words->spellings),
                  "whole", (json_int_t)whole, "part", (json_int_t)part));
    return rc;
}

static int add_captions(report *r)
{
    const sources *s = &r->v.s;
    json_t *to = json_object();
    size_t n = 0, at = 0;
    int rc;

    put(r->root, "captions", to);
    for (size_t i = 0; i < s->n; i++) n += s->v[i].captions;
    const char **texts = calloc(n, sizeof *texts);
    size_t *each = calloc(s->n, sizeof *each);
    if (texts && each) {
        for (size_t i = 0; i < s->n; i++) {
            each[i] = s->v[i].captions;
            for (size_t k = 0; k < each[i]; k++)
                texts[at++] = sources_caption(s, &s->v[i], k);
        }
        put(to, "all", number(n));
        put(to, "a_picture", spread(each, s->n));
        add_most(to, texts, n);
        rc = add_lengths(r, to, texts, n);
        if (rc == CLIPC_OK && r->words) rc = add_words(r, to, texts, n);
    } else {
        rc = clipc_fail_memory(r->err, "captions", n * sizeof *texts);
    }
    free(texts);
    free(each);
    return rc;
}

/* ---- the same, and nearly so ---- */

static json_t *name_of(const sources *s, size_t i)
{
    char where[512];

    sources_where(where, sizeof where, s, &s->v[i]);
    return json_text(where);
}

/* The next group of several pictures with the same pixels from *at on; its length, 0 when
 * there is none. */
static size_t next_group(size_t *at, const report *r, size_t n)
{
    for (; *at < n;) {
        size_t len = 1;
        while (*at + len < n && survey_same(&r->v, r->order[*at], r->order[*at + len]))
            len++;
        if (len > 1) return len;
        ++*at;
    }
    return 0;
}

static int add_duplicates(report *r)
{
    size_t n, extra = 0, len;
    const int rc = survey_by_hash(r->order, &n, &r->v, r->err);

    if (rc != CLIPC_OK) return rc;
    json_t *groups = json_array();

    for (size_t at = 0; (len = next_group(&at, r, n)); at += len) {
        extra += len - 1;
        if (json_array_size(groups) == GROUPS) continue;
        json_t *group = json_array();
        for (size_t i = 0; i < len; i++)
            json_array_append_new(group, name_of(&r->v.s, r->order[at + i]));
        json_array_append_new(groups, group);
    }
    put(r->root, "duplicates",
        json_pack("{s:I, s:o}", "pictures", (json_int_t)extra, "groups", groups));
    return CLIPC_OK;
}

static int add_near(report *r)
{
    const survey *v = &r->v;
    size_t n;
    const int rc = survey_near(r->order, &n, v, r->err);

    if (rc != CLIPC_OK) return rc;
    json_t *pairs = json_array();

    for (size_t i = 0; i < n && i < PAIRS; i++) {
        const seen *x = &v->v[r->order[i]];
        json_array_append_new(pairs, json_pack("{s:o, s:o, s:f}", "picture",
                                               name_of(&v->s, r->order[i]), "other",
                                               name_of(&v->against, x->near), "distance",
                                               x->distance));
    }
    put(r->root, "near",
        json_pack("{s:I, s:f, s:I, s:o}", "against", (json_int_t)v->against.n, "below",
                  v->o->near, "pictures", (json_int_t)n, "pairs", pairs));
    return CLIPC_OK;
}

/* ---- the whole ---- */

static void add_sources(report *r, const clipc_data_sources *of)
{
    const sources *s = &r->v.s;
    json_t *list = json_array(), *told = json_array();

    for (size_t i = 0; i < of->n; i++)
        json_array_append_new(
            list, json_pack("{s:o, s:I}", "path", json_text(of->paths[i]), "samples",
                            (json_int_t)(s->ends[i] - (i ? s->ends[i - 1] : 0))));
    for (size_t i = 0; i < s->broken.n && i < BROKEN_TOLD; i++)
        json_array_append_new(told, json_text(s->broken.first[i].msg));
    put(r->root, "samples", number(s->n));
    put(r->root, "broken", number(s->broken.n));
    put(r->root, "broken_first", told);
    put(r->root, "sources", list);
}

static int make_report(report *r, const clipc_data_sources *of)
{
    int rc;

    r->root = json_object();
    r->order = calloc(r->v.s.n, sizeof *r->order);
    if (!r->root || !r->order) return clipc_fail_memory(r->err, "report", 0);
    add_sources(r, of);
    if ((rc = add_pictures(r)) != CLIPC_OK) return rc;
    if ((rc = add_captions(r)) != CLIPC_OK) return rc;
    if ((rc = add_duplicates(r)) != CLIPC_OK) return rc;
    return r->v.against.n ? add_near(r) : CLIPC_OK;
}

/* ---- the page ---- */

static int show_some(contact_sheet *s, const report *r)
{
    const sources *from = &r->v.s;
    rng random = rng_seed(1, 0);
    const permutation p = permute_make(&random, from->n);
    int rc = page_section(&s->html, "Pictures, drawn at random", NULL, r->err);

    for (size_t i = 0; rc == CLIPC_OK && i < from->n && i < r->v.o->sheet; i++)
        rc = sheet_picture(s, from, &from->v[permute_at(&p, i)], NULL, r->err);
    return rc;
}

static int show_duplicates(contact_sheet *s, const report *r)
{
    size_t n, len, shown = 0;
    int rc = survey_by_hash(r->order, &n, &r->v, r->err);

    for (size_t at = 0;
         rc == CLIPC_OK && shown < SHEET_GROUPS && (len = next_group(&at, r, n));
         at += len, shown++) {
        const sample *x = &r->v.s.v[r->order[at]];
        char note[48];
        if (!shown)
            rc = page_section(&s->html, "The same picture several times", NULL, r->err);
        snprintf(note, sizeof note, "%zu times", len);
        if (rc == CLIPC_OK) rc = sheet_picture(s, &r->v.s, x, note, r->err);
    }
    return rc;
}

static int show_near(contact_sheet *s, const report *r)
{
    const survey *v = &r->v;
    size_t n;
    int rc = survey_near(r->order, &n, v, r->err);

    if (rc == CLIPC_OK && n)
        rc = page_section(&s->html, "Near to an evaluation picture, which follows", NULL,
                          r->err);
    for (size_t i = 0; rc == CLIPC_OK && i < n && i < SHEET_PAIRS; i++) {
        const seen *x = &v->v[r->order[i]];
        char note[48];
        snprintf(note, sizeof note, "%.2f levels", x->distance);
        rc = sheet_picture(s, &v->s, &v->s.v[r->order[i]], note, r->err);
        if (rc == CLIPC_OK)
            rc = sheet_picture(s, &v->against, &v->against.v[x->near], "evaluation",
                               r->err);
    }
    return rc;
}

static int make_page(char **html, const report *r)
{
    contact_sheet s = {.max_megapixels = r->v.o->max_megapixels};
    char *numbers = json_dumps(r->root, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
    int rc = numbers ? page_begin(&s.html, "A training set", SHEET_WIDTH, r->err)
                     : clipc_fail_memory(r->err, "page", 0);

    if (rc == CLIPC_OK) rc = show_some(&s, r);
    if (rc == CLIPC_OK) rc = show_duplicates(&s, r);
    if (rc == CLIPC_OK) rc = show_near(&s, r);
    if (rc == CLIPC_OK) rc = page_section(&s.html, "Numbers", numbers, r->err);
    if (rc == CLIPC_OK) rc = page_end(&s.html, r->err);
    if (rc == CLIPC_OK) *html = s.html.data, s.html = (buf){0};
    free(numbers);
    sheet_free(&s);
    return rc;
}

clipc_stats_options clipc_stats_default(void)
{
    return (clipc_stats_options){.near = 9.0, .sheet = 100, .max_megapixels = 256};
}

int clipc_data_stats(char **json, char **html, const clipc_data_sources *of,
                     const clipc_stats_options *options, clipc_err *err)
{
    report r = {.err = err};
    int rc = CLIPC_OK;

    *json = NULL;
    if (html) *html = NULL;
    if (options->dictionary) rc = dictionary_read(&r.words, options->dictionary, err);
    if (rc == CLIPC_OK) rc = survey_run(&r.v, of, options, err);
    if (rc == CLIPC_OK) rc = make_report(&r, of);
    if (rc == CLIPC_OK && html) rc = make_page(html, &r);
    if (rc == CLIPC_OK && !(*json = json_dumps(r.root, JSON_PRESERVE_ORDER))) {
        if (html) free(*html), *html = NULL;
        rc = clipc_fail_memory(err, "report", 0);
    }
    json_decref(r.root);
    free(r.order);
    dictionary_free(r.words);
    survey_free(&r.v);
    return rc;
}

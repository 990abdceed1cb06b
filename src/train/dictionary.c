#include "train/dictionary.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "text/chars.h"
#include "text/clean.h"
#include "text/grow.h"

void dictionary_free(dictionary *d)
{
    if (!d) return;
    trie_free(d->spellings);
    buf_free(&d->file);
    free(d->words);
    free(d->texts);
    free(d);
}

/* A text that a word can be said by. */
typedef struct entry {
    size_t spelling; /* of the word: where it is in `spellings`, */
    const char *s;   /* and as it is, once all are there */
    uint32_t len;
    bool gloss;
    uint64_t hash; /* of the text in lower case */
    dictionary_text text;
} entry;

typedef struct reader {
    const char *name;
    size_t line;
    dictionary *d;
    clean_work *clean;
    buf cleaned, spellings;
    entry *v;
    size_t n, cap;
    clipc_err *err;
} reader;

static int bad_line(const reader *r, const char *why)
{
    return clipc_fail(r->err, CLIPC_ERR_FORMAT, "%s: line %zu: %s", r->name, r->line,
                      why);
}

/* Appends a text as it is looked up. */
static int spell(reader *r, const char *text, size_t len)
{
    const size_t before = r->spellings.len;
    char lower[4];
    uint32_t c;
    int rc = text_clean(&r->cleaned, r->clean, text, len, CLEAN_WHITESPACE, r->err);

    if (rc == CLIPC_ERR_TEXT) return bad_line(r, "no UTF-8");
    for (size_t i = 0, n; rc == CLIPC_OK && i < r->cleaned.len; i += n) {
        n = char_next(&c, r->cleaned.data + i, r->cleaned.len - i);
        rc = buf_add(&r->spellings, lower, char_put(lower, char_lower(c)), r->err);
    }
    if (rc != CLIPC_OK) return rc;
    if (r->spellings.len == before) return bad_line(r, "an empty text");
    return r->spellings.len - before > DICTIONARY_TEXT_MAX || len > DICTIONARY_TEXT_MAX
               ? clipc_fail(r->err, CLIPC_ERR_LIMIT,
                            "%s: line %zu: a text of more than %d bytes", r->name,
                            r->line, DICTIONARY_TEXT_MAX)
               : CLIPC_OK;
}

/* One side of a line: its place in the file, and its spelling. */
typedef struct side {
    dictionary_text text;
    size_t spelling, len;
} side;

static int read_side(side *s, reader *r, const char *text, size_t len)
{
    while (len && text[0] == ' ') text++, len--;
    while (len && (text[len - 1] == ' ' || text[len - 1] == '\r')) len--;
    s->text = (dictionary_text){(uint32_t)(text - r->d->file.data), (uint32_t)len};
    s->spelling = r->spellings.len;
    const int rc = spell(r, text, len);
    s->len = r->spellings.len - s->spelling;
    return rc;
}

static int add_entry(reader *r, const side *of, const side *said, bool gloss)
{
    const char *spelled = r->spellings.data + said->spelling;
    entry *v = grow(r->v, &r->cap, r->n + 1, sizeof *v, r->err);

    if (!v) return CLIPC_ERR_MEMORY;
    r->v = v;
    v[r->n++] = (entry){.spelling = of->spelling,
                        .len = (uint32_t)of->len,
                        .gloss = gloss,
                        .hash = hash_bytes(0, spelled, said->len),
                        .text = said->text};
    return CLIPC_OK;
}

static bool same_spelling(const reader *r, const side *a, const side *b)
{
    const char *s = r->spellings.data;
    return a->len == b->len && memcmp(s + a->spelling, s + b->spelling, a->len) == 0;
}

/* What stands behind the second tab. */
static int read_kind(bool *gloss, const reader *r, const char *s, size_t len)
{
    while (len && (s[len - 1] == ' ' || s[len - 1] == '\r')) len--;
    *gloss = len == 5 && memcmp(s, "gloss", 5) == 0;
    return *gloss || (len == 7 && memcmp(s, "synonym", 7) == 0)
               ? CLIPC_OK
               : bad_line(r, "the third column is neither synonym nor gloss");
}

static int read_line(reader *r, const char *s, size_t len)
{
    const char *tab = memchr(s, '\t', len), *end = s + len, *second;
    bool gloss = false;
    side a, b;
    int rc = CLIPC_OK;

    if (memchr(s, '\0', len)) return bad_line(r, "a NUL character");
    if (!tab) return bad_line(r, "no tab");
    second = memchr(tab + 1, '\t', (size_t)(end - tab) - 1);
    if (second) rc = read_kind(&gloss, r, second + 1, (size_t)(end - second) - 1);
    if (rc == CLIPC_OK) rc = read_side(&a, r, s, (size_t)(tab - s));
    if (rc == CLIPC_OK)
        rc = read_side(&b, r, tab + 1, (size_t)((second ? second : end) - tab) - 1);
    if (rc != CLIPC_OK || same_spelling(r, &a, &b)) return rc;
    rc = add_entry(r, &a, &b, gloss);
    return rc == CLIPC_OK && !gloss ? add_entry(r, &b, &a, false) : rc;
}

static bool is_blank(const char *s, size_t len)
{
    while (len && (s[len - 1] == ' ' || s[len - 1] == '\r')) len--;
    return len == 0;
}

static int read_lines(reader *r)
{
    static const char mark[] = "\xef\xbb\xbf"; /* of byte order */
    const buf *file = &r->d->file;
    const char *s = file->data, *end = s + file->len;
    int rc = CLIPC_OK;

    if (file->len >= 3 && memcmp(s, mark, 3) == 0) s += 3;
    while (rc == CLIPC_OK && s < end) {
        const char *nl = memchr(s, '\n', (size_t)(end - s));
        const size_t len = (size_t)((nl ? nl : end) - s);
        r->line++;
        if (*s != '#' && !is_blank(s, len)) rc = read_line(r, s, len);
        s += len + 1;
    }
    if (rc == CLIPC_OK && !r->n)
        rc = clipc_fail(r->err, CLIPC_ERR_FORMAT, "%s: no entry in it", r->name);
    return rc;
}

/* By word, synonyms before glosses, the same texts together. */
static int by_word(const void *x, const void *y)
{
    const entry *a = x, *b = y;
    const int c = memcmp(a->s, b->s, a->len < b->len ? a->len : b->len);

    if (c) return c;
    if (a->len != b->len) return a->len < b->len ? -1 : 1;
    if (a->gloss != b->gloss) return a->gloss ? 1 : -1;
    if (a->hash != b->hash) return a->hash < b->hash ? -1 : 1;
    return a->text.at < b->text.at ? -1 : a->text.at > b->text.at;
}

static bool same_word(const entry *a, const entry *b)
{
    return a->len == b->len && memcmp(a->s, b->s, a->len) == 0;
}

/* Sorted, the first of those that say the same. */
static void sort_entries(reader *r)
{
    size_t kept = 0;

    for (size_t i = 0; i < r->n; i++) r->v[i].s = r->spellings.data + r->v[i].spelling;
    qsort(r->v, r->n, sizeof *r->v, by_word);
    for (size_t i = 0; i < r->n; i++) {
        const entry *e = &r->v[i], *last = kept ? &r->v[kept - 1] : NULL;
        if (!last || !same_word(last, e) || last->gloss != e->gloss ||
            last->hash != e->hash)
            r->v[kept++] = *e;
    }
    r->n = kept;
}

static int make_words(reader *r)
{
    dictionary *d = r->d;
    trie_word *spellings = calloc(r->n, sizeof *spellings);
    size_t n = 0;

    d->words = calloc(r->n, sizeof *d->words);
    d->texts = calloc(r->n, sizeof *d->texts);
    if (!spellings || !d->words || !d->texts) {
        free(spellings);
        return clipc_fail_memory(r->err, r->name, r->n * sizeof *spellings);
    }
    for (size_t i = 0; i < r->n; i++) {
        const entry *e = &r->v[i];
        if (i == 0 || !same_word(e, e - 1)) {
            spellings[n] = (trie_word){e->s, e->len, (int32_t)n};
            d->words[n++].first = (uint32_t)i;
        }
        if (e->gloss) d->words[n - 1].glosses++;
        else d->words[n - 1].synonyms++;
        d->texts[i] = e->text;
    }
    const int rc = trie_new(&d->spellings, spellings, n, r->name, r->err);
    free(spellings);
    return rc;
}

/* Of the file that d holds; frees it after a failure. */
static int finish(dictionary **out, dictionary *d, const char *name, clipc_err *err)
{
    reader r = {.name = name, .d = d, .err = err};
    int rc = clean_work_new(&r.clean, err);

    if (rc == CLIPC_OK) rc = read_lines(&r);
    if (rc == CLIPC_OK) sort_entries(&r);
    if (rc == CLIPC_OK) rc = make_words(&r);
    clean_work_free(r.clean);
    buf_free(&r.cleaned);
    buf_free(&r.spellings);
    free(r.v);
    if (rc == CLIPC_OK) *out = d;
    else dictionary_free(d);
    return rc;
}

int dictionary_read(dictionary **out, const char *path, clipc_err *err)
{
    dictionary *d = calloc(1, sizeof *d);

    *out = NULL;
    if (!d) return clipc_fail_memory(err, path, sizeof *d);
    const int rc = file_read(&d->file, path, DICTIONARY_MAX, err);
    if (rc == CLIPC_OK) return finish(out, d, path, err);
    dictionary_free(d);
    return rc;
}

int dictionary_parse(dictionary **out, const char *text, size_t len, const char *name,
                     clipc_err *err)
{
    dictionary *d = calloc(1, sizeof *d);

    *out = NULL;
    if (!d) return clipc_fail_memory(err, name, sizeof *d);
    const int rc = buf_add(&d->file, text, len, err);
    if (rc == CLIPC_OK) return finish(out, d, name, err);
    dictionary_free(d);
    return rc;
}

#include "text/wordpiece.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/buf.h"
#include "text/chars.h"
#include "text/clean.h"
#include "text/grow.h"
#include "text/trie.h"
#include "text/wordpiece_data.h"

enum {
    VOCAB_MAX = 16 << 20, /* bytes; 500,000 tokens have five million */
    MAX_WORD = 100,
    DECOMPOSED = 8 /* a canonical decomposition has 4 characters at most */
};

enum { UNK, CLS, SEP, PAD, MASK, N_SPECIAL };
static const char *const special_names[N_SPECIAL] = {"[UNK]", "[CLS]", "[SEP]", "[PAD]",
                                                     "[MASK]"};

struct wordpiece {
    trie *words;
    uint32_t rest; /* the node of "##", under which words go on; 0: none */
    size_t max_word;
    bool clean, lower, strip, chinese;
    int32_t special[N_SPECIAL];
};

struct wordpiece_work {
    uint32_t *chars; /* of the text, normalised */
    size_t n_chars, chars_cap;
    uint32_t *run; /* marks that NFD has yet to put in order: ccc << 24 | character */
    size_t n_run, run_cap;
    id_list ids;
    buf word; /* as UTF-8 */
};

/* ---- characters ----------------------------------------------------------------------
 */

static bool is_removed(uint32_t c)
{
    if (c >= ' ' && c < 0x7f) return false;
    return char_in(wordpiece_removed, n_wordpiece_removed, c);
}

/* The reference's ranges; 0x2b920 is its slip for 0x2b820. */
static bool is_chinese(uint32_t c)
{
    return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) ||
           (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b81f) ||
           (c >= 0x2b920 && c <= 0x2ceaf) || (c >= 0xf900 && c <= 0xfaff) ||
           (c >= 0x2f800 && c <= 0x2fa1f);
}

/* The combining class of a mark that is no accent. */
static uint8_t mark_class(uint32_t c)
{
    for (size_t i = 0; i < n_wordpiece_marks && c >= wordpiece_marks[i].first; i++)
        if (c <= wordpiece_marks[i].last) return wordpiece_marks[i].ccc;
    return 0;
}

/* ---- the vocabulary ------------------------------------------------------------------
 */

typedef struct lines {
    trie_word *at;
    size_t n;
    const char *file; /* for messages */
} lines;

/* The length of a line without white space at its end; SIZE_MAX if it is not UTF-8. */
static size_t trimmed(const char *s, size_t len)
{
    size_t end = 0;
    uint32_t c;

    for (size_t i = 0, n; i < len; i += n) {
        n = char_next(&c, s + i, len - i);
        if (!n) return SIZE_MAX;
        if (!char_is_space(c)) end = i + n;
    }
    return end;
}

static size_t count_lines(const char *s, size_t size)
{
    const char *end = s + size;
    size_t n = 0;

    for (; s < end; n++) {
        const char *eol = memchr(s, '\n', (size_t)(end - s));
        s = eol ? eol + 1 : end;
    }
    return n;
}

/* All lines but empty ones, which no word can be. */
static int read_lines(lines *l, const char *s, size_t size, clipc_err *err)
{
    const char *end = s + size;

    for (int32_t id = 0; s < end; id++) {
        const char *eol = memchr(s, '\n', (size_t)(end - s));
        const size_t len = trimmed(s, (size_t)((eol ? eol : end) - s));
        if (len == SIZE_MAX)
            return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: line %d is not UTF-8", l->file,
                              (int)id + 1);
        if (len) l->at[l->n++] = (trie_word){s, (uint32_t)len, id};
        s = eol ? eol + 1 : end;
    }
    return CLIPC_OK;
}

static int find_special(wordpiece *m, const char *file, clipc_err *err)
{
    for (int i = 0; i < N_SPECIAL; i++) {
        m->special[i] = trie_find(m->words, special_names[i], strlen(special_names[i]));
        if (m->special[i] < 0 && i != MASK)
            return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no token %s", file,
                              special_names[i]);
    }
    return CLIPC_OK;
}

static void set_options(wordpiece *m, const wordpiece_options *o)
{
    static const wordpiece_options uncased = {true, -1, true, MAX_WORD};

    if (!o) o = &uncased;
    m->clean = true;
    m->lower = o->lower_case;
    m->strip = o->strip_accents < 0 ? o->lower_case : o->strip_accents != 0;
    m->chinese = o->chinese_chars;
    m->max_word = o->max_word ? o->max_word : MAX_WORD;
}

int wordpiece_load(wordpiece **out, const char *vocab_txt, size_t size,
                   const wordpiece_options *o, const char *name, clipc_err *err)
{
    lines l = {.file = name};
    wordpiece *m = calloc(1, sizeof *m);
    int rc;

    *out = NULL;
    if (!m) return clipc_fail_memory(err, name, sizeof *m);
    set_options(m, o);
    if (size > VOCAB_MAX) {
        rc = clipc_fail(err, CLIPC_ERR_LIMIT, "%s: %zu bytes, more than %d", name, size,
                        VOCAB_MAX);
        goto done;
    }
    const size_t n = count_lines(vocab_txt, size);
    if (!(l.at = malloc((n + 1) * sizeof *l.at))) {
        rc = clipc_fail_memory(err, name, (n + 1) * sizeof *l.at);
        goto done;
    }
    if ((rc = read_lines(&l, vocab_txt, size, err)) != CLIPC_OK) goto done;
    if ((rc = trie_new(&m->words, l.at, l.n, name, err)) != CLIPC_OK) goto done;
    m->rest = trie_walk(m->words, 0, "##", 2);
    if ((rc = find_special(m, name, err)) != CLIPC_OK) goto done;
    *out = m, m = NULL;
done:
    free(l.at);
    wordpiece_free(m);
    return rc;
}

void wordpiece_free(wordpiece *m)
{
    if (!m) return;
    trie_free(m->words);
    free(m);
}

size_t wordpiece_vocab_size(const wordpiece *m)
{
    return trie_end_id(m->words);
}

int32_t wordpiece_unk(const wordpiece *m)
{
    return m->special[UNK];
}

int32_t wordpiece_cls(const wordpiece *m)
{
    return m->special[CLS];
}

int32_t wordpiece_sep(const wordpiece *m)
{
    return m->special[SEP];
}

int32_t wordpiece_pad(const wordpiece *m)
{
    return m->special[PAD];
}

int32_t wordpiece_mask(const wordpiece *m)
{
    return m->special[MASK];
}

int wordpiece_token(buf *out, const wordpiece *m, int32_t id, clipc_err *err)
{
    return trie_spell(out, m->words, id, err);
}

/* ---- scratch -------------------------------------------------------------------------
 */

int wordpiece_work_new(wordpiece_work **out, clipc_err *err)
{
    *out = calloc(1, sizeof **out);
    return *out ? CLIPC_OK : clipc_fail_memory(err, "tokenizer", sizeof **out);
}

void wordpiece_work_free(wordpiece_work *w)
{
    if (!w) return;
    free(w->chars);
    free(w->run);
    ids_free(&w->ids);
    buf_free(&w->word);
    free(w);
}

/* ---- normalising ---------------------------------------------------------------------
 */

/* Appends a character, for which wordpiece_normalise has made room. */
static void push(const wordpiece *m, wordpiece_work *w, uint32_t c)
{
    if (m->lower && c == 0x130) { /* the one letter whose lower case is two */
        w->chars[w->n_chars++] = 'i';
        w->chars[w->n_chars++] = 0x307;
        return;
    }
    w->chars[w->n_chars++] = m->lower ? char_lower(c) : c;
}

/* Appends the marks that were held back, by class and in order within one: in time that
 * is linear however many there are. */
static void push_run(const wordpiece *m, wordpiece_work *w)
{
    size_t at[257] = {0};

    if (w->n_run == 1) push(m, w, w->run[0] & 0xffffff);
    if (w->n_run > 1) {
        uint32_t *out = w->chars + w->n_chars;
        for (size_t i = 0; i < w->n_run; i++) at[(w->run[i] >> 24) + 1]++;
        for (size_t k = 1; k < 257; k++) at[k] += at[k - 1];
        /* No mark of this kind is U+0130, so each is one character. */
        for (size_t i = 0; i < w->n_run; i++) {
            const uint32_t c = w->run[i] & 0xffffff;
            out[at[w->run[i] >> 24]++] = m->lower ? char_lower(c) : c;
        }
        w->n_chars += w->n_run;
    }
    w->n_run = 0;
}

/* A character of the decomposed text, which is dropped, held back or appended. */
static int add_decomposed(const wordpiece *m, wordpiece_work *w, uint32_t c,
                          clipc_err *err)
{
    const bool accent = c >= 0x300 && char_in(wordpiece_accents, n_wordpiece_accents, c);
    /* A dropped accent matters still: one of class 0 ends what NFD reorders. */
    const unsigned ccc =
        accent ? (unsigned)utf8proc_get_property((utf8proc_int32_t)c)->combining_class
               : mark_class(c);

    if (!ccc && w->n_run) push_run(m, w);
    if (accent) return CLIPC_OK;
    if (!ccc) {
        push(m, w, c);
        return CLIPC_OK;
    }
    uint32_t *run = grow(w->run, &w->run_cap, w->n_run + 1, sizeof *run, err);
    if (!run) return CLIPC_ERR_MEMORY;
    w->run = run;
    w->run[w->n_run++] = (uint32_t)ccc << 24 | c;
    return CLIPC_OK;
}

static int add_char(const wordpiece *m, wordpiece_work *w, uint32_t c, clipc_err *err)
{
    utf8proc_int32_t parts[DECOMPOSED];
    utf8proc_ssize_t n = 0;
    int rc = CLIPC_OK, last = 0;

    if (!m->strip) {
        push(m, w, c);
        return CLIPC_OK;
    }
    if (char_decomposes(c))
        n = utf8proc_decompose_char((utf8proc_int32_t)c, parts, DECOMPOSED,
                                    UTF8PROC_DECOMPOSE, &last);
    if (n < 1 || n > DECOMPOSED) return add_decomposed(m, w, c, err);
    for (utf8proc_ssize_t i = 0; rc == CLIPC_OK && i < n; i++)
        rc = add_decomposed(m, w, (uint32_t)parts[i], err);
    return rc;
}

/* w->chars = the normalised characters of s; `before` bytes precede it in the text. */
static int normalise(const wordpiece *m, wordpiece_work *w, const char *s, size_t len,
                     size_t before, clipc_err *err)
{
    /* Characters of two bytes give up to three, those of three up to four (or one with
     * two blanks). */
    uint32_t c, *chars = grow(w->chars, &w->chars_cap, 2 * len, sizeof *chars, err);
    int rc = CLIPC_OK;

    if (!chars) return CLIPC_ERR_MEMORY;
    w->chars = chars;
    w->n_chars = w->n_run = 0;
    for (size_t i = 0, n; rc == CLIPC_OK && i < len; i += n) {
        if (!(n = char_next(&c, s + i, len - i)))
            return clipc_fail(err, CLIPC_ERR_TEXT, "text: byte %zu is not UTF-8",
                              before + i + 1);
        if (m->clean && is_removed(c)) continue;
        const bool apart = m->chinese && is_chinese(c);
        if (apart) rc = add_char(m, w, ' ', err);
        if (rc == CLIPC_OK)
            rc = add_char(m, w, m->clean && char_is_space(c) ? ' ' : c, err);
        if (rc == CLIPC_OK && apart) rc = add_char(m, w, ' ', err);
    }
    if (rc == CLIPC_OK) push_run(m, w);
    return rc;
}

int wordpiece_normalise(buf *out, wordpiece_work *w, const wordpiece_options *o,
                        bool clean, const char *s, size_t len, clipc_err *err)
{
    wordpiece m = {0};
    int rc;

    set_options(&m, o);
    m.clean = clean;
    rc = normalise(&m, w, s, len, 0, err);
    if (rc == CLIPC_OK) rc = buf_reserve(out, 4 * w->n_chars, err);
    for (size_t i = 0; rc == CLIPC_OK && i < w->n_chars; i++)
        out->len += char_put(out->data + out->len, w->chars[i]);
    if (rc == CLIPC_OK) out->data[out->len] = '\0';
    return rc;
}

/* ---- words ---------------------------------------------------------------------------
 */

/* Appends the tokens of a word of n characters, for which add_words has made room. */
static int add_word(const wordpiece *m, wordpiece_work *w, const uint32_t *c, size_t n,
                    clipc_err *err)
{
    const size_t n_before = w->ids.n;
    size_t len = 0;
    int rc;

    buf_clear(&w->word);
    if (n <= m->max_word) {
        if ((rc = buf_reserve(&w->word, 4 * n, err)) != CLIPC_OK) return rc;
        for (size_t i = 0; i < n; i++)
            w->word.len += (size_t)utf8proc_encode_char(
                (utf8proc_int32_t)c[i], (utf8proc_uint8_t *)w->word.data + w->word.len);
    }
    for (size_t i = 0; i < w->word.len; i += len) {
        /* Without "##" in the vocabulary nothing goes on. */
        const int32_t id = i && !m->rest
                               ? -1
                               : trie_longest(m->words, i ? m->rest : 0, w->word.data + i,
                                              w->word.len - i, &len);
        if (id < 0) {
            w->ids.n = n_before;
            break;
        }
        w->ids.at[w->ids.n++] = id;
    }
    if (w->ids.n == n_before) w->ids.at[w->ids.n++] = m->special[UNK];
    return CLIPC_OK;
}

/* The words of w->chars, which punctuation splits and is. */
static int add_words(const wordpiece *m, wordpiece_work *w, clipc_err *err)
{
    int rc = ids_reserve(&w->ids, w->n_chars, err);

    for (size_t i = 0, end; rc == CLIPC_OK && i < w->n_chars; i = end) {
        const uint32_t *c = w->chars;
        end = i + 1;
        if (c[i] == ' ') continue;
        if (!char_is_punct(c[i]))
            while (end < w->n_chars && c[end] != ' ' && !char_is_punct(c[end])) end++;
        rc = add_word(m, w, c + i, end - i, err);
    }
    return rc;
}

/* ---- texts ---------------------------------------------------------------------------
 */

/* The first special token in a text: where it starts, `len` if there is none. */
static size_t special_at(const wordpiece *m, const char *s, size_t len, int *which)
{
    const char *end = s + len;

    for (const char *p = s; (p = memchr(p, '[', (size_t)(end - p))); p++)
        for (int i = 0; i < N_SPECIAL; i++) {
            const size_t n = strlen(special_names[i]);
            if (m->special[i] < 0 || n > (size_t)(end - p)) continue;
            if (memcmp(p, special_names[i], n) != 0) continue;
            *which = i;
            return (size_t)(p - s);
        }
    return len;
}

static int encode(const wordpiece *m, wordpiece_work *w, const char *text, size_t len,
                  bool special, clipc_err *err)
{
    int rc = CLIPC_OK, which = 0;

    for (size_t i = 0; rc == CLIPC_OK && i < len;) {
        const size_t plain = special ? special_at(m, text + i, len - i, &which) : len;
        rc = normalise(m, w, text + i, plain, i, err);
        if (rc == CLIPC_OK) rc = add_words(m, w, err);
        i += plain;
        if (rc != CLIPC_OK || i == len) break;
        rc = ids_add(&w->ids, m->special[which], err);
        i += strlen(special_names[which]);
    }
    return rc;
}

int wordpiece_encode(const wordpiece *m, wordpiece_work *w, const int32_t **ids,
                     size_t *n, const char *text, size_t len, bool special,
                     clipc_err *err)
{
    int rc;

    w->ids.n = 0;
    if (len > TEXT_MAX)
        rc = clipc_fail(err, CLIPC_ERR_TEXT, "text: %zu bytes, more than %d", len,
                        TEXT_MAX);
    else rc = encode(m, w, text, len, special, err);
    *ids = w->ids.at;
    *n = rc == CLIPC_OK ? w->ids.n : 0;
    return rc;
}

void wordpiece_frame(const wordpiece *m, int32_t *ids, size_t context_length,
                     const int32_t *inner, size_t n)
{
    if (n > context_length - 2) n = context_length - 2;
    ids[0] = m->special[CLS];
    if (n) memcpy(ids + 1, inner, n * sizeof *ids);
    ids[n + 1] = m->special[SEP];
    for (size_t i = n + 2; i < context_length; i++) ids[i] = m->special[PAD];
}

int wordpiece_tokenize(const wordpiece *m, wordpiece_work *w, int32_t *ids,
                       size_t context_length, size_t *n_tokens, const char *text,
                       size_t len, bool special, clipc_err *err)
{
    const int32_t *inner = NULL;
    size_t n = 0;
    int rc;

    if (context_length < 2)
        return clipc_fail(err, CLIPC_ERR_ARG,
                          "a context of %zu has no room for [CLS] and [SEP]",
                          context_length);
    rc = wordpiece_encode(m, w, &inner, &n, text, len, special, err);
    if (rc != CLIPC_OK) return rc;
    if (n_tokens) *n_tokens = n + 2;
    wordpiece_frame(m, ids, context_length, inner, n);
    return CLIPC_OK;
}

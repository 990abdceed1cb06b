#include "text/wordpiece.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/buf.h"
#include "base/ckd.h"
#include "text/clean.h"
#include "text/wordpiece_data.h"

enum {
    VOCAB_MAX = 16 << 20, /* bytes; 500,000 tokens have five million */
    MAX_WORD = 100,
    DECOMPOSED = 8 /* a canonical decomposition has 4 characters at most */
};

enum { UNK, CLS, SEP, PAD, MASK, N_SPECIAL };
static const char *const special_names[N_SPECIAL] = {"[UNK]", "[CLS]", "[SEP]", "[PAD]",
                                                     "[MASK]"};

/* A node of the trie over the bytes of all tokens.  A trie and not a hash table: a
 * vocabulary made to collide cannot slow it down, and a search ends where no token goes
 * on. */
typedef struct node {
    uint32_t child; /* children lie side by side, sorted by byte */
    int32_t id;     /* of the token that ends here; -1: none */
    uint16_t n_children;
    uint8_t byte;
} node;

struct wordpiece {
    node *nodes; /* the root is the first */
    size_t n_nodes;
    uint32_t rest; /* the node of "##", under which words go on; 0: none */
    size_t vocab, max_word;
    bool lower, strip, chinese;
    int32_t special[N_SPECIAL];
};

struct wordpiece_work {
    uint32_t *chars; /* of the text, normalised */
    size_t n_chars, chars_cap;
    uint32_t *run; /* marks that NFD has yet to put in order: ccc << 24 | character */
    size_t n_run, run_cap;
    int32_t *ids;
    size_t n, ids_cap;
    buf word; /* as UTF-8 */
};

/* ---- characters ----------------------------------------------------------------------
 */

static size_t next(uint32_t *c, const char *s, size_t len)
{
    utf8proc_int32_t rune;
    const utf8proc_ssize_t n =
        utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)len, &rune);

    *c = (uint32_t)rune;
    return n > 0 ? (size_t)n : 0;
}

static bool in_ranges(const code_range *r, size_t n, uint32_t c)
{
    size_t lo = 0, hi = n;

    while (lo < hi) {
        const size_t mid = (lo + hi) / 2;
        if (c > r[mid].last) lo = mid + 1;
        else hi = mid;
    }
    return lo < n && c >= r[lo].first;
}

/* Unicode's White_Space. */
static bool is_space(uint32_t c)
{
    return c == ' ' || (c >= 0x9 && c <= 0xd) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

static bool is_removed(uint32_t c)
{
    if (c >= ' ' && c < 0x7f) return false;
    return in_ranges(wordpiece_removed, n_wordpiece_removed, c);
}

static bool is_punct(uint32_t c)
{
    if (c < 0x80)
        return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) ||
               (c >= 123 && c <= 126);
    return in_ranges(wordpiece_punct, n_wordpiece_punct, c);
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

/* Does the reference's NFD know the decomposition?  Beyond the BMP it lacks those that
 * Unicode 13 and later brought. */
static bool decomposes(uint32_t c)
{
    return c >= 0xc0 &&
           (c < 0x10000 || (c >= 0x1109a && c <= 0x110ab) ||
            (c >= 0x1112e && c <= 0x1134c) || (c >= 0x114bb && c <= 0x115bb) ||
            (c >= 0x1d15e && c <= 0x1d1c0) || (c >= 0x2f800 && c <= 0x2fa1d));
}

/* Simple lower case, with the letters of Unicode 16 and 17 that utf8proc may lack. */
static uint32_t lower_of(uint32_t c)
{
    if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
    if (c == 0x1c89 || c == 0xa7cc || c == 0xa7ce || c == 0xa7d2 || c == 0xa7d4 ||
        c == 0xa7da)
        return c + 1;
    if (c == 0xa7cb) return 0x264;
    if (c == 0xa7dc) return 0x19b;
    if (c >= 0x10d50 && c <= 0x10d65) return c + 0x20;
    if (c >= 0x16ea0 && c <= 0x16eb8) return c + 0x1b;
    return (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
}

/* ---- the vocabulary ------------------------------------------------------------------
 */

/* A token of the file. */
typedef struct line {
    const char *s;
    uint32_t len;
    int32_t id;
} line;

typedef struct lines {
    line *at;
    size_t n;
    const char *file; /* for messages */
} lines;

/* The tokens that begin as a node does. */
typedef struct branch {
    uint32_t begin, end, depth;
} branch;

/* The length of a line without white space at its end; SIZE_MAX if it is not UTF-8. */
static size_t trimmed(const char *s, size_t len)
{
    size_t end = 0;
    uint32_t c;

    for (size_t i = 0, n; i < len; i += n) {
        n = next(&c, s + i, len - i);
        if (!n) return SIZE_MAX;
        if (!is_space(c)) end = i + n;
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
        if (len) l->at[l->n++] = (line){s, (uint32_t)len, id};
        s = eol ? eol + 1 : end;
    }
    return CLIPC_OK;
}

static bool same_text(const line *a, const line *b)
{
    return a->len == b->len && memcmp(a->s, b->s, a->len) == 0;
}

static int by_text(const void *x, const void *y)
{
    const line *a = x, *b = y;
    const int c = memcmp(a->s, b->s, a->len < b->len ? a->len : b->len);

    if (c) return c;
    if (a->len != b->len) return a->len < b->len ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

/* Sorts them, and of equal ones keeps the last. */
static void sort_lines(lines *l)
{
    size_t kept = 0;

    if (l->n) qsort(l->at, l->n, sizeof *l->at, by_text);
    for (size_t i = 0; i < l->n; i++)
        if (i + 1 == l->n || !same_text(&l->at[i], &l->at[i + 1]))
            l->at[kept++] = l->at[i];
    l->n = kept;
}

/* Every byte that a line does not share with the one before it is a node. */
static size_t count_nodes(const lines *l)
{
    size_t n = 1;

    for (size_t i = 0; i < l->n; i++) {
        const line *a = &l->at[i], *b = i ? a - 1 : NULL;
        size_t same = 0;
        while (b && same < a->len && same < b->len && a->s[same] == b->s[same]) same++;
        n += a->len - same;
    }
    return n;
}

/* Level by level: each node gives its lines to children by their next byte. */
static void grow_trie(node *nodes, branch *from, const lines *l)
{
    uint32_t n = 1;

    nodes[0] = (node){0, -1, 0, 0};
    from[0] = (branch){0, (uint32_t)l->n, 0};
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t depth = from[i].depth;
        uint32_t at = from[i].begin;
        if (at < from[i].end && l->at[at].len == depth) nodes[i].id = l->at[at++].id;
        nodes[i].child = n;
        while (at < from[i].end) {
            const uint8_t byte = (uint8_t)l->at[at].s[depth];
            const uint32_t begin = at;
            while (at < from[i].end && (uint8_t)l->at[at].s[depth] == byte) at++;
            nodes[n] = (node){0, -1, 0, byte};
            from[n++] = (branch){begin, at, depth + 1};
            nodes[i].n_children++;
        }
    }
}

static int build_trie(wordpiece *m, const lines *l, clipc_err *err)
{
    const size_t n =
        count_nodes(l); /* a size of the file at most, so nothing overflows */
    branch *from = malloc(n * sizeof *from);

    m->nodes = malloc(n * sizeof *m->nodes);
    if (!m->nodes || !from) {
        free(from);
        return clipc_fail_memory(err, l->file, n * (sizeof *from + sizeof *m->nodes));
    }
    m->n_nodes = n;
    grow_trie(m->nodes, from, l);
    free(from);
    return CLIPC_OK;
}

/* 0 if there is none: the root is nobody's child. */
static uint32_t child_of(const wordpiece *m, uint32_t parent, uint8_t byte)
{
    uint32_t lo = m->nodes[parent].child, n = m->nodes[parent].n_children;

    while (n > 1) {
        const uint32_t half = n / 2;
        if (m->nodes[lo + half].byte <= byte) lo += half, n -= half;
        else n = half;
    }
    return n && m->nodes[lo].byte == byte ? lo : 0;
}

/* The node of a string, 0 if no token begins so. */
static uint32_t node_of(const wordpiece *m, const char *s)
{
    uint32_t at = 0;

    for (; *s; s++)
        if (!(at = child_of(m, at, (uint8_t)*s))) return 0;
    return at;
}

static int find_special(wordpiece *m, const char *file, clipc_err *err)
{
    for (int i = 0; i < N_SPECIAL; i++) {
        const uint32_t at = node_of(m, special_names[i]);
        m->special[i] = at ? m->nodes[at].id : -1;
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
    sort_lines(&l);
    for (size_t i = 0; i < l.n; i++)
        if ((size_t)l.at[i].id >= m->vocab) m->vocab = (size_t)l.at[i].id + 1;
    if ((rc = build_trie(m, &l, err)) != CLIPC_OK) goto done;
    m->rest = node_of(m, "##");
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
    free(m->nodes);
    free(m);
}

size_t wordpiece_vocab_size(const wordpiece *m)
{
    return m->vocab;
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
    const size_t start = out->len;
    uint32_t at = 0;
    int rc = CLIPC_OK;

    while (at < m->n_nodes && m->nodes[at].id != id) at++;
    if (id < 0 || at == m->n_nodes) return CLIPC_OK;
    /* Upwards: a node's parent is the last whose children do not begin behind it. */
    while (at && rc == CLIPC_OK) {
        rc = buf_add(out, &m->nodes[at].byte, 1, err);
        for (uint32_t child = at--; m->nodes[at].child > child;) at--;
    }
    for (size_t i = start, j = out->len; rc == CLIPC_OK && i + 1 < j; i++) {
        const char c = out->data[i];
        out->data[i] = out->data[--j];
        out->data[j] = c;
    }
    return rc;
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
    free(w->ids);
    buf_free(&w->word);
    free(w);
}

/* Grown memory for `need` items of `size` bytes, the old ones kept; NULL if there is
 * none. */
static void *grow(void *old, size_t *cap, size_t need, size_t size, clipc_err *err)
{
    size_t bytes;

    if (need <= *cap) return old;
    need += need / 2 + 64;
    void *p = ckd_mul_size(&bytes, need, size) ? NULL : realloc(old, bytes);
    if (p) *cap = need;
    else clipc_fail_memory(err, "tokenizer", need);
    return p;
}

static int reserve_ids(wordpiece_work *w, size_t more, clipc_err *err)
{
    int32_t *ids = grow(w->ids, &w->ids_cap, w->n + more, sizeof *ids, err);

    if (!ids && w->n + more) return CLIPC_ERR_MEMORY;
    w->ids = ids;
    return CLIPC_OK;
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
    w->chars[w->n_chars++] = m->lower ? lower_of(c) : c;
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
            out[at[w->run[i] >> 24]++] = m->lower ? lower_of(c) : c;
        }
        w->n_chars += w->n_run;
    }
    w->n_run = 0;
}

/* A character of the decomposed text, which is dropped, held back or appended. */
static int add_decomposed(const wordpiece *m, wordpiece_work *w, uint32_t c,
                          clipc_err *err)
{
    const bool accent =
        c >= 0x300 && in_ranges(wordpiece_accents, n_wordpiece_accents, c);
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
    if (decomposes(c))
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

    if (!chars && len) return CLIPC_ERR_MEMORY;
    w->chars = chars;
    w->n_chars = w->n_run = 0;
    for (size_t i = 0, n; rc == CLIPC_OK && i < len; i += n) {
        if (!(n = next(&c, s + i, len - i)))
            return clipc_fail(err, CLIPC_ERR_TEXT, "text: byte %zu is not UTF-8",
                              before + i + 1);
        if (is_removed(c)) continue;
        const bool apart = m->chinese && is_chinese(c);
        if (apart) rc = add_char(m, w, ' ', err);
        if (rc == CLIPC_OK) rc = add_char(m, w, is_space(c) ? ' ' : c, err);
        if (rc == CLIPC_OK && apart) rc = add_char(m, w, ' ', err);
    }
    if (rc == CLIPC_OK) push_run(m, w);
    return rc;
}

/* ---- words ---------------------------------------------------------------------------
 */

/* The longest token at the start of s, under the node `at`: its id, -1 if there is none.
 */
static int32_t longest(const wordpiece *m, uint32_t at, const char *s, size_t len,
                       size_t *token_len)
{
    int32_t id = -1;

    for (size_t i = 0; i < len && (at = child_of(m, at, (uint8_t)s[i])); i++)
        if (m->nodes[at].id >= 0) id = m->nodes[at].id, *token_len = i + 1;
    return id;
}

/* Appends the tokens of a word of n characters; reserve_ids has made room for as many. */
static int add_word(const wordpiece *m, wordpiece_work *w, const uint32_t *c, size_t n,
                    clipc_err *err)
{
    const size_t n_before = w->n;
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
        const int32_t id = i && !m->rest ? -1
                                         : longest(m, i ? m->rest : 0, w->word.data + i,
                                                   w->word.len - i, &len);
        if (id < 0) {
            w->n = n_before;
            break;
        }
        w->ids[w->n++] = id;
    }
    if (w->n == n_before) w->ids[w->n++] = m->special[UNK];
    return CLIPC_OK;
}

/* The words of w->chars, which punctuation splits and is. */
static int add_words(const wordpiece *m, wordpiece_work *w, clipc_err *err)
{
    int rc = reserve_ids(w, w->n_chars, err);

    for (size_t i = 0, end; rc == CLIPC_OK && i < w->n_chars; i = end) {
        const uint32_t *c = w->chars;
        end = i + 1;
        if (c[i] == ' ') continue;
        if (!is_punct(c[i]))
            while (end < w->n_chars && c[end] != ' ' && !is_punct(c[end])) end++;
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
        if ((rc = reserve_ids(w, 1, err)) == CLIPC_OK) w->ids[w->n++] = m->special[which];
        i += strlen(special_names[which]);
    }
    return rc;
}

int wordpiece_encode(const wordpiece *m, wordpiece_work *w, const int32_t **ids,
                     size_t *n, const char *text, size_t len, bool special,
                     clipc_err *err)
{
    int rc;

    w->n = 0;
    if (len > TEXT_MAX)
        rc = clipc_fail(err, CLIPC_ERR_TEXT, "text: %zu bytes, more than %d", len,
                        TEXT_MAX);
    else rc = encode(m, w, text, len, special, err);
    *ids = w->ids;
    *n = rc == CLIPC_OK ? w->n : 0;
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

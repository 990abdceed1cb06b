#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/bpe.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "text/bpe_data.h"
#include "text/clean.h"

enum {
    WORD_END = 256, /* token b + 256 is byte b at the end of a word */
    FIRST_MERGE = 512,
    SLOTS = 1 << 17 /* of the hash table: 37 % full */
};

/* Python's \s, spelled out: PCRE2's also takes U+180E. */
#define SPACES                                                                     \
    "\\x09-\\x0d\\x20\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}" \
    "\\x{202f}\\x{205f}\\x{3000}"
/* U+0345 folds to a letter, so Python's caseless [^...] does not match it, nor does
 * \p{L}. */
#define PIECES \
    "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^" SPACES "\\x{345}\\p{L}\\p{N}]+"

struct bpe {
    pcre2_code *plain, *special;
    uint16_t token_of[256]; /* of each byte */
    struct {
        uint32_t pair; /* left << 16 | right */
        uint32_t rank; /* + 1; 0: empty */
    } slots[SLOTS];
};

/* A symbol of the word being merged, in a doubly linked list by index. */
typedef struct symbol {
    int32_t id, prev, next; /* -1: none */
} symbol;

/* A merge that may be done: the pair of symbols at `left`, as they were when found. */
typedef struct merge {
    uint32_t rank;
    int32_t left, a, b;
} merge;

struct bpe_work {
    buf clean, scratch;
    pcre2_match_data *match;
    symbol *word;
    merge *heap;
    size_t word_cap, n_heap;
    int32_t *ids;
    size_t n, cap;
};

static size_t slot_of(uint32_t pair)
{
    return (size_t)((pair * 2654435769u) >> 15) % SLOTS;
}

/* Rank of a pair, or UINT32_MAX. */
static uint32_t rank_of(const bpe *b, int32_t left, int32_t right)
{
    const uint32_t pair = (uint32_t)left << 16 | (uint32_t)right;

    for (size_t s = slot_of(pair);; s = (s + 1) % SLOTS) {
        if (!b->slots[s].rank) return UINT32_MAX;
        if (b->slots[s].pair == pair) return b->slots[s].rank - 1;
    }
}

static void fill_slots(bpe *b)
{
    for (uint32_t r = 0; r < BPE_MERGES; r++) {
        const uint32_t pair = (uint32_t)bpe_merges[r][0] << 16 | bpe_merges[r][1];
        size_t s = slot_of(pair);
        while (b->slots[s].rank) s = (s + 1) % SLOTS;
        b->slots[s].pair = pair;
        b->slots[s].rank = r + 1;
    }
}

static int compile(pcre2_code **out, const char *pattern, clipc_err *err)
{
    int code;
    PCRE2_SIZE at;

    *out = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                         PCRE2_UTF | PCRE2_UCP | PCRE2_CASELESS, &code, &at, NULL);
    if (!*out)
        return clipc_fail(err, CLIPC_ERR_FEATURE, "PCRE2 refuses the pattern: %d", code);
    pcre2_jit_compile(*out, PCRE2_JIT_COMPLETE); /* without it the interpreter runs */
    return CLIPC_OK;
}

int bpe_new(bpe **out, clipc_err *err)
{
    bpe *b = calloc(1, sizeof *b);
    int rc;

    *out = NULL;
    if (!b) return clipc_fail_memory(err, "vocabulary", sizeof *b);
    for (uint16_t i = 0; i < 256; i++) b->token_of[bpe_bytes[i]] = i;
    fill_slots(b);
    rc = compile(&b->plain, PIECES, err);
    if (rc == CLIPC_OK)
        rc = compile(&b->special, "<\\|startoftext\\|>|<\\|endoftext\\|>|" PIECES, err);
    if (rc == CLIPC_OK) *out = b;
    else bpe_free(b);
    return rc;
}

void bpe_free(bpe *b)
{
    if (!b) return;
    pcre2_code_free(b->plain);
    pcre2_code_free(b->special);
    free(b);
}

int bpe_work_new(bpe_work **out, clipc_err *err)
{
    bpe_work *w = calloc(1, sizeof *w);

    *out = NULL;
    if (w) w->match = pcre2_match_data_create(1, NULL);
    if (!w || !w->match) {
        bpe_work_free(w);
        return clipc_fail_memory(err, "tokenizer", sizeof *w);
    }
    *out = w;
    return CLIPC_OK;
}

void bpe_work_free(bpe_work *w)
{
    if (!w) return;
    buf_free(&w->clean);
    buf_free(&w->scratch);
    pcre2_match_data_free(w->match);
    free(w->word);
    free(w->heap);
    free(w->ids);
    free(w);
}

/* ---- merging one word
 * ------------------------------------------------------------------ */

/* Lowest rank first, and of equal ones the leftmost: what merging all occurrences of the
 * best pair from left to right comes to, without going over the word again for each. */
static bool before(const merge *x, const merge *y)
{
    return x->rank != y->rank ? x->rank < y->rank : x->left < y->left;
}

static void heap_push(bpe_work *w, merge m)
{
    size_t i = w->n_heap++;

    while (i && before(&m, &w->heap[(i - 1) / 2])) {
        w->heap[i] = w->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    w->heap[i] = m;
}

static merge heap_pop(bpe_work *w)
{
    const merge top = w->heap[0], last = w->heap[--w->n_heap];
    size_t i = 0;

    for (size_t c; (c = 2 * i + 1) < w->n_heap; i = c) {
        if (c + 1 < w->n_heap && before(&w->heap[c + 1], &w->heap[c])) c++;
        if (!before(&w->heap[c], &last)) break;
        w->heap[i] = w->heap[c];
    }
    w->heap[i] = last;
    return top;
}

static void propose(const bpe *b, bpe_work *w, int32_t left)
{
    if (left < 0 || w->word[left].next < 0) return;
    const int32_t x = w->word[left].id, y = w->word[w->word[left].next].id;
    const uint32_t rank = rank_of(b, x, y);
    if (rank != UINT32_MAX) heap_push(w, (merge){rank, left, x, y});
}

static void merge_word(const bpe *b, bpe_work *w, size_t n)
{
    w->n_heap = 0;
    for (size_t i = 0; i + 1 < n; i++) propose(b, w, (int32_t)i);
    while (w->n_heap) {
        const merge m = heap_pop(w);
        symbol *left = &w->word[m.left];
        if (left->id != m.a || left->next < 0 || w->word[left->next].id != m.b) continue;
        symbol *right = &w->word[left->next];
        left->id = FIRST_MERGE + (int32_t)m.rank;
        left->next = right->next;
        right->id = -1;
        if (left->next >= 0) w->word[left->next].prev = m.left;
        propose(b, w, left->prev);
        propose(b, w, m.left);
    }
}

/* Room for a word of n bytes, and for as many ids more. */
static int reserve(bpe_work *w, size_t n, clipc_err *err)
{
    if (n > INT32_MAX / 4)
        return clipc_fail(err, CLIPC_ERR_TEXT, "text: a word of %zu bytes", n);
    if (n > w->word_cap) {
        const size_t cap = n < 256 ? 256 : 2 * n;
        symbol *word = realloc(w->word, cap * sizeof *word);
        if (word) w->word = word;
        /* Each merge takes one proposal and makes at most two. */
        merge *heap = realloc(w->heap, 3 * cap * sizeof *heap);
        if (heap) w->heap = heap;
        if (!word || !heap)
            return clipc_fail_memory(err, "tokenizer", cap * sizeof *heap);
        w->word_cap = cap;
    }
    if (w->n + n > w->cap) {
        const size_t cap = 2 * (w->n + n) + 64;
        int32_t *ids = realloc(w->ids, cap * sizeof *ids);
        if (!ids) return clipc_fail_memory(err, "tokenizer", cap * sizeof *ids);
        w->ids = ids, w->cap = cap;
    }
    return CLIPC_OK;
}

static int add_word(const bpe *b, bpe_work *w, const char *s, size_t n, clipc_err *err)
{
    const int rc = reserve(w, n, err);

    if (rc != CLIPC_OK) return rc;
    for (size_t i = 0; i < n; i++) {
        const int32_t token = b->token_of[(unsigned char)s[i]];
        w->word[i] = (symbol){token + (i + 1 == n ? WORD_END : 0), (int32_t)i - 1,
                              i + 1 < n ? (int32_t)i + 1 : -1};
    }
    merge_word(b, w, n);
    for (int32_t i = 0; i >= 0; i = w->word[i].next) w->ids[w->n++] = w->word[i].id;
    return CLIPC_OK;
}

/* ---- texts
 * ----------------------------------------------------------------------------- */

static int special_id(const char *s, size_t n)
{
    const char *sot = "<|startoftext|>", *eot = "<|endoftext|>";

    if (n == strlen(sot) && memcmp(s, sot, n) == 0) return BPE_SOT;
    if (n == strlen(eot) && memcmp(s, eot, n) == 0) return BPE_EOT;
    return -1;
}

int bpe_encode(const bpe *b, bpe_work *w, const int32_t **ids, size_t *n,
               const char *text, bool special, clipc_err *err)
{
    const pcre2_code *pattern = special ? b->special : b->plain;
    const PCRE2_SIZE *span = pcre2_get_ovector_pointer(w->match);
    PCRE2_SIZE at = 0;
    int rc = text_clean(&w->clean, &w->scratch, text, err), found = 0;
    const char *s = w->clean.data ? w->clean.data : "";

    w->n = 0;
    while (rc == CLIPC_OK &&
           (found = pcre2_match(pattern, (PCRE2_SPTR)s, w->clean.len, at,
                                at ? PCRE2_NO_UTF_CHECK : 0, w->match, NULL)) > 0) {
        const char *piece = s + span[0];
        const size_t len = span[1] - span[0];
        const int id = special ? special_id(piece, len) : -1;
        if (id < 0) rc = add_word(b, w, piece, len, err);
        else if ((rc = reserve(w, 1, err)) == CLIPC_OK) w->ids[w->n++] = id;
        at = span[1];
    }
    if (rc == CLIPC_OK && found < 0 && found != PCRE2_ERROR_NOMATCH)
        rc = clipc_fail(err, CLIPC_ERR_TEXT, "text: cannot be split (PCRE2 says %d)",
                        found);
    *ids = w->ids;
    *n = w->n;
    return rc;
}

int bpe_tokenize(const bpe *b, bpe_work *w, int32_t *ids, size_t context_length,
                 size_t *n_tokens, const char *text, bool special, clipc_err *err)
{
    const int32_t *inner = NULL;
    size_t n = 0;
    const int rc = bpe_encode(b, w, &inner, &n, text, special, err);

    if (rc != CLIPC_OK) return rc;
    if (n_tokens) *n_tokens = n + 2;
    if (n > context_length - 2) n = context_length - 2;
    memset(ids, 0, context_length * sizeof *ids);
    ids[0] = BPE_SOT;
    if (n) memcpy(ids + 1, inner, n * sizeof *ids);
    ids[n + 1] = BPE_EOT;
    return CLIPC_OK;
}

/* ---- the table as text
 * ------------------------------------------------------------------ */

/* GPT-2's byte alphabet: the character that stands for token t < 256. */
static utf8proc_int32_t character_of(int32_t t)
{
    const int printable = 188; /* the tokens whose bytes stand for themselves */
    return t < printable ? bpe_bytes[t] : 256 + t - printable;
}

/* Appends a token without its end-of-word mark, as bytes or in the byte alphabet. */
static int put_token(buf *out, int32_t id, bool alphabet, clipc_err *err)
{
    utf8proc_uint8_t c[4];

    if (id >= FIRST_MERGE) {
        const uint16_t *pair = bpe_merges[id - FIRST_MERGE];
        const int rc = put_token(out, pair[0], alphabet, err);
        return rc == CLIPC_OK ? put_token(out, pair[1], alphabet, err) : rc;
    }
    const int32_t t = id % WORD_END;
    if (alphabet)
        return buf_add(out, c, (size_t)utf8proc_encode_char(character_of(t), c), err);
    const char byte = (char)bpe_bytes[t];
    return buf_add(out, &byte, 1, err);
}

static bool ends_word(int32_t id)
{
    while (id >= FIRST_MERGE) id = bpe_merges[id - FIRST_MERGE][1];
    return id >= WORD_END;
}

static int put_whole(buf *out, int32_t id, bool alphabet, clipc_err *err)
{
    if (id == BPE_SOT) return buf_puts(out, "<|startoftext|>", err);
    if (id == BPE_EOT) return buf_puts(out, "<|endoftext|>", err);
    if (id < 0 || id > BPE_EOT) return CLIPC_OK;
    const int rc = put_token(out, id, alphabet, err);
    return rc == CLIPC_OK && ends_word(id) ? buf_puts(out, "</w>", err) : rc;
}

int bpe_token(buf *out, const bpe *b, int32_t id, clipc_err *err)
{
    (void)b; /* one vocabulary so far */
    return put_whole(out, id, false, err);
}

/* Backslash and quote are the only characters of the alphabet that JSON escapes. */
static int put_json(buf *out, const char *s, clipc_err *err)
{
    int rc = buf_puts(out, "\"", err);

    for (; rc == CLIPC_OK && *s; s++) {
        if (*s == '"' || *s == '\\') rc = buf_puts(out, "\\", err);
        if (rc == CLIPC_OK) rc = buf_add(out, s, 1, err);
    }
    return rc == CLIPC_OK ? buf_puts(out, "\"", err) : rc;
}

int bpe_vocab_json(buf *out, const bpe *b, clipc_err *err)
{
    buf token = {0};
    int rc = buf_puts(out, "{", err);

    (void)b;
    for (int32_t id = 0; rc == CLIPC_OK && id < BPE_VOCAB; id++) {
        buf_clear(&token);
        rc = put_whole(&token, id, true, err);
        if (rc == CLIPC_OK && id) rc = buf_puts(out, ",", err);
        if (rc == CLIPC_OK) rc = put_json(out, token.data, err);
        if (rc == CLIPC_OK) rc = buf_printf(out, err, ":%d", (int)id);
    }
    buf_free(&token);
    return rc == CLIPC_OK ? buf_puts(out, "}\n", err) : rc;
}

int bpe_merges_txt(buf *out, const bpe *b, clipc_err *err)
{
    int rc = buf_puts(out, "#version: 0.2\n", err);

    (void)b;
    for (size_t i = 0; rc == CLIPC_OK && i < BPE_MERGES; i++)
        for (int side = 0; rc == CLIPC_OK && side < 2; side++) {
            rc = put_whole(out, bpe_merges[i][side], true, err);
            if (rc == CLIPC_OK) rc = buf_puts(out, side ? "\n" : " ", err);
        }
    return rc;
}

#include "text/bpe.h"

#include <stdlib.h>
#include <string.h>

#include "text/bpe_table.h"
#include "text/clean.h"

/* A symbol of the word being merged, in a doubly linked list by index. */
typedef struct symbol {
    int32_t token, prev, next; /* -1: none */
} symbol;

/* A merge that may be done: the pair of symbols at `left`, as they were when found. */
typedef struct merge {
    uint32_t rank;
    int32_t left;
    uint16_t a, b;
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

/* ---- merging one word ----------------------------------------------------------------
 */

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

/* Rank of a pair, or UINT32_MAX. */
static uint32_t rank_of(const bpe *b, int32_t left, int32_t right)
{
    const uint32_t pair = (uint32_t)left << 16 | (uint32_t)right;
    const size_t mask = ((size_t)1 << SLOT_BITS) - 1;

    for (size_t s = bpe_slot_of(pair);; s = (s + 1) & mask) {
        if (!b->slots[s].rank) return UINT32_MAX;
        if (b->slots[s].pair == pair) return b->slots[s].rank - 1;
    }
}

static void propose(const bpe *b, bpe_work *w, int32_t left)
{
    if (left < 0 || w->word[left].next < 0) return;
    const int32_t x = w->word[left].token, y = w->word[w->word[left].next].token;
    const uint32_t rank = rank_of(b, x, y);
    if (rank != UINT32_MAX) heap_push(w, (merge){rank, left, (uint16_t)x, (uint16_t)y});
}

static void merge_word(const bpe *b, bpe_work *w, size_t n)
{
    w->n_heap = 0;
    for (size_t i = 0; i + 1 < n; i++) propose(b, w, (int32_t)i);
    while (w->n_heap) {
        const merge m = heap_pop(w);
        symbol *left = &w->word[m.left];
        if (left->token != m.a || left->next < 0 || w->word[left->next].token != m.b)
            continue; /* one of the two was merged since */
        symbol *right = &w->word[left->next];
        left->token = FIRST_MERGE + (int32_t)m.rank;
        left->next = right->next;
        right->token = -1;
        if (left->next >= 0) w->word[left->next].prev = m.left;
        propose(b, w, left->prev);
        propose(b, w, m.left);
    }
}

/* Room for a word of n bytes, and for as many ids more. */
static int reserve(bpe_work *w, size_t n, clipc_err *err)
{
    if (n > w->word_cap) {
        const size_t cap = n < 256 ? 256 : n + n / 2;
        symbol *word = realloc(w->word, cap * sizeof *word);
        if (word) w->word = word;
        /* n - 1 proposals at first; each merge takes one and makes at most two. */
        merge *heap = realloc(w->heap, 2 * cap * sizeof *heap);
        if (heap) w->heap = heap;
        if (!word || !heap)
            return clipc_fail_memory(err, "tokenizer", 2 * cap * sizeof *heap);
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
    for (int32_t i = 0; i >= 0; i = w->word[i].next)
        w->ids[w->n++] = bpe_id(b, w->word[i].token);
    return CLIPC_OK;
}

/* ---- texts ---------------------------------------------------------------------------
 */

/* The special token that a piece is, or -1.  Caseless matching lets "<|ſtartoftext|>"
 * through as one piece that is none. */
static int32_t special_token(const bpe *b, const char *s, size_t n)
{
    const char *sot = "<|startoftext|>", *eot = "<|endoftext|>";

    if (n == strlen(sot) && memcmp(s, sot, n) == 0) return bpe_token_sot(b);
    if (n == strlen(eot) && memcmp(s, eot, n) == 0) return bpe_token_eot(b);
    return -1;
}

static int add_piece(const bpe *b, bpe_work *w, const char *s, size_t n, bool special,
                     clipc_err *err)
{
    const int32_t token = special ? special_token(b, s, n) : -1;
    int rc;

    if (token < 0) return add_word(b, w, s, n, err);
    if ((rc = reserve(w, 1, err)) == CLIPC_OK) w->ids[w->n++] = bpe_id(b, token);
    return rc;
}

int bpe_encode(const bpe *b, bpe_work *w, const int32_t **ids, size_t *n,
               const char *text, bool special, clipc_err *err)
{
    const pcre2_code *pattern = special ? b->special : b->plain;
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(w->match);
    PCRE2_SIZE from = 0;
    int rc = text_clean(&w->clean, &w->scratch, text, err), found = 0;
    const char *s = w->clean.data ? w->clean.data : "";

    w->n = 0;
    while (rc == CLIPC_OK) {
        found = pcre2_match(pattern, (PCRE2_SPTR)s, w->clean.len, from,
                            from ? PCRE2_NO_UTF_CHECK : 0, w->match, NULL);
        if (found < 0) break;
        rc = add_piece(b, w, s + at[0], at[1] - at[0], special, err);
        from = at[1];
    }
    if (rc == CLIPC_OK && found != PCRE2_ERROR_NOMATCH)
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
    int rc;

    if (context_length < 2)
        return clipc_fail(err, CLIPC_ERR_ARG,
                          "a context of %zu has no room for start "
                          "and end",
                          context_length);
    if ((rc = bpe_encode(b, w, &inner, &n, text, special, err)) != CLIPC_OK) return rc;
    if (n_tokens) *n_tokens = n + 2;
    if (n > context_length - 2) n = context_length - 2;
    memset(ids, 0, context_length * sizeof *ids);
    ids[0] = bpe_sot(b);
    if (n) memcpy(ids + 1, inner, n * sizeof *ids);
    ids[n + 1] = bpe_eot(b);
    return CLIPC_OK;
}

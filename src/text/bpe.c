#include "text/bpe.h"

#include <stdlib.h>
#include <string.h>

#include "text/bpe_table.h"
#include "text/clean.h"
#include "text/heap.h"
#include "text/split.h"

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

/* A word whose ids are known, in a slot that its hash chose: the last one to come stays.
 * One cache line. */
enum { WORD_SLOTS = 8192, WORD_MAX = 30, WORD_IDS = 8 };
typedef struct known_word {
    uint8_t len, n; /* len 0: empty */
    char word[WORD_MAX];
    int32_t ids[WORD_IDS];
} known_word;

struct bpe_work {
    const bpe *b;
    buf clean;
    clean_work *cleaning;
    symbol *word;
    merge *heap;
    size_t word_cap, n_heap;
    int32_t *ids;
    size_t n, cap;
    known_word *known; /* [WORD_SLOTS] */
};

int bpe_work_new(bpe_work **out, const bpe *b, clipc_err *err)
{
    bpe_work *w = calloc(1, sizeof *w);

    *out = NULL;
    if (w) w->b = b, w->known = calloc(WORD_SLOTS, sizeof *w->known);
    if (!w || !w->known || clean_work_new(&w->cleaning, err) != CLIPC_OK) {
        bpe_work_free(w);
        return clipc_fail_memory(err, "tokenizer", WORD_SLOTS * sizeof *w->known);
    }
    *out = w;
    return CLIPC_OK;
}

void bpe_work_free(bpe_work *w)
{
    if (!w) return;
    buf_free(&w->clean);
    clean_work_free(w->cleaning);
    free(w->word);
    free(w->heap);
    free(w->ids);
    free(w->known);
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

HEAP(merge, merge, before)

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

static void propose(bpe_work *w, int32_t left)
{
    if (left < 0 || w->word[left].next < 0) return;
    const int32_t x = w->word[left].token, y = w->word[w->word[left].next].token;
    const uint32_t rank = rank_of(w->b, x, y);
    if (rank != UINT32_MAX)
        merge_push(w->heap, &w->n_heap, (merge){rank, left, (uint16_t)x, (uint16_t)y});
}

static void merge_word(bpe_work *w, size_t n)
{
    w->n_heap = 0;
    for (size_t i = 0; i + 1 < n; i++) propose(w, (int32_t)i);
    while (w->n_heap) {
        const merge m = merge_pop(w->heap, &w->n_heap);
        symbol *left = &w->word[m.left];
        if (left->token != m.a || left->next < 0 || w->word[left->next].token != m.b)
            continue; /* one of the two was merged since */
        symbol *right = &w->word[left->next];
        left->token = FIRST_MERGE + (int32_t)m.rank;
        left->next = right->next;
        right->token = -1;
        if (left->next >= 0) w->word[left->next].prev = m.left;
        propose(w, left->prev);
        propose(w, m.left);
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

static int add_new_word(bpe_work *w, const char *s, size_t n, clipc_err *err)
{
    const int rc = reserve(w, n, err);

    if (rc != CLIPC_OK) return rc;
    for (size_t i = 0; i < n; i++) {
        const int32_t token = w->b->token_of[(unsigned char)s[i]];
        w->word[i] = (symbol){token + (i + 1 == n ? WORD_END : 0), (int32_t)i - 1,
                              i + 1 < n ? (int32_t)i + 1 : -1};
    }
    merge_word(w, n);
    for (int32_t i = 0; i >= 0; i = w->word[i].next)
        w->ids[w->n++] = bpe_id(w->b, w->word[i].token);
    return CLIPC_OK;
}

static known_word *slot_of(const bpe_work *w, const char *s, size_t n)
{
    uint32_t h = 2166136261u; /* FNV-1a */

    for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * 16777619u;
    return &w->known[(h ^ h >> 16) % WORD_SLOTS];
}

static int add_word(bpe_work *w, const char *s, size_t n, clipc_err *err)
{
    known_word *k = slot_of(w, s, n);
    const size_t before = w->n;
    int rc;

    if (k->len == n && memcmp(k->word, s, n) == 0) {
        if ((rc = reserve(w, WORD_IDS, err)) != CLIPC_OK) return rc;
        for (size_t i = 0; i < k->n; i++) w->ids[w->n++] = k->ids[i];
        return CLIPC_OK;
    }
    rc = add_new_word(w, s, n, err);
    if (rc != CLIPC_OK || n > WORD_MAX || w->n - before > WORD_IDS) return rc;
    k->len = (uint8_t)n, k->n = (uint8_t)(w->n - before);
    memcpy(k->word, s, n);
    memcpy(k->ids, w->ids + before, k->n * sizeof *k->ids);
    return CLIPC_OK;
}

/* ---- texts ---------------------------------------------------------------------------
 */

static const char *const special_names[][2] = {
    [BPE_OPENAI] = {"<|startoftext|>", "<|endoftext|>"},
    [BPE_OPEN_CLIP] = {"<start_of_text>", "<end_of_text>"},
    [BPE_OPEN_CLIP_WHITESPACE] = {"<start_of_text>", "<end_of_text>"},
    [BPE_OPEN_CLIP_CANONICAL] = {"<start_of_text>", "<end_of_text>"},
    [BPE_HF] = {"<|startoftext|>", "<|endoftext|>"}};

static const clean_rules cleaning[] = {[BPE_OPENAI] = CLEAN_LOWER,
                                       [BPE_OPEN_CLIP] = CLEAN_LOWER,
                                       [BPE_OPEN_CLIP_WHITESPACE] = CLEAN_WHITESPACE,
                                       [BPE_OPEN_CLIP_CANONICAL] = CLEAN_CANONICAL,
                                       [BPE_HF] = CLEAN_HF};

/* The i-th special string; NULL behind the last. */
static const char *special_name(const bpe *b, int i)
{
    if (i < 2) return special_names[b->rules][i];
    return i == 2 && *b->pad_name ? b->pad_name : NULL;
}

/* Which special string s begins with; -1: none. */
static int which_special(const bpe *b, const char *s, size_t len)
{
    const char *name;

    for (int i = 0; (name = special_name(b, i)); i++)
        if (len >= strlen(name) && memcmp(s, name, strlen(name)) == 0) return i;
    return -1;
}

static int add_special(bpe_work *w, int which, clipc_err *err)
{
    const int32_t ids[] = {bpe_sot(w->b), bpe_eot(w->b), w->b->pad};
    const int rc = reserve(w, 1, err);

    if (rc == CLIPC_OK) w->ids[w->n++] = ids[which];
    return rc;
}

/* Adds the pieces of a part of a text, or of all of it. */
static int add_text(bpe_work *w, const char *text, size_t len, bool special,
                    clipc_err *err)
{
    const bpe_rules rules = w->b->rules;
    int rc = text_clean(&w->clean, w->cleaning, text, len, cleaning[rules], err);
    const char *s = w->clean.data;

    for (size_t i = 0, n; rc == CLIPC_OK && i < w->clean.len; i += n) {
        size_t skip = 0;
        n = split_piece(&skip, s + i, w->clean.len - i,
                        special ? special_names[rules] : NULL, rules != BPE_HF);
        /* Caseless matching lets "<|\u017ftartoftext|>" through, a piece that is none. */
        const int which = special && s[i] == '<' ? which_special(w->b, s + i, n) : -1;
        if (!n) n = skip;
        else if (which >= 0) rc = add_special(w, which, err);
        else rc = add_word(w, s + i, n, err);
    }
    return rc;
}

/* transformers looks for special strings before it cleans what is between them. */
static int add_parts(bpe_work *w, const char *text, size_t len, clipc_err *err)
{
    size_t from = 0;
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < len;) {
        const int which = which_special(w->b, text + i, len - i);
        if (which < 0) {
            i++;
            continue;
        }
        rc = add_text(w, text + from, i - from, false, err);
        if (rc == CLIPC_OK) rc = add_special(w, which, err);
        from = i += strlen(special_name(w->b, which));
    }
    return rc == CLIPC_OK ? add_text(w, text + from, len - from, false, err) : rc;
}

int bpe_encode(bpe_work *w, const int32_t **ids, size_t *n, const char *text, size_t len,
               bool special, clipc_err *err)
{
    int rc;

    w->n = 0;
    rc = special && w->b->rules == BPE_HF ? add_parts(w, text, len, err)
                                          : add_text(w, text, len, special, err);
    *ids = w->ids;
    *n = w->n;
    return rc;
}

void bpe_frame(const bpe *b, int32_t *ids, size_t context_length, const int32_t *inner,
               size_t n)
{
    if (n > context_length - 2) n = context_length - 2;
    ids[0] = bpe_sot(b);
    if (n) memcpy(ids + 1, inner, n * sizeof *ids);
    ids[n + 1] = bpe_eot(b);
    for (size_t i = n + 2; i < context_length; i++) ids[i] = b->pad;
}

int bpe_tokenize(bpe_work *w, int32_t *ids, size_t context_length, size_t *n_tokens,
                 const char *text, size_t len, bool special, clipc_err *err)
{
    const int32_t *inner = NULL;
    size_t n = 0;
    int rc;

    if (context_length < 2)
        return clipc_fail(err, CLIPC_ERR_ARG,
                          "a context of %zu has no room for start "
                          "and end",
                          context_length);
    rc = bpe_encode(w, &inner, &n, text, len, special, err);
    if (rc != CLIPC_OK) return rc;
    if (n_tokens) *n_tokens = n + 2;
    bpe_frame(w->b, ids, context_length, inner, n);
    return CLIPC_OK;
}

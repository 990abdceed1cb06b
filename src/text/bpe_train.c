#include "text/bpe_train.h"

#include <stdlib.h>
#include <string.h>

#include "base/ckd.h"
#include "text/bpe_data.h"
#include "text/bpe_table.h"
#include "text/clean.h"
#include "text/grow.h"
#include "text/heap.h"
#include "text/split.h"

enum { FIRST_SLOTS = 1 << 12, TELL_EVERY = 64 };
#define NO_PAIR  UINT32_MAX /* no token has the number 65535 */
#define NO_PLACE UINT32_MAX

/* A word is its tokens, symbols[first .. first + len). */
typedef struct word {
    uint64_t count;
    size_t first;
    uint32_t len;
} word;

/* A pair of neighbours: how often it occurs, and the words that may hold it. */
typedef struct pair_slot {
    uint32_t pair; /* left << 16 | right; NO_PAIR: empty slot */
    uint32_t places;
    int64_t count;
} pair_slot;

/* An item of a list of words. */
typedef struct place {
    uint32_t word, next;
} place;

/* A pair that may be the next to merge, by the count that it had when it was put here. */
typedef struct candidate {
    uint64_t count;
    uint32_t pair;
} candidate;

struct bpe_trainer {
    uint16_t token_of[256];
    clean_work *cleaning;
    buf clean;
    uint64_t n_counted;
    word *words;
    size_t n_words, words_cap;
    uint16_t *symbols;
    size_t n_symbols, symbols_cap;
    uint32_t *word_slots; /* 1 + index of a word; 0: empty */
    size_t n_word_slots;  /* a power of 2, like the other */
    pair_slot *pairs;
    size_t n_pairs, n_pair_slots;
    place *places;
    size_t n_places, places_cap;
    uint32_t free_places; /* a list of those to be used again */
    uint32_t *fresh;      /* pairs that came up since the last merge */
    size_t n_fresh, fresh_cap;
    candidate *heap;
    size_t n_heap, heap_cap;
};

int bpe_trainer_new(bpe_trainer **out, clipc_err *err)
{
    bpe_trainer *t = calloc(1, sizeof *t);

    *out = NULL;
    if (!t) return clipc_fail_memory(err, "vocabulary", sizeof *t);
    t->free_places = NO_PLACE;
    for (uint16_t i = 0; i < 256; i++) t->token_of[bpe_bytes[i]] = i;
    const int rc = clean_work_new(&t->cleaning, err);
    if (rc == CLIPC_OK) *out = t;
    else bpe_trainer_free(t);
    return rc;
}

void bpe_trainer_free(bpe_trainer *t)
{
    if (!t) return;
    clean_work_free(t->cleaning);
    buf_free(&t->clean);
    free(t->words);
    free(t->symbols);
    free(t->word_slots);
    free(t->pairs);
    free(t->places);
    free(t->fresh);
    free(t->heap);
    free(t);
}

/* ---- counting words ------------------------------------------------------------------
 */

static uint32_t hash_of(const uint16_t *s, size_t n)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */

    for (size_t i = 0; i < n; i++) h = (h ^ s[i]) * 1099511628211u;
    return (uint32_t)(h ^ h >> 32);
}

/* Where the word is, or would be put. */
static uint32_t *slot_of_word(const bpe_trainer *t, const uint16_t *s, size_t n)
{
    const size_t mask = t->n_word_slots - 1;

    for (size_t i = hash_of(s, n) & mask;; i = (i + 1) & mask) {
        uint32_t *slot = &t->word_slots[i];
        const word *w = *slot ? &t->words[*slot - 1] : NULL;
        if (!w || (w->len == n && memcmp(t->symbols + w->first, s, n * sizeof *s) == 0))
            return slot;
    }
}

/* Keeps half of the slots empty. */
static int more_word_slots(bpe_trainer *t, clipc_err *err)
{
    const size_t n = t->n_word_slots ? 2 * t->n_word_slots : FIRST_SLOTS;
    uint32_t *slots;

    if (2 * (t->n_words + 1) <= t->n_word_slots) return CLIPC_OK;
    slots = calloc(n, sizeof *slots);
    if (!slots) return clipc_fail_memory(err, "words", n * sizeof *slots);
    free(t->word_slots);
    t->word_slots = slots, t->n_word_slots = n;
    for (uint32_t i = 0; i < t->n_words; i++) {
        const word *w = &t->words[i];
        *slot_of_word(t, t->symbols + w->first, w->len) = i + 1;
    }
    return CLIPC_OK;
}

/* Room for another word of n symbols, and the slots to find it by. */
static int reserve_word(bpe_trainer *t, size_t n, clipc_err *err)
{
    word *words = grow(t->words, &t->words_cap, t->n_words + 1, sizeof *words, err);
    if (words) t->words = words;
    uint16_t *symbols =
        grow(t->symbols, &t->symbols_cap, t->n_symbols + n, sizeof *symbols, err);
    if (symbols) t->symbols = symbols;
    if (!words || !symbols) return CLIPC_ERR_MEMORY;
    /* Places are counted by 32 bits, and there are never more than symbols. */
    if (t->n_symbols + n >= INT32_MAX)
        return clipc_fail(err, CLIPC_ERR_LIMIT,
                          "different words of more than 2 GB together");
    return more_word_slots(t, err);
}

int bpe_trainer_add_word(bpe_trainer *t, const char *s, size_t len, uint64_t count,
                         clipc_err *err)
{
    uint32_t *slot;
    int rc;

    if (!len || len > BPE_WORD_MAX || !count) return CLIPC_OK;
    if ((rc = reserve_word(t, len, err)) != CLIPC_OK) return rc;
    uint16_t *at = t->symbols + t->n_symbols;
    for (size_t i = 0; i < len; i++) at[i] = t->token_of[(unsigned char)s[i]];
    at[len - 1] += WORD_END;
    slot = slot_of_word(t, at, len);
    if (!*slot) {
        t->words[t->n_words] = (word){.first = t->n_symbols, .len = (uint32_t)len};
        t->n_symbols += len;
        *slot = (uint32_t)++t->n_words;
    }
    t->words[*slot - 1].count += count;
    t->n_counted += count;
    return CLIPC_OK;
}

int bpe_trainer_add(bpe_trainer *t, const char *text, size_t len, clipc_err *err)
{
    int rc = text_clean(&t->clean, t->cleaning, text, len, CLEAN_HF, err);
    const char *s = t->clean.data;

    for (size_t i = 0, n, skip = 0; rc == CLIPC_OK && i < t->clean.len;
         i += n ? n : skip) {
        n = split_piece(&skip, s + i, t->clean.len - i, NULL, false);
        rc = bpe_trainer_add_word(t, s + i, n, 1, err);
    }
    return rc;
}

uint64_t bpe_trainer_words(const bpe_trainer *t)
{
    return t->n_counted;
}

size_t bpe_trainer_different(const bpe_trainer *t)
{
    return t->n_words;
}

/* ---- counting pairs ------------------------------------------------------------------
 */

static pair_slot *slot_of_pair(const bpe_trainer *t, uint32_t pair)
{
    const size_t mask = t->n_pair_slots - 1;
    const uint64_t h = pair * 0x9e3779b97f4a7c15u;

    for (size_t i = (size_t)(h >> 32) & mask;; i = (i + 1) & mask)
        if (t->pairs[i].pair == pair || t->pairs[i].pair == NO_PAIR) return &t->pairs[i];
}

/* Keeps half of the slots empty. */
static int more_pair_slots(bpe_trainer *t, clipc_err *err)
{
    const size_t had = t->n_pair_slots, n = had ? 2 * had : FIRST_SLOTS;
    pair_slot *old = t->pairs, *slots;

    if (2 * (t->n_pairs + 1) <= had) return CLIPC_OK;
    slots = malloc(n * sizeof *slots);
    if (!slots) return clipc_fail_memory(err, "pairs", n * sizeof *slots);
    for (size_t i = 0; i < n; i++) slots[i].pair = NO_PAIR;
    t->pairs = slots, t->n_pair_slots = n;
    for (size_t i = 0; i < had; i++)
        if (old[i].pair != NO_PAIR) *slot_of_pair(t, old[i].pair) = old[i];
    free(old);
    return CLIPC_OK;
}

/* Words are gone through one after the other, so that one which is there already is the
 * last that came. */
static int add_place(bpe_trainer *t, pair_slot *p, uint32_t at, clipc_err *err)
{
    uint32_t i = t->free_places;

    if (p->places != NO_PLACE && t->places[p->places].word == at) return CLIPC_OK;
    if (i != NO_PLACE) {
        t->free_places = t->places[i].next;
    } else {
        place *places =
            grow(t->places, &t->places_cap, t->n_places + 1, sizeof *places, err);
        if (!places) return CLIPC_ERR_MEMORY;
        t->places = places;
        i = (uint32_t)t->n_places++;
    }
    t->places[i] = (place){at, p->places};
    p->places = i;
    return CLIPC_OK;
}

static uint32_t pair_of(uint16_t left, uint16_t right)
{
    return (uint32_t)left << 16 | right;
}

/* The pair occurs once more in the word. */
static int count_pair(bpe_trainer *t, uint32_t pair, uint32_t at, clipc_err *err)
{
    pair_slot *p;
    int rc = more_pair_slots(t, err);

    if (rc != CLIPC_OK) return rc;
    p = slot_of_pair(t, pair);
    if (p->pair == NO_PAIR) {
        uint32_t *fresh =
            grow(t->fresh, &t->fresh_cap, t->n_fresh + 1, sizeof *fresh, err);
        if (!fresh) return CLIPC_ERR_MEMORY;
        t->fresh = fresh;
        fresh[t->n_fresh++] = pair;
        t->n_pairs++;
        *p = (pair_slot){.pair = pair, .places = NO_PLACE};
    }
    p->count += (int64_t)t->words[at].count;
    return add_place(t, p, at, err);
}

static int count_pairs(bpe_trainer *t, clipc_err *err)
{
    int rc = CLIPC_OK;

    for (uint32_t i = 0; i < t->n_words; i++) {
        const uint16_t *s = t->symbols + t->words[i].first;
        for (uint32_t k = 1; rc == CLIPC_OK && k < t->words[i].len; k++)
            rc = count_pair(t, pair_of(s[k - 1], s[k]), i, err);
    }
    return rc;
}

/* ---- merging -------------------------------------------------------------------------
 */

static bool before(const candidate *x, const candidate *y)
{
    return x->count != y->count ? x->count > y->count : x->pair < y->pair;
}

HEAP(candidate, candidate, before)

/* Counts of pairs that are there only fall, so that those below the least are no
 * candidates for ever. */
static int add_candidates(bpe_trainer *t, uint64_t min_count, clipc_err *err)
{
    candidate *heap =
        grow(t->heap, &t->heap_cap, t->n_heap + t->n_fresh + 1, sizeof *heap, err);

    if (!heap) return CLIPC_ERR_MEMORY;
    t->heap = heap;
    for (size_t i = 0; i < t->n_fresh; i++) {
        const int64_t count = slot_of_pair(t, t->fresh[i])->count;
        if (count > 0 && (uint64_t)count >= min_count)
            candidate_push(heap, &t->n_heap, (candidate){(uint64_t)count, t->fresh[i]});
    }
    t->n_fresh = 0;
    return CLIPC_OK;
}

/* The most frequent pair; NULL if none occurs often enough. */
static pair_slot *best_pair(bpe_trainer *t, uint64_t min_count)
{
    while (t->n_heap) {
        candidate c = candidate_pop(t->heap, &t->n_heap);
        pair_slot *p = slot_of_pair(t, c.pair);
        if (p->count == (int64_t)c.count) return p;
        c.count = (uint64_t)p->count; /* it was part of what has been merged since */
        if (p->count > 0 && c.count >= min_count) candidate_push(t->heap, &t->n_heap, c);
    }
    return NULL;
}

/* The pair stands at one place less in the word. */
static void lose_pair(bpe_trainer *t, uint32_t pair, uint32_t at)
{
    slot_of_pair(t, pair)->count -= (int64_t)t->words[at].count;
}

static int merge_word(bpe_trainer *t, uint32_t at, uint32_t pair, uint16_t made,
                      clipc_err *err)
{
    const uint16_t left = (uint16_t)(pair >> 16), right = (uint16_t)pair;
    const uint32_t n = t->words[at].len;
    uint16_t *s = t->symbols + t->words[at].first;
    uint32_t to = 0;
    int rc = CLIPC_OK;

    for (uint32_t i = 0; rc == CLIPC_OK && i < n; i++) {
        if (s[i] != left || i + 1 == n || s[i + 1] != right) {
            s[to++] = s[i];
            continue;
        }
        i++;
        if (to) {
            lose_pair(t, pair_of(s[to - 1], left), at);
            rc = count_pair(t, pair_of(s[to - 1], made), at, err);
        }
        if (rc == CLIPC_OK && i + 1 < n) {
            lose_pair(t, pair_of(right, s[i + 1]), at);
            rc = count_pair(t, pair_of(made, s[i + 1]), at, err);
        }
        s[to++] = made;
    }
    t->words[at].len = to;
    return rc;
}

/* In all words that hold the pair. */
static int merge_words(bpe_trainer *t, pair_slot *p, uint16_t made, clipc_err *err)
{
    const uint32_t pair = p->pair;
    uint32_t i = p->places;
    int rc = CLIPC_OK;

    p->places = NO_PLACE;
    while (rc == CLIPC_OK && i != NO_PLACE) {
        const place here = t->places[i];
        t->places[i].next = t->free_places;
        t->free_places = i;
        rc = merge_word(t, here.word, pair, made, err);
        i = here.next;
    }
    return rc;
}

static int learn(bpe_trainer *t, uint16_t (*merges)[2], size_t *n, size_t most,
                 uint64_t min_count, int (*on_progress)(void *user, size_t done),
                 void *user, clipc_err *err)
{
    int rc = count_pairs(t, err);

    while (rc == CLIPC_OK && *n < most) {
        if (on_progress && *n % TELL_EVERY == 0) rc = on_progress(user, BPE_LEAST + *n);
        if (rc == CLIPC_OK) rc = add_candidates(t, min_count, err);
        if (rc != CLIPC_OK) break;
        pair_slot *p = best_pair(t, min_count);
        if (!p) break;
        merges[*n][0] = (uint16_t)(p->pair >> 16);
        merges[*n][1] = (uint16_t)p->pair;
        rc = merge_words(t, p, (uint16_t)(FIRST_MERGE + (*n)++), err);
    }
    return rc;
}

int bpe_trainer_run(bpe **out, bpe_trainer *t, size_t size, uint64_t min_count,
                    int (*on_progress)(void *user, size_t done), void *user,
                    clipc_err *err)
{
    uint16_t(*merges)[2] = malloc(MERGES_MAX * sizeof *merges);
    size_t n = 0;
    int rc;

    *out = NULL;
    if (!merges) return clipc_fail_memory(err, "vocabulary", MERGES_MAX * sizeof *merges);
    rc = learn(t, merges, &n, size - BPE_LEAST, min_count, on_progress, user, err);
    if (rc == CLIPC_OK) rc = bpe_of_merges(out, merges, n, err);
    else free(merges);
    return rc;
}

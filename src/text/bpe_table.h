/* text/bpe_table.h -- the merge table itself, for the files that make it, use it and
 * spell it.
 *
 * Inside, a token is its place in the reference's order: byte, byte at the end of a word,
 * merges by rank, start, end.  Its id is the same unless a vocab.json says otherwise. */
#ifndef CLIPC_TEXT_BPE_TABLE_H
#define CLIPC_TEXT_BPE_TABLE_H

#include "text/bpe.h"

enum {
    WORD_END = 256, /* token b + 256 is byte b at the end of a word */
    FIRST_MERGE = 512,
    MERGES_MAX = 48894,
    SLOT_BITS = 17 /* 37 % full with the most merges */
};

typedef struct bpe_slot {
    uint32_t pair; /* left << 16 | right */
    uint32_t rank; /* + 1; 0: empty */
} bpe_slot;

struct bpe {
    bpe_rules rules;
    int32_t pad;                 /* id */
    char pad_name[32];           /* BPE_HF: a special string; "": the end token's */
    uint16_t token_of[256];      /* of each byte */
    const uint16_t (*merges)[2]; /* token FIRST_MERGE + i is these two in a row */
    uint16_t (*owned)[2];        /* merges, if they were read from a file */
    size_t n_merges;
    int32_t *ids; /* of each token; NULL: the token's own number */
    bpe_slot slots[1 << SLOT_BITS];
};

static inline int32_t bpe_token_sot(const bpe *b)
{
    return FIRST_MERGE + (int32_t)b->n_merges;
}

static inline int32_t bpe_token_eot(const bpe *b)
{
    return bpe_token_sot(b) + 1;
}

static inline int32_t bpe_id(const bpe *b, int32_t token)
{
    return b->ids ? b->ids[token] : token;
}

static inline size_t bpe_slot_of(uint32_t pair)
{
    return (size_t)((pair * 2654435769u) >> (32 - SLOT_BITS));
}

/* A table of n merges, which it owns from here on, also after a failure. */
int bpe_of_merges(bpe **out, uint16_t (*merges)[2], size_t n, clipc_err *err);

/* Appends a token of the table, "</w>" included: in GPT-2's byte alphabet, as
 * vocabulary files have it, or as bytes. */
int bpe_spell(buf *out, const bpe *b, int32_t token, bool alphabet, clipc_err *err);
/* Does it end a word? */
bool bpe_ends_word(const bpe *b, int32_t token);

#endif

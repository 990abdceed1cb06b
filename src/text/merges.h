/* text/merges.h -- byte-pair merging for vocabularies of any size: of a list of symbols
 * the neighbours of the lowest rank become one, the leftmost first, until none may.
 * n log n in the symbols, as the reference's queue. */
#ifndef CLIPC_TEXT_MERGES_H
#define CLIPC_TEXT_MERGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct merge_symbol {
    uint32_t token;      /* the model's own number */
    uint32_t begin, len; /* bytes of the text */
    int32_t prev, next;  /* -1: none */
} merge_symbol;

typedef struct merge_rule {
    uint32_t rank, token; /* lower ranks first; what the two become */
} merge_rule;

/* Whether two neighbours may become one. */
typedef bool merge_find(const void *model, merge_rule *out, const merge_symbol *left,
                        const merge_symbol *right);

typedef struct merge_job merge_job;
typedef struct merges_work {
    merge_symbol *symbols;
    merge_job *heap;
    size_t n, symbols_cap, n_heap, heap_cap;
} merges_work;

void merges_free(merges_work *w);
/* Empties the list, with room for n symbols. */
int merges_start(merges_work *w, size_t n, clipc_err *err);
/* Appends a symbol, for which merges_start has made room. */
void merges_add(merges_work *w, uint32_t token, size_t begin, size_t len);
/* Merges them.  The list is then read from symbol 0 along `next`; not if it is empty. */
void merges_run(merges_work *w, merge_find *find, const void *model);

#endif

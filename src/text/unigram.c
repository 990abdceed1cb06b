#include "text/unigram.h"

#include <stdlib.h>

#include "text/chars.h"

/* The best way to get to a byte of the text. */
struct unigram_node {
    double best;
    int32_t id;    /* of the last piece */
    uint32_t from; /* where it begins; UINT32_MAX: no way yet */
};

void unigram_free(unigram *u)
{
    trie_free(u->pieces);
    free(u->scores);
    *u = (unigram){0};
}

void unigram_work_free(unigram_work *w)
{
    free(w->nodes);
    free(w->pieces);
    *w = (unigram_work){0};
}

static void offer(const unigram *u, unigram_node *to, double sum, size_t from, int32_t id)
{
    if (u->float32) sum = (double)(float)sum;
    if (to->from != UINT32_MAX && !(sum > to->best)) return;
    *to = (unigram_node){sum, id, (uint32_t)from};
}

/* All pieces that begin at byte i, whose first character ends at `end`.  False: an
 * unknown character, and no id for it. */
static bool extend(const unigram *u, unigram_work *w, const char *text, size_t len,
                   size_t i, size_t end, const bool *skip)
{
    const double best = w->nodes[i].best;
    bool single = false;
    uint32_t at = 0;

    for (size_t j = i; j < len && (at = trie_child(u->pieces, at, (uint8_t)text[j]));) {
        const int32_t id = trie_id(u->pieces, at);
        j++;
        if (id < 0 || (skip && skip[id])) continue;
        offer(u, &w->nodes[j], u->scores[id] + best, i, id);
        if (j == end) single = true;
    }
    if (single) return true;
    offer(u, &w->nodes[end], u->unk_score + best, i, u->unk);
    return u->unk >= 0;
}

/* Follows the best way back to the start. */
static int collect(unigram_work *w, size_t len, clipc_err *err)
{
    size_t n = 0, at;

    for (at = len; at; at = w->nodes[at].from) n++;
    unigram_piece *p = grow(w->pieces, &w->pieces_cap, n + 1, sizeof *p, err);
    if (!p) return CLIPC_ERR_MEMORY;
    w->pieces = p;
    w->n = n;
    p[n] = (unigram_piece){(uint32_t)len, -1};
    for (at = len; at; at = w->nodes[at].from)
        p[--n] = (unigram_piece){w->nodes[at].from, w->nodes[at].id};
    return CLIPC_OK;
}

int unigram_split(const unigram *u, unigram_work *w, const char *text, size_t len,
                  const bool *skip, clipc_err *err)
{
    unigram_node *nodes = grow(w->nodes, &w->nodes_cap, len + 1, sizeof *nodes, err);

    if (!nodes) return CLIPC_ERR_MEMORY;
    w->nodes = nodes;
    nodes[0].best = 0;
    for (size_t i = 1; i <= len; i++) nodes[i].from = UINT32_MAX;
    for (size_t i = 0, end; i < len; i = end) {
        end = i + char_claimed(text[i]);
        if (end > len) end = len;
        if (!extend(u, w, text, len, i, end, skip))
            return clipc_fail(err, CLIPC_ERR_TEXT,
                              "text: byte %zu of a word: a character that the "
                              "vocabulary lacks",
                              i + 1);
    }
    return collect(w, len, err);
}

#include "text/merges.h"

#include <stdlib.h>

#include "text/grow.h"
#include "text/heap.h"

/* A merge that may be done: the symbol at `left` and the next, as they were when found.
 */
struct merge_job {
    uint32_t rank, token;
    int32_t left;
};

void merges_free(merges_work *w)
{
    free(w->symbols);
    free(w->heap);
    *w = (merges_work){0};
}

int merges_start(merges_work *w, size_t n, clipc_err *err)
{
    merge_symbol *symbols = grow(w->symbols, &w->symbols_cap, n, sizeof *symbols, err);
    if (symbols) w->symbols = symbols;
    /* n - 1 jobs at first; each merge takes one and makes at most two. */
    merge_job *heap = grow(w->heap, &w->heap_cap, 2 * n, sizeof *heap, err);
    if (heap) w->heap = heap;
    w->n = w->n_heap = 0;
    return symbols && heap ? CLIPC_OK : CLIPC_ERR_MEMORY;
}

void merges_add(merges_work *w, uint32_t token, size_t begin, size_t len)
{
    const int32_t i = (int32_t)w->n++;

    if (i) w->symbols[i - 1].next = i;
    w->symbols[i] = (merge_symbol){token, (uint32_t)begin, (uint32_t)len, i - 1, -1};
}

static bool before(const merge_job *x, const merge_job *y)
{
    return x->rank != y->rank ? x->rank < y->rank : x->left < y->left;
}

HEAP(job, merge_job, before)

static void propose(merges_work *w, merge_find *find, const void *model, int32_t left)
{
    merge_rule rule;

    if (left < 0 || w->symbols[left].next < 0) return;
    const merge_symbol *s = &w->symbols[left];
    if (find(model, &rule, s, &w->symbols[s->next]))
        job_push(w->heap, &w->n_heap, (merge_job){rule.rank, rule.token, left});
}

void merges_run(merges_work *w, merge_find *find, const void *model)
{
    for (size_t i = 0; i + 1 < w->n; i++) propose(w, find, model, (int32_t)i);
    while (w->n_heap) {
        const merge_job job = job_pop(w->heap, &w->n_heap);
        merge_symbol *left = &w->symbols[job.left];
        merge_rule rule;
        if (!left->len || left->next < 0) continue; /* it was merged since */
        merge_symbol *right = &w->symbols[left->next];
        if (!find(model, &rule, left, right) || rule.token != job.token) continue;
        left->token = job.token;
        left->len += right->len;
        left->next = right->next;
        right->len = 0;
        if (left->next >= 0) w->symbols[left->next].prev = job.left;
        propose(w, find, model, left->prev);
        propose(w, find, model, job.left);
    }
}

/* text/heap.h -- a binary heap in the first *n items of an array, as two functions for
 * one type: HEAP(job, merge_job, before) makes
 *
 *   void job_push(merge_job *heap, size_t *n, merge_job item);   there must be room
 *   merge_job job_pop(merge_job *heap, size_t *n);               the first; n > 0
 *
 * where bool before(const merge_job *, const merge_job *) says which of two comes first.
 */
#ifndef CLIPC_TEXT_HEAP_H
#define CLIPC_TEXT_HEAP_H

#include <stdbool.h>
#include <stddef.h>

#define HEAP(name, type, before)                                        \
    static void name##_push(type *heap, size_t *n, type item)           \
    {                                                                   \
        size_t i = (*n)++;                                              \
                                                                        \
        for (; i && before(&item, &heap[(i - 1) / 2]); i = (i - 1) / 2) \
            heap[i] = heap[(i - 1) / 2];                                \
        heap[i] = item;                                                 \
    }                                                                   \
                                                                        \
    static type name##_pop(type *heap, size_t *n)                       \
    {                                                                   \
        const type top = heap[0], last = heap[--*n];                    \
        size_t i = 0;                                                   \
                                                                        \
        for (size_t c; (c = 2 * i + 1) < *n; i = c) {                   \
            if (c + 1 < *n && before(&heap[c + 1], &heap[c])) c++;      \
            if (!before(&heap[c], &last)) break;                        \
            heap[i] = heap[c];                                          \
        }                                                               \
        heap[i] = last;                                                 \
        return top;                                                     \
    }

#endif

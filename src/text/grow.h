/* text/grow.h -- arrays of a tokenizer's scratch, which grow and are never cut. */
#ifndef CLIPC_TEXT_GROW_H
#define CLIPC_TEXT_GROW_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Grown memory for `need` items of `size` bytes, the old ones kept; NULL if there is none
 * (err says so), the old memory then as it was.  Never NULL otherwise. */
void *grow(void *old, size_t *cap, size_t need, size_t size, clipc_err *err);

/* A list of token ids. */
typedef struct id_list {
    int32_t *at;
    size_t n, cap;
} id_list;

void ids_free(id_list *l);
/* Room for `more` ids behind the last. */
int ids_reserve(id_list *l, size_t more, clipc_err *err);
int ids_add(id_list *l, int32_t id, clipc_err *err);

#endif

/* tests/guard.h -- operands beside memory that nobody may touch: what reads or writes
 * beyond one ends its test. */
#ifndef CLIPC_TESTS_GUARD_H
#define CLIPC_TESTS_GUARD_H

#include <stddef.h>

/* Operands end where such memory begins, or begin where it ends. */
typedef enum guard_side { GUARD_BEHIND, GUARD_BEFORE, GUARD_SIDES } guard_side;

typedef struct guard {
    unsigned char *mem;
    size_t taken;
    guard_side side;
} guard;

guard guard_new(void);
void guard_free(guard *g);

/* An operand of up to 1 MB, aligned as its size is; up to 80 at a time. */
void *guard_take(guard *g, size_t bytes);
/* Takes all of them back. */
void guard_clear(guard *g, guard_side side);

#endif

#define _GNU_SOURCE
#include "guard.h"

#include <sys/mman.h>

#include "check.h"

/* Before every operand's memory, and behind the last, as much again that is closed. */
enum { SLOTS = 80, SLOT = 1 << 20, ALL = (2 * SLOTS + 1) * SLOT };

guard guard_new(void)
{
    guard g = {0};
    void *p = mmap(NULL, ALL, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_true(p != MAP_FAILED);
    g.mem = p;
    for (size_t i = 0; i < SLOTS; i++)
        assert_int_equal(
            mprotect(g.mem + (2 * i + 1) * SLOT, SLOT, PROT_READ | PROT_WRITE), 0);
    return g;
}

void guard_free(guard *g)
{
    munmap(g->mem, ALL);
}

void *guard_take(guard *g, size_t bytes)
{
    unsigned char *slot = g->mem + (2 * g->taken++ + 1) * SLOT;

    assert_true(g->taken <= SLOTS && bytes <= SLOT);
    return g->side == GUARD_BEHIND ? slot + SLOT - bytes : slot;
}

void guard_clear(guard *g, guard_side side)
{
    g->taken = 0;
    g->side = side;
}

#include "base/arena.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/ckd.h"

arena arena_measure(void)
{
    return (arena){.mem = NULL};
}

int arena_new(arena *out, size_t size, const char *what, clipc_err *err)
{
    size_t padded;

    *out = (arena){.mem = NULL};
    if (ckd_add_size(&padded, size, ARENA_ALIGN))
        return clipc_fail_memory(err, what, size);
    padded = padded / ARENA_ALIGN * ARENA_ALIGN;
    out->mem = aligned_alloc(ARENA_ALIGN, padded);
    if (!out->mem) return clipc_fail_memory(err, what, size);
    memset(out->mem, 0, padded);
    out->size = padded;
    return CLIPC_OK;
}

int arena_make(arena *out, size_t *bytes, const arena *measured, const char *what,
               clipc_err *err)
{
    if (measured->overflow) return clipc_fail_memory(err, what, SIZE_MAX);
    if (!bytes) return arena_new(out, measured->used, what, err);
    *bytes = measured->used;
    return CLIPC_OK;
}

void arena_free(arena *a)
{
    if (!a) return;
    free(a->mem);
    *a = (arena){.mem = NULL};
}

void *arena_take(arena *a, size_t count, size_t size)
{
    size_t bytes, end;

    if (ckd_mul_size(&bytes, count, size) ||
        ckd_add_size(&bytes, bytes, ARENA_ALIGN - 1) ||
        ckd_add_size(&end, a->used, bytes / ARENA_ALIGN * ARENA_ALIGN)) {
        a->overflow = true;
        return NULL;
    }
    void *p = a->mem ? a->mem + a->used : NULL;
    assert(!a->mem || end <= a->size);
    a->used = end;
    return p;
}

/* base/arena.h -- one block of memory, handed out front to back.
 *
 * A layout function is run twice: first over an arena without memory (arena_measure),
 * where every take returns NULL and only `used` grows, then over a real one of that size.
 * So no second list of sizes exists.  All pieces are aligned to 64 bytes: a cache line
 * and a 512-bit vector. */
#ifndef CLIPC_BASE_ARENA_H
#define CLIPC_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum { ARENA_ALIGN = 64 };

typedef struct arena {
    char *mem;     /* NULL while measuring */
    size_t size;   /* bytes behind mem */
    size_t used;   /* bytes handed out, padding included */
    bool overflow; /* a measured size did not fit size_t */
} arena;

/* An arena that only measures. */
arena arena_measure(void);

/* Allocates `size` zeroed bytes (as measured).  Fails with CLIPC_ERR_MEMORY; `what` names
 * the owner in the message.  Free with arena_free. */
int arena_new(arena *out, size_t size, const char *what, clipc_err *err);
void arena_free(arena *a);

/* The memory that a layout measured; with bytes (not NULL) only its size, and *out as it
 * was: so what says how much memory something takes is what allocates it. */
int arena_make(arena *out, size_t *bytes, const arena *measured, const char *what,
               clipc_err *err);

/* The next count*size bytes, aligned; NULL while measuring.  The arena must be as large
 * as measured: running out is our own bug and asserts. */
void *arena_take(arena *a, size_t count, size_t size);

#define ARENA_FLOATS(a, count) ((float *)arena_take((a), (count), sizeof(float)))

#endif

/* base/dynlib.h -- libraries that few runs need: loaded when first asked for, so that no
 * other run pays for their start, and missed by name where they are not installed.
 *
 * A user lists the functions once:
 *
 *     #define FUNCTIONS(X) X(heif_context_alloc) X(heif_context_free)
 *     static struct { DYNLIB_POINTERS(FUNCTIONS) } heif;
 *     static dynlib library = DYNLIB("libheif.so.1", FUNCTIONS, heif);
 *
 * and calls heif.heif_context_alloc() after dynlib_need(&library, ...) succeeded.
 */
#ifndef CLIPC_BASE_DYNLIB_H
#define CLIPC_BASE_DYNLIB_H

#include <stddef.h>

#include "base/err.h"

#define DYNLIB_POINTER(f)     __typeof__(f) *f;
#define DYNLIB_NAME(f)        #f "\0"
#define DYNLIB_POINTERS(list) list(DYNLIB_POINTER)
#define DYNLIB(file, list, functions)                                                  \
    {                                                                                  \
        (file), list(DYNLIB_NAME), &(functions), sizeof(functions) / sizeof(void *), 0 \
    }

typedef struct dynlib {
    const char *file;  /* as the linker names it: "libheif.so.1" */
    const char *names; /* of the functions, one after the other */
    void *functions;   /* their pointers */
    size_t n;
    int loaded;
} dynlib;

/* Loads the library if that has not happened yet; any thread may call.  CLIPC_ERR_IO:
 * "NAME: libheif.so.1 is not installed", or lacks a function. */
int dynlib_need(dynlib *lib, const char *name, clipc_err *err);

#endif

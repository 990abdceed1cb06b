/* index/emptied.h -- folders that are there and empty, though all that is gone was in
 * them: so looks a mount point whose drive is not there. */
#ifndef CLIPC_INDEX_EMPTIED_H
#define CLIPC_INDEX_EMPTIED_H

#include <stddef.h>

#include "base/err.h"

/* Zeroed but for the first two: nothing is gone yet. */
typedef struct emptied {
    void (*on)(void *user, const char *folder, const clipc_err *what); /* NULL: nobody */
    void *user;
    char *folder; /* the last one that was found, not told yet */
    size_t n;     /* pictures that are gone from there */
} emptied;

/* The picture at `path` is gone; those of one folder come in a row. */
void emptied_add(emptied *e, const char *path);
/* There are no more. */
void emptied_end(emptied *e);

#endif

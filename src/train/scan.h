/* train/scan.h -- every picture of a set, read and decoded by several threads at once and
 * handed on in order. */
#ifndef CLIPC_TRAIN_SCAN_H
#define CLIPC_TRAIN_SCAN_H

#include "image/resize.h"
#include "train/sources.h"

enum { SCAN_BLOCK = 64 }; /* pictures in memory */

typedef struct scan_item {
    const sample *x;
    size_t slot; /* below SCAN_BLOCK, no other's at the same time */
    span bytes;  /* the file */
    image im;    /* decoded, while `look` runs */
    int rc;      /* other than CLIPC_OK: broken, and why */
    clipc_err why;
} scan_item;

typedef struct scan {
    const sources *s;
    size_t first;                                 /* places before it are passed over */
    size_t (*at)(const void *user, size_t place); /* the sample there; NULL: in order */
    /* Called by any thread, if the picture is sound; an error makes it broken. */
    int (*look)(void *user, scan_item *it, resize_work *work, clipc_err *err);
    /* Called in order, one at a time; what it returns other than CLIPC_OK ends it. */
    int (*take)(void *user, size_t place, const scan_item *it, clipc_err *err);
    void *user;
    size_t threads; /* 0: all that the process may use */
    double max_megapixels;
} scan;

int scan_run(const scan *c, clipc_err *err);

#endif

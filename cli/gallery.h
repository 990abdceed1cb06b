/* cli/gallery.h -- pictures with names and scores as a page (base/page.h) of its own: the
 * file is written as they come, and takes its name when all of it is there. */
#ifndef CLIPC_CLI_GALLERY_H
#define CLIPC_CLI_GALLERY_H

#include "base/page.h"

/* Zeroed: nothing to abort. */
typedef struct gallery {
    atomic_file file;
    buf html; /* not written yet */
} gallery;

/* CLIPC_ERR_EXISTS when `path` is there and `force` is not; a name that ends as a
 * picture's is refused even so. */
int gallery_open(gallery *g, const char *path, bool force, const char *title,
                 const char *about, clipc_err *err);

/* f without its JPEG, which is made of a picture file's bytes; with f->instead, or where
 * none can be made, the reason stands in its place. */
int gallery_add(gallery *g, const page_figure *f, span file, double max_megapixels,
                clipc_err *err);

int gallery_commit(gallery *g, clipc_err *err);
/* Leaves what was there before.  After a commit it does nothing. */
void gallery_abort(gallery *g);

#endif

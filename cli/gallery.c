#include "cli/gallery.h"

#include <stdlib.h>

enum { SIDE = 240, WIDTH = 240 };

static int flush(gallery *g, clipc_err *err)
{
    const int rc = atomic_write(&g->file, g->html.data, g->html.len, err);

    buf_clear(&g->html);
    return rc;
}

int gallery_open(gallery *g, const char *path, bool force, const char *title,
                 const char *about, clipc_err *err)
{
    *g = (gallery){0};
    if (ending_is_picture(path_ending(path)))
        return clipc_fail(err, CLIPC_ERR_ARG,
                          "%s: named as a picture, and a page is to be written", path);
    int rc = atomic_open(&g->file, path, force, err);
    if (rc == CLIPC_OK) rc = page_begin(&g->html, title, WIDTH, err);
    if (rc == CLIPC_OK) rc = page_text(&g->html, about, err);
    return rc == CLIPC_OK ? flush(g, err) : rc;
}

int gallery_add(gallery *g, const page_figure *f, span file, double max_megapixels,
                clipc_err *err)
{
    page_figure whole = *f;
    uint8_t *jpeg = NULL;
    clipc_err why;
    int rc = CLIPC_OK;

    if (!f->instead && clipc_thumbnail(&jpeg, &whole.jpeg.size, file.data, file.size,
                                       f->name, SIDE, max_megapixels, &why) != CLIPC_OK)
        whole.instead = why.msg;
    whole.jpeg.data = jpeg;
    rc = page_picture(&g->html, &whole, err);
    free(jpeg);
    return rc == CLIPC_OK ? flush(g, err) : rc;
}

int gallery_commit(gallery *g, clipc_err *err)
{
    int rc = page_end(&g->html, err);

    if (rc == CLIPC_OK) rc = flush(g, err);
    return rc == CLIPC_OK ? atomic_commit(&g->file, err) : rc;
}

void gallery_abort(gallery *g)
{
    atomic_abort(&g->file);
    buf_free(&g->html);
}

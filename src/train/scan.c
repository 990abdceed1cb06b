#include "train/scan.h"

#include <stdlib.h>

#include "base/cpus.h"
#include "base/sizes.h"
#include "tensor/exec.h"

typedef struct block {
    const scan *c;
    scan_item items[SCAN_BLOCK];
    buf keep[SCAN_BLOCK];
    resize_work *work; /* of each thread */
    size_t first;      /* place of the first item */
} block;

static void look_at(void *arg, size_t thread, size_t i)
{
    block *b = arg;
    const scan *c = b->c;
    const size_t place = b->first + i;
    scan_item *it = &b->items[i];
    char where[160];

    *it = (scan_item){.x = &c->s->v[c->at ? c->at(c->user, place) : place], .slot = i};
    sources_where(where, sizeof where, c->s, it->x);
    it->rc = sources_read(&it->bytes, &b->keep[i], c->s, it->x, &it->why);
    if (it->rc == CLIPC_OK)
        it->rc = image_decode(&it->im, it->bytes.data, it->bytes.size, where,
                              c->max_megapixels, &it->why);
    if (it->rc == CLIPC_OK) it->rc = c->look(c->user, it, &b->work[thread], &it->why);
    image_free(&it->im);
}

static int run_blocks(block *b, exec *e, clipc_err *err)
{
    const scan *c = b->c;
    int rc = CLIPC_OK;

    for (size_t at = c->first; rc == CLIPC_OK && at < c->s->n; at += SCAN_BLOCK) {
        const size_t n = min_size(SCAN_BLOCK, c->s->n - at);
        b->first = at;
        exec_each(e, look_at, b, n);
        for (size_t i = 0; rc == CLIPC_OK && i < n; i++) {
            rc = b->items[i].rc == CLIPC_ERR_MEMORY ? CLIPC_ERR_MEMORY : CLIPC_OK;
            if (rc != CLIPC_OK && err) *err = b->items[i].why;
            if (rc == CLIPC_OK) rc = c->take(c->user, at + i, &b->items[i], err);
        }
    }
    return rc;
}

int scan_run(const scan *c, clipc_err *err)
{
    const size_t threads = c->threads ? c->threads : cpus_usable();
    block *b = calloc(1, sizeof *b);
    exec *e = NULL;
    int rc = exec_new(&e, threads, 0, err);

    if (b) b->work = calloc(threads, sizeof *b->work);
    if (rc == CLIPC_OK && !(b && b->work)) rc = clipc_fail_memory(err, "scan", sizeof *b);
    if (rc == CLIPC_OK) {
        b->c = c;
        rc = run_blocks(b, e, err);
    }
    for (size_t i = 0; b && b->work && i < threads; i++) resize_work_free(&b->work[i]);
    for (size_t i = 0; b && i < SCAN_BLOCK; i++) buf_free(&b->keep[i]);
    if (b) free(b->work);
    free(b);
    exec_free(e);
    return rc;
}

#include "train/broken.h"

#include <stdlib.h>
#include <string.h>

void broken_add(broken *b, const clipc_err *why)
{
    if (b->n < BROKEN_TOLD) b->first[b->n] = *why;
    b->n++;
}

int broken_check(const broken *b, double most, size_t all, clipc_err *err)
{
    if ((double)b->n <= (most < 1.0 ? most * (double)all : most)) return CLIPC_OK;
    return clipc_fail(err, CLIPC_ERR_LIMIT,
                      "%zu of %zu samples are broken, more than max_broken %g: %s", b->n,
                      all, most, b->first[0].msg);
}

size_t faults_bytes(size_t samples)
{
    return samples / 8 + 1;
}

int faults_init(faults *f, size_t samples, clipc_err *err)
{
    *f = (faults){.known = calloc(faults_bytes(samples), 1)};
    return f->known ? CLIPC_OK : clipc_fail_memory(err, "samples", faults_bytes(samples));
}

void faults_free(faults *f)
{
    free(f->v);
    free(f->known);
    *f = (faults){0};
}

int faults_add(faults *f, const fault *x, clipc_err *err)
{
    if (f->n == f->cap) {
        const size_t cap = f->cap ? 2 * f->cap : 16;
        fault *v = realloc(f->v, cap * sizeof *v);
        if (!v) return clipc_fail_memory(err, "broken samples", cap * sizeof *v);
        f->v = v, f->cap = cap;
    }
    f->v[f->n++] = *x;
    return CLIPC_OK;
}

static int by_place(const void *a, const void *b)
{
    const fault *x = a, *y = b;

    if (x->step != y->step) return x->step < y->step ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

void faults_settle(faults *f, broken *b, size_t step)
{
    size_t n = 0;

    if (f->n > 1) qsort(f->v, f->n, sizeof *f->v, by_place);
    for (; n < f->n && f->v[n].step <= step; n++) {
        const size_t sample = f->v[n].sample;
        const uint8_t bit = (uint8_t)(1 << sample % 8);
        if (!(f->known[sample / 8] & bit)) broken_add(b, &f->v[n].why);
        f->known[sample / 8] |= bit;
    }
    if (n) memmove(f->v, f->v + n, (f->n - n) * sizeof *f->v);
    f->n -= n;
}

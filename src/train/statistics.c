#include "train/statistics.h"

#include <stdlib.h>
#include <string.h>

typedef enum direction { COUNT, KEEP, RESTORE } direction;

/* Returns how many numbers they are. */
static size_t copy(const statistics *s, direction d)
{
    size_t at = 0;

    for (size_t i = 0; i < s->n->params.n; i++) {
        const param *p = &s->n->params.v[i];
        if (p->kind != PARAM_STAT) continue;
        if (d == KEEP) memcpy(s->kept + at, *p->slot, p->n * sizeof(float));
        if (d == RESTORE) memcpy(*p->slot, s->kept + at, p->n * sizeof(float));
        at += p->n;
    }
    return at;
}

int statistics_make(statistics *s, const net *n, clipc_err *err)
{
    *s = (statistics){.n = n};
    const size_t floats = copy(s, COUNT);

    s->kept = malloc((floats ? floats : 1) * sizeof *s->kept);
    return s->kept ? CLIPC_OK : clipc_fail_memory(err, "running statistics", floats);
}

void statistics_free(statistics *s)
{
    free(s->kept);
    *s = (statistics){0};
}

void statistics_keep(const statistics *s)
{
    copy(s, KEEP);
}

void statistics_restore(const statistics *s)
{
    copy(s, RESTORE);
}

#include "clip/average.h"

#include <stdlib.h>

#include "clip/find.h"

static int other_kind(const char *name, const char *what, clipc_err *err)
{
    return clipc_fail(err, CLIPC_ERR_ARG,
                      "%s: is no model of the same kind: other %s, no mean of them", name,
                      what);
}

/* n += share (other - n) */
static int move_towards(net *n, const net *other, float share, const char *name,
                        clipc_err *err)
{
    if (n->cfg.image.act != other->cfg.image.act ||
        n->cfg.text.act != other->cfg.text.act)
        return other_kind(name, "activation", err);
    if (n->params.n != other->params.n) return other_kind(name, "parameters", err);
    for (size_t i = 0; i < n->params.n; i++) {
        const param *p = &n->params.v[i];
        const param *q = param_find(&other->params, p->name);
        if (!q || q->n != p->n) return other_kind(name, p->name, err);
        for (size_t k = 0; k < p->n; k++)
            (*p->slot)[k] += share * ((*q->slot)[k] - (*p->slot)[k]);
    }
    return CLIPC_OK;
}

static int open_net(net **out, const char *name, const kernels *k, clipc_err *err)
{
    model_source s = {0};
    char *found = NULL;
    int rc = find_model(&found, name, err);

    if (rc == CLIPC_OK) rc = source_open(&s, found, err);
    if (rc == CLIPC_OK) rc = net_open(out, &s, TOWER_EVAL, k, err);
    source_close(&s);
    free(found);
    return rc;
}

/* What of the whole each has: its own, or as much as all of those. */
static int check_shares(const clipc_share *with, size_t count, clipc_err *err)
{
    float sum = 0.0f;

    for (size_t i = 0; i < count; i++) {
        if ((with[i].share < 0.0f) != (with[0].share < 0.0f))
            return clipc_fail(err, CLIPC_ERR_ARG,
                              "%s: shares for all of the models, or for none",
                              with[i].model);
        sum += with[i].share;
    }
    return sum <= 1.0f ? CLIPC_OK
                       : clipc_fail(err, CLIPC_ERR_ARG, "the shares are more than 1: %g",
                                    (double)sum);
}

int net_average(net *n, const clipc_share *with, size_t count, const kernels *k,
                clipc_err *err)
{
    float before = 1.0f; /* the share of all that is in n already */
    int rc = check_shares(with, count, err);

    for (size_t i = 0; i < count; i++) before -= with[i].share < 0 ? 0 : with[i].share;
    for (size_t i = 0; rc == CLIPC_OK && i < count; i++) {
        const bool equal = with[i].share < 0.0f;
        const float share = equal ? 1.0f / (float)(i + 2)
                            : before + with[i].share > 0.0f
                                ? with[i].share / (before + with[i].share)
                                : 0.0f;
        net *other = NULL;
        before += equal ? 0.0f : with[i].share;
        rc = open_net(&other, with[i].model, k, err);
        if (rc == CLIPC_OK) rc = move_towards(n, other, share, with[i].model, err);
        net_free(other);
    }
    return rc;
}

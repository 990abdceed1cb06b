#include "nn/param.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ckd.h"
#include "nn/table.h"

enum { FLOAT_ALIGN = 16 }; /* floats in 64 bytes */

void param_list_free(param_list *l)
{
    if (!l) return;
    free(l->v);
    *l = (param_list){0};
}

static int grow(param_list *l, clipc_err *err)
{
    const size_t cap = l->cap ? l->cap * 2 : 64;

    if (l->n < l->cap) return CLIPC_OK;
    param *v = realloc(l->v, cap * sizeof *v);
    if (!v) return clipc_fail_memory(err, "parameter list", cap * sizeof *v);
    l->v = v, l->cap = cap;
    return CLIPC_OK;
}

/* Gives each parameter its place, one after the other. */
static int place(param_list *l, clipc_err *err)
{
    l->floats = 0;
    for (size_t i = 0; i < l->n; i++) {
        param *p = &l->v[i];
        size_t end;
        if (ckd_add_size(&end, p->room, FLOAT_ALIGN - 1) ||
            ckd_add_size(&end, end / FLOAT_ALIGN * FLOAT_ALIGN, l->floats) ||
            end > SIZE_MAX / sizeof(float))
            return clipc_fail(err, CLIPC_ERR_LIMIT, "%s: the model is too large",
                              p->name);
        p->first = l->floats;
        l->floats = end;
    }
    return CLIPC_OK;
}

static bool wanted(const param_row *row, const size_t *sizes)
{
    for (size_t i = 0; i < PARAM_DIMS && row->dims[i]; i++)
        if (!sizes[row->dims[i]]) return false;
    return true;
}

static int add_row(param_list *l, const char *prefix, const param_row *row, void *base,
                   const size_t *sizes, clipc_err *err)
{
    int rc = grow(l, err);
    if (rc != CLIPC_OK || !wanted(row, sizes)) return rc;

    param *p = &l->v[l->n];
    *p = (param){.n = 1, .kind = row->kind};
    const int len = snprintf(p->name, sizeof p->name, "%s%s", prefix, row->name);
    if (len < 0 || (size_t)len >= sizeof p->name)
        return clipc_fail(err, CLIPC_ERR_LIMIT, "%s%s: name too long", prefix, row->name);
    for (; p->n_dims < PARAM_DIMS && row->dims[p->n_dims]; p->n_dims++) {
        p->dims[p->n_dims] = sizes[row->dims[p->n_dims]];
        if (ckd_mul_size(&p->n, p->n, p->dims[p->n_dims]))
            return clipc_fail(err, CLIPC_ERR_LIMIT, "%s: shape overflows", p->name);
    }
    p->room = p->n;
    p->slot = (float **)(void *)((char *)base + row->offset);
    if (p->kind != PARAM_STAT) l->count += p->n;
    l->n++;
    return CLIPC_OK;
}

int param_list_add(param_list *l, const char *prefix, const param_row *rows,
                   size_t n_rows, void *base, const size_t *sizes, clipc_err *err)
{
    for (size_t i = 0; i < n_rows; i++) {
        const int rc = add_row(l, prefix, &rows[i], base, sizes, err);
        if (rc != CLIPC_OK) return rc;
    }
    return place(l, err);
}

size_t param_bytes(const param *p, weight_form form)
{
    const size_t N = p->n_dims ? p->dims[0] : 1;

    switch (form == WEIGHTS_PLAIN ? PARAM_MATRIX : p->kind) {
    case PARAM_LINEAR:
    case PARAM_CONV: return gemm_packed_bytes(form, N, p->n / N);
    case PARAM_TABLE: return table_bytes(form, N, p->n / N);
    default: return p->n * sizeof(float);
    }
}

int param_list_pack(param_list *l, weight_form form, clipc_err *err)
{
    for (size_t i = 0; i < l->n; i++)
        l->v[i].room = (param_bytes(&l->v[i], form) + sizeof(float) - 1) / sizeof(float);
    return place(l, err);
}

int param_list_keep(param_list *l, const bool *keep, clipc_err *err)
{
    for (size_t i = 0; i < l->n; i++)
        if (!keep[i]) l->v[i].room = 0;
    return place(l, err);
}

void param_list_bind(const param_list *l, float *mem)
{
    for (size_t i = 0; i < l->n; i++)
        *l->v[i].slot = l->v[i].room ? mem + l->v[i].first : NULL;
}

const param *param_find(const param_list *l, const char *name)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->v[i].name, name) == 0) return &l->v[i];
    return NULL;
}

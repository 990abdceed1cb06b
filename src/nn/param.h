/* nn/param.h -- the parameter table.
 *
 * A part of a model (a transformer block, a bottleneck, the stem of a tower) is a struct
 * of float pointers.  One static table of param_row lists them, with their names and
 * shapes; everything else walks it: allocation, loading, saving, weight decay, the
 * optimizer, the gradient tests.  Nothing else lists the weights.
 *
 *     static const param_row block_rows[] = {
 *         {"ln_1.weight", offsetof(block, ln_1_w), {DIM_C}, PARAM_GAIN},
 *         {"attn.in_proj_weight", offsetof(block, qkv_w), {DIM_3C, DIM_C}, PARAM_LINEAR},
 *         ...
 *     };
 *
 * A model makes its param_list by adding table after table with a name prefix; binding
 * the list to a block of memory sets the pointers.  Weights, gradients and moments are
 * the same struct over different memory. */
#ifndef CLIPC_NN_PARAM_H
#define CLIPC_NN_PARAM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "tensor/gemm.h"

typedef enum param_kind {
    PARAM_LINEAR, /* [N,K] of a linear layer: packed at inference */
    PARAM_CONV, /* [O,I,kh,kw] of a convolution: packed at inference by its own family */
    PARAM_MATRIX, /* other trained matrices, decayed, never packed: positions,
                     projections */
    PARAM_TABLE,  /* [V,C] of which rows are looked up: nn/table.h */
    PARAM_GAIN,   /* gains, biases, class embedding (ndim 1) and scalars: not decayed */
    PARAM_STAT    /* running statistics: stored, not trained */
} param_kind;

enum { PARAM_DIMS = 4, PARAM_NAME = 96 };

/* One row of a static table.  dims are indices into the list of sizes that is given when
 * the table is added; 0 ends them (index 0 is therefore no size).  Where a size is 0 the
 * model has no such parameter: the row is passed over and its pointer stays NULL. */
typedef struct param_row {
    const char *name;
    size_t offset; /* of the float pointer in the struct */
    unsigned char dims[PARAM_DIMS];
    param_kind kind;
} param_row;

/* One concrete parameter. */
typedef struct param {
    char name[PARAM_NAME]; /* open_clip's state-dict name */
    size_t dims[PARAM_DIMS], n_dims;
    size_t n;     /* product of dims; a scalar (no dims) has 1 */
    size_t first; /* where its floats start in the bound memory */
    size_t room;  /* floats reserved there: n, or the packed size, padded to 16 */
    param_kind kind;
    float **slot; /* the pointer that binding sets */
} param;

typedef struct param_list {
    param *v;
    size_t n, cap;
    size_t floats; /* memory that binding needs */
    size_t count;  /* trained numbers (PARAM_STAT not counted) */
} param_list;

void param_list_free(param_list *l);

/* Adds a table: names are prefix + row.name, slots lie in the struct at `base`, and
 * sizes[row.dims[i]] are the dimensions.  CLIPC_ERR_LIMIT when a product overflows or a
 * name is too long. */
int param_list_add(param_list *l, const char *prefix, const param_row *rows,
                   size_t n_rows, void *base, const size_t *sizes, clipc_err *err);

/* For inference: PARAM_LINEAR and PARAM_CONV weights get room for their packed form
 * (gemm_pack with B the transpose of [N,K]) instead of their plain one, tables for
 * theirs.  Call after all adds, before bind. */
int param_list_pack(param_list *l, weight_form form, clipc_err *err);

/* For gradients: parameters where keep[i] is false get no room, and binding leaves their
 * pointers NULL.  Before bind. */
int param_list_keep(param_list *l, const bool *keep, clipc_err *err);

/* Bytes of a parameter in a form. */
size_t param_bytes(const param *p, weight_form form);

/* Sets every slot into mem (l->floats floats, 64-byte aligned). */
void param_list_bind(const param_list *l, float *mem);

/* NULL if there is none. */
const param *param_find(const param_list *l, const char *name);

/* open_clip's rule: everything with two or more dimensions decays. */
static inline bool param_decays(const param *p)
{
    return p->kind != PARAM_STAT && p->n_dims >= 2;
}

#endif

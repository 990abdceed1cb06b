/* nn/table.h -- tables of which rows are looked up (torch.nn.Embedding), [V,C], held like
 * the weights beside them: float32, halves, or int8 with a float32 scale for each row in
 * front. */
#ifndef CLIPC_NN_TABLE_H
#define CLIPC_NN_TABLE_H

#include "tensor/gemm.h"

size_t table_bytes(weight_form form, size_t V, size_t C);
void table_pack(const kernels *k, void *packed, weight_form form, const float *rows,
                size_t V, size_t C);
/* y [C] = row i, which is below V. */
void table_row(const kernels *k, float *y, const void *packed, weight_form form, size_t V,
               size_t C, size_t i);

#endif

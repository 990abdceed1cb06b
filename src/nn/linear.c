#include "nn/linear.h"

#include "nn/rows.h"

void linear_fwd(exec *e, float *y, const float *x, const float *w, weight_form form,
                size_t N, size_t K, size_t O, gemm_opts o)
{
    linear_fwd_part(e, y, x, w, form, N, K, O, 0, O, o);
}

void linear_fwd_part(exec *e, float *y, const float *x, const float *w, weight_form form,
                     size_t N, size_t K, size_t O, size_t first, size_t n, gemm_opts o)
{
    if (form == WEIGHTS_PLAIN)
        gemm(e, y, n, mat_of(x, K), mat_t(w + first * K, K), N, n, K, o);
    else gemm_packed_part(e, y, n, mat_of(x, K), w, form, N, O, first, n, K, o);
}

void linear_bwd(exec *e, float *dx, float *dw, float *db, const float *dy, const float *x,
                const float *w, size_t N, size_t K, size_t O)
{
    if (dx) gemm(e, dx, K, mat_of(dy, O), mat_of(w, K), N, K, O, (gemm_opts){0});
    gemm(e, dw, K, mat_t(dy, O), mat_of(x, K), O, K, N, (gemm_opts){.accumulate = true});
    if (db) rows_sum(e, db, dy, N, O);
}

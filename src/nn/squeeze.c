#include "nn/squeeze.h"

#include "nn/linear.h"
#include "nn/rows.h"

enum { DIM_C = 1, DIM_R, DIM_1 };
enum { ROWS_GRAIN = 32 };

static const param_row squeeze_rows[] = {
    {"fc1.weight", offsetof(squeeze, fc1_w), {DIM_R, DIM_C, DIM_1, DIM_1}, PARAM_LINEAR},
    {"fc1.bias", offsetof(squeeze, fc1_b), {DIM_R}, PARAM_GAIN},
    {"fc2.weight", offsetof(squeeze, fc2_w), {DIM_C, DIM_R, DIM_1, DIM_1}, PARAM_LINEAR},
    {"fc2.bias", offsetof(squeeze, fc2_b), {DIM_C}, PARAM_GAIN},
};

int squeeze_params(squeeze *l, param_list *list, const char *prefix, size_t C, size_t R,
                   clipc_err *err)
{
    const size_t sizes[] = {[DIM_C] = R ? C : 0, [DIM_R] = R, [DIM_1] = 1};

    return param_list_add(list, prefix, squeeze_rows,
                          sizeof squeeze_rows / sizeof squeeze_rows[0], l, sizes, err);
}

size_t squeeze_work(size_t B, size_t C, size_t R)
{
    return B * (C + R);
}

typedef struct gate_job {
    const kernels *k;
    float *x;
    const float *gates; /* [B,C] */
    size_t N, C;
    act f;
} gate_job;

static void gate_rows(void *arg, size_t thread, size_t begin, size_t end)
{
    const gate_job *j = arg;
    float *x = j->x + begin * j->C;

    (void)thread;
    for (size_t r = begin; r < end; r++)
        j->k->mul(x + (r - begin) * j->C, j->gates + r / j->N * j->C, j->C);
    if (j->f != ACT_NONE) j->k->act_fwd(x, x, (end - begin) * j->C, j->f);
}

void squeeze_fwd(exec *e, float *x, float *work, const squeeze *l, weight_form form,
                 size_t B, size_t N, size_t C, size_t R, act f)
{
    float *gates = work, *inner = work + B * C;
    gate_job j = {e->k, x, gates, N, C, f};

    for (size_t b = 0; b < B; b++) rows_mean(e, gates + b * C, x + b * N * C, N, C);
    linear_fwd(e, inner, gates, l->fc1_w, form, B, C, R,
               (gemm_opts){.bias = l->fc1_b, .f = ACT_RELU});
    linear_fwd(e, gates, inner, l->fc2_w, form, B, R, C,
               (gemm_opts){.bias = l->fc2_b, .f = ACT_SIGMOID});
    exec_range(e, gate_rows, &j, B * N, ROWS_GRAIN);
}

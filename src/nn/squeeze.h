/* nn/squeeze.h -- squeeze and excitation (arXiv:1709.01507) as timm's SqueezeExcite: the
 * means of a picture's channels say by what each channel is multiplied.
 *
 *   y[n,c] = f(x[n,c] * sigmoid(fc2(relu(fc1(mean over n of x))))[c])
 *
 * Inference only. */
#ifndef CLIPC_NN_SQUEEZE_H
#define CLIPC_NN_SQUEEZE_H

#include "nn/param.h"

typedef struct squeeze {
    float *fc1_w, *fc1_b; /* [R,C,1,1], [R] */
    float *fc2_w, *fc2_b; /* [C,R,1,1], [C] */
} squeeze;

/* C channels, R inside.  R 0: there is none, and no parameters. */
int squeeze_params(squeeze *l, param_list *list, const char *prefix, size_t C, size_t R,
                   clipc_err *err);

/* Floats of `work`. */
size_t squeeze_work(size_t B, size_t C, size_t R);

/* x [B,N,C] in place: B pictures of N pixels. */
void squeeze_fwd(exec *e, float *x, float *work, const squeeze *l, weight_form form,
                 size_t B, size_t N, size_t C, size_t R, act f);

#endif

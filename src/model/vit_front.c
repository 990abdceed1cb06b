#include "model/vit_front.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/sizes.h"
#include "nn/linear.h"
#include "nn/pool.h"
#include "nn/rows.h"

/* Batch norm's in torch, whatever the layer norms have. */
static const float mci_eps = 1e-5f;

enum {
    DIM_2 = 1,
    DIM_3,
    DIM_C,    /* of the tokens */
    DIM_STEM, /* behind the first convolution */
    DIM_LAST  /* before the last */
};

static const param_row vitamin_rows[] = {
    {"stem.conv1.weight",
     offsetof(front, conv1_w),
     {DIM_STEM, DIM_3, DIM_3, DIM_3},
     PARAM_CONV},
    {"stem.conv1.bias", offsetof(front, conv1_b), {DIM_STEM}, PARAM_GAIN},
    {"stem.norm1.weight", offsetof(front, norm1_w), {DIM_STEM}, PARAM_GAIN},
    {"stem.norm1.bias", offsetof(front, norm1_b), {DIM_STEM}, PARAM_GAIN},
    {"stem.conv2.weight",
     offsetof(front, conv2_w),
     {DIM_STEM, DIM_STEM, DIM_3, DIM_3},
     PARAM_CONV},
    {"stem.conv2.bias", offsetof(front, conv2_b), {DIM_STEM}, PARAM_GAIN},
    {"pool.norm.weight", offsetof(front, norm_w), {DIM_LAST}, PARAM_GAIN},
    {"pool.norm.bias", offsetof(front, norm_b), {DIM_LAST}, PARAM_GAIN},
    {"pool.proj.weight",
     offsetof(front, last_w),
     {DIM_C, DIM_LAST, DIM_3, DIM_3},
     PARAM_CONV},
    {"pool.proj.bias", offsetof(front, last_b), {DIM_C}, PARAM_GAIN},
};

static const param_row mci_rows[] = {
    {"2.conv.weight",
     offsetof(front, last_w),
     {DIM_C, DIM_LAST, DIM_2, DIM_2},
     PARAM_CONV},
    {"2.conv.bias", offsetof(front, last_b), {DIM_C}, PARAM_GAIN},
};

enum { MB_1 = 1, MB_3, MB_I, MB_M, MB_O, MB_SHORT };

static const param_row mbconv_rows[] = {
    {"pre_norm.weight", offsetof(mbconv, norm_w), {MB_I}, PARAM_GAIN},
    {"pre_norm.bias", offsetof(mbconv, norm_b), {MB_I}, PARAM_GAIN},
    {"conv1_1x1.weight",
     offsetof(mbconv, expand_w),
     {MB_M, MB_I, MB_1, MB_1},
     PARAM_LINEAR},
    {"conv1_1x1.bias", offsetof(mbconv, expand_b), {MB_M}, PARAM_GAIN},
    {"conv2_kxk.weight",
     offsetof(mbconv, deep_w),
     {MB_M, MB_1, MB_3, MB_3},
     PARAM_MATRIX},
    {"conv2_kxk.bias", offsetof(mbconv, deep_b), {MB_M}, PARAM_GAIN},
    {"conv3_1x1.weight",
     offsetof(mbconv, reduce_w),
     {MB_O, MB_M, MB_1, MB_1},
     PARAM_LINEAR},
    {"conv3_1x1.bias", offsetof(mbconv, reduce_b), {MB_O}, PARAM_GAIN},
    {"shortcut.expand.weight",
     offsetof(mbconv, short_w),
     {MB_SHORT, MB_I, MB_1, MB_1},
     PARAM_LINEAR},
    {"shortcut.expand.bias", offsetof(mbconv, short_b), {MB_SHORT}, PARAM_GAIN},
};

enum {
    VITAMIN_ROWS = sizeof vitamin_rows / sizeof vitamin_rows[0],
    MCI_ROWS = sizeof mci_rows / sizeof mci_rows[0],
    MBCONV_ROWS = sizeof mbconv_rows / sizeof mbconv_rows[0]
};

int front_check(const image_cfg *c, clipc_err *err)
{
    const size_t most = (size_t)1 << 16, n_dims = c->front == FRONT_VITAMIN ? 3 : 2;

    if (c->patch_size != FRONT_STRIDE || c->image_size % FRONT_STRIDE)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "vision config: image size %zu with patches of %zu, wanted a "
                          "multiple of %d",
                          c->image_size, c->patch_size, FRONT_STRIDE);
    if (image_columns(c) != c->image_size)
        return clipc_fail(
            err, CLIPC_ERR_FEATURE,
            "vision config: %zux%zu pixels, a tower with such a front takes "
            "squares",
            c->image_size, image_columns(c));
    for (size_t i = 0; i < n_dims; i++)
        if (c->dims[i] < 1 || c->dims[i] > most)
            return clipc_fail(err, CLIPC_ERR_FORMAT,
                              "vision config: %zu channels in front, wanted 1 to %zu",
                              c->dims[i], most);
    for (size_t i = 0; c->front == FRONT_VITAMIN && i < FRONT_STAGES; i++)
        if (c->stages[i] < 1 || c->stages[i] > 1024 || c->mlp_dims[i] < 1 ||
            c->mlp_dims[i] > most)
            return clipc_fail(err, CLIPC_ERR_FORMAT,
                              "vision config: a stage of %zu blocks of %zu channels, "
                              "wanted 1 to 1024 of 1 to %zu",
                              c->stages[i], c->mlp_dims[i], most);
    return CLIPC_OK;
}

/* Returns the side of what the stages give. */
static size_t shape_stages(front *f, const image_cfg *c, size_t side)
{
    mbconv *b = f->blocks;

    for (size_t s = 0; s < FRONT_STAGES; s++)
        for (size_t i = 0; i < c->stages[s]; i++, b++) {
            b->I = i ? c->dims[s + 1] : c->dims[s];
            b->O = c->dims[s + 1];
            b->deep = dwconv_shape_of(c->mlp_dims[s], 3, i ? 1 : 2, side, side);
            side = b->deep.Ho;
        }
    return side;
}

int front_make(front *f, const image_cfg *c, clipc_err *err)
{
    const size_t S = c->image_size;

    if (c->front == FRONT_MCI) {
        f->s[0] = conv_shape_of(3, c->dims[0], 4, 4, S, S);
        f->s[1] = conv_shape_of(c->dims[0], c->dims[1], 2, 2, S / 4, S / 4);
        f->s[2] = conv_shape_of(c->dims[1], c->width, 2, 2, S / 8, S / 8);
    } else {
        f->n = c->stages[0] + c->stages[1];
        f->blocks = calloc(f->n, sizeof *f->blocks);
        if (!f->blocks)
            return clipc_fail_memory(err, "image tower", f->n * sizeof *f->blocks);
        f->s[0] = conv_shape_of(3, c->dims[0], 3, 2, S, S);
        f->s[1] = conv_shape_of(c->dims[0], c->dims[0], 3, 1, S / 2, S / 2);
        const size_t side = shape_stages(f, c, S / 2);
        f->s[2] = conv_shape_of(c->dims[2], c->width, 3, 2, side, side);
    }
    f->s[0].planes = true;
    return CLIPC_OK;
}

void front_free(front *f)
{
    free(f->blocks);
}

static int stages_params(front *f, param_list *l, const image_cfg *c, clipc_err *err)
{
    mbconv *b = f->blocks;
    int rc = CLIPC_OK;

    for (size_t s = 0; s < FRONT_STAGES; s++)
        for (size_t i = 0; rc == CLIPC_OK && i < c->stages[s]; i++, b++) {
            const size_t sizes[] = {
                [MB_1] = 1,         [MB_3] = 3,    [MB_I] = b->I,
                [MB_M] = b->deep.C, [MB_O] = b->O, [MB_SHORT] = b->I != b->O ? b->O : 0};
            char prefix[64];
            snprintf(prefix, sizeof prefix, "visual.front.stages.%zu.%zu.", s, i);
            rc = param_list_add(l, prefix, mbconv_rows, MBCONV_ROWS, b, sizes, err);
        }
    return rc;
}

int front_params(front *f, param_list *l, const image_cfg *c, clipc_err *err)
{
    const bool mci = c->front == FRONT_MCI;
    const size_t sizes[] = {[DIM_2] = 2,
                            [DIM_3] = 3,
                            [DIM_C] = c->width,
                            [DIM_STEM] = f->s[0].O,
                            [DIM_LAST] = f->s[2].I};
    int rc = param_list_add(l, "visual.front.", mci ? mci_rows : vitamin_rows,
                            mci ? MCI_ROWS : VITAMIN_ROWS, f, sizes, err);

    if (!mci && rc == CLIPC_OK) rc = stages_params(f, l, c, err);
    for (size_t i = 0; mci && rc == CLIPC_OK && i < FRONT_CONVS - 1; i++) {
        char prefix[32];
        snprintf(prefix, sizeof prefix, "visual.front.%zu.", i);
        rc = convbn_params(&f->mci[i], l, prefix, "conv.", "bn.", &f->s[i], err);
    }
    return rc;
}

void front_acts_take(front_acts *a, arena *mem, const front *f)
{
    size_t x[2] = {0}, norm = 0, wide = 0, deep = 0, work = 0;

    for (size_t i = 0; i < 2; i++) x[i] = f->s[i].Ho * f->s[i].Wo * f->s[i].O;
    for (size_t i = 0; i < f->n; i++) {
        const mbconv *b = &f->blocks[i];
        const dwconv_shape *s = &b->deep;
        for (size_t k = 0; k < 2; k++) x[k] = max_size(x[k], s->Ho * s->Wo * b->O);
        norm = max_size(norm, s->H * s->W * b->I);
        wide = max_size(wide, s->H * s->W * s->C);
        deep = max_size(deep, s->Ho * s->Wo * s->C);
        work = max_size(work, dwconv_work(s));
    }
    for (size_t i = 0; i < 2; i++) a->x[i] = ARENA_FLOATS(mem, x[i]);
    a->norm = ARENA_FLOATS(mem, norm);
    a->wide = ARENA_FLOATS(mem, wide);
    a->deep = ARENA_FLOATS(mem, deep);
    a->work = ARENA_FLOATS(mem, work);
    bn_acts_take(&a->bn, mem, max_size(f->s[0].O, f->s[1].O), false);
}

/* From x, one of a->x; returns the output, the same or the other one. */
static float *mbconv_fwd(exec *e, const mbconv *b, front_acts *a, float *x,
                         weight_form form, float eps)
{
    const dwconv_shape *s = &b->deep;
    const size_t in = s->H * s->W, out = s->Ho * s->Wo, M = s->C;
    float *y = x;

    rows_layernorm_fwd(e, a->norm, NULL, NULL, x, b->norm_w, b->norm_b, in, b->I, eps);
    linear_fwd(e, a->wide, a->norm, b->expand_w, form, in, b->I, M,
               (gemm_opts){.bias = b->expand_b, .f = ACT_GELU});
    dwconv_fwd(e, a->deep, a->wide, b->deep_w, NULL, b->deep_b, a->work, s, 1, ACT_GELU);
    if (s->stride > 1) {
        y = a->x[x == a->x[0]];
        pool3_fwd(e, b->short_w ? a->norm : y, x, 1, s->H, s->W, b->I);
    }
    if (b->short_w)
        linear_fwd(e, y, a->norm, b->short_w, form, out, b->I, b->O,
                   (gemm_opts){.bias = b->short_b});
    linear_fwd(e, y, a->deep, b->reduce_w, form, out, M, b->O,
               (gemm_opts){.bias = b->reduce_b, .accumulate = true});
    return y;
}

/* One picture. */
static void vitamin_fwd(exec *e, float *tokens, const front *f, front_acts *a,
                        const float *pixels, weight_form form, float eps)
{
    const conv_shape *s = f->s;
    const size_t first = s[0].Ho * s[0].Wo, last = s[2].H * s[2].W;
    float *x = a->x[1];

    conv_fwd(e, a->x[0], pixels, f->conv1_w, form, &s[0], 1,
             (gemm_opts){.bias = f->conv1_b});
    rows_layernorm_fwd(e, a->x[0], NULL, NULL, a->x[0], f->norm1_w, f->norm1_b, first,
                       s[0].O, eps);
    rows_act_fwd(e, a->x[0], a->x[0], first * s[0].O, ACT_GELU);
    conv_fwd(e, x, a->x[0], f->conv2_w, form, &s[1], 1, (gemm_opts){.bias = f->conv2_b});
    for (size_t i = 0; i < f->n; i++) x = mbconv_fwd(e, &f->blocks[i], a, x, form, eps);
    rows_layernorm_fwd(e, x, NULL, NULL, x, f->norm_w, f->norm_b, last, s[2].I, eps);
    conv_fwd(e, tokens, x, f->last_w, form, &s[2], 1, (gemm_opts){.bias = f->last_b});
}

static void mci_fwd(exec *e, float *tokens, const front *f, front_acts *a,
                    const float *pixels, weight_form form)
{
    const float *x = pixels;

    for (size_t i = 0; i < FRONT_CONVS - 1; i++) {
        batchnorm_eval(&a->bn, &f->mci[i].bn, f->s[i].O, mci_eps);
        conv_fwd(e, a->x[i], x, f->mci[i].w, form, &f->s[i], 1,
                 (gemm_opts){.scale = a->bn.scale, .bias = a->bn.shift, .f = ACT_GELU});
        x = a->x[i];
    }
    conv_fwd(e, tokens, x, f->last_w, form, &f->s[2], 1, (gemm_opts){.bias = f->last_b});
}

void front_fwd(exec *e, float *tokens, const front *f, front_acts *a, const float *pixels,
               const image_cfg *c, weight_form form, size_t B)
{
    const size_t in = 3 * c->image_size * c->image_size;
    const size_t out = f->s[2].Ho * f->s[2].Wo * c->width;

    for (size_t b = 0; b < B; b++, tokens += out, pixels += in)
        if (c->front == FRONT_MCI) mci_fwd(e, tokens, f, a, pixels, form);
        else vitamin_fwd(e, tokens, f, a, pixels, form, c->eps);
}

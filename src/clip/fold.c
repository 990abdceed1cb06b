#include "clip/fold.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRUNK "visual.trunk."

static const double eps = 1e-5; /* of every batch norm */

enum { PREFIX_MAX = 128, FOLD_NAME = PREFIX_MAX + 96 };

/* Weights and what else is being folded into them. */
typedef struct folding {
    const tensor_file *f;
    bool *read; /* of each of f's tensors: whether it went into another */
    tensor_file *made;
    const kernels *k;
    const char *where;
    char prefix[PREFIX_MAX]; /* of the names of the unit at hand */
    char name[FOLD_NAME];    /* of the tensor at hand */
    const tensor *t;         /* the unit's weight: [O, ...] */
    size_t O, K;             /* outputs, numbers for each */
    double *memory;
    double *w, *b;         /* [O,K], [O] the sum so far */
    double *scale, *shift; /* of a batch norm */
    float *plain;          /* [O*K] */
} folding;

/* One kind of thing to fold, known by the end of a tensor's name: unit + weight.  What is
 * in front is the prefix. */
typedef struct unit {
    const char *unit, *weight;
    int (*fold)(folding *d, const struct unit *u, clipc_err *err);
    const char *folded;
} unit;

/* ---- reading ---- */

static const tensor *find(folding *d, const char *part, const char *name)
{
    snprintf(d->name, sizeof d->name, "%s%s%s", d->prefix, part, name);
    return tensor_find(d->f, d->name);
}

static int wrong_shape(const folding *d, const tensor *t, const size_t *dims,
                       size_t n_dims, clipc_err *err)
{
    char have[64], want[64];

    tensor_shape(have, sizeof have, t->dims, t->n_dims);
    tensor_shape(want, sizeof want, dims, n_dims);
    return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: %s: shape [%s], wanted [%s]", d->where,
                      t->name, have, want);
}

/* d->plain = the values of a tensor that must be there in this shape. */
static int get(folding *d, const char *part, const char *name, const size_t *dims,
               size_t n_dims, clipc_err *err)
{
    const tensor *t = find(d, part, name);

    if (!t)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no tensor %s", d->where, d->name);
    if (t->n_dims != n_dims || memcmp(t->dims, dims, n_dims * sizeof *dims) != 0)
        return wrong_shape(d, t, dims, n_dims, err);
    dtype_to_f32(d->k, d->plain, t->data, t->dt, t->n);
    tensor_forget(d->f, t);
    d->read[t - tensor_file_at(d->f, 0)] = true;
    return CLIPC_OK;
}

/* d->scale and d->shift [C] of a batch norm; C is at most O or K. */
static int get_norm(folding *d, const char *part, const char *norm, size_t C,
                    clipc_err *err)
{
    char name[64];
    int rc;

    snprintf(name, sizeof name, "%s%s", part, norm);
    rc = get(d, name, "weight", &C, 1, err);
    for (size_t c = 0; rc == CLIPC_OK && c < C; c++) d->scale[c] = (double)d->plain[c];
    if (rc == CLIPC_OK) rc = get(d, name, "running_var", &C, 1, err);
    for (size_t c = 0; rc == CLIPC_OK && c < C; c++)
        d->scale[c] /= sqrt((double)d->plain[c] + eps);
    if (rc == CLIPC_OK) rc = get(d, name, "running_mean", &C, 1, err);
    for (size_t c = 0; rc == CLIPC_OK && c < C; c++)
        d->shift[c] = -(double)d->plain[c] * d->scale[c];
    if (rc == CLIPC_OK) rc = get(d, name, "bias", &C, 1, err);
    for (size_t c = 0; rc == CLIPC_OK && c < C; c++) d->shift[c] += (double)d->plain[c];
    return rc;
}

/* Memory for the unit's weight, zeroed. */
static int begin(folding *d, clipc_err *err)
{
    const tensor *t = d->t;
    size_t side;

    if (t->n_dims < 2 || t->n == 0)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: %s: no weights", d->where, t->name);
    d->O = t->dims[0], d->K = t->n / d->O;
    side = d->O > d->K ? d->O : d->K;
    /* t->n numbers lie in the file, and no side is longer. */
    if (t->n > SIZE_MAX / (8 * sizeof(double)))
        return clipc_fail(err, CLIPC_ERR_LIMIT, "%s: %s: too large", d->where, t->name);
    free(d->memory);
    d->memory = calloc(2 * t->n + d->O + 2 * side, sizeof *d->memory);
    if (!d->memory) return clipc_fail_memory(err, t->name, t->n * sizeof *d->memory);
    d->w = d->memory, d->b = d->w + t->n;
    d->scale = d->b + d->O, d->shift = d->scale + side;
    d->plain = (float *)(void *)(d->shift + side);
    return CLIPC_OK;
}

/* w = the unit's own weight. */
static int get_weight(folding *d, const unit *u, clipc_err *err)
{
    const int rc = get(d, u->unit, u->weight, d->t->dims, d->t->n_dims, err);

    for (size_t i = 0; rc == CLIPC_OK && i < d->t->n; i++) d->w[i] = (double)d->plain[i];
    return rc;
}

/* b = the bias beside the weight. */
static int get_bias(folding *d, const char *name, clipc_err *err)
{
    const int rc = get(d, name, "bias", &d->O, 1, err);

    for (size_t o = 0; rc == CLIPC_OK && o < d->O; o++) d->b[o] = (double)d->plain[o];
    return rc;
}

/* ---- writing ---- */

static int add(folding *d, const char *folded, const char *end, const double *x, size_t n,
               tensor t, clipc_err *err)
{
    char *name = tensor_file_alloc(d->made, FOLD_NAME, d->where, err);
    float *data = tensor_file_alloc(d->made, n * sizeof *data, d->where, err);

    if (!name || !data) return CLIPC_ERR_MEMORY;
    snprintf(name, FOLD_NAME, "%s%s%s", d->prefix, folded, end);
    for (size_t i = 0; i < n; i++) data[i] = (float)x[i];
    t.name = name, t.dt = DT_F32, t.data = data;
    return tensor_file_add(d->made, t, n * sizeof *data, false, d->where, err);
}

static int finish(folding *d, const unit *u, clipc_err *err)
{
    const int rc = add(d, u->folded, ".weight", d->w, d->t->n, *d->t, err);

    return rc == CLIPC_OK ? add(d, u->folded, ".bias", d->b, d->O,
                                (tensor){.n_dims = 1, .dims = {d->O}}, err)
                          : rc;
}

/* ---- convolutions ---- */

static int check_kernel(const folding *d, const tensor *t, size_t most, clipc_err *err)
{
    const size_t k = t->n_dims == 4 ? t->dims[3] : 0;
    const size_t want[] = {d->O, d->t->dims[1], most | 1, most | 1};

    if (k % 2 && k <= most && t->dims[0] == want[0] && t->dims[1] == want[1] &&
        t->dims[2] == k)
        return CLIPC_OK;
    return wrong_shape(d, t, want, 4, err);
}

/* The weight in the middle of the kernel that connects an output with the input of the
 * same number, in its group. */
static double *middle(const folding *d, size_t o)
{
    const size_t *dims = d->t->dims, k = dims[3];

    return &d->w[((o * dims[1] + o % dims[1]) * k + k / 2) * k + k / 2];
}

/* += a convolution with its norm; none if its weights are not there. */
static int add_conv(folding *d, const char *part, const char *branch, clipc_err *err)
{
    const size_t I = d->t->dims[1], k = d->t->dims[3];
    char name[64];
    int rc;

    snprintf(name, sizeof name, "%s%s", part, branch);
    const tensor *t = find(d, name, "conv.weight");
    if (!t) return CLIPC_OK;
    rc = check_kernel(d, t, k, err);
    if (rc == CLIPC_OK) rc = get_norm(d, name, "bn.", d->O, err);
    if (rc == CLIPC_OK) rc = get(d, name, "conv.weight", t->dims, 4, err);
    if (rc != CLIPC_OK) return rc;
    const size_t small = t->dims[3], pad = (k - small) / 2;
    const float *x = d->plain;
    for (size_t o = 0; o < d->O; o++) {
        double *w = d->w + o * d->K + pad * k + pad;
        for (size_t i = 0; i < I; i++, w += k * k)
            for (size_t r = 0; r < small; r++)
                for (size_t c = 0; c < small; c++)
                    w[r * k + c] += d->scale[o] * (double)*x++;
        d->b[o] += d->shift[o];
    }
    return CLIPC_OK;
}

/* += sign times a norm alone. */
static int add_norm(folding *d, const char *part, const char *norm, double sign,
                    clipc_err *err)
{
    const int rc = get_norm(d, part, norm, d->O, err);

    for (size_t o = 0; rc == CLIPC_OK && o < d->O; o++) {
        *middle(d, o) += sign * d->scale[o];
        d->b[o] += sign * d->shift[o];
    }
    return rc;
}

/* The sum of whichever branches there are. */
static int sum_branches(folding *d, const unit *u, clipc_err *err)
{
    static const char *const branches[] = {"conv_kxk.0.", "conv_scale.", "large_conv.",
                                           "small_conv.", "conv."};
    int rc = begin(d, err);

    if (rc == CLIPC_OK)
        rc = check_kernel(d, d->t, d->t->n_dims == 4 ? d->t->dims[3] : 1, err);
    for (size_t i = 0; rc == CLIPC_OK && i < sizeof branches / sizeof branches[0]; i++)
        rc = add_conv(d, u->unit, branches[i], err);
    if (rc == CLIPC_OK && find(d, u->unit, "identity.weight"))
        rc = add_norm(d, u->unit, "identity.", 1.0, err);
    return rc;
}

static int fold_branches(folding *d, const unit *u, clipc_err *err)
{
    const int rc = sum_branches(d, u, err);

    return rc == CLIPC_OK ? finish(d, u, err) : rc;
}

/* Weights and biases times gamma [O,1,1]. */
static int scale(folding *d, const char *gamma, clipc_err *err)
{
    const size_t dims[] = {d->O, 1, 1};
    const int rc = get(d, "", gamma, dims, 3, err);

    for (size_t o = 0; rc == CLIPC_OK && o < d->O; o++) {
        for (size_t i = 0; i < d->K; i++) d->w[o * d->K + i] *= (double)d->plain[o];
        d->b[o] *= (double)d->plain[o];
    }
    return rc;
}

static int fold_mixer(folding *d, const unit *u, clipc_err *err)
{
    int rc = sum_branches(d, u, err);

    if (rc == CLIPC_OK) rc = add_norm(d, "token_mixer.norm.", "identity.", -1.0, err);
    if (rc == CLIPC_OK) rc = scale(d, "token_mixer.layer_scale.gamma", err);
    if (rc != CLIPC_OK) return rc;
    for (size_t o = 0; o < d->O; o++) *middle(d, o) += 1.0;
    return finish(d, u, err);
}

static int fold_positions(folding *d, const unit *u, clipc_err *err)
{
    int rc = begin(d, err);

    if (rc == CLIPC_OK)
        rc = check_kernel(d, d->t, d->t->n_dims == 4 ? d->t->dims[3] : 1, err);
    if (rc == CLIPC_OK) rc = get_weight(d, u, err);
    if (rc == CLIPC_OK) rc = get_bias(d, "pos_enc.", err);
    if (rc != CLIPC_OK) return rc;
    for (size_t o = 0; o < d->O; o++) *middle(d, o) += 1.0;
    return finish(d, u, err);
}

/* ---- linear layers ---- */

static int fold_fc2(folding *d, const unit *u, clipc_err *err)
{
    const bool attention = find(d, "", "layer_scale_2.gamma") != NULL;
    int rc = begin(d, err);

    if (rc == CLIPC_OK) rc = get_weight(d, u, err);
    if (rc == CLIPC_OK) rc = get_bias(d, "mlp.fc2.", err);
    if (rc == CLIPC_OK)
        rc = scale(d, attention ? "layer_scale_2.gamma" : "layer_scale.gamma", err);
    return rc == CLIPC_OK ? finish(d, u, err) : rc;
}

static int fold_proj(folding *d, const unit *u, clipc_err *err)
{
    int rc = begin(d, err);

    if (rc == CLIPC_OK) rc = get_weight(d, u, err);
    if (rc == CLIPC_OK) rc = get_bias(d, "token_mixer.proj.", err);
    if (rc == CLIPC_OK) rc = scale(d, "layer_scale_1.gamma", err);
    return rc == CLIPC_OK ? finish(d, u, err) : rc;
}

/* A layer norm in front stays one. */
static int fold_qkv(folding *d, const unit *u, clipc_err *err)
{
    int rc;

    if (!find(d, "norm.", "running_mean")) return CLIPC_OK;
    rc = begin(d, err);
    if (rc == CLIPC_OK) rc = get_norm(d, "norm.", "", d->K, err);
    if (rc == CLIPC_OK) rc = get_weight(d, u, err);
    if (rc != CLIPC_OK) return rc;
    for (size_t o = 0; o < d->O; o++) {
        double *w = d->w + o * d->K;
        for (size_t i = 0; i < d->K; i++) {
            d->b[o] += w[i] * d->shift[i];
            w[i] *= d->scale[i];
        }
    }
    return finish(d, u, err);
}

/* ---- all of them ---- */

static const unit units[] = {
    {"token_mixer.mixer.", "conv_kxk.0.conv.weight", fold_mixer,
     "token_mixer.reparam_conv"},
    {"", "conv_kxk.0.conv.weight", fold_branches, "reparam_conv"},
    {"", "large_conv.conv.weight", fold_branches, "reparam_conv"},
    {"mlp.", "conv.conv.weight", fold_branches, "mlp.reparam_conv"},
    {"", "pos_enc.weight", fold_positions, "reparam_conv"},
    {"", "mlp.fc2.weight", fold_fc2, "mlp.reparam_fc2"},
    {"", "token_mixer.proj.weight", fold_proj, "token_mixer.reparam_proj"},
    {"", "token_mixer.qkv.weight", fold_qkv, "token_mixer.reparam_qkv"},
};

/* Whether a tensor is a unit's weight; its prefix becomes d's. */
static bool matches(folding *d, const char *name, const unit *u)
{
    const size_t n = strlen(name), w = strlen(u->weight), p = strlen(u->unit);

    if (n < w + p || n - w - p >= PREFIX_MAX || strcmp(name + n - w, u->weight) != 0 ||
        strncmp(name + n - w - p, u->unit, p) != 0)
        return false;
    memcpy(d->prefix, name, n - w - p);
    d->prefix[n - w - p] = '\0';
    return true;
}

static int fold_tensor(folding *d, const tensor *t, clipc_err *err)
{
    d->t = t;
    if (strncmp(t->name, TRUNK, strlen(TRUNK)) != 0) return CLIPC_OK;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (matches(d, t->name, &units[i])) return units[i].fold(d, &units[i], err);
    return CLIPC_OK;
}

int fold_fastvit(tensor_file *f, const char *where, clipc_err *err)
{
    const size_t n = tensor_file_count(f);
    folding d = {.f = f, .where = where, .read = calloc(n + 1, sizeof *d.read)};
    int rc = d.read ? kernels_pick(&d.k, err) : clipc_fail_memory(err, where, n);

    if (rc == CLIPC_OK) rc = tensor_file_new(&d.made, where, err);
    for (size_t i = 0; rc == CLIPC_OK && i < n; i++)
        rc = fold_tensor(&d, tensor_file_at(f, i), err);
    if (rc == CLIPC_OK) {
        tensor_file_drop(f, d.read);
        rc = tensor_file_join(f, d.made, "", where, err);
        d.made = NULL;
    }
    if (rc == CLIPC_OK) rc = tensor_file_finish(f, where, err);
    tensor_file_free(d.made);
    free(d.memory);
    free(d.read);
    return rc;
}

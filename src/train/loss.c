#include "train/loss.h"

#include <math.h>
#include <string.h>

/* Far below every logit, and finite: its softmax is as good as zero and cleared after. */
static const float MASKED = -1e30f;

static void mask(float *s, const uint64_t *caption, size_t B, float value)
{
    for (size_t i = 0; i < B; i++)
        for (size_t j = 0; j < B; j++)
            if (i != j && caption[i] == caption[j]) s[i * B + j] = value;
}

/* s [B,B] becomes softmax(s) - identity; returns the cross-entropy's sum. */
static double cross_entropy(exec *e, float *s, const uint64_t *caption, size_t B)
{
    double sum = 0.0;

    if (caption) mask(s, caption, B, MASKED);
    e->k->softmax_fwd(s, B, B, B, 1.0f);
    if (caption) mask(s, caption, B, 0.0f);
    for (size_t i = 0; i < B; i++) {
        sum -= log((double)s[i * B + i]);
        s[i * B + i] -= 1.0f;
    }
    return sum;
}

float contrastive_fwd_bwd(exec *e, float *dimg, float *dtxt, float *dscale, float *work,
                          const float *img, const float *txt, const uint64_t *caption,
                          float scale, size_t B, size_t E)
{
    float *rows = work, *cols = work + B * B;
    double loss;

    gemm(e, rows, B, mat_of(img, E), mat_t(txt, E), B, B, E, (gemm_opts){0});
    e->k->scale(rows, scale, B * B);
    for (size_t i = 0; i < B; i++)
        for (size_t j = 0; j < B; j++) cols[j * B + i] = rows[i * B + j];
    loss = cross_entropy(e, rows, caption, B) + cross_entropy(e, cols, caption, B);

    /* d loss / d S = (rows + cols^T) / 2B */
    for (size_t i = 0; i < B; i++)
        for (size_t j = 0; j < B; j++)
            rows[i * B + j] = (rows[i * B + j] + cols[j * B + i]) * (0.5f / (float)B);
    gemm(e, dimg, E, mat_of(rows, B), mat_of(txt, E), B, E, B, (gemm_opts){0});
    gemm(e, dtxt, E, mat_t(rows, B), mat_of(img, E), B, E, B, (gemm_opts){0});
    /* S = scale * (img txt^T), so d scale = sum of dS * cosine = sum of dimg * img. */
    *dscale = (float)e->k->dot(dimg, img, B * E);
    e->k->scale(dimg, scale, B * E);
    e->k->scale(dtxt, scale, B * E);
    return (float)(loss / (2.0 * (double)B));
}

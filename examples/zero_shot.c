/* Which of these texts fits a picture best?   usage: zero_shot MODEL IMAGE TEXT... */
#include <stdio.h>
#include <stdlib.h>

#include "clipc.h"

int main(int argc, char **argv)
{
    const size_t n = argc > 3 ? (size_t)argc - 3 : 0;
    clipc_model *model = NULL;
    clipc_ctx *ctx = NULL;
    clipc_err err;

    if (n == 0) return fprintf(stderr, "usage: %s MODEL IMAGE TEXT...\n", argv[0]), 2;
    if (clipc_model_open(&model, argv[1], &err) || clipc_ctx_new(&ctx, model, NULL, &err))
        return fprintf(stderr, "%s\n", err.msg), 1;

    const clipc_model_info *info = clipc_model_info_of(model);
    float *image = malloc(info->embed_dim * sizeof *image);
    float *texts = malloc(n * info->embed_dim * sizeof *texts);
    float *scores = malloc(n * sizeof *scores);
    if (clipc_encode_image_file(ctx, image, argv[2], &err) ||
        clipc_encode_texts(ctx, texts, (const char *const *)argv + 3, NULL, n, &err))
        return fprintf(stderr, "%s\n", err.msg), 1;
    clipc_logits(model, scores, image, 1, texts, n);
    clipc_probabilities(model, scores, 1, n);
    for (size_t i = 0; i < n; i++)
        printf("%6.2f %%  %s\n", 100 * (double)scores[i], argv[3 + i]);

    free(image), free(texts), free(scores);
    clipc_ctx_free(ctx);
    clipc_model_free(model);
    return 0;
}

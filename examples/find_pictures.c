/* Which pictures of a folder fit these words?   usage: find_pictures FOLDER WORD... */
#include <stdio.h>

#include "clipc.h"
#include "clipc_index.h"

static void tell_failure(void *user, const char *path, const clipc_err *why)
{
    (void)user, (void)path;
    fprintf(stderr, "%s\n", why->msg); /* names the path */
}

int main(int argc, char **argv)
{
    const clipc_index_update_options update = {.on_failed = tell_failure};
    const clipc_index_search_options options = {.k = 5};
    clipc_model *model = NULL;
    clipc_ctx *ctx = NULL;
    clipc_index *index = NULL;
    clipc_index_hits hits = {0};
    clipc_index_term terms[16] = {{0}};
    size_t n = 0;
    clipc_err err;

    for (int i = 2; i < argc && n < 16; i++) /* "-word" takes a word away */
        terms[n++] = (clipc_index_term){.weight = *argv[i] == '-' ? -1.0f : 1.0f,
                                        .text = argv[i] + (*argv[i] == '-')};
    if (n == 0) return fprintf(stderr, "usage: %s FOLDER WORD...\n", argv[0]), 2;
    if (clipc_model_open(&model, NULL, &err) || clipc_ctx_new(&ctx, model, NULL, &err) ||
        clipc_index_open(&index, "find_pictures.index", ctx, NULL, &err) ||
        clipc_index_update(index, ctx, argv[1], &update, NULL, &err) ||
        clipc_index_search(&hits, index, ctx, terms, n, &options, &err))
        return fprintf(stderr, "%s\n", err.msg), 1;
    for (size_t i = 0; i < hits.n; i++)
        printf("%.4f  %s\n", (double)hits.v[i].score, hits.v[i].key);

    clipc_index_hits_free(&hits);
    clipc_index_close(index);
    clipc_ctx_free(ctx);
    clipc_model_free(model);
    return 0;
}

#include "cli/find_text.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/sizes.h"

enum { CHUNK = 256 }; /* texts at a time */

typedef struct scored {
    float score;
    size_t line;
} scored;

static int by_score(const void *a, const void *b)
{
    const scored *x = a, *y = b;

    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return x->line < y->line ? -1 : x->line > y->line;
}

/* scores [n] of all lines. */
static int score_lines(session *s, scored *scores, const strings *lines,
                       const float *vector)
{
    const size_t E = s->info->embed_dim;
    float *rows = malloc(CHUNK * E * sizeof *rows), cosines[CHUNK];
    progress p = progress_start("read", lines->n);
    int rc = rows ? CLIPC_OK : clipc_fail_memory(&s->err, "texts", CHUNK * E);

    for (size_t i = 0, n; rc == CLIPC_OK && i < lines->n; i += n) {
        n = min_size(CHUNK, lines->n - i);
        rc = clipc_encode_texts(s->ctx, rows, (const char *const *)lines->v + i, NULL, n,
                                &s->err);
        if (rc != CLIPC_OK) break;
        clipc_similarity(cosines, rows, n, vector, 1, E, 1.0f);
        for (size_t k = 0; k < n; k++) scores[i + k] = (scored){cosines[k], i + k};
        progress_show(&p, i + n);
    }
    progress_end(&p);
    free(rows);
    return rc;
}

static void print_line(const scored *x, const char *text, bool json)
{
    if (!json) {
        printf("%7.4f  %s\n", (double)x->score, text);
        return;
    }
    printf("{\"text\":");
    json_print_string(text);
    printf(",\"line\":%zu,\"score\":%.6f}\n", x->line + 1, (double)x->score);
}

int find_text(session *s, const char *file, const query *q, size_t k, float min_score,
              bool json)
{
    strings lines = {0};
    float *vector = malloc(s->info->embed_dim * sizeof *vector);
    scored *scores = NULL;
    size_t n = 0;
    int rc = vector ? strings_lines(&lines, file, &s->err)
                    : clipc_fail_memory(&s->err, "query", s->info->embed_dim);

    if (rc == CLIPC_OK && !(scores = calloc(lines.n + 1, sizeof *scores)))
        rc = clipc_fail_memory(&s->err, file, lines.n * sizeof *scores);
    if (rc == CLIPC_OK) rc = clipc_index_query(vector, s->ctx, q->v, q->n, &s->err);
    if (rc == CLIPC_OK) rc = score_lines(s, scores, &lines, vector);
    if (rc == CLIPC_OK) qsort(scores, lines.n, sizeof *scores, by_score);
    for (; rc == CLIPC_OK && n < min_size(k, lines.n); n++) {
        if (min_score != 0.0f && scores[n].score < min_score) break;
        print_line(&scores[n], lines.v[scores[n].line], json);
    }
    strings_free(&lines);
    free(scores);
    free(vector);
    return rc != CLIPC_OK ? cli_fail(&s->err) : n ? EXIT_DONE : EXIT_SOME;
}

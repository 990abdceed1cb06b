#include "clip/class_names.h"

#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"

enum { FILE_MAX = 1 << 26, WORDS_MAX = 64 };

/* A class while its texts are gathered. */
typedef struct class_texts {
    const char *texts[2 * WORDS_MAX + 1];
    size_t lens[2 * WORDS_MAX + 1];
    float shares[2 * WORDS_MAX + 1]; /* of each in the sum */
    size_t n, words;
} class_texts;

static void add(class_texts *t, const char *text, size_t len, float share)
{
    t->texts[t->n] = text;
    t->lens[t->n] = len;
    t->shares[t->n++] = share;
}

/* The words of [line, end), blanks around them left out. */
static void find_words(class_texts *t, const char *line, const char *end)
{
    while (line < end && t->words < WORDS_MAX) {
        const char *comma = memchr(line, ',', (size_t)(end - line));
        const char *to = comma ? comma : end, *next = comma ? comma + 1 : end;
        while (line < to && *line == ' ') line++;
        while (to > line && to[-1] == ' ') to--;
        if (to > line) add(t, line, (size_t)(to - line), 1.0f), t->words++;
        line = next;
    }
}

/* "a photo of a <word>" of each, in `room`. */
static int add_photos(class_texts *t, buf *room, clipc_err *err)
{
    static const char front[] = "a photo of a ";
    const size_t words = t->words, begin = strlen(front);
    size_t at = 0;
    int rc = CLIPC_OK;

    buf_clear(room);
    for (size_t i = 0; rc == CLIPC_OK && i < words; i++) {
        rc = buf_puts(room, front, err);
        if (rc == CLIPC_OK) rc = buf_add(room, t->texts[i], t->lens[i], err);
    }
    for (size_t i = 0; rc == CLIPC_OK && i < words; i++) {
        add(t, room->data + at, begin + t->lens[i], 1.0f);
        at += begin + t->lens[i];
    }
    return rc;
}

static float root_of_squares(const float *x, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return (float)sqrt(sum);
}

/* e [E] of the texts. */
static int sum_up(float *e, clipc_ctx *c, const class_texts *t, float *vector, size_t E,
                  clipc_err *err)
{
    int rc = CLIPC_OK;

    memset(e, 0, E * sizeof *e);
    for (size_t i = 0; rc == CLIPC_OK && i < t->n; i++) {
        rc = clipc_encode_text(c, vector, t->texts[i], t->lens[i], err);
        for (size_t d = 0; rc == CLIPC_OK && d < E; d++) e[d] += t->shares[i] * vector[d];
    }
    const float norm = root_of_squares(e, E);
    for (size_t d = 0; d < E; d++) e[d] /= norm > 0.0f ? norm : 1.0f;
    return rc;
}

typedef struct reading {
    clipc_ctx *c;
    const char *path;
    float *vector; /* [E] */
    buf room;
    size_t E;
} reading;

static int read_class(float *e, reading *r, const char *line, const char *end,
                      size_t number, clipc_err *err)
{
    const char *tab = memchr(line, '\t', (size_t)(end - line));
    class_texts t = {.n = 0};

    find_words(&t, line, tab ? tab : end);
    if (!t.words)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: line %zu: no word", r->path,
                          number);
    const int rc = add_photos(&t, &r->room, err);
    if (rc != CLIPC_OK) return rc;
    for (size_t i = 0; i < t.n; i++) t.shares[i] = 1.0f / (float)t.words;
    if (tab && tab + 1 < end) add(&t, tab + 1, (size_t)(end - tab - 1), 1.0f);
    return sum_up(e, r->c, &t, r->vector, r->E, err);
}

int class_names_read(float *e, clipc_ctx *c, const char *path, size_t K, size_t E,
                     clipc_err *err)
{
    reading r = {.c = c, .path = path, .E = E};
    buf text = {0}, vector = {0};
    size_t k = 0;
    int rc = file_read(&text, path, FILE_MAX, err);

    if (rc == CLIPC_OK) rc = buf_reserve(&vector, E * sizeof(float), err);
    r.vector = (float *)(void *)vector.data;
    for (const char *line = text.data; rc == CLIPC_OK && *line; k++) {
        const char *end = line + strcspn(line, "\r\n");
        if (k < K) rc = read_class(e + k * E, &r, line, end, k + 1, err);
        line = end + (*end == '\r' && end[1] == '\n') + (*end != '\0');
    }
    if (rc == CLIPC_OK && k != K)
        rc = clipc_fail(err, CLIPC_ERR_FORMAT,
                        "%s: %zu lines, wanted one for each of %zu "
                        "classes",
                        path, k, K);
    buf_free(&r.room);
    buf_free(&vector);
    buf_free(&text);
    return rc;
}

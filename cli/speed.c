/* bench: how fast each tower is here, by precision, threads and batch. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/cpus.h"
#include "base/opts.h"
#include "cli/cli.h"

enum { BATCHES = 3, MOST = 32, RUNS = 9, PRECISIONS = 3 };
/* Of one measurement; a batch that takes longer than the last is not tried. */
#define ENOUGH_SECONDS  0.5
#define LONGEST_SECONDS 4.0

static const size_t batches[BATCHES] = {1, 8, MOST};
static const char *const precisions[PRECISIONS] = {"f32", "bf16", "int8"};

/* A tower's fastest setting for one input, and for many. */
typedef struct best {
    double seconds; /* of an input */
    int precision;
    size_t threads, batch;
} best;

typedef struct bench {
    const char *model_name;
    size_t threads;
    bool json;
    clipc_model *model;
    const clipc_model_info *info;
    clipc_ctx *ctx;
    clipc_err err;
    double peak[PRECISIONS];
    float *pixels;               /* [MOST,3,H,W] */
    float *exact[2];             /* [MOST,E] of pictures and of texts, in float32 */
    float *out;                  /* [MOST,E] */
    double least[2][PRECISIONS]; /* cosine of what a precision makes to exact; 2: none */
    best one[2], many[2];
} bench;

static const char *const towers[2] = {"image", "text"};

/* Around ten tokens; no two begin alike, so that nothing is computed once for several. */
static void make_text(char *out, size_t size, size_t i)
{
    static const char *const words[MOST] = {
        "cats",   "boats",   "trees",  "bridges", "clouds",  "horses", "lamps",
        "roads",  "birds",   "cakes",  "doors",   "engines", "flags",  "grapes",
        "houses", "islands", "jars",   "kites",   "ladders", "masks",  "nets",
        "onions", "pencils", "queens", "rivers",  "shells",  "towers", "urns",
        "vases",  "wheels",  "yards",  "zebras"};

    snprintf(out, size, "%s and %s in a garden near %s", words[i], words[i * 7 % MOST],
             words[i * 11 % MOST]);
}

static int encode(bench *m, int tower, size_t n)
{
    char texts[MOST][96];
    const char *at[MOST];

    if (tower == 0)
        return clipc_encode_image_tensors(m->ctx, m->out, m->pixels, n, &m->err);
    for (size_t i = 0; i < n; i++) {
        make_text(texts[i], sizeof texts[i], i);
        at[i] = texts[i];
    }
    return clipc_encode_texts(m->ctx, m->out, at, NULL, n, &m->err);
}

static int by_size(const void *x, const void *y)
{
    const double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

/* Median seconds of a batch, and its operations. */
static int measure(bench *m, int tower, size_t n, double *seconds, double *operations)
{
    double run[RUNS], all = 0.0;
    int rc = encode(m, tower, n), runs = 0;

    for (; rc == CLIPC_OK && runs < RUNS && (runs < 3 || all < ENOUGH_SECONDS); runs++) {
        const double before = clipc_ctx_operations(m->ctx), begin = clock_now();
        rc = encode(m, tower, n);
        run[runs] = clock_now() - begin;
        all += run[runs];
        *operations = clipc_ctx_operations(m->ctx) - before;
    }
    if (rc != CLIPC_OK) return rc;
    qsort(run, (size_t)runs, sizeof *run, by_size);
    *seconds = run[runs / 2];
    return CLIPC_OK;
}

static void compare(bench *m, int tower, int precision, size_t n)
{
    const size_t E = m->info->embed_dim;

    if (precision == CLIPC_PRECISION_F32) {
        memcpy(m->exact[tower], m->out, n * E * sizeof *m->out);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        double sum = 0.0;
        for (size_t d = 0; d < E; d++)
            sum += (double)m->out[i * E + d] * (double)m->exact[tower][i * E + d];
        m->least[tower][precision] = fmin(m->least[tower][precision], sum);
    }
}

static void keep(best *b, double seconds, int precision, size_t threads, size_t batch)
{
    if (b->seconds > 0.0 && seconds >= b->seconds) return;
    *b = (best){seconds, precision, threads, batch};
}

static void print_row(const bench *m, int tower, int precision, size_t threads,
                      size_t batch, double seconds, double operations)
{
    const double share =
        100.0 * operations / seconds / (m->peak[precision] * (double)threads);

    if (m->json)
        printf("{\"tower\":\"%s\",\"precision\":\"%s\",\"threads\":%zu,\"batch\":%zu,"
               "\"seconds\":%.6g,\"per_second\":%.6g,\"peak_share\":%.3f}\n",
               towers[tower], precisions[precision], threads, batch, seconds,
               (double)batch / seconds, share / 100.0);
    else
        printf("%-6s %-5s %7zu %6zu %10.2f %12.1f %6.0f %%\n", towers[tower],
               precisions[precision], threads, batch, 1e3 * seconds,
               (double)batch / seconds, share);
    fflush(stdout);
}

static int run_tower(bench *m, int tower, int precision, size_t threads)
{
    double seconds = 0.0, operations = 0.0;
    int rc = CLIPC_OK;

    for (int i = 0; rc == CLIPC_OK && i < BATCHES; i++) {
        const size_t n = batches[i];
        if (i && seconds / (double)batches[i - 1] * (double)n > LONGEST_SECONDS) break;
        rc = measure(m, tower, n, &seconds, &operations);
        if (rc != CLIPC_OK) break;
        compare(m, tower, precision, n);
        print_row(m, tower, precision, threads, n, seconds, operations);
        if (n == 1) keep(&m->one[tower], seconds, precision, threads, n);
        keep(&m->many[tower], seconds / (double)n, precision, threads, n);
    }
    return rc;
}

static bool has_tower(const bench *m, int tower)
{
    return tower == 0 ? m->info->image_width > 0 : m->info->text_width > 0;
}

static int run_with(bench *m, int precision, size_t threads)
{
    const clipc_ctx_options o = {
        .threads = threads, .max_batch = MOST, .precision = precision};
    int rc = clipc_ctx_new(&m->ctx, m->model, &o, &m->err);

    for (int tower = 0; rc == CLIPC_OK && tower < 2; tower++)
        if (has_tower(m, tower)) rc = run_tower(m, tower, precision, threads);
    clipc_ctx_free(m->ctx);
    m->ctx = NULL;
    return rc;
}

static void suggest(const bench *m)
{
    for (int t = 0; t < 2; t++) {
        const best *one = &m->one[t], *many = &m->many[t];
        if (!has_tower(m, t)) continue;
        printf(
            "%s: one at a time %.2f ms with --precision %s --threads %zu; many, %.1f a "
            "second with --precision %s --threads %zu\n",
            towers[t], 1e3 * one->seconds, precisions[one->precision], one->threads,
            1.0 / many->seconds, precisions[many->precision], many->threads);
        for (int p = 1; p < PRECISIONS; p++)
            if (m->peak[p] > 0.0)
                printf("  %s: cosine to float32 at least %.5f\n", precisions[p],
                       m->least[t][p]);
    }
}

static int prepare(bench *m)
{
    int rc = clipc_model_open(&m->model, m->model_name, &m->err);

    if (rc != CLIPC_OK) return rc;
    m->info = clipc_model_info_of(m->model);
    const size_t n = MOST * 3 * m->info->image_size * m->info->image_columns;
    const size_t rows = MOST * m->info->embed_dim;
    m->pixels = malloc(n * sizeof *m->pixels);
    m->out = malloc(rows * sizeof *m->out);
    for (int t = 0; t < 2; t++) m->exact[t] = malloc(rows * sizeof *m->out);
    if (!m->pixels || !m->out || !m->exact[0] || !m->exact[1])
        return clipc_fail_memory(&m->err, "pictures", n * sizeof *m->pixels);
    /* Noise between -2 and 2, the same each time. */
    uint32_t x = 1;
    for (size_t i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        m->pixels[i] = (float)(x >> 8) * (4.0f / 16777216.0f) - 2.0f;
    }
    for (int p = 0; p < PRECISIONS; p++) {
        m->peak[p] = clipc_peak(p);
        m->least[0][p] = m->least[1][p] = 2.0;
    }
    return CLIPC_OK;
}

static int run(bench *m)
{
    char about[512];
    int rc = prepare(m);

    if (rc != CLIPC_OK) return cli_fail(&m->err);
    clipc_about(about, sizeof about);
    if (!m->json) {
        printf("%.*s; one core at best, GFLOP/s:", (int)strcspn(about, ";"), about);
        for (int p = 0; p < PRECISIONS; p++)
            if (m->peak[p] > 0.0) printf(" %s %.0f", precisions[p], m->peak[p] * 1e-9);
        printf("\ntower  prec. threads  batch   ms, median   per second  peak\n");
    }
    for (int p = 0; rc == CLIPC_OK && p < PRECISIONS; p++) {
        if (m->peak[p] <= 0.0) continue;
        rc = run_with(m, p, 1);
        if (rc == CLIPC_OK && m->threads > 1) rc = run_with(m, p, m->threads);
    }
    if (rc != CLIPC_OK) return cli_fail(&m->err);
    if (!m->json) suggest(m);
    return EXIT_DONE;
}

static int on_option(void *user, const char *name, const char *value)
{
    bench *m = user;

    if (strcmp(name, "threads") == 0)
        return cli_number(&m->threads, "bench", name, value, 1, CPUS_MOST);
    if (strcmp(name, "model") == 0) m->model_name = value;
    if (strcmp(name, "json") == 0) m->json = true;
    return 0;
}

int cmd_bench(int argc, char **argv)
{
    static const opt table[] = {
        {"model", 'm', "MODEL", "file, folder or name (CLIPC_MODEL, else the bundled)"},
        {"threads", 't', "N", "beside one thread, so many (all it may use)"},
        {"json", 'j', NULL, "one JSON line a measurement"}};
    static const opts_usage usage = {
        "bench", "[MODEL] [options]",
        "Measures each tower of a model: milliseconds of a batch, pictures or texts a\n"
        "second, and the share of what the cores can do at best; in float32, and in "
        "bf16\n"
        "and int8 where the CPU is faster so, with how far those are off.",
        "  clipc bench\n  clipc bench ViT-B-32/ --threads 4\n"};
    bench m = {.model_name = getenv("CLIPC_MODEL"), .threads = cpus_usable()};
    const int at = opts_parse(argc, argv, table, sizeof table / sizeof table[0], &usage,
                              on_option, &m);
    int rc;

    if (at < 0) return cli_options_exit(at);
    if (at + 1 < argc) return cli_usage("bench", "takes one model");
    if (at < argc) m.model_name = argv[at];
    rc = run(&m);
    clipc_model_free(m.model);
    free(m.pixels), free(m.out), free(m.exact[0]), free(m.exact[1]);
    return rc;
}

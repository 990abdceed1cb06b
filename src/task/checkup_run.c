#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "clip/model.h"
#include "model/textnet.h"
#include "task/checkup.h"

enum { COLOURS = 3, SHAPES = 2, INPUTS = COLOURS * SHAPES };

static const struct {
    const char *name;
    uint8_t rgb[3];
} colours[COLOURS] = {
    {"red", {220, 20, 20}}, {"green", {20, 160, 40}}, {"blue", {30, 60, 220}}};
static const char *const shapes[SHAPES] = {"square", "circle"};

/* Differences between unit embeddings that rounding alone may make. */
static const double most = 3e-5; /* measured 3e-7; an ill-conditioned tower 8e-5 */

/* A model at work on the built-in inputs. */
typedef struct run {
    checkup *c;
    const clipc_model *m;
    const clipc_model_info *info;
    clipc_ctx *all, *one; /* with all threads, with one */
    size_t E, pixels;     /* bytes of a picture */
    char texts[INPUTS][32];
    uint8_t *rgb;        /* [INPUTS,pixels] */
    int32_t *ids;        /* [INPUTS,context_length] */
    float *image, *text; /* [INPUTS,E] in a batch */
    float *single;       /* [INPUTS,E] one by one, with one thread */
    bool tokenized;      /* r->ids are of the texts, not made up */
    size_t singles;      /* rows of single */
    double seconds[2];   /* of the towers at hand: one by one, in the batch */
} run;

/* ---- inputs ---- */

/* A shape in the middle of white. */
static void draw(uint8_t *rgb, size_t H, size_t W, size_t i)
{
    const uint8_t *colour = colours[i / SHAPES].rgb;
    const double side = (double)(H < W ? H : W);

    for (size_t y = 0; y < H; y++)
        for (size_t x = 0; x < W; x++, rgb += 3) {
            const double dx = fabs((double)x - 0.5 * (double)(W - 1)) / side,
                         dy = fabs((double)y - 0.5 * (double)(H - 1)) / side;
            const bool in = i % SHAPES ? dx * dx + dy * dy < 0.1 : dx < 0.28 && dy < 0.28;
            for (size_t c = 0; c < 3; c++) rgb[c] = in ? colour[c] : 255;
        }
}

/* Ids for texts that cannot be tokenized: all differ, the last is the largest there is.
 */
static void make_ids(int32_t *ids, const text_cfg *cfg, size_t i)
{
    const size_t T = cfg->context_length, n = T < 6 ? T : 6, V = cfg->vocab_size;

    for (size_t t = 0; t < T; t++)
        ids[t] = t + 1 < n ? (int32_t)((7 * i + 13 * t + 3) % (V > 1 ? V - 1 : 1))
                 : t + 1 == n
                     ? (int32_t)(cfg->pool == TEXT_POOL_EOS ? (size_t)cfg->eos_id : V - 1)
                     : 0;
    for (size_t t = n; t < T && cfg->family == TEXT_BERT; t++) ids[t] = cfg->pad_id;
}

/* ---- tokenizer ---- */

static bool same_ids(const run *r, size_t i, size_t k)
{
    const size_t T = r->info->context_length;

    return memcmp(r->ids + i * T, r->ids + k * T, T * sizeof *r->ids) == 0;
}

/* Whether the features of text i come from its last token, as argmax and eos mean it. */
static bool ends_well(run *r, size_t i, size_t n)
{
    const text_cfg *t = &r->m->source.cfg.text;
    const size_t at = t->family == TEXT_BERT || t->embed_cls ||
                              t->pool == TEXT_POOL_FIRST || t->pool == TEXT_POOL_LAST
                          ? n - 1
                          : textnet_pooled(t, r->ids + i * t->context_length);

    if (at == n - 1) return true;
    checkup_say(r->c, CLIPC_FOUND_PROBLEM, "tokenizer",
                "the features of \"%s\" come from token %zu, its last is %zu: the "
                "vocabulary's end token is not the one that the model looks for",
                r->texts[i], at, n - 1);
    return false;
}

static bool distinct(run *r)
{
    for (size_t i = 0; i < INPUTS; i++)
        for (size_t k = 0; k < i; k++)
            if (same_ids(r, i, k)) {
                checkup_say(
                    r->c, CLIPC_FOUND_PROBLEM, "tokenizer",
                    "\"%s\" and \"%s\" give the same ids: the vocabulary does not "
                    "have their words",
                    r->texts[k], r->texts[i]);
                return false;
            }
    return true;
}

/* n: tokens of each text, before it is cut. */
static bool ids_sound(run *r, const size_t *n)
{
    const size_t size = tokenizer_size(&r->m->tokens), V = r->info->vocab_size;

    if (!distinct(r)) return false;
    for (size_t i = 0; i < INPUTS; i++)
        if (n[i] > r->info->context_length) {
            checkup_say(r->c, CLIPC_FOUND_WARNING, "tokenizer",
                        "\"%s\" has %zu tokens, the model takes %zu", r->texts[i], n[i],
                        r->info->context_length);
            return true;
        }
    for (size_t i = 0; i < INPUTS; i++)
        if (!ends_well(r, i, n[i])) return false;
    if (size < V)
        checkup_say(r->c, CLIPC_FOUND_NOTE, "tokenizer",
                    "%s, %zu tokens; the model has %zu, the rest is never used",
                    r->info->tokenizer, size, V);
    else
        checkup_say(r->c, CLIPC_FOUND_OK, "tokenizer",
                    "%s, %zu tokens; \"%s\" is %zu of %zu", r->info->tokenizer, V,
                    r->texts[0], n[0], r->info->context_length);
    return true;
}

/* Why texts cannot be tokenized.  A model of another size than OpenAI's vocabulary just
 * has none beside it. */
static void say_no_tokens(run *r, int rc, const char *why)
{
    const bool lacks =
        rc == CLIPC_ERR_FEATURE &&
        (!tokenizer_size(&r->m->tokens) || strcmp(r->info->tokenizer, "openai") == 0);

    checkup_say(r->c, lacks ? CLIPC_FOUND_NOTE : CLIPC_FOUND_PROBLEM, "tokenizer", "%s",
                why);
}

/* Fills r->ids, with made-up ones where the tokenizer's are not sound: what the tower
 * makes of ids is another question. */
static int check_tokenizer(run *r, clipc_err *err)
{
    const text_cfg *t = &r->m->source.cfg.text;
    size_t n[INPUTS];
    clipc_err why;
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < INPUTS; i++)
        rc = clipc_tokenize(r->all, r->ids + i * t->context_length, &n[i], r->texts[i],
                            &why);
    if (rc == CLIPC_ERR_MEMORY) return clipc_fail(err, rc, "%s", why.msg);
    if (rc == CLIPC_OK) r->tokenized = ids_sound(r, n);
    else say_no_tokens(r, rc, why.msg);
    for (size_t i = 0; !r->tokenized && i < INPUTS; i++)
        make_ids(r->ids + i * t->context_length, t, i);
    return CLIPC_OK;
}

/* ---- embeddings ---- */

static int encode(run *r, clipc_ctx *ctx, bool images, float *out, size_t from, size_t n,
                  clipc_err *err)
{
    return images ? clipc_encode_image_crops(ctx, out, r->rgb + from * r->pixels, n, err)
                  : clipc_encode_ids(ctx, out, r->ids + from * r->info->context_length, n,
                                     err);
}

static double dot(const float *x, const float *y, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++) sum += (double)x[i] * (double)y[i];
    return sum;
}

/* Mean cosine of different inputs. */
static double likeness(const float *x, size_t E)
{
    double sum = 0.0;

    for (size_t i = 0; i < INPUTS; i++)
        for (size_t k = 0; k < i; k++) sum += dot(x + i * E, x + k * E, E);
    return sum / (INPUTS * (INPUTS - 1) / 2);
}

static double difference(const float *x, const float *y, size_t n)
{
    double largest = 0.0;

    for (size_t i = 0; i < n; i++) {
        const double d = fabs((double)x[i] - (double)y[i]);
        if (!(d <= largest)) largest = d;
    }
    return largest;
}

static void say_embeddings(run *r, const char *what, const float *x)
{
    const double alike = likeness(x, r->E);
    double off = 0.0;

    for (size_t i = 0; i < INPUTS; i++) {
        const double d = fabs(sqrt(dot(x + i * r->E, x + i * r->E, r->E)) - 1.0);
        if (!(d <= off)) off = d;
    }
    if (!(off < 1e-3))
        checkup_say(r->c, CLIPC_FOUND_PROBLEM, "embeddings",
                    "of %ss: lengths differ from 1 by %.3g", what, off);
    else if (alike > 0.999)
        checkup_say(r->c, CLIPC_FOUND_PROBLEM, "embeddings",
                    "of different %ss are the same (mean cosine %.6f): the tower tells "
                    "nothing apart",
                    what, alike);
    else
        checkup_say(r->c, CLIPC_FOUND_OK, "embeddings",
                    "of %d %ss: finite, of length 1, mean cosine %.3f", INPUTS, what,
                    alike);
}

/* The first input again; then by the plain kernels, where that takes no minutes. */
static int check_repetition(run *r, bool images, const float *batch, clipc_err *err)
{
    const char *what = images ? "picture" : "text";
    float *again = malloc(r->E * sizeof *again);
    const double by_batch = difference(batch, r->single, r->singles * r->E);
    int rc = again ? encode(r, r->one, images, again, 0, 1, err)
                   : clipc_fail_memory(err, "embedding", r->E);

    if (rc == CLIPC_OK && memcmp(again, r->single, r->E * sizeof *again) != 0)
        checkup_say(r->c, CLIPC_FOUND_PROBLEM, "repetition",
                    "the same %s gives another embedding the second time", what);
    else if (rc == CLIPC_OK && !(by_batch < most))
        checkup_say(
            r->c, CLIPC_FOUND_WARNING, "repetition",
            "%ss one by one and in a batch differ by %.3g: numbers inside are too "
            "large for float32",
            what, by_batch);
    else if (rc == CLIPC_OK)
        checkup_say(r->c, CLIPC_FOUND_OK, "repetition",
                    "%ss again: the same; in a batch, with %zu threads: within %.2g",
                    what, r->c->threads, by_batch);
    free(again);
    return rc;
}

static int check_kernels(run *r, bool images, clipc_err *err)
{
    const char *what = images ? "pictures" : "texts";
    const kernels *own = r->one->e->k, *ref = kernels_named("ref");
    float *plain;
    double d;
    int rc;

    /* Plain loops take some 30 times as long. */
    if (own == ref || r->seconds[0] > 0.1) return CLIPC_OK;
    plain = malloc(r->E * sizeof *plain);
    if (!plain) return clipc_fail_memory(err, "embedding", r->E);
    r->one->e->k = ref;
    rc = encode(r, r->one, images, plain, 0, 1, err);
    r->one->e->k = own;
    d = difference(plain, r->single, r->E);
    if (rc == CLIPC_OK)
        checkup_say(r->c, d < most ? CLIPC_FOUND_OK : CLIPC_FOUND_WARNING, "kernels",
                    "%s by %s and by plain loops: within %.2g%s", what, own->name, d,
                    d < most ? "" : "; numbers inside are too large for float32");
    free(plain);
    return rc;
}

/* Whether a measurement may end: short ones are repeated. */
static bool enough(double took, size_t done, size_t wanted)
{
    return done >= wanted ? took > 0.1 || done > 1000 : done > 1 && took > 1.0;
}

/* Both ways through the inputs; of a large model few of them one by one. */
static int time_encoding(run *r, bool images, float *batch, clipc_err *err)
{
    double begin = clock_now(), took = 0.0;
    size_t done;
    int rc = CLIPC_OK;

    for (done = 0; rc == CLIPC_OK && !enough(took, done, INPUTS); done++) {
        const size_t i = done % INPUTS;
        rc = encode(r, r->one, images, r->single + i * r->E, i, 1, err);
        took = clock_now() - begin;
    }
    r->singles = done < INPUTS ? done : INPUTS;
    r->seconds[0] = took / (double)done;
    begin = clock_now(), took = 0.0;
    for (done = 0; rc == CLIPC_OK && !enough(took, done, INPUTS); done += INPUTS) {
        rc = encode(r, r->all, images, batch, 0, INPUTS, err);
        took = clock_now() - begin;
    }
    r->seconds[1] = took / (double)(done ? done : 1);
    return rc;
}

static int check_tower(run *r, bool images, clipc_err *err)
{
    float *batch = images ? r->image : r->text;
    double *rate = images ? r->c->sum->image_rate : r->c->sum->text_rate;
    clipc_err why;
    int rc = time_encoding(r, images, batch, &why);

    if (rc != CLIPC_OK) {
        checkup_say(r->c, CLIPC_FOUND_PROBLEM, "embeddings", "%s", why.msg);
        r->c->broken = true;
        return rc == CLIPC_ERR_NUMBER ? CLIPC_OK : clipc_fail(err, rc, "%s", why.msg);
    }
    for (size_t i = 0; i < 2; i++) rate[i] = 1.0 / r->seconds[i];
    say_embeddings(r, images ? "picture" : "text", batch);
    rc = check_repetition(r, images, batch, err);
    return rc == CLIPC_OK ? check_kernels(r, images, err) : rc;
}

/* ---- pictures and texts together ---- */

/* The colour of the text that fits a picture best, among texts of its shape. */
static size_t best_colour(const run *r, size_t i)
{
    size_t best = i % SHAPES;

    for (size_t k = i % SHAPES; k < INPUTS; k += SHAPES)
        if (dot(r->image + i * r->E, r->text + k * r->E, r->E) >
            dot(r->image + i * r->E, r->text + best * r->E, r->E))
            best = k;
    return best / SHAPES;
}

static void say_pictures(run *r)
{
    size_t right = 0;

    for (size_t i = 0; i < INPUTS; i++) right += best_colour(r, i) == i / SHAPES;
    const bool seen = right > INPUTS / 2; /* chance gives a third */
    checkup_say(r->c, seen ? CLIPC_FOUND_OK : CLIPC_FOUND_NOTE, "pictures",
                "the colour is right for %zu of %d drawn shapes%s", right, INPUTS,
                seen ? ""
                     : ", hardly more than by chance: untrained, of other pictures, or "
                       "activation, mean and std or tokenizer are wrong");
}

/* ---- memory, speed ---- */

static void say_memory(run *r)
{
    const net *n = r->m->n;
    struct rusage used = {0};

    getrusage(RUSAGE_SELF, &used);
    r->c->sum->memory_bytes = n->mem.size;
    checkup_say(r->c, CLIPC_FOUND_OK, "memory",
                "weights: %.1f MB stored, %s, %.1f MB copied; at most %.0f MB in use",
                (double)r->c->sum->file_bytes * 1e-6,
                n->mapped ? "mapped" : "converted when opened",
                (double)n->mem.size * 1e-6, (double)used.ru_maxrss * 1.024e-3);
}

static void say_speed(run *r, const char *what, const double *rate)
{
    if (rate[0] > 0.0)
        checkup_say(r->c, CLIPC_FOUND_OK, "speed",
                    "%.3g %s a second one by one with 1 thread, %.3g in batches with %zu",
                    rate[0], what, rate[1], r->c->threads);
}

/* ---- all of it ---- */

static int check_all(run *r, clipc_err *err)
{
    const bool sees = r->m->n->image, reads = r->m->n->text;
    int rc = CLIPC_OK;

    for (size_t i = 0; i < INPUTS; i++) {
        snprintf(r->texts[i], sizeof r->texts[i], "a %s %s", colours[i / SHAPES].name,
                 shapes[i % SHAPES]);
        draw(r->rgb + i * r->pixels, r->info->image_size, r->info->image_columns, i);
    }
    if (reads) rc = check_tokenizer(r, err);
    if (rc == CLIPC_OK && sees) rc = check_tower(r, true, err);
    if (rc == CLIPC_OK && reads) rc = check_tower(r, false, err);
    if (rc != CLIPC_OK) return rc;
    if (sees && r->tokenized && !r->c->broken) say_pictures(r);
    say_memory(r);
    say_speed(r, "pictures", r->c->sum->image_rate);
    say_speed(r, "texts", r->c->sum->text_rate);
    return CLIPC_OK;
}

int checkup_run(checkup *c, const clipc_model *m, clipc_err *err)
{
    const clipc_model_info *i = clipc_model_info_of(m);
    const clipc_ctx_options all = {.threads = c->threads, .max_batch = INPUTS},
                            one = {.threads = 1, .max_batch = 1};
    run r = {.c = c,
             .m = m,
             .info = i,
             .E = i->embed_dim,
             .pixels = i->image_size * i->image_columns * 3};
    int rc = clipc_ctx_new(&r.all, m, &all, err);

    if (rc == CLIPC_OK) rc = clipc_ctx_new(&r.one, m, &one, err);
    r.rgb = malloc(INPUTS * r.pixels);
    r.ids = malloc((INPUTS * i->context_length + 1) * sizeof *r.ids);
    r.image = calloc(3 * INPUTS * r.E, sizeof *r.image);
    r.text = r.image + INPUTS * r.E, r.single = r.text + INPUTS * r.E;
    if (rc == CLIPC_OK && (!r.rgb || !r.ids || !r.image))
        rc = clipc_fail_memory(err, i->path, INPUTS * r.pixels);
    if (rc == CLIPC_OK) rc = check_all(&r, err);
    clipc_ctx_free(r.one);
    clipc_ctx_free(r.all);
    free(r.image);
    free(r.ids);
    free(r.rgb);
    return rc;
}

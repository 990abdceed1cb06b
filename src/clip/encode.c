#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "clip/model.h"
#include "nn/rows.h"

enum { FILE_LIMIT = 1 << 30 };

void clipc_ctx_free(clipc_ctx *c)
{
    if (!c) return;
    if (c->image_acts) c->m->n->ops->acts_destroy(c->image_acts);
    if (c->text_acts) c->m->n->text_ops->acts_destroy(c->text_acts);
    exec_free(c->e);
    for (size_t i = 0; c->pictures && i < c->options.threads; i++) {
        resize_work_free(&c->pictures[i].resize);
        buf_free(&c->pictures[i].file);
    }
    arena_free(&c->mem);
    tokens_work_free(&c->tokens);
    buf_free(&c->text);
    free(c);
}

/* Of a picture as the image tower sees it: [H,W,3]. */
static size_t picture_bytes(const clipc_model *m)
{
    const image_cfg *i = &m->source.cfg.image;
    return 3 * i->image_size * image_columns(i);
}

/* Texts are rarely as long as can be: so many are taken at a time as have together no
 * more tokens than max_batch long ones, up to this. */
static size_t most_texts(const clipc_ctx *c)
{
    return 8 * c->options.max_batch;
}

static void take_buffers(clipc_ctx *c, arena *a)
{
    const size_t B = c->options.max_batch, n = picture_bytes(c->m), texts = most_texts(c);

    c->pixels = ARENA_FLOATS(a, B * n);
    c->pictures = arena_take(a, c->options.threads, sizeof *c->pictures);
    for (size_t i = 0; i < c->options.threads; i++) {
        uint8_t *crop = arena_take(a, n, 1);
        if (c->pictures) c->pictures[i].crop = crop;
    }
    c->ids = arena_take(a, texts * c->m->source.cfg.text.context_length, sizeof *c->ids);
    c->texts = arena_take(a, texts, sizeof *c->texts);
    c->windows = ARENA_FLOATS(a, B * c->m->source.cfg.image.embed_dim);
}

enum { BATCH_LIMIT = 65536 }; /* keeps products of sizes far from where they overflow */

static int check_options(const clipc_ctx_options *o, clipc_err *err)
{
    if (o->precision < 0 || o->precision > CLIPC_PRECISION_INT8)
        return clipc_fail(err, CLIPC_ERR_ARG, "no precision %d", o->precision);
    if (o->long_texts < 0 || o->long_texts > CLIPC_LONG_MAX)
        return clipc_fail(err, CLIPC_ERR_ARG, "no way %d with long texts", o->long_texts);
    if (o->max_batch > BATCH_LIMIT)
        return clipc_fail(err, CLIPC_ERR_ARG, "max_batch is %zu, at most %d",
                          o->max_batch, BATCH_LIMIT);
    return CLIPC_OK;
}

/* Activations of both towers; with bytes, how much they would be. */
static int make_acts(clipc_ctx *c, size_t *bytes, clipc_err *err)
{
    const net *n = c->m->n;
    const size_t B = c->options.max_batch, T = n->cfg.text.context_length;
    size_t part[2] = {0};
    int rc = CLIPC_OK;

    if (n->image)
        rc = n->ops->acts_make(&c->image_acts, bytes ? &part[0] : NULL, n->image, B,
                               TOWER_INFER, err);
    if (rc == CLIPC_OK && n->text)
        rc = n->text_ops->acts_make(&c->text_acts, bytes ? &part[1] : NULL, n->text,
                                    most_texts(c), B * T, TOWER_INFER, err);
    if (bytes) *bytes = part[0] + part[1];
    return rc;
}

static int make_buffers(clipc_ctx *c, clipc_err *err)
{
    const net *n = c->m->n;
    const size_t a = n->image ? n->ops->scratch(n->image) : 0;
    const size_t b = n->text ? n->text_ops->scratch(n->text) : 0;
    arena measure = arena_measure();
    int rc = exec_new(&c->e, c->options.threads, a > b ? a : b, err);

    if (rc != CLIPC_OK) return rc;
    c->e->k = c->m->k;
    c->e->precision = (compute)c->options.precision;
    rc = make_acts(c, NULL, err);
    if (rc == CLIPC_OK) rc = tokens_work_new(&c->tokens, &c->m->tokens, err);
    take_buffers(c, &measure);
    if (rc == CLIPC_OK) rc = arena_new(&c->mem, measure.used, "context", err);
    if (rc == CLIPC_OK) take_buffers(c, &c->mem);
    return rc;
}

static void set_options(clipc_ctx *c, const clipc_model *m,
                        const clipc_ctx_options *options)
{
    c->m = m;
    if (options) c->options = *options;
    if (!c->options.threads) c->options.threads = 1;
    if (!c->options.max_batch) c->options.max_batch = 8;
    if (!(c->options.max_megapixels > 0)) c->options.max_megapixels = 256;
}

int clipc_ctx_new(clipc_ctx **out, const clipc_model *m, const clipc_ctx_options *options,
                  clipc_err *err)
{
    clipc_ctx *c = calloc(1, sizeof *c);
    int rc;

    *out = NULL;
    if (!c) return clipc_fail_memory(err, "context", sizeof *c);
    set_options(c, m, options);
    rc = check_options(&c->options, err);
    if (rc == CLIPC_OK) rc = make_buffers(c, err);
    if (rc == CLIPC_OK) *out = c;
    else clipc_ctx_free(c);
    return rc;
}

int ctx_bytes(size_t *bytes, const clipc_model *m, const clipc_ctx_options *options,
              clipc_err *err)
{
    arena measure = arena_measure();
    clipc_ctx c = {0};

    set_options(&c, m, options);
    take_buffers(&c, &measure);
    const int rc = make_acts(&c, bytes, err);
    *bytes += measure.used;
    return rc;
}

const clipc_model *clipc_ctx_model(const clipc_ctx *c)
{
    return c->m;
}

/* ---- pictures
 * --------------------------------------------------------------------------- */

static int check_numbers(const clipc_ctx *c, const float *out, size_t n, const char *what,
                         clipc_err *err)
{
    if (isfinite(c->e->k->max_abs(out, n * c->m->info.embed_dim))) return CLIPC_OK;
    return clipc_fail(err, CLIPC_ERR_NUMBER, "%s: the embedding holds NaN or infinity",
                      what);
}

/* Unit length unless raw; a model whose numbers overflow says so. */
static int finish(clipc_ctx *c, float *out, size_t n, const char *what, clipc_err *err)
{
    const int rc = check_numbers(c, out, n, what, err);

    if (rc == CLIPC_OK && !c->options.raw)
        rows_normalize_fwd(c->e, out, NULL, out, n, c->m->info.embed_dim);
    return rc;
}

static int no_tower(const clipc_ctx *c, const char *which, clipc_err *err)
{
    return clipc_fail(err, CLIPC_ERR_FEATURE, "%s: the model has no %s tower",
                      c->m->source.path, which);
}

int clipc_encode_image_tensors(clipc_ctx *c, float *out, const float *pixels, size_t n,
                               clipc_err *err)
{
    const size_t E = c->m->info.embed_dim, B = c->options.max_batch;

    if (!c->m->n->image) return no_tower(c, "image", err);
    for (size_t i = 0; i < n; i += B)
        c->m->n->ops->fwd(c->e, c->m->n->image, c->image_acts, out + i * E,
                          pixels + i * picture_bytes(c->m), n - i < B ? n - i : B);
    return finish(c, out, n, "image", err);
}

int clipc_encode_image_crops(clipc_ctx *c, float *out, const uint8_t *rgb, size_t n,
                             clipc_err *err)
{
    const size_t E = c->m->info.embed_dim, B = c->options.max_batch;
    const size_t bytes = picture_bytes(c->m);
    int rc = c->m->n->image ? CLIPC_OK : no_tower(c, "image", err);

    for (size_t i = 0; rc == CLIPC_OK && i < n; i += B) {
        const size_t m = n - i < B ? n - i : B;
        for (size_t k = 0; k < m; k++)
            preprocess_normalize(c->pixels + k * bytes, rgb + (i + k) * bytes,
                                 &c->m->source.cfg.preprocess);
        rc = clipc_encode_image_tensors(c, out + i * E, c->pixels, m, err);
    }
    return rc;
}

/* crop [H,W,3] of a picture. */
static int crop_of_bytes(uint8_t *crop, const clipc_ctx *c, picture_work *w,
                         const void *data, size_t size, const char *name, clipc_err *err)
{
    const open_cfg open = {c->options.max_megapixels, c->options.auto_orient != 0,
                           c->options.fast_decode != 0};

    return preprocess_file(crop, &w->resize, data, size, name, &open,
                           &c->m->source.cfg.preprocess, err);
}

static int crop_of_file(uint8_t *crop, const clipc_ctx *c, picture_work *w,
                        const char *path, clipc_err *err)
{
    const int rc = file_read(&w->file, path, FILE_LIMIT, err);

    return rc == CLIPC_OK
               ? crop_of_bytes(crop, c, w, w->file.data, w->file.len, path, err)
               : rc;
}

/* Encodes the crop that making it (rc) left in the first thread's work. */
static int encode_crop(clipc_ctx *c, float *out, int rc, clipc_err *err)
{
    return rc == CLIPC_OK ? clipc_encode_image_crops(c, out, c->pictures->crop, 1, err)
                          : rc;
}

int clipc_encode_image_memory(clipc_ctx *c, float *out, const void *data, size_t size,
                              const char *name, clipc_err *err)
{
    picture_work *w = c->pictures;
    return encode_crop(c, out, crop_of_bytes(w->crop, c, w, data, size, name, err), err);
}

int clipc_encode_image_file(clipc_ctx *c, float *out, const char *path, clipc_err *err)
{
    picture_work *w = c->pictures;
    return encode_crop(c, out, crop_of_file(w->crop, c, w, path, err), err);
}

int clipc_encode_image_pixels(clipc_ctx *c, float *out, const uint8_t *rgb, size_t width,
                              size_t height, clipc_err *err)
{
    /* The pixels are only read: image has no const member for them. */
    const image im = {
        .px = (uint8_t *)(uintptr_t)rgb, .w = width, .h = height, .mode = IMAGE_RGB};
    picture_work *w = c->pictures;
    int rc = image_check_size(width, height, c->options.max_megapixels, "pixels", err);

    if (rc == CLIPC_OK)
        rc = preprocess_u8(w->crop, &w->resize, &im, &c->m->source.cfg.preprocess, err);
    return encode_crop(c, out, rc, err);
}

int clipc_preprocess_file(clipc_ctx *c, uint8_t *rgb, const char *path, clipc_err *err)
{
    return crop_of_file(rgb, c, c->pictures, path, err);
}

typedef struct pictures_job {
    clipc_ctx *c;
    const char *const *names;
    const span *bytes;
    clipc_err *errs;
} pictures_job;

/* Pixels of picture i of a batch; zeros of one that fails. */
static void load_picture(void *arg, size_t thread, size_t i)
{
    const pictures_job *j = arg;
    const size_t n = picture_bytes(j->c->m);
    const span *b = j->bytes && j->bytes[i].data ? &j->bytes[i] : NULL;
    picture_work *w = &j->c->pictures[thread];
    float *pixels = j->c->pixels + i * n;
    clipc_err *err = &j->errs[i];

    *err = (clipc_err){0};
    if ((b ? crop_of_bytes(w->crop, j->c, w, b->data, b->size, j->names[i], err)
           : crop_of_file(w->crop, j->c, w, j->names[i], err)) == CLIPC_OK)
        preprocess_normalize(pixels, w->crop, &j->c->m->source.cfg.preprocess);
    else memset(pixels, 0, n * sizeof *pixels);
}

int encode_pictures(clipc_ctx *c, float *out, const char *const *names, const span *bytes,
                    size_t n, clipc_err *errs, clipc_err *err)
{
    const size_t E = c->m->info.embed_dim, B = c->options.max_batch;

    if (!c->m->n->image) return no_tower(c, "image", err);
    for (size_t i = 0; i < n; i += B) {
        const size_t m = n - i < B ? n - i : B;
        pictures_job j = {c, names + i, bytes ? bytes + i : NULL, errs + i};
        float *to = out + i * E;
        exec_each(c->e, load_picture, &j, m);
        c->m->n->ops->fwd(c->e, c->m->n->image, c->image_acts, to, c->pixels, m);
        for (size_t k = 0; k < m; k++)
            if (errs[i + k].code == CLIPC_OK)
                check_numbers(c, to + k * E, 1, names[i + k], &errs[i + k]);
        if (!c->options.raw) rows_normalize_fwd(c->e, to, NULL, to, m, E);
    }
    return CLIPC_OK;
}

int clipc_encode_image_files(clipc_ctx *c, float *out, const char *const *paths, size_t n,
                             clipc_err *errs, clipc_err *err)
{
    return encode_pictures(c, out, paths, NULL, n, errs, err);
}

/* ---- texts
 * ------------------------------------------------------------------------------ */

/* How many of n texts go into one batch. */
static size_t batch_of(const clipc_ctx *c, const int32_t *ids, size_t n)
{
    const size_t T = c->m->info.context_length, most = most_texts(c);
    size_t left = c->options.max_batch * T, m = 0;

    for (; m < n && m < most; m++, ids += T) {
        const size_t tokens = c->m->n->text_ops->tokens(c->m->n->text, ids);
        if (tokens > left) break;
        left -= tokens;
    }
    return m;
}

int clipc_encode_ids(clipc_ctx *c, float *out, const int32_t *ids, size_t n,
                     clipc_err *err)
{
    const size_t T = c->m->info.context_length, E = c->m->info.embed_dim;

    if (!c->m->n->text) return no_tower(c, "text", err);
    for (size_t i = 0; i < n * T; i++)
        if (ids[i] < 0 || (size_t)ids[i] >= c->m->info.vocab_size)
            return clipc_fail(err, CLIPC_ERR_ARG,
                              "text %zu: id %d, the model has %zu tokens", i / T + 1,
                              (int)ids[i], c->m->info.vocab_size);
    for (size_t i = 0, m; i < n; i += m) {
        m = batch_of(c, ids + i * T, n - i);
        c->m->n->text_ops->fwd(c->e, c->m->n->text, c->text_acts, out + i * E,
                               ids + i * T, m);
    }
    return finish(c, out, n, "text", err);
}

static int check_texts(const clipc_ctx *c, clipc_err *err)
{
    if (!c->m->n->text) return no_tower(c, "text", err);
    return tokenizer_check(&c->m->tokens, c->m->info.vocab_size, c->m->source.path, err);
}

/* Names the text by its beginning. */
static int too_long(const clipc_ctx *c, text_span text, size_t n_tokens, clipc_err *err)
{
    enum { SHOWN = 60 };
    size_t n = text.len < SHOWN ? text.len : SHOWN;
    char shown[SHOWN + 1];

    while (n < text.len && n && ((unsigned char)text.data[n] & 0xc0) == 0x80) n--;
    for (size_t i = 0; i < n; i++)
        shown[i] = (unsigned char)text.data[i] < ' ' ? ' ' : text.data[i];
    shown[n] = '\0';
    return clipc_fail(err, CLIPC_ERR_TEXT,
                      "text \"%s%s\": %zu tokens, the model takes %zu", shown,
                      n < text.len ? "..." : "", n_tokens, c->m->info.context_length);
}

static int tokenize(clipc_ctx *c, int32_t *ids, size_t *n_tokens, text_span text,
                    clipc_err *err)
{
    const size_t T = c->m->info.context_length;
    size_t n = 0;
    int rc = check_texts(c, err);

    if (rc == CLIPC_OK)
        rc = tokenizer_run(&c->m->tokens, &c->tokens, ids, T, &n, text, c->options.compat,
                           c->m->source.path, err);
    if (rc == CLIPC_OK && n_tokens) *n_tokens = n;
    return rc == CLIPC_OK && n > T && c->options.long_texts == CLIPC_LONG_ERROR
               ? too_long(c, text, n, err)
               : rc;
}

int clipc_tokenize(clipc_ctx *c, int32_t *ids, size_t *n_tokens, const char *text,
                   clipc_err *err)
{
    return tokenize(c, ids, n_tokens, (text_span){text, strlen(text)}, err);
}

/* out [E] gathers m rows x: their sum, or the largest of each number. */
static void gather(float *out, const float *x, size_t m, size_t E, bool first, bool most)
{
    for (size_t k = 0; k < m; k++, x += E, first = false)
        for (size_t d = 0; d < E; d++) {
            if (first) out[d] = x[d];
            else if (!most) out[d] += x[d];
            else if (x[d] > out[d]) out[d] = x[d];
        }
}

/* A text of any length, window by window. */
static int encode_windows(clipc_ctx *c, float *out, text_span text, clipc_err *err)
{
    const size_t T = c->m->info.context_length, E = c->m->info.embed_dim;
    const size_t room = tokenizer_room(&c->m->tokens, T);
    const bool most = c->options.long_texts == CLIPC_LONG_MAX;
    const int32_t *inner = NULL;
    size_t n = 0;
    int rc = check_texts(c, err);

    if (rc == CLIPC_OK)
        rc = tokenizer_encode(&c->m->tokens, &c->tokens, &inner, &n, text,
                              c->options.compat, c->m->source.path, err);
    if (rc != CLIPC_OK) return rc;
    const size_t all = n ? (n + room - 1) / room : 1;
    for (size_t i = 0, m; rc == CLIPC_OK && i < all; i += m) {
        for (m = 0; m < c->options.max_batch && i + m < all; m++) {
            const size_t from = (i + m) * room, left = n - from;
            tokenizer_frame(&c->m->tokens, c->ids + m * T, T, inner + from,
                            left < room ? left : room);
        }
        rc = clipc_encode_ids(c, c->windows, c->ids, m, err);
        if (rc == CLIPC_OK) gather(out, c->windows, m, E, i == 0, most);
    }
    if (rc != CLIPC_OK || all == 1) return rc;
    for (size_t d = 0; !most && d < E; d++) out[d] /= (float)all;
    return finish(c, out, 1, "text", err);
}

/* Up to most_texts. */
static int encode_batch(clipc_ctx *c, float *out, const text_span *texts, size_t n,
                        clipc_err *err)
{
    const size_t T = c->m->info.context_length, E = c->m->info.embed_dim;
    const bool windows = c->options.long_texts >= CLIPC_LONG_MEAN;
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < n; i++)
        rc = windows ? encode_windows(c, out + i * E, texts[i], err)
                     : tokenize(c, c->ids + i * T, NULL, texts[i], err);
    return rc == CLIPC_OK && !windows ? clipc_encode_ids(c, out, c->ids, n, err) : rc;
}

int clipc_encode_text(clipc_ctx *c, float *out, const char *text, size_t len,
                      clipc_err *err)
{
    return encode_batch(c, out, &(text_span){text, len}, 1, err);
}

int clipc_encode_texts(clipc_ctx *c, float *out, const char *const *texts,
                       const size_t *lens, size_t n, clipc_err *err)
{
    const size_t E = c->m->info.embed_dim, B = most_texts(c);
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < n; i += B) {
        const size_t m = n - i < B ? n - i : B;
        for (size_t k = 0; k < m; k++)
            c->texts[k] =
                (text_span){texts[i + k], lens ? lens[i + k] : strlen(texts[i + k])};
        rc = encode_batch(c, out + i * E, c->texts, m, err);
    }
    return rc;
}

/* ---- using them
 * ------------------------------------------------------------------------- */

void clipc_similarity(float *logits, const float *images, size_t n_images,
                      const float *texts, size_t n_texts, size_t dim, float scale)
{
    for (size_t i = 0; i < n_images; i++)
        for (size_t j = 0; j < n_texts; j++) {
            double sum = 0.0;
            for (size_t d = 0; d < dim; d++)
                sum += (double)images[i * dim + d] * (double)texts[j * dim + d];
            logits[i * n_texts + j] = (float)((double)scale * sum);
        }
}

void clipc_logits(const clipc_model *m, float *logits, const float *images,
                  size_t n_images, const float *texts, size_t n_texts)
{
    clipc_similarity(logits, images, n_images, texts, n_texts, m->info.embed_dim,
                     m->info.logit_scale);
    for (size_t i = 0; m->info.has_logit_bias && i < n_images * n_texts; i++)
        logits[i] += m->info.logit_bias;
}

void clipc_probabilities(const clipc_model *m, float *logits, size_t rows, size_t cols)
{
    if (!m->info.has_logit_bias) {
        clipc_softmax(logits, rows, cols);
        return;
    }
    for (size_t i = 0; i < rows * cols; i++)
        logits[i] = (float)(1.0 / (1.0 + exp(-(double)logits[i])));
}

void clipc_softmax(float *x, size_t rows, size_t cols)
{
    for (size_t r = 0; r < rows; r++, x += cols) {
        double sum = 0.0;
        float most = -INFINITY;
        for (size_t c = 0; c < cols; c++) most = x[c] > most ? x[c] : most;
        for (size_t c = 0; c < cols; c++) sum += exp((double)(x[c] - most));
        for (size_t c = 0; c < cols; c++)
            x[c] = (float)(exp((double)(x[c] - most)) / sum);
    }
}

/* What a classifier is made of. */
typedef struct prompts {
    const char *const *labels, *const *templates;
    size_t n_labels;
} prompts;

/* c->texts [n] = the prompts from the first on; those of a template, which begin alike,
 * follow one another. */
static int fill_prompts(clipc_ctx *c, const prompts *p, size_t first, size_t n,
                        clipc_err *err)
{
    size_t at = 0;
    int rc = CLIPC_OK;

    buf_clear(&c->text);
    for (size_t i = 0; rc == CLIPC_OK && i < n; i++) {
        rc = template_fill(&c->text, p->templates[(first + i) / p->n_labels],
                           p->labels[(first + i) % p->n_labels], err);
        c->texts[i].len = c->text.len - at;
        at = c->text.len;
    }
    for (size_t i = 0, begin = 0; i < n; begin += c->texts[i++].len)
        c->texts[i].data = c->text.data + begin;
    return rc;
}

int clipc_classifier(clipc_ctx *c, float *weights, const char *const *labels,
                     size_t n_labels, const char *const *templates, size_t n_templates,
                     clipc_err *err)
{
    static const char *const bare[] = {"{}"};
    const prompts p = {labels, n_templates ? templates : bare, n_labels};
    const size_t E = c->m->info.embed_dim, B = most_texts(c);
    const size_t all = n_labels * (n_templates ? n_templates : 1);
    float *units = malloc(B * E * sizeof *units);
    int rc = units ? CLIPC_OK : clipc_fail_memory(err, "classifier", B * E);

    for (size_t t = 0; rc == CLIPC_OK && t < n_templates; t++)
        rc = template_check(templates[t], err);
    memset(weights, 0, n_labels * E * sizeof *weights);
    for (size_t i = 0; rc == CLIPC_OK && i < all; i += B) {
        const size_t n = all - i < B ? all - i : B;
        rc = fill_prompts(c, &p, i, n, err);
        if (rc == CLIPC_OK) rc = encode_batch(c, units, c->texts, n, err);
        if (rc != CLIPC_OK) break;
        rows_normalize_fwd(c->e, units, NULL, units, n, E);
        for (size_t k = 0; k < n; k++)
            c->e->k->add(weights + (i + k) % n_labels * E, units + k * E, E);
    }
    if (rc == CLIPC_OK) rows_normalize_fwd(c->e, weights, NULL, weights, n_labels, E);
    free(units);
    return rc;
}

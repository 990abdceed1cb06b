#include "train/data.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/file.h"
#include "io/shard.h"
#include "train/captions.h"

enum {
    AHEAD = 3, /* batches in flight: one in use, two being made */
    TRIES = 20 /* samples tried before a slot gives up */
};

/* One picture with its captions, all pointing into a shard or into own memory. */
typedef struct sample {
    span picture;
    const char *name; /* for messages */
    captions captions;
} sample;

typedef struct source {
    sample *v;
    size_t n, cap;
    double share; /* cumulated, the last is 1 */
} source;

typedef struct slot_state {
    batch b;
    size_t step;        /* which batch is (being) made */
    size_t taken, done; /* samples handed out; finished */
} slot_state;

struct dataset {
    data_cfg cfg;
    source *sources;
    shard *shards;
    buf *files; /* pictures of folders */
    size_t n_shards, n_files, bytes, n_samples;
    pthread_t *threads;
    size_t n_threads;
    pthread_mutex_t lock;
    pthread_cond_t made, wanted;
    slot_state slots[AHEAD];
    size_t next_out; /* the batch that dataset_next gives next */
    bool stop;
    int failed;
    clipc_err error;
    _Atomic size_t broken;
};

/* ---- reading sources
 * -------------------------------------------------------------------- */

static int push(dataset *d, source *src, sample *s, clipc_err *err)
{
    if (src->n == src->cap) {
        const size_t cap = src->cap ? 2 * src->cap : 1024;
        sample *v = realloc(src->v, cap * sizeof *v);
        if (!v) return clipc_fail_memory(err, "samples", cap * sizeof *v);
        src->v = v, src->cap = cap;
    }
    src->v[src->n++] = *s;
    d->bytes += s->picture.size;
    return CLIPC_OK;
}

static bool is_picture(const char *ext)
{
    return strcasecmp(ext, "png") == 0 || strcasecmp(ext, "jpg") == 0 ||
           strcasecmp(ext, "jpeg") == 0 || strcasecmp(ext, "webp") == 0;
}

static int add_shard_sample(dataset *d, source *src, const shard_sample *in,
                            const char *path, clipc_err *err)
{
    sample s = {.name = in->key};
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < in->n; i++) {
        const shard_part *p = &in->parts[i];
        if (is_picture(p->ext)) s.picture = p->bytes;
        else if (strcmp(p->ext, "json") == 0)
            rc = captions_json(&s.captions, p->bytes, path, err);
        else if (strcmp(p->ext, "txt") == 0)
            rc = captions_txt(&s.captions, p->bytes, err);
    }
    if (rc == CLIPC_OK && s.picture.size && s.captions.n) rc = push(d, src, &s, err);
    else captions_free(&s.captions);
    return rc;
}

static int add_shard(dataset *d, source *src, const char *path, clipc_err *err)
{
    shard *grown = realloc(d->shards, (d->n_shards + 1) * sizeof *grown);
    int rc;

    if (!grown) return clipc_fail_memory(err, path, 0);
    d->shards = grown;
    shard *s = &d->shards[d->n_shards];
    if ((rc = shard_open(s, path, SHARD_LIMIT, err)) != CLIPC_OK) return rc;
    d->n_shards++;
    for (size_t i = 0; rc == CLIPC_OK && i < s->n; i++)
        rc = add_shard_sample(d, src, &s->samples[i], path, err);
    return rc;
}

/* A picture with its captions in a file of the same name: .txt or .json. */
static int add_picture(dataset *d, source *src, const char *path, clipc_err *err)
{
    const char *dot = strrchr(path, '.');
    buf side = {0}, text = {0};
    sample s = {0};
    int rc = buf_add(&side, path, (size_t)(dot - path), err);
    const size_t stem = side.len;

    if (rc == CLIPC_OK) rc = buf_puts(&side, ".txt", err);
    if (rc == CLIPC_OK && !file_exists(side.data)) {
        side.len = stem;
        rc = buf_puts(&side, ".json", err);
    }
    if (rc == CLIPC_OK && file_exists(side.data)) {
        rc = file_read(&text, side.data, CAPTIONS_FILE_MAX, err);
        const span t = {(const uint8_t *)text.data, text.len};
        if (rc == CLIPC_OK && side.data[stem + 1] == 't')
            rc = captions_txt(&s.captions, t, err);
        else if (rc == CLIPC_OK) rc = captions_json(&s.captions, t, side.data, err);
    }
    buf *files = rc == CLIPC_OK && s.captions.n
                     ? realloc(d->files, (d->n_files + 1) * sizeof *files)
                     : NULL;
    if (files) {
        d->files = files;
        buf *f = &d->files[d->n_files++];
        *f = (buf){0};
        rc = file_read(f, path, SHARD_LIMIT, err);
        /* The name lives behind the picture's bytes. */
        const size_t size = f->len;
        if (rc == CLIPC_OK) rc = buf_add(f, path, strlen(path) + 1, err);
        s.picture = (span){(const uint8_t *)f->data, size};
        s.name = f->data + size;
        if (rc == CLIPC_OK) rc = push(d, src, &s, err);
    } else {
        captions_free(&s.captions);
    }
    buf_free(&side);
    buf_free(&text);
    return rc;
}

static int add_path(dataset *d, source *src, const char *path, clipc_err *err);

static int add_folder(dataset *d, source *src, const char *path, clipc_err *err)
{
    struct dirent **names = NULL;
    const int n = scandir(path, &names, NULL, alphasort);
    int rc =
        n < 0 ? clipc_fail(err, CLIPC_ERR_IO, "%s: cannot read folder", path) : CLIPC_OK;

    for (int i = 0; i < n; i++) {
        if (rc == CLIPC_OK && names[i]->d_name[0] != '.') {
            char *inner = path_join(path, names[i]->d_name);
            rc = inner ? add_path(d, src, inner, err) : clipc_fail_memory(err, path, 0);
            free(inner);
        }
        free(names[i]);
    }
    free(names);
    return rc;
}

static int add_path(dataset *d, source *src, const char *path, clipc_err *err)
{
    const char *dot = strrchr(path_base(path), '.');

    if (file_is_dir(path)) return add_folder(d, src, path, err);
    if (dot && strcasecmp(dot, ".tar") == 0) return add_shard(d, src, path, err);
    if (dot && is_picture(dot + 1)) return add_picture(d, src, path, err);
    if (!file_exists(path))
        return clipc_fail(err, CLIPC_ERR_IO, "%s: no such file", path);
    return CLIPC_OK;
}

static int read_sources(dataset *d, clipc_err *err)
{
    const data_cfg *c = &d->cfg;
    double sum = 0.0;
    int rc = CLIPC_OK;

    d->sources = calloc(c->n_sources ? c->n_sources : 1, sizeof *d->sources);
    if (!d->sources) return clipc_fail_memory(err, "sources", 0);
    if (!c->n_sources) return clipc_fail(err, CLIPC_ERR_ARG, "no training data given");
    for (size_t i = 0; rc == CLIPC_OK && i < c->n_sources; i++) {
        source *s = &d->sources[i];
        rc = add_path(d, s, c->sources[i], err);
        if (rc == CLIPC_OK && !s->n)
            rc = clipc_fail(err, CLIPC_ERR_ARG, "%s: no picture with a caption in it",
                            c->sources[i]);
        d->n_samples += s->n;
        sum += c->weights ? (double)c->weights[i] : (double)s->n;
        s->share = sum;
    }
    for (size_t i = 0; i < c->n_sources; i++) d->sources[i].share /= sum;
    return rc;
}

/* ---- making samples
 * --------------------------------------------------------------------- */

/* One worker's own memory. */
typedef struct maker {
    dataset *d;
    tokens_work tokens;
    resize_work resize;
    uint8_t *view; /* [S,S,3] */
    buf text;
    pthread_t thread;
} maker;

static const sample *pick(const dataset *d, rng *r)
{
    const double u = (double)rng_uniform(r);
    size_t i = 0;

    while (i + 1 < d->cfg.n_sources && u >= d->sources[i].share) i++;
    return &d->sources[i].v[rng_below(r, d->sources[i].n)];
}

static const sample *nth(const dataset *d, size_t i)
{
    const source *s = d->sources;

    for (i %= d->n_samples; i >= s->n; s++) i -= s->n;
    return &s->v[i];
}

static uint64_t hash(const char *s)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */

    for (; *s; s++) h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    return h;
}

static int make_text(maker *m, int32_t *ids, uint64_t *id, const sample *s, rng *r,
                     clipc_err *err)
{
    const data_cfg *c = &m->d->cfg;
    const bool other = rng_uniform(r) < c->alternative && s->captions.n > 1;
    const char *caption = s->captions.v[other ? 1 + rng_below(r, s->captions.n - 1) : 0];
    const size_t t = c->n_templates ? (size_t)rng_below(r, c->n_templates) : 0;
    size_t n;
    int rc = CLIPC_OK;

    *id = hash(caption);
    buf_clear(&m->text);
    if (c->n_templates) {
        const char *hole = strstr(c->templates[t], "{}");
        rc = buf_add(&m->text, c->templates[t], (size_t)(hole - c->templates[t]), err);
        if (rc == CLIPC_OK) rc = buf_puts(&m->text, caption, err);
        if (rc == CLIPC_OK) rc = buf_puts(&m->text, hole + 2, err);
    } else {
        rc = buf_puts(&m->text, caption, err);
    }
    if (rc != CLIPC_OK) return rc;
    return tokenizer_run(c->tokenizer, &m->tokens, ids, c->context_length, &n,
                         (text_span){m->text.data, m->text.len}, false, "training data",
                         err);
}

static int make_one(maker *m, const batch *b, size_t k, const sample *s, rng *r,
                    clipc_err *err)
{
    const data_cfg *c = &m->d->cfg;
    const size_t S = c->preprocess.h;
    image im = {0};
    int rc = image_decode(&im, s->picture.data, s->picture.size, s->name,
                          c->max_megapixels, err);

    if (rc == CLIPC_OK)
        rc = augment(m->view, &m->resize, &im, &c->augment, s->captions.tint, S, r, err);
    if (rc == CLIPC_OK)
        preprocess_normalize(b->pixels + k * 3 * S * S, m->view, &c->preprocess);
    if (rc == CLIPC_OK)
        rc = make_text(m, b->ids + k * c->context_length, &b->caption[k], s, r, err);
    image_free(&im);
    return rc;
}

static int make_sample(maker *m, const batch *b, size_t step, size_t k, clipc_err *err)
{
    rng r = rng_seed(m->d->cfg.seed, step * m->d->cfg.batch + k);
    int rc = CLIPC_OK;

    for (int i = 0; i < TRIES; i++) {
        const sample *s = m->d->cfg.in_order
                              ? nth(m->d, step * m->d->cfg.batch + k + (size_t)i)
                              : pick(m->d, &r);
        rc = make_one(m, b, k, s, &r, err);
        if (rc == CLIPC_OK || rc == CLIPC_ERR_MEMORY) return rc;
        m->d->broken++;
    }
    return rc;
}

/* The earliest batch with samples left to make; NULL when none has. */
static slot_state *work_slot(dataset *d)
{
    slot_state *best = NULL;

    for (size_t i = 0; i < AHEAD; i++) {
        slot_state *s = &d->slots[i];
        if (s->taken < d->cfg.batch && (!best || s->step < best->step)) best = s;
    }
    return best;
}

static void *work(void *arg)
{
    maker *m = arg;
    dataset *d = m->d;
    clipc_err err = {0};

    pthread_mutex_lock(&d->lock);
    while (!d->stop) {
        slot_state *s = work_slot(d);
        if (!s) {
            pthread_cond_wait(&d->wanted, &d->lock);
            continue;
        }
        const size_t k = s->taken++, step = s->step;
        pthread_mutex_unlock(&d->lock);
        const int rc = make_sample(m, &s->b, step, k, &err);
        pthread_mutex_lock(&d->lock);
        if (rc != CLIPC_OK && !d->failed) d->failed = rc, d->error = err;
        if (++s->done == d->cfg.batch || d->failed) pthread_cond_broadcast(&d->made);
    }
    pthread_mutex_unlock(&d->lock);
    tokens_work_free(&m->tokens);
    resize_work_free(&m->resize);
    buf_free(&m->text);
    free(m->view);
    free(m);
    return NULL;
}

static int start_worker(dataset *d, clipc_err *err)
{
    maker *m = calloc(1, sizeof *m);
    const size_t S = d->cfg.preprocess.h;
    int rc = m ? tokens_work_new(&m->tokens, d->cfg.tokenizer, err)
               : clipc_fail_memory(err, "worker", sizeof *m);

    if (rc == CLIPC_OK && !(m->view = malloc(S * S * 3)))
        rc = clipc_fail_memory(err, "worker", S * S * 3);
    if (rc == CLIPC_OK) {
        m->d = d;
        if (pthread_create(&d->threads[d->n_threads], NULL, work, m) == 0) {
            d->n_threads++;
            return CLIPC_OK;
        }
        rc = clipc_fail(err, CLIPC_ERR_MEMORY, "worker: cannot start a thread");
    }
    if (m) {
        tokens_work_free(&m->tokens);
        free(m->view);
    }
    free(m);
    return rc;
}

static int make_slots(dataset *d, size_t first, clipc_err *err)
{
    const size_t B = d->cfg.batch, S = d->cfg.preprocess.h;

    for (size_t i = 0; i < AHEAD; i++) {
        slot_state *s = &d->slots[i];
        s->step = first + i;
        s->b.pixels = calloc(B * 3 * S * S, sizeof(float));
        s->b.ids = calloc(B * d->cfg.context_length, sizeof(int32_t));
        s->b.caption = calloc(B, sizeof(uint64_t));
        if (!s->b.pixels || !s->b.ids || !s->b.caption)
            return clipc_fail_memory(err, "batches", B * 3 * S * S * sizeof(float));
    }
    d->next_out = first;
    return CLIPC_OK;
}

int dataset_open(dataset **out, const data_cfg *cfg, size_t first, clipc_err *err)
{
    dataset *d = calloc(1, sizeof *d);
    int rc;

    *out = NULL;
    if (!d) return clipc_fail_memory(err, "training data", sizeof *d);
    d->cfg = *cfg;
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->made, NULL);
    pthread_cond_init(&d->wanted, NULL);
    rc = read_sources(d, err);
    if (rc == CLIPC_OK)
        rc = tokenizer_check(cfg->tokenizer, cfg->vocab_size, "model", err);
    if (rc == CLIPC_OK) rc = make_slots(d, first, err);
    d->threads = calloc(cfg->workers, sizeof *d->threads);
    if (rc == CLIPC_OK && !d->threads) rc = clipc_fail_memory(err, "workers", 0);
    for (size_t i = 0; rc == CLIPC_OK && i < cfg->workers; i++) rc = start_worker(d, err);
    if (rc == CLIPC_OK) *out = d;
    else dataset_close(d);
    return rc;
}

void dataset_close(dataset *d)
{
    if (!d) return;
    pthread_mutex_lock(&d->lock);
    d->stop = true;
    pthread_cond_broadcast(&d->wanted);
    pthread_mutex_unlock(&d->lock);
    for (size_t i = 0; i < d->n_threads; i++) pthread_join(d->threads[i], NULL);
    for (size_t i = 0; i < AHEAD; i++) {
        free(d->slots[i].b.pixels);
        free(d->slots[i].b.ids);
        free(d->slots[i].b.caption);
    }
    for (size_t i = 0; d->sources && i < d->cfg.n_sources; i++) {
        for (size_t k = 0; k < d->sources[i].n; k++)
            captions_free(&d->sources[i].v[k].captions);
        free(d->sources[i].v);
    }
    for (size_t i = 0; i < d->n_shards; i++) shard_free(&d->shards[i]);
    for (size_t i = 0; i < d->n_files; i++) buf_free(&d->files[i]);
    free(d->sources);
    free(d->shards);
    free(d->files);
    free(d->threads);
    pthread_cond_destroy(&d->made);
    pthread_cond_destroy(&d->wanted);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

size_t dataset_count(const dataset *d)
{
    return d->n_samples;
}

size_t dataset_bytes(const dataset *d)
{
    return d->bytes;
}

size_t dataset_broken(const dataset *d)
{
    return d->broken;
}

/* The slot given out last is free again; then wait for the next one. */
int dataset_next(const batch **out, dataset *d, double *waited, clipc_err *err)
{
    const double start = clock_now();
    int rc;

    pthread_mutex_lock(&d->lock);
    slot_state *want = NULL;
    for (size_t i = 0; i < AHEAD; i++) {
        slot_state *s = &d->slots[i];
        if (s->step + 1 == d->next_out) {
            s->step += AHEAD;
            s->taken = s->done = 0;
            pthread_cond_broadcast(&d->wanted);
        }
        if (s->step == d->next_out) want = s;
    }
    while (!d->failed && want->done < d->cfg.batch) pthread_cond_wait(&d->made, &d->lock);
    rc = d->failed;
    if (rc != CLIPC_OK && err) *err = d->error;
    d->next_out++;
    pthread_mutex_unlock(&d->lock);
    *out = &want->b;
    *waited = clock_now() - start;
    return rc;
}

#include "train/data.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/sizes.h"
#include "train/reword.h"

enum {
    AHEAD = 3, /* batches in flight: one in use, two being made */
    TRIES = 20 /* samples tried before a slot gives up */
};

typedef struct slot_state {
    batch b;
    size_t step;        /* which batch is (being) made */
    size_t taken, done; /* samples handed out; finished */
} slot_state;

struct dataset {
    data_cfg cfg;
    bool (*seen)(void *user, uint64_t view);
    void *seen_user;
    dataset_chooser *choose; /* NULL: the sampling does */
    void *choose_user;
    sources sources;
    sampling sampling;
    pthread_t *threads;
    size_t n_threads;
    pthread_mutex_t lock;
    pthread_cond_t made, wanted;
    slot_state slots[AHEAD];
    arena batches;   /* theirs */
    size_t next_out; /* the batch that dataset_next gives next */
    bool stop;
    int failed;
    clipc_err error;
    bool pictures; /* there are sources of them */
    size_t all;    /* samples, those without an entry in the index included */
    faults faults; /* of batches that nobody asked for yet */
};

/* ---- making samples
 * --------------------------------------------------------------------- */

/* One worker's own memory. */
typedef struct maker {
    dataset *d;
    tokens_work tokens, teacher_tokens;
    resize_work resize;
    uint8_t *view; /* [S,S,3], of the larger model */
    buf picture, text, said;
    reword_work words;
    pthread_t thread;
} maker;

static void maker_free(maker *m)
{
    if (!m) return;
    tokens_work_free(&m->tokens);
    tokens_work_free(&m->teacher_tokens);
    resize_work_free(&m->resize);
    reword_work_free(&m->words);
    buf_free(&m->picture);
    buf_free(&m->text);
    buf_free(&m->said);
    free(m->view);
    free(m);
}

static size_t nth(const dataset *d, size_t i)
{
    const sample_order *o = d->cfg.order;

    return o ? o->v[i % o->n] : i % d->sources.n;
}

/* The sample of a place; after tries that failed, another. */
static size_t pick(const dataset *d, size_t place, size_t tries, rng *r)
{
    if (d->cfg.in_order) return nth(d, place + tries);
    return d->cfg.shuffle && !tries ? sampling_shuffled(&d->sampling, place)
                                    : sampling_draw(&d->sampling, r);
}

static int make_ids(maker *m, const batch *b, size_t k, const char *where, clipc_err *err)
{
    const data_cfg *c = &m->d->cfg;
    const teacher_input *t = c->teacher;
    const text_span text = {m->text.data, m->text.len};
    size_t n;
    int rc = tokenizer_run(c->tokenizer, &m->tokens, b->ids + k * c->context_length,
                           c->context_length, &n, text, false, where, err);

    if (rc != CLIPC_OK || !t) return rc;
    return tokenizer_run(t->tokenizer, &m->teacher_tokens,
                         b->teacher_ids + k * t->context_length, t->context_length, &n,
                         text, false, where, err);
}

/* One of a sample's captions. */
static const char *draw_caption(const maker *m, const sample *s, rng *r)
{
    const bool other = rng_uniform(r) < m->d->cfg.alternative && s->captions > 1;

    return sources_caption(&m->d->sources, s,
                           other ? 1 + rng_below(r, s->captions - 1u) : 0);
}

/* The caption, or what the dictionary says instead, in its template; a gloss is a text of
 * its own. */
static int say(maker *m, const char *caption, const char *template, rng *r,
               clipc_err *err)
{
    const data_cfg *c = &m->d->cfg;
    bool gloss = false;
    int rc = CLIPC_OK;

    buf_clear(&m->text);
    buf_clear(&m->said);
    if (c->dictionary && rng_uniform(r) < c->dictionary_prob)
        rc = reword_caption(&m->said, &gloss, &m->words, c->dictionary, caption, r, err);
    if (m->said.len) caption = m->said.data;
    if (rc != CLIPC_OK) return rc;
    return template && !gloss ? template_fill(&m->text, template, caption, err)
                              : buf_puts(&m->text, caption, err);
}

static int make_text(maker *m, const batch *b, size_t k, const sample *s, rng *r,
                     const char *where, clipc_err *err)
{
    const data_cfg *c = &m->d->cfg;
    const char *caption = draw_caption(m, s, r);
    const size_t t = c->n_templates ? (size_t)rng_below(r, c->n_templates) : 0;
    const int rc = say(m, caption, c->n_templates ? c->templates[t] : NULL, r, err);

    b->caption[k] = hash_text(0, caption);
    return rc == CLIPC_OK ? make_ids(m, b, k, where, err) : rc;
}

/* Which of a picture's views; the same for the same bytes of the same file. */
static uint64_t view_of(const dataset *d, const sample *s, uint64_t which)
{
    const sources *from = &d->sources;
    const uint64_t place[3] = {s->offset, s->size, which};
    const uint64_t h =
        hash_bytes(hash_text(0, sources_name(from, s)), place, sizeof place);

    return s->shard == SAMPLE_LOOSE ? h : hash_text(h, from->shards[s->shard].path);
}

/* The view that r draws, as the teacher sees it. */
static int make_teacher_view(maker *m, const batch *b, size_t k, const image *im,
                             const sample *s, rng r, clipc_err *err)
{
    const data_cfg *c = &m->d->cfg;
    const size_t S = c->teacher->preprocess.h;
    const int rc = augment(m->view, &m->resize, im, &c->augment, s->tint, S, &r, err);

    if (rc == CLIPC_OK)
        preprocess_normalize(b->teacher_pixels + k * 3 * S * S, m->view,
                             &c->teacher->preprocess);
    return rc;
}

static int make_picture(maker *m, const batch *b, size_t k, const sample *s, rng *r,
                        const char *where, clipc_err *err)
{
    const data_cfg *c = &m->d->cfg;
    const size_t S = c->preprocess.h;
    const sources *from = &m->d->sources;
    image im = {0};
    span picture;
    int rc = sources_read(&picture, &m->picture, from, s, err);

    if (rc == CLIPC_OK)
        rc = image_decode(&im, picture.data, picture.size, where, c->max_megapixels, err);
    if (rc == CLIPC_OK && c->teacher) rc = make_teacher_view(m, b, k, &im, s, *r, err);
    if (rc == CLIPC_OK)
        rc = augment(m->view, &m->resize, &im, &c->augment, s->tint, S, r, err);
    if (rc == CLIPC_OK) {
        preprocess_normalize(b->pixels + k * 3 * S * S, m->view, &c->preprocess);
        augment_erase(b->pixels + k * 3 * S * S, &c->augment, S, r);
    }
    image_free(&im);
    return rc;
}

/* One of a picture's views, unless what it would become is kept. */
static int make_view(maker *m, const batch *b, size_t k, const sample *s, rng *r,
                     const char *where, clipc_err *err)
{
    const dataset *d = m->d;

    b->view[k] = view_of(d, s, rng_below(r, d->cfg.views));
    rng own = rng_seed(d->cfg.seed, b->view[k]);
    return d->seen && d->seen(d->seen_user, b->view[k])
               ? CLIPC_OK
               : make_picture(m, b, k, s, &own, where, err);
}

static int make_one(maker *m, const batch *b, size_t k, const sample *s, rng *r,
                    clipc_err *err)
{
    const sources *from = &m->d->sources;
    char where[160];
    int rc;

    sources_where(where, sizeof where, from, s);
    b->ready[k] = NULL;
    if (s->shard == SAMPLE_ROW) rc = sources_row(&b->ready[k], from, s, err);
    else rc = (m->d->cfg.views ? make_view : make_picture)(m, b, k, s, r, where, err);
    if (rc == CLIPC_OK) rc = make_text(m, b, k, s, r, where, err);
    b->alike[k] = s->class ? s->class : b->caption[k];
    return rc;
}

static int note_fault(dataset *d, const fault *f, clipc_err *err)
{
    pthread_mutex_lock(&d->lock);
    const int rc = faults_add(&d->faults, f, err);
    pthread_mutex_unlock(&d->lock);
    return rc;
}

static int make_sample(maker *m, const batch *b, size_t step, size_t k, clipc_err *err)
{
    dataset *d = m->d;
    const size_t place = step * d->cfg.batch + k;
    rng r = rng_seed(d->cfg.seed, place);
    int rc = CLIPC_OK;

    for (size_t i = 0; i < TRIES; i++) {
        const size_t which = d->choose && !i ? b->sample[k] : pick(d, place, i, &r);
        fault f = {.step = step, .place = k * TRIES + i, .sample = which};
        b->sample[k] = f.sample;
        rc = make_one(m, b, k, &d->sources.v[f.sample], &r, &f.why);
        if (rc != CLIPC_OK && err) *err = f.why;
        if (rc == CLIPC_OK || rc == CLIPC_ERR_MEMORY) return rc;
        const int noted = note_fault(d, &f, err);
        if (noted != CLIPC_OK) return noted;
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
    maker_free(m);
    return NULL;
}

static int start_worker(dataset *d, clipc_err *err)
{
    maker *m = calloc(1, sizeof *m);
    const teacher_input *t = d->cfg.teacher;
    const size_t S = max_size(d->cfg.preprocess.h, t ? t->preprocess.h : 0);
    int rc = m ? tokens_work_new(&m->tokens, d->cfg.tokenizer, err)
               : clipc_fail_memory(err, "worker", sizeof *m);

    if (rc == CLIPC_OK && t) rc = tokens_work_new(&m->teacher_tokens, t->tokenizer, err);
    if (rc == CLIPC_OK && d->cfg.dictionary) rc = reword_work_new(&m->words, err);
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
    maker_free(m);
    return rc;
}

static void take_slots(dataset *d, arena *a)
{
    const size_t B = d->cfg.batch, S = d->cfg.preprocess.h;
    const teacher_input *t = d->cfg.teacher;

    for (size_t i = 0; i < AHEAD; i++) {
        batch *b = &d->slots[i].b;
        if (d->pictures) b->pixels = ARENA_FLOATS(a, B * 3 * S * S);
        b->ids = arena_take(a, B * d->cfg.context_length, sizeof *b->ids);
        b->caption = arena_take(a, B, sizeof *b->caption);
        b->alike = arena_take(a, B, sizeof *b->alike);
        b->sample = arena_take(a, B, sizeof *b->sample);
        b->view = arena_take(a, B, sizeof *b->view);
        b->ready = arena_take(a, B, sizeof *b->ready);
        if (!t) continue;
        b->teacher_pixels = ARENA_FLOATS(a, B * 3 * t->preprocess.h * t->preprocess.w);
        b->teacher_ids = arena_take(a, B * t->context_length, sizeof *b->teacher_ids);
    }
}

size_t dataset_batch_bytes(const dataset *d)
{
    dataset like = {.cfg = d->cfg, .pictures = d->pictures};
    arena measure = arena_measure();

    take_slots(&like, &measure);
    return measure.used;
}

/* Of a slot that no worker has yet. */
static void choose(dataset *d, slot_state *s, size_t step)
{
    if (d->choose) d->choose(d->choose_user, &d->sampling, s->b.sample, step);
}

static int make_slots(dataset *d, size_t first, clipc_err *err)
{
    const int rc = arena_new(&d->batches, dataset_batch_bytes(d), "batches", err);

    if (rc != CLIPC_OK) return rc;
    take_slots(d, &d->batches);
    for (size_t i = 0; i < AHEAD; i++) {
        d->slots[i].step = first + i;
        choose(d, &d->slots[i], first + i);
    }
    d->next_out = first;
    return CLIPC_OK;
}

int dataset_index(dataset **out, const data_cfg *cfg, clipc_err *err)
{
    dataset *d = calloc(1, sizeof *d);
    int rc;

    *out = NULL;
    if (!d) return clipc_fail_memory(err, "training data", sizeof *d);
    d->cfg = *cfg;
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->made, NULL);
    pthread_cond_init(&d->wanted, NULL);
    d->cfg.tables.features = cfg->features;
    rc = sources_open(&d->sources, cfg->sources, cfg->n_sources, &d->cfg.tables, err);
    d->all = d->sources.n + d->sources.broken.n;
    if (rc == CLIPC_OK)
        rc = broken_check(&d->sources.broken, cfg->max_broken, d->all, err);
    if (rc == CLIPC_OK)
        rc = sampling_init(&d->sampling, d->sources.ends, cfg->weights, cfg->n_sources,
                           cfg->seed, err);
    for (size_t i = 0; rc == CLIPC_OK && !d->pictures && i < d->sources.n; i++)
        d->pictures = d->sources.v[i].shard != SAMPLE_ROW;
    if (rc == CLIPC_OK) rc = faults_init(&d->faults, d->sources.n, err);
    if (rc == CLIPC_OK)
        rc = tokenizer_check(cfg->tokenizer, cfg->vocab_size, "model", err);
    if (rc == CLIPC_OK && cfg->order) rc = order_check(cfg->order, d->sources.n, err);
    if (rc == CLIPC_OK) *out = d;
    else dataset_close(d);
    return rc;
}

void dataset_skip(dataset *d, bool (*seen)(void *user, uint64_t view), void *user)
{
    d->seen = seen;
    d->seen_user = user;
}

void dataset_choose(dataset *d, dataset_chooser *choose_batch, void *user)
{
    d->choose = choose_batch;
    d->choose_user = user;
}

int dataset_start(dataset *d, size_t first, clipc_err *err)
{
    int rc = make_slots(d, first, err);

    d->threads = calloc(d->cfg.workers, sizeof *d->threads);
    if (rc == CLIPC_OK && !d->threads) rc = clipc_fail_memory(err, "workers", 0);
    for (size_t i = 0; rc == CLIPC_OK && i < d->cfg.workers; i++)
        rc = start_worker(d, err);
    return rc;
}

int dataset_open(dataset **out, const data_cfg *cfg, size_t first, clipc_err *err)
{
    int rc = dataset_index(out, cfg, err);

    if (rc == CLIPC_OK) rc = dataset_start(*out, first, err);
    if (rc == CLIPC_OK) return rc;
    dataset_close(*out);
    *out = NULL;
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
    arena_free(&d->batches);
    sources_free(&d->sources);
    sampling_free(&d->sampling);
    faults_free(&d->faults);
    free(d->threads);
    pthread_cond_destroy(&d->made);
    pthread_cond_destroy(&d->wanted);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

size_t dataset_count(const dataset *d)
{
    return d->sources.n;
}

const broken *dataset_broken(const dataset *d)
{
    return &d->sources.broken;
}

account dataset_account(dataset *d)
{
    return (account){&d->sources.broken, d->faults.known, faults_bytes(d->sources.n),
                     d->all};
}

/* What the batch that is given out now tells of broken samples. */
static int settle(dataset *d, size_t step, clipc_err *err)
{
    broken *b = &d->sources.broken;
    const size_t before = b->n;

    faults_settle(&d->faults, b, step);
    return b->n == before ? CLIPC_OK : broken_check(b, d->cfg.max_broken, d->all, err);
}

/* The slot given out last is free again; then wait for the next one. */
int dataset_next(const batch **out, dataset *d, double *waited, clipc_err *err)
{
    const double start = clock_now();
    slot_state *want = NULL;
    int rc;

    for (size_t i = 0; i < AHEAD; i++)
        if (d->slots[i].step + 1 == d->next_out)
            choose(d, &d->slots[i], d->slots[i].step + AHEAD);
    pthread_mutex_lock(&d->lock);
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
    rc = settle(d, want->step, err);
    if (rc == CLIPC_OK && (rc = d->failed) != CLIPC_OK && err) *err = d->error;
    d->next_out++;
    pthread_mutex_unlock(&d->lock);
    want->b.place = want->step * d->cfg.batch;
    *out = &want->b;
    *waited = clock_now() - start;
    return rc;
}

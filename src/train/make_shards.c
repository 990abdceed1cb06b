/* clipc_data_make: shards out of whatever there is to train on. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/permute.h"
#include "clipc_train.h"
#include "image/shrink.h"
#include "io/shard_write.h"
#include "train/scan.h"

typedef struct job {
    const clipc_make_options *o;
    sources s;
    permutation order;
    char *folder, *partial, *state; /* the last two while it is made */
    uint64_t print;              /* of data and options: what is continued is the same */
    size_t next;                 /* place of the first sample not in a whole shard */
    clipc_make_stats whole, now; /* in whole shards; with those of this one */
    shard_writer w;
    size_t in_shard;
    broken broken;
    buf out[SCAN_BLOCK]; /* pictures made anew */
    const char *ending[SCAN_BLOCK];
    buf text, meta;
    clipc_err *err;
} job;

/* ---- a picture ---- */

static bool stays(const char *format)
{
    return strcmp(format, "jpeg") == 0 || strcmp(format, "png") == 0 ||
           strcmp(format, "webp") == 0;
}

/* Pictures with transparency become PNG, others JPEG; but one that would not be smaller
 * for it stays as it is. */
static int look(void *user, scan_item *it, resize_work *work, clipc_err *err)
{
    job *j = user;
    const char *format = image_format(it->bytes.data, it->bytes.size);
    const size_t side = j->o->side, i = it->slot;
    const bool large = side && (it->im.w > side || it->im.h > side);
    buf *out = &j->out[i];
    image small;

    buf_clear(out);
    j->ending[i] = strcmp(format, "jpeg") == 0 ? "jpg" : format;
    if (stays(format) && !large) return CLIPC_OK;
    int rc = shrink(&small, work, &it->im, side, err);
    if (rc != CLIPC_OK) return rc;
    const bool png = small.mode == IMAGE_RGBA;
    rc = png ? png_encode(out, small.px, small.w, small.h, 4, err)
             : jpeg_encode(out, small.px, small.w, small.h, j->o->quality, err);
    image_free(&small);
    if (rc == CLIPC_OK && stays(format) && out->len >= it->bytes.size) buf_clear(out);
    else j->ending[i] = png ? "png" : "jpg";
    return rc;
}

/* ---- its captions ---- */

/* In one line; NULL when memory is out. */
static json_t *caption_of(const job *j, const sample *x, size_t i)
{
    char *line = strdup(sources_caption(&j->s, x, i));

    for (char *p = line; p && *p; p++)
        if (*p == '\n' || *p == '\r') *p = ' ';
    json_t *out = line ? json_string(line) : NULL;
    free(line);
    return out;
}

/* Captions and "tint" as JSON. */
static int put_meta(job *j, const sample *x, json_t *all, clipc_err *err)
{
    json_t *root =
        json_pack("{s:O,s:O}", "caption", json_array_get(all, 0), "captions", all);
    const bool made =
        root && (!x->tint || json_object_set_new(root, "tint", json_true()) == 0);
    char *dump = made ? json_dumps(root, JSON_COMPACT) : NULL;
    const int rc =
        dump ? buf_puts(&j->meta, dump, err) : clipc_fail_memory(err, "captions", 0);

    free(dump);
    json_decref(root);
    return rc;
}

/* The first caption as text; with others, or "tint", all as JSON. */
static int put_captions(job *j, const sample *x, clipc_err *err)
{
    json_t *all = json_array();
    int rc = CLIPC_OK;

    buf_clear(&j->text);
    buf_clear(&j->meta);
    for (size_t i = 0; rc == CLIPC_OK && i < x->captions; i++)
        if (json_array_append_new(all, caption_of(j, x, i)) != 0)
            rc = clipc_fail_memory(err, "captions", 0);
    if (rc == CLIPC_OK)
        rc = buf_puts(&j->text, json_string_value(json_array_get(all, 0)), err);
    if (rc == CLIPC_OK && (x->captions > 1 || x->tint)) rc = put_meta(j, x, all, err);
    json_decref(all);
    return rc;
}

/* ---- shards ---- */

/* What is whole so far, for a run that goes on. */
static int save_state(job *j, size_t next)
{
    buf b = {0};
    int rc;

    j->next = next;
    j->whole = j->now;
    rc = buf_printf(&b, j->err, "%016" PRIx64 " %zu %zu %zu %zu %zu %zu\n", j->print,
                    next, j->now.samples, j->now.shards, j->now.bytes, j->now.rewritten,
                    j->now.broken);
    if (rc == CLIPC_OK) rc = file_replace(j->state, b.data, b.len, j->err);
    buf_free(&b);
    return rc;
}

static int end_shard(job *j, size_t next)
{
    const int rc = shard_commit(&j->w, j->err);

    if (rc != CLIPC_OK) return rc;
    j->now.shards++;
    j->in_shard = 0;
    return save_state(j, next);
}

static int begin_shard(job *j)
{
    char name[32];

    snprintf(name, sizeof name, "%05zu.tar", j->now.shards);
    char *path = path_join(j->partial, name);
    const int rc = path ? shard_create(&j->w, path, j->err)
                        : clipc_fail_memory(j->err, j->partial, 0);
    free(path);
    return rc;
}

static int put(job *j, size_t place, const char *ending, const void *data, size_t size)
{
    char name[48];

    snprintf(name, sizeof name, "%09zu.%s", place, ending);
    return shard_put(&j->w, name, data, size, j->err);
}

static int put_sample(job *j, size_t place, const scan_item *it)
{
    const buf *new = &j->out[it->slot];
    const span picture =
        new->len ? (span){(const uint8_t *)new->data, new->len} : it->bytes;
    const size_t size = picture.size + j->text.len + j->meta.len;
    int rc = CLIPC_OK;

    if (j->in_shard &&
        (j->in_shard == j->o->per_shard || j->w.bytes + size > j->o->shard_bytes))
        rc = end_shard(j, place);
    if (rc == CLIPC_OK && !j->in_shard) rc = begin_shard(j);
    if (rc == CLIPC_OK)
        rc = put(j, place, j->ending[it->slot], picture.data, picture.size);
    if (rc == CLIPC_OK) rc = put(j, place, "txt", j->text.data, j->text.len);
    if (rc == CLIPC_OK && j->meta.len)
        rc = put(j, place, "json", j->meta.data, j->meta.len);
    j->in_shard++;
    j->now.samples++;
    j->now.bytes += size;
    j->now.rewritten += new->len > 0;
    return rc;
}

static int leave_out(job *j, const clipc_err *why)
{
    broken_add(&j->broken, why);
    j->now.broken++;
    if (j->o->on_broken) j->o->on_broken(j->o->user, why->msg);
    return broken_check(&j->broken, j->o->max_broken, j->s.n + j->s.broken.n, j->err);
}

static int take(void *user, size_t place, const scan_item *it, clipc_err *err)
{
    job *j = user;
    clipc_err why = it->why;
    int rc = it->rc;

    if (rc == CLIPC_OK) rc = put_captions(j, it->x, &why);
    if (rc == CLIPC_ERR_MEMORY) return clipc_fail(err, rc, "%s", why.msg);
    rc = rc == CLIPC_OK ? put_sample(j, place, it) : leave_out(j, &why);
    if (rc == CLIPC_OK && j->o->on_progress &&
        j->o->on_progress(j->o->user, place + 1, j->s.n))
        rc = clipc_fail(err, CLIPC_ERR_STOPPED, "stopped; the same command goes on: %s",
                        j->partial);
    return rc;
}

static size_t shuffled(const void *user, size_t place)
{
    const job *j = user;
    return permute_at(&j->order, place);
}

/* ---- beginning and end ---- */

static uint64_t print_of(const job *j)
{
    const uint64_t o[] = {
        j->o->per_shard,         j->o->shard_bytes,       j->o->side, j->s.n,
        (uint64_t)j->o->quality, (uint64_t)j->o->shuffle, j->o->seed};

    return hash_bytes(hash_bytes(0, o, sizeof o), j->s.texts.data, j->s.texts.len);
}

static int read_state(job *j)
{
    buf b = {0};
    uint64_t print = 0;
    clipc_make_stats *w = &j->whole;
    int rc = file_exists(j->state) ? file_read(&b, j->state, 4096, j->err) : CLIPC_OK;

    if (rc == CLIPC_OK && b.len &&
        (sscanf(b.data, "%" SCNx64 " %zu %zu %zu %zu %zu %zu", &print, &j->next,
                &w->samples, &w->shards, &w->bytes, &w->rewritten, &w->broken) != 7 ||
         print != j->print))
        rc = clipc_fail(j->err, CLIPC_ERR_EXISTS,
                        "%s: left by a run with other data or options; remove it",
                        j->partial);
    buf_free(&b);
    j->now = j->whole;
    return rc;
}

static int set_folders(job *j, const char *folder)
{
    size_t len = strlen(folder);
    buf b = {0};
    int rc;

    while (len > 1 && folder[len - 1] == '/') len--;
    j->folder = strndup(folder, len);
    rc = buf_printf(&b, j->err, "%.*s.partial", (int)len, folder);
    j->partial = b.data;
    if (rc == CLIPC_OK) j->state = path_join(j->partial, "state");
    if (rc == CLIPC_OK && !(j->folder && j->state))
        rc = clipc_fail_memory(j->err, folder, len);
    if (rc == CLIPC_OK && file_exists(j->folder))
        rc = clipc_fail(j->err, CLIPC_ERR_EXISTS, "%s: exists already", j->folder);
    return rc;
}

static int make(job *j)
{
    const scan c = {.s = &j->s,
                    .first = j->next,
                    .at = j->o->shuffle ? shuffled : NULL,
                    .look = look,
                    .take = take,
                    .user = j,
                    .threads = j->o->threads,
                    .max_megapixels = j->o->max_megapixels};
    int rc = scan_run(&c, j->err);

    if (rc == CLIPC_OK && j->in_shard) rc = end_shard(j, j->s.n);
    if (rc == CLIPC_OK && !j->now.samples)
        rc = clipc_fail(j->err, CLIPC_ERR_ARG, "%s: no sample to write", j->folder);
    if (rc != CLIPC_OK) return rc;
    unlink(j->state);
    if (rename(j->partial, j->folder) != 0)
        rc = clipc_fail(j->err, CLIPC_ERR_IO, "%s: cannot become %s", j->partial,
                        path_base(j->folder));
    return rc;
}

/* What the index has left out already. */
static int begin(job *j)
{
    rng r = rng_seed(j->o->seed, 0);
    int rc = file_mkdirs(j->partial, j->err);

    j->order = permute_make(&r, j->s.n);
    j->print = print_of(j);
    if (rc == CLIPC_OK) rc = read_state(j);
    for (size_t i = 0; j->o->on_broken && i < j->s.broken.n && i < BROKEN_TOLD; i++)
        j->o->on_broken(j->o->user, j->s.broken.first[i].msg);
    j->broken = j->s.broken;
    if (!j->next) j->now.broken = j->broken.n;
    return rc == CLIPC_OK ? broken_check(&j->broken, j->o->max_broken,
                                         j->s.n + j->s.broken.n, j->err)
                          : rc;
}

clipc_make_options clipc_make_default(void)
{
    return (clipc_make_options){.per_shard = 10000,
                                .shard_bytes = 1000000000,
                                .quality = 90,
                                .max_broken = 0.1,
                                .max_megapixels = 256};
}

int clipc_data_make(clipc_make_stats *stats, const char *folder,
                    const clipc_data_sources *from, const clipc_make_options *options,
                    clipc_err *err)
{
    job j = {.o = options, .err = err};
    const table_cfg tables = sources_tables(from);
    int rc = CLIPC_OK;

    if (!options->per_shard || !options->shard_bytes || options->quality < 1 ||
        options->quality > 100)
        rc = clipc_fail(err, CLIPC_ERR_ARG,
                        "shards have a sample or more, JPEG a quality from 1 to 100");
    if (rc == CLIPC_OK) rc = set_folders(&j, folder);
    if (rc == CLIPC_OK) rc = sources_open(&j.s, from->paths, from->n, &tables, err);
    if (rc == CLIPC_OK) rc = begin(&j);
    if (rc == CLIPC_OK) rc = make(&j);
    if (rc == CLIPC_OK) *stats = j.now;
    shard_abort(&j.w);
    sources_free(&j.s);
    for (size_t i = 0; i < SCAN_BLOCK; i++) buf_free(&j.out[i]);
    buf_free(&j.text);
    buf_free(&j.meta);
    free(j.folder);
    free(j.partial);
    free(j.state);
    return rc;
}

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "clip/token_files.h"
#include "clipc_train.h"
#include "io/shard.h"
#include "text/bpe_train.h"
#include "train/captions.h"

/* A file that holds captions. */
typedef struct source {
    char *path;
    size_t size;
} source;

typedef struct job {
    bpe_trainer *t;
    const clipc_vocab_options *o;
    source *sources;
    size_t n, cap;
    size_t captions, done, total; /* bytes of the files; total 0: not known */
    clipc_err *err;
} job;

/* ---- progress ---- */

static int tell(job *j, const char *doing, size_t done, size_t total)
{
    const clipc_vocab_options *o = j->o;

    if (!o->on_progress || !o->on_progress(o->user, doing, done, total)) return CLIPC_OK;
    return clipc_fail(j->err, CLIPC_ERR_STOPPED, "stopped; nothing was written");
}

static int tell_read(job *j)
{
    return tell(j, "reading", j->done, j->total);
}

static int tell_learned(void *user, size_t size)
{
    job *j = user;
    return tell(j, "learning", size, j->o->size);
}

/* ---- which files ---- */

static int add_source(job *j, const char *path, size_t size)
{
    if (j->n == j->cap) {
        const size_t cap = j->cap ? 2 * j->cap : 64;
        source *v = realloc(j->sources, cap * sizeof *v);
        if (!v) return clipc_fail_memory(j->err, "files", cap * sizeof *v);
        j->sources = v, j->cap = cap;
    }
    char *copy = strdup(path);
    if (!copy) return clipc_fail_memory(j->err, path, strlen(path));
    j->sources[j->n++] = (source){copy, size};
    return CLIPC_OK;
}

static int add_path(job *j, const char *path, bool inside);

/* The captions and shards of a training set. */
static int add_folder(job *j, const char *path)
{
    struct dirent **names = NULL;
    const int n = scandir(path, &names, NULL, alphasort);
    int rc = n < 0 ? clipc_fail(j->err, CLIPC_ERR_IO, "%s: cannot read folder: %s", path,
                                strerror(errno))
                   : CLIPC_OK;

    for (int i = 0; i < n; i++) {
        if (rc == CLIPC_OK && names[i]->d_name[0] != '.') {
            char *inner = path_join(path, names[i]->d_name);
            rc = inner ? add_path(j, inner, true) : clipc_fail_memory(j->err, path, 0);
            free(inner);
        }
        free(names[i]);
    }
    free(names);
    return rc;
}

/* inside: a folder, which holds other files too. */
static int add_path(job *j, const char *path, bool inside)
{
    const char *ending = path_ending(path);
    struct stat st = {0};

    if (!inside && strcmp(path, "-") == 0) return add_source(j, path, 0);
    if (stat(path, &st) != 0)
        return clipc_fail(j->err, CLIPC_ERR_IO, "%s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode)) return add_folder(j, path);
    if (inside && strcmp(ending, "txt") != 0 && strcmp(ending, "json") != 0 &&
        !shard_is(path))
        return CLIPC_OK;
    return add_source(j, path, S_ISREG(st.st_mode) ? (size_t)st.st_size : 0);
}

/* ---- reading them ---- */

/* number: of the line; 0: the file has none. */
static int add_caption(job *j, const char *text, size_t len, const char *path,
                       size_t number)
{
    clipc_err inner;
    const int rc = bpe_trainer_add(j->t, text, len, &inner);

    if (rc == CLIPC_ERR_TEXT && number)
        return clipc_fail(j->err, rc, "%s: line %zu: %s", path, number, inner.msg);
    if (rc != CLIPC_OK) return clipc_fail(j->err, rc, "%s: %s", path, inner.msg);
    j->captions++;
    return tell_read(j);
}

static int read_lines(job *j, const source *s)
{
    FILE *f = strcmp(s->path, "-") == 0 ? stdin : fopen(s->path, "r");
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    int rc = CLIPC_OK;

    if (!f) return clipc_fail(j->err, CLIPC_ERR_IO, "%s: %s", s->path, strerror(errno));
    for (size_t number = 1; rc == CLIPC_OK && (n = getline(&line, &cap, f)) >= 0;
         number++) {
        j->done += (size_t)n;
        if ((size_t)n > strspn(line, " \t\r\n"))
            rc = add_caption(j, line, (size_t)n, s->path, number);
    }
    /* A signal, too, ends the reading of a pipe. */
    if (rc == CLIPC_OK && ferror(f) && (rc = tell_read(j)) == CLIPC_OK)
        rc = clipc_fail(j->err, CLIPC_ERR_IO, "%s: cannot be read", s->path);
    free(line);
    if (f != stdin) fclose(f);
    return rc;
}

static int add_captions(job *j, const captions *c, const char *path)
{
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < c->n; i++)
        rc = add_caption(j, c->v[i], strlen(c->v[i]), path, 0);
    return rc;
}

static int read_json(job *j, const source *s)
{
    captions c = {0};
    buf b = {0};
    int rc = file_read(&b, s->path, CAPTIONS_FILE_MAX, j->err);

    if (rc == CLIPC_OK)
        rc = captions_json(&c, (span){(const uint8_t *)b.data, b.len}, s->path, j->err);
    if (rc == CLIPC_OK) rc = add_captions(j, &c, s->path);
    captions_free(&c);
    buf_free(&b);
    return rc;
}

static int read_sample(job *j, const shard_sample *s, const char *path)
{
    const shard_part *json = shard_find(s, "json"), *txt = shard_find(s, "txt");
    captions c = {0};
    int rc = json ? captions_json(&c, json->bytes, path, j->err) : CLIPC_OK;

    if (rc == CLIPC_OK && txt) rc = captions_txt(&c, txt->bytes, j->err);
    if (rc == CLIPC_OK) rc = add_captions(j, &c, path);
    captions_free(&c);
    return rc;
}

static int read_shard(job *j, const source *s)
{
    shard in;
    int rc = shard_open(&in, s->path, SHARD_LIMIT, j->err);

    if (rc != CLIPC_OK) return rc;
    for (size_t i = 0; rc == CLIPC_OK && i < in.n; i++)
        rc = read_sample(j, &in.samples[i], s->path);
    shard_free(&in);
    return rc;
}

static int read_source(job *j, const source *s)
{
    const char *ending = path_ending(s->path);
    const size_t end = j->done + s->size;
    const int rc = shard_is(s->path)             ? read_shard(j, s)
                   : strcmp(ending, "json") == 0 ? read_json(j, s)
                                                 : read_lines(j, s);

    if (s->size) j->done = end;
    return rc == CLIPC_OK ? tell_read(j) : rc;
}

static int read_all(job *j, const char *const *paths, size_t n)
{
    bool known = true;
    int rc = n ? CLIPC_OK : clipc_fail(j->err, CLIPC_ERR_ARG, "no captions given");

    for (size_t i = 0; rc == CLIPC_OK && i < n; i++) rc = add_path(j, paths[i], false);
    for (size_t i = 0; i < j->n; i++) {
        j->total += j->sources[i].size;
        known = known && (j->sources[i].size || strcmp(j->sources[i].path, "-") != 0);
    }
    if (!known) j->total = 0;
    for (size_t i = 0; rc == CLIPC_OK && i < j->n; i++)
        rc = read_source(j, &j->sources[i]);
    if (rc == CLIPC_OK && !bpe_trainer_words(j->t))
        rc = clipc_fail(j->err, CLIPC_ERR_ARG, "%s: no caption in it%s", paths[0],
                        n > 1 ? ", nor in the others" : "");
    return rc;
}

/* ---- the result ---- */

/* Another tokenizer's files, beside which ours might not be read. */
static int check_folder(const char *folder, clipc_err *err)
{
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < TOKEN_FILES; i++) {
        char *path = path_join(folder, token_file_names[i]);
        if (!path) return clipc_fail_memory(err, folder, 0);
        if (file_exists(path))
            rc = clipc_fail(err, CLIPC_ERR_EXISTS, "%s: exists already", path);
        free(path);
    }
    return rc;
}

static int write_vocab(const char *folder, const bpe *b, clipc_err *err)
{
    clip_cfg cfg = {0};
    token_files f = {0};
    int rc = bpe_vocab_json(&f.bytes[TOKEN_VOCAB], b, err);

    if (rc == CLIPC_OK) rc = bpe_merges_txt(&f.bytes[TOKEN_MERGES], b, err);
    f.kept[TOKEN_VOCAB] = f.kept[TOKEN_MERGES] = true;
    if (rc == CLIPC_OK) rc = token_files_tell(&f, &cfg, err);
    if (rc == CLIPC_OK) rc = file_mkdirs(folder, err);
    if (rc == CLIPC_OK) rc = token_files_save(&f, folder, err);
    token_files_free(&f);
    return rc;
}

int clipc_vocab_train(clipc_vocab_stats *stats, const char *folder,
                      const char *const *paths, size_t n,
                      const clipc_vocab_options *options, clipc_err *err)
{
    job j = {.o = options, .err = err};
    bpe *b = NULL;
    int rc = CLIPC_OK;

    if (options->size < BPE_LEAST || options->size > BPE_VOCAB || !options->min_frequency)
        return clipc_fail(err, CLIPC_ERR_ARG,
                          "a vocabulary has %d to %d tokens, of pairs seen once or more",
                          BPE_LEAST, BPE_VOCAB);
    if (!options->overwrite) rc = check_folder(folder, err);
    if (rc == CLIPC_OK) rc = bpe_trainer_new(&j.t, err);
    if (rc == CLIPC_OK) rc = read_all(&j, paths, n);
    if (rc == CLIPC_OK)
        rc = bpe_trainer_run(&b, j.t, options->size, options->min_frequency, tell_learned,
                             &j, err);
    if (rc == CLIPC_OK) rc = write_vocab(folder, b, err);
    if (rc == CLIPC_OK)
        *stats = (clipc_vocab_stats){.captions = j.captions,
                                     .words = (size_t)bpe_trainer_words(j.t),
                                     .different = bpe_trainer_different(j.t),
                                     .size = bpe_vocab_size(b)};
    for (size_t i = 0; i < j.n; i++) free(j.sources[i].path);
    free(j.sources);
    bpe_trainer_free(j.t);
    bpe_free(b);
    return rc;
}

#include "train/sources.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/csv.h"
#include "clipc_train.h"
#include "text/chars.h"
#include "train/patterns.h"

enum { PICTURE_MAX = SHARD_LIMIT, LIST_MAX = 1 << 28, DEPTH = 64 };

/* A source while it is read. */
typedef struct reading {
    sources *s;
    const table_cfg *tables;
    const char *root; /* the source as given */
    char **bare;      /* pictures without captions, which may turn out to be of classes */
    size_t n_bare, cap_bare;
    clipc_err *err;
} reading;

/* Makes room for one more element of an array. */
static int grow(void **v, size_t n, size_t *cap, size_t element, clipc_err *err)
{
    if (n < *cap) return CLIPC_OK;
    const size_t more = *cap ? 2 * *cap : 64;
    void *p = realloc(*v, more * element);
    if (!p) return clipc_fail_memory(err, "training data", more * element);
    *v = p, *cap = more;
    return CLIPC_OK;
}

static int add_text(reading *r, const char *text)
{
    return buf_add(&r->s->texts, text, strlen(text) + 1, r->err);
}

/* x says where the picture is. */
static int add_sample(reading *r, sample x, const char *name, const captions *c)
{
    sources *s = r->s;
    int rc = grow((void **)(void *)&s->v, s->n, &s->cap, sizeof *s->v, r->err);

    x.texts = s->texts.len;
    x.captions = (uint16_t)c->n;
    x.tint = c->tint;
    x.class = c->class;
    if (rc == CLIPC_OK) rc = add_text(r, name);
    for (size_t i = 0; rc == CLIPC_OK && i < c->n; i++) rc = add_text(r, c->v[i]);
    if (rc == CLIPC_OK) s->v[s->n++] = x;
    return rc;
}

/* What ends the reading is out of memory; all else is the sample's own fault. */
static int count_broken(reading *r, int rc, const clipc_err *why)
{
    if (rc == CLIPC_ERR_MEMORY) {
        if (r->err) *r->err = *why;
        return rc;
    }
    if (rc != CLIPC_OK) broken_add(&r->s->broken, why);
    return CLIPC_OK;
}

static int lacks(reading *r, const char *path, const char *name, const char *what)
{
    clipc_err why = {0};

    clipc_fail(&why, CLIPC_ERR_FORMAT, "%s%s%s: no %s", path, *name ? ": " : "", name,
               what);
    broken_add(&r->s->broken, &why);
    return CLIPC_OK;
}

/* What captions want before a sample can be made of them; NULL: nothing. */
static const char *missing(const reading *r, const captions *c)
{
    if (r->tables->bare) return NULL;
    for (size_t i = 0; i < c->n; i++)
        if (char_check(c->v[i], strlen(c->v[i]), NULL) != CLIPC_OK)
            return "caption in UTF-8";
    return c->n ? NULL : "caption";
}

table_cfg sources_tables(const struct clipc_data_sources *from)
{
    return (table_cfg){.img_key = from->csv_img_key ? from->csv_img_key : "filepath",
                       .caption_key =
                           from->csv_caption_key ? from->csv_caption_key : "title",
                       .separator = from->csv_separator};
}

/* ---- shards ---- */

static int add_member(reading *r, const shard *from, const shard_sample *in,
                      const char *path)
{
    const uint8_t *base = from->map.data ? from->map.data : (const uint8_t *)from->bytes;
    sample x = {.shard = (uint32_t)r->s->n_shards};
    char where[300];
    captions c = {0};
    clipc_err why = {0};
    int rc = CLIPC_OK;

    snprintf(where, sizeof where, "%.200s: %.90s", path, in->key);
    for (size_t i = 0; rc == CLIPC_OK && i < in->n; i++) {
        const shard_part *p = &in->parts[i];
        if (ending_is_picture(p->ext) && p->bytes.size <= PICTURE_MAX) {
            x.offset = (uint64_t)(p->bytes.data - base);
            x.size = (uint32_t)p->bytes.size;
        } else if (strcmp(p->ext, "json") == 0) {
            rc = captions_json(&c, p->bytes, where, &why);
        } else if (strcmp(p->ext, "txt") == 0) {
            rc = captions_txt(&c, p->bytes, &why);
        }
    }
    if (rc != CLIPC_OK) rc = count_broken(r, rc, &why);
    else if (!x.size) rc = lacks(r, path, in->key, "picture");
    else if (missing(r, &c)) rc = lacks(r, path, in->key, missing(r, &c));
    else rc = add_sample(r, x, in->key, &c);
    captions_free(&c);
    return rc;
}

static int add_shard(reading *r, const char *path)
{
    sources *s = r->s;
    source_shard new = {0};
    int rc = grow((void **)(void *)&s->shards, s->n_shards, &s->cap_shards,
                  sizeof *s->shards, r->err);

    if (rc == CLIPC_OK) rc = shard_open(&new.unpacked, path, SHARD_LIMIT, r->err);
    if (rc != CLIPC_OK) return rc;
    for (size_t i = 0; rc == CLIPC_OK && i < new.unpacked.n; i++)
        rc = add_member(r, &new.unpacked, &new.unpacked.samples[i], path);
    if (new.unpacked.map.data) shard_free(&new.unpacked);
    free(new.unpacked.samples);
    new.unpacked.samples = NULL;
    new.path = strdup(path);
    s->shards[s->n_shards++] = new;
    return rc == CLIPC_OK && !new.path ? clipc_fail_memory(r->err, path, 0) : rc;
}

/* ---- tables ---- */

static char table_separator(const table_cfg *cfg, span text)
{
    const char *p = (const char *)text.data;
    size_t n = 0;

    if (cfg->separator) return cfg->separator[0];
    while (n < text.size && p[n] != '\n' && p[n] != '\r') n++;
    return n && memchr(p, '\t', n) ? '\t' : ',';
}

typedef struct table {
    csv csv;
    size_t img, caption; /* columns */
    const char *path;
    bool beside; /* pictures are relative to the table, not to where we are */
} table;

static int read_header(table *t, const table_cfg *cfg, clipc_err *err)
{
    const int rc = csv_next(&t->csv, err);

    if (rc != CLIPC_OK) return rc;
    t->img = csv_find(&t->csv, cfg->img_key);
    t->caption = csv_find(&t->csv, cfg->caption_key);
    if (t->img < t->csv.n && t->caption < t->csv.n) return CLIPC_OK;
    return clipc_fail(err, CLIPC_ERR_FORMAT,
                      "%s: no column \"%s\" in its header (csv_img_key, csv_caption_key, "
                      "csv_separator)",
                      t->path, t->img < t->csv.n ? cfg->caption_key : cfg->img_key);
}

/* malloc'd; NULL when memory is out. */
static char *beside(const char *path, const char *name)
{
    const size_t folder = (size_t)(path_base(path) - path);
    char *dir = name[0] == '/' || !folder ? NULL : strndup(path, folder);
    char *out = dir ? path_join(dir, name) : strdup(name);

    free(dir);
    return out;
}

static int add_record(reading *r, table *t, bool first)
{
    const size_t last = t->img > t->caption ? t->img : t->caption;
    char line[32];
    captions c = {0};
    int rc;

    snprintf(line, sizeof line, "line %zu", t->csv.line);
    if (t->csv.n <= last) return lacks(r, t->path, line, "picture and caption");
    const char *img = csv_field(&t->csv, t->img);
    if (!*img) return lacks(r, t->path, line, "picture");
    const char *text = csv_field(&t->csv, t->caption);
    char *path = beside(t->path, img);
    if (!path) return clipc_fail_memory(r->err, t->path, strlen(img));
    if (first) t->beside = file_exists(path);
    rc = captions_add(&c, text, strlen(text), r->err);
    if (rc == CLIPC_OK && missing(r, &c)) rc = lacks(r, t->path, line, missing(r, &c));
    else if (rc == CLIPC_OK)
        rc = add_sample(r, (sample){.shard = SAMPLE_LOOSE}, t->beside ? path : img, &c);
    captions_free(&c);
    free(path);
    return rc;
}

static int add_table(reading *r, const char *path)
{
    table t = {.path = path};
    span text;
    clipc_err why;
    int rc = file_map(&text, path, r->err);

    if (rc != CLIPC_OK) return rc;
    t.csv = csv_start(text, table_separator(r->tables, text), path);
    rc = read_header(&t, r->tables, r->err);
    for (bool first = true; rc == CLIPC_OK; first = false) {
        if ((rc = csv_next(&t.csv, &why)) != CLIPC_OK) rc = count_broken(r, rc, &why);
        else if (!t.csv.n) break;
        else rc = add_record(r, &t, first);
    }
    csv_free(&t.csv);
    file_unmap(&text);
    return rc;
}

/* ---- folders ---- */

static int read_captions(captions *c, const char *path, clipc_err *err)
{
    buf text = {0};
    int rc = file_read(&text, path, CAPTIONS_FILE_MAX, err);
    const span t = {(const uint8_t *)text.data, text.len};

    if (rc == CLIPC_OK && strcmp(path_ending(path), "txt") == 0)
        rc = captions_txt(c, t, err);
    else if (rc == CLIPC_OK) rc = captions_json(c, t, path, err);
    buf_free(&text);
    return rc;
}

/* The file of captions beside a picture: malloc'd, or NULL if there is none. */
static int side_file(char **out, const char *path, clipc_err *err)
{
    static const char *const ends[] = {"txt", "json"};
    const size_t stem = (size_t)(path_ending(path) - path);

    *out = NULL;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        char *side = malloc(stem + sizeof "json");
        if (!side) return clipc_fail_memory(err, path, stem);
        memcpy(side, path, stem);
        strcpy(side + stem, ends[i]);
        if (file_exists(side)) return *out = side, CLIPC_OK;
        free(side);
    }
    return CLIPC_OK;
}

static int keep_bare(reading *r, const char *path)
{
    int rc =
        grow((void **)(void *)&r->bare, r->n_bare, &r->cap_bare, sizeof *r->bare, r->err);

    if (rc != CLIPC_OK) return rc;
    r->bare[r->n_bare] = strdup(path);
    return r->bare[r->n_bare++] ? CLIPC_OK : clipc_fail_memory(r->err, path, 0);
}

static int add_picture(reading *r, const char *path)
{
    char *side;
    captions c = {0};
    clipc_err why = {0};
    int rc = side_file(&side, path, r->err);

    if (rc != CLIPC_OK) return rc;
    if (!side) return keep_bare(r, path);
    if ((rc = read_captions(&c, side, &why)) != CLIPC_OK) rc = count_broken(r, rc, &why);
    else if (missing(r, &c)) rc = lacks(r, side, "", missing(r, &c));
    else rc = add_sample(r, (sample){.shard = SAMPLE_LOOSE}, path, &c);
    captions_free(&c);
    free(side);
    return rc;
}

/* ---- features ---- */

/* The captions of a line, with tabs between them; *text goes on behind it. */
static int take_line(captions *c, char **text, clipc_err *err)
{
    char *line = *text, *end = line + strcspn(line, "\n");
    int rc = CLIPC_OK;

    *text = *end ? end + 1 : end;
    while (rc == CLIPC_OK && line < end) {
        const size_t rest = (size_t)(end - line);
        const char *tab = memchr(line, '\t', rest);
        const size_t len = tab ? (size_t)(tab - line) : rest;
        rc = captions_add(c, line, len, err);
        line += tab ? len + 1 : rest;
    }
    return rc;
}

static int add_row(reading *r, const char *path, char **text, sample x)
{
    char name[32];
    captions c = {0};
    int rc = take_line(&c, text, r->err);

    snprintf(name, sizeof name, "row %zu", (size_t)x.offset);
    if (rc == CLIPC_OK && missing(r, &c)) rc = lacks(r, path, name, missing(r, &c));
    else if (rc == CLIPC_OK) rc = add_sample(r, x, name, &c);
    captions_free(&c);
    return rc;
}

static int add_rows(reading *r, const char *path)
{
    sources *s = r->s;
    feature_rows *rows;
    buf text = {0};
    char *side = NULL, *line;
    int rc =
        grow((void **)(void *)&s->rows, s->n_rows, &s->cap_rows, sizeof *s->rows, r->err);

    if (rc != CLIPC_OK) return rc;
    rows = &s->rows[s->n_rows++];
    rc = feature_rows_open(rows, path, r->tables->features, r->err);
    if (rc == CLIPC_OK) rc = side_file(&side, path, r->err);
    if (rc == CLIPC_OK && !side)
        rc = clipc_fail(r->err, CLIPC_ERR_IO, "%s: no .txt of captions beside it", path);
    if (rc == CLIPC_OK) rc = file_read(&text, side, LIST_MAX, r->err);
    line = text.data;
    for (size_t i = 0; rc == CLIPC_OK && i < rows->n; i++) {
        const sample x = {
            .offset = i, .size = (uint32_t)s->n_rows - 1, .shard = SAMPLE_ROW};
        rc = add_row(r, path, &line, x);
    }
    if (rc == CLIPC_OK && *line)
        rc = clipc_fail(r->err, CLIPC_ERR_FORMAT, "%s: more lines than %zu rows", side,
                        rows->n);
    buf_free(&text);
    free(side);
    return rc;
}

static bool is_rows(const char *path)
{
    return strcasecmp(path_ending(path), "npy") == 0;
}

static int add_path(reading *r, const char *path, int depth);

static int add_folder(reading *r, const char *path, int depth)
{
    struct dirent **names = NULL;
    const int n = scandir(path, &names, NULL, alphasort);
    int rc = n < 0 ? clipc_fail(r->err, CLIPC_ERR_IO, "%s: cannot read folder: %s", path,
                                strerror(errno))
                   : CLIPC_OK;

    for (int i = 0; i < n; i++) {
        if (rc == CLIPC_OK && names[i]->d_name[0] != '.') {
            char *inner = path_join(path, names[i]->d_name);
            rc = inner ? add_path(r, inner, depth + 1)
                       : clipc_fail_memory(r->err, path, 0);
            free(inner);
        }
        free(names[i]);
    }
    free(names);
    return rc;
}

static bool is_table(const char *path)
{
    const char *ending = path_ending(path);
    return strcasecmp(ending, "csv") == 0 || strcasecmp(ending, "tsv") == 0;
}

/* depth 0: given by name.  Links in circles end at DEPTH. */
static int add_path(reading *r, const char *path, int depth)
{
    if (file_is_dir(path)) return depth < DEPTH ? add_folder(r, path, depth) : CLIPC_OK;
    if (depth && !file_is_regular(path)) return CLIPC_OK; /* who opens a pipe waits */
    if (shard_is(path)) return add_shard(r, path);
    if (is_table(path)) return add_table(r, path);
    if (ending_is_picture(path_ending(path))) return add_picture(r, path);
    if (depth) return CLIPC_OK;
    if (is_rows(path) && r->tables->features) return add_rows(r, path);
    return clipc_fail(
        r->err, CLIPC_ERR_IO,
        is_rows(path)
            ? "%s: ready features are for runs with \"cache_features\""
            : "%s: neither folder, shard (.tar), table (.csv, .tsv), list (.txt, "
              ".list) nor picture",
        path);
}

/* ---- folders of classes ---- */

/* The folder that a picture lies in; false where that is the source itself. */
static bool class_name(captions *c, int *rc, const reading *r, const char *path)
{
    const char *base = path_base(path), *from = base;
    char *name;

    if (!file_is_dir(r->root)) return false;
    while (from > path && from[-1] == '/') from--;
    const char *end = from;
    while (from > path && from[-1] != '/') from--;
    if ((size_t)(end - path) <= strlen(r->root)) return false;
    name = strndup(from, (size_t)(end - from));
    for (char *p = name; p && *p; p++)
        if (*p == '_') *p = ' ';
    *rc = name ? captions_add(c, name, strlen(name), r->err)
               : clipc_fail_memory(r->err, path, 0);
    free(name);
    return true;
}

static int add_bare(reading *r, const char *path, bool classes)
{
    captions c = {0};
    int rc = CLIPC_OK;

    const bool named = classes && !r->tables->bare && class_name(&c, &rc, r, path);

    if (rc == CLIPC_OK && !missing(r, &c))
        rc = add_sample(r, (sample){.shard = SAMPLE_LOOSE}, path, &c);
    else if (rc == CLIPC_OK)
        rc = lacks(r, path, "", named ? missing(r, &c) : "caption beside it");
    captions_free(&c);
    return rc;
}

/* ---- sources ---- */

static int add_source_path(void *user, const char *path)
{
    reading *r = user;
    const size_t before = r->s->n;

    if (!file_exists(path))
        return clipc_fail(r->err, CLIPC_ERR_IO, "%s: no such file", path);
    r->root = path;
    int rc = add_path(r, path, 0);
    const bool classes = r->s->n == before;
    for (size_t i = 0; i < r->n_bare; i++) {
        if (rc == CLIPC_OK) rc = add_bare(r, r->bare[i], classes);
        free(r->bare[i]);
    }
    r->n_bare = 0;
    return rc;
}

/* A file or folder that has such a name goes before what it could mean as a pattern. */
static int add_pattern(reading *r, const char *path)
{
    return file_exists(path) ? add_source_path(r, path)
                             : pattern_each(path, add_source_path, r, r->err);
}

static int add_list(reading *r, const char *path)
{
    buf text = {0};
    int rc = file_read(&text, path, LIST_MAX, r->err);

    for (char *line = text.data; rc == CLIPC_OK && line && *line;) {
        char *end = line + strcspn(line, "\r\n");
        const bool last = !*end;
        *end = '\0';
        char *inner = *line && *line != '#' ? beside(path, line) : NULL;
        if (inner) rc = add_pattern(r, inner);
        else if (*line && *line != '#') rc = clipc_fail_memory(r->err, path, 0);
        free(inner);
        line = last ? NULL : end + 1;
    }
    buf_free(&text);
    return rc;
}

static bool is_list(const char *path)
{
    const char *ending = path_ending(path);
    return !file_is_dir(path) && file_exists(path) &&
           (strcasecmp(ending, "txt") == 0 || strcasecmp(ending, "list") == 0);
}

int sources_open(sources *s, const char *const *paths, size_t n, const table_cfg *tables,
                 clipc_err *err)
{
    reading r = {.s = s, .tables = tables, .err = err};
    int rc = CLIPC_OK;

    *s = (sources){.n_sources = n, .ends = calloc(n ? n : 1, sizeof *s->ends)};
    if (!s->ends) return clipc_fail_memory(err, "sources", n * sizeof *s->ends);
    if (!n) return clipc_fail(err, CLIPC_ERR_ARG, "no training data given");
    for (size_t i = 0; rc == CLIPC_OK && i < n; i++) {
        const size_t before = s->n;
        rc = is_list(paths[i]) ? add_list(&r, paths[i]) : add_pattern(&r, paths[i]);
        s->ends[i] = s->n;
        if (rc == CLIPC_OK && s->n == before)
            rc = s->broken.n
                     ? clipc_fail(err, CLIPC_ERR_ARG,
                                  "%s: no picture with a caption in it: %s", paths[i],
                                  s->broken.first[0].msg)
                     : clipc_fail(err, CLIPC_ERR_ARG,
                                  "%s: no picture with a caption in it", paths[i]);
    }
    free(r.bare);
    return rc;
}

void sources_free(sources *s)
{
    for (size_t i = 0; i < s->n_shards; i++) {
        free(s->shards[i].path);
        shard_free(&s->shards[i].unpacked);
    }
    for (size_t i = 0; i < s->n_rows; i++) feature_rows_free(&s->rows[i]);
    free(s->rows);
    free(s->shards);
    free(s->ends);
    free(s->v);
    buf_free(&s->texts);
    *s = (sources){0};
}

size_t sources_memory(const sources *s)
{
    size_t bytes = s->cap * sizeof *s->v + s->texts.cap;

    for (size_t i = 0; i < s->n_shards; i++) bytes += s->shards[i].unpacked.size;
    return bytes;
}

const char *sources_name(const sources *s, const sample *x)
{
    return s->texts.data + x->texts;
}

void sources_where(char *out, size_t size, const sources *s, const sample *x)
{
    const char *in = x->shard == SAMPLE_LOOSE ? NULL
                     : x->shard == SAMPLE_ROW ? s->rows[x->size].path
                                              : s->shards[x->shard].path;

    snprintf(out, size, "%s%s%s", in ? in : "", in ? ": " : "", sources_name(s, x));
}

const char *sources_caption(const sources *s, const sample *x, size_t i)
{
    const char *text = sources_name(s, x);

    for (size_t k = 0; k <= i; k++) text += strlen(text) + 1;
    return text;
}

int sources_read(span *out, buf *keep, const sources *s, const sample *x, clipc_err *err)
{
    const source_shard *in = x->shard == SAMPLE_LOOSE ? NULL : &s->shards[x->shard];
    int rc;

    if (in && in->unpacked.bytes) {
        *out = (span){(const uint8_t *)in->unpacked.bytes + x->offset, x->size};
        return CLIPC_OK;
    }
    rc = in ? file_read_part(keep, in->path, x->offset, x->size, err)
            : file_read(keep, sources_name(s, x), PICTURE_MAX, err);
    *out = (span){(const uint8_t *)keep->data, keep->len};
    return rc;
}

int sources_row(const float **row, const sources *s, const sample *x, clipc_err *err)
{
    return feature_rows_get(row, &s->rows[x->size], (size_t)x->offset, err);
}

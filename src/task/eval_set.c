#include "task/eval_set.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/chars.h"

enum { SAMPLES_LIMIT = 1 << 30, CAPTIONS_LIMIT = 1 << 20 };

/* ---- classes ---- */

void eval_classes_free(eval_classes *c)
{
    for (size_t i = 0; i < c->n; i++) free(c->v[i]);
    free(c->v);
    free(c->set);
    *c = (eval_classes){0};
}

int eval_classes_add(eval_classes *c, const char *name, size_t len, size_t set,
                     clipc_err *err)
{
    if (c->n == c->cap) {
        const size_t cap = c->cap ? 2 * c->cap : 16;
        char **v = realloc(c->v, cap * sizeof *v);
        if (v) c->v = v;
        size_t *sets = realloc(c->set, cap * sizeof *sets);
        if (sets) c->set = sets;
        if (!v || !sets) return clipc_fail_memory(err, "classes", cap * sizeof *v);
        c->cap = cap;
    }
    char *copy = strndup(name, len);
    if (!copy) return clipc_fail_memory(err, "classes", len);
    c->v[c->n] = copy;
    c->set[c->n++] = set;
    return CLIPC_OK;
}

/* The class of that name, of those from `set` on, added if it is new. */
static int class_of(size_t *out, eval_classes *c, const char *name, size_t len,
                    size_t set, const char *where, clipc_err *err)
{
    size_t i = c->closed ? 0 : set;

    if (char_check(name, len, NULL) != CLIPC_OK)
        return clipc_fail(err, CLIPC_ERR_TEXT, "%s: the name of a class is no UTF-8",
                          where);
    while (i < c->n && (strncmp(c->v[i], name, len) != 0 || c->v[i][len])) i++;
    *out = i;
    if (i < c->n) return CLIPC_OK;
    if (c->closed)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: \"%.*s\" is none of the classes",
                          where, (int)(len < 60 ? len : 60), name);
    return eval_classes_add(c, name, len, set, err);
}

/* ---- sets ---- */

void eval_set_free(eval_set *v)
{
    for (size_t i = 0; i < v->n_texts; i++) free(v->texts[i]);
    free(v->texts);
    free(v->folder);
    buf_free(&v->lines);
    shard_free(&v->shard);
    free(v->samples);
    *v = (eval_set){0};
}

/* Room for n samples; texts have grown to a power of two. */
static int make_samples(eval_set *v, size_t n, clipc_err *err)
{
    v->samples = calloc(n ? n : 1, sizeof *v->samples);
    return v->samples ? CLIPC_OK
                      : clipc_fail_memory(err, v->path, n * sizeof *v->samples);
}

/* A caption of the last sample. */
static int add_text(eval_set *v, const char *text, size_t len, clipc_err *err)
{
    eval_sample *s = &v->samples[v->n - 1];

    if (char_check(text, len, NULL) != CLIPC_OK)
        return clipc_fail(err, CLIPC_ERR_TEXT, "%s: %s: a caption is no UTF-8", v->path,
                          s->name);
    if ((v->n_texts & (v->n_texts - 1)) == 0) {
        const size_t cap = v->n_texts ? 2 * v->n_texts : 1;
        char **texts = realloc(v->texts, cap * sizeof *texts);
        if (!texts) return clipc_fail_memory(err, v->path, cap * sizeof *texts);
        v->texts = texts;
    }
    char *copy = strndup(text, len);
    if (!copy) return clipc_fail_memory(err, v->path, len);
    if (!s->n_texts++) s->first = v->n_texts;
    v->texts[v->n_texts++] = copy;
    return CLIPC_OK;
}

/* ---- a list ---- */

/* A line "path<TAB>class", cut at the tab. */
static int read_label(eval_set *v, const char *line, const char *label, eval_classes *c,
                      clipc_err *err)
{
    size_t i = 0;

    if (c->numbered) {
        char *end;
        i = strtoul(label, &end, 10);
        if (end == label || *end || i >= c->n)
            return clipc_fail(err, CLIPC_ERR_FORMAT,
                              "%s: sample %zu: wanted path, tab, class below %zu",
                              v->path, v->n + 1, c->n);
    } else {
        const int rc = class_of(&i, c, label, strlen(label), 0, v->path, err);
        if (rc != CLIPC_OK) return rc;
    }
    v->samples[v->n++] = (eval_sample){.name = line, .label = i};
    return CLIPC_OK;
}

/* Lines of one picture follow each other. */
static int read_caption(eval_set *v, const char *line, const char *text, clipc_err *err)
{
    if (!v->n || strcmp(v->samples[v->n - 1].name, line) != 0)
        v->samples[v->n++].name = line;
    return add_text(v, text, strlen(text), err);
}

static int read_line(eval_set *v, char *line, eval_classes *c, clipc_err *err)
{
    char *tab = strchr(line, '\t');

    if (!tab || tab == line || !tab[1])
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: sample %zu: wanted path, tab, %s",
                          v->path, v->n + 1, c ? "class" : "caption");
    *tab = '\0';
    return c ? read_label(v, line, tab + 1, c, err) : read_caption(v, line, tab + 1, err);
}

/* The path ends at the tab in all of them; of lines with one path the first comes first,
 * as they lie in memory. */
static int by_path(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;

    for (; *x == *y && *x && *x != '\t'; x++, y++) continue;
    if (*x != *y) return (unsigned char)*x < (unsigned char)*y ? -1 : 1;
    return (x > y) - (x < y);
}

/* What v->lines holds. */
static int read_lines(eval_set *v, eval_classes *c, clipc_err *err)
{
    size_t most = 1, n = 0;
    int rc;

    for (size_t i = 0; i < v->lines.len; i++) most += v->lines.data[i] == '\n';
    char **lines = malloc(most * sizeof *lines);
    rc = lines ? make_samples(v, most, err) : clipc_fail_memory(err, v->path, most);
    for (char *p = v->lines.data; rc == CLIPC_OK && p && *p;) {
        char *end = p + strcspn(p, "\r\n");
        if (end > p) lines[n++] = p;
        for (p = end; *p == '\r' || *p == '\n'; p++) *p = '\0';
    }
    if (rc == CLIPC_OK && !c) qsort(lines, n, sizeof *lines, by_path);
    for (size_t i = 0; rc == CLIPC_OK && i < n; i++) rc = read_line(v, lines[i], c, err);
    free(lines);
    return rc;
}

static int read_list(eval_set *v, eval_classes *c, clipc_err *err)
{
    const size_t n = (size_t)(path_base(v->path) - v->path);
    const int rc = file_read(&v->lines, v->path, SAMPLES_LIMIT, err);

    if (rc != CLIPC_OK) return rc;
    v->folder = n ? strndup(v->path, n) : strdup(".");
    return v->folder ? read_lines(v, c, err) : clipc_fail_memory(err, v->path, n);
}

/* ---- a folder, made a list of ---- */

static int is_visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

/* Calls on(v, below, name) for what lies in v->folder/below ("": in v->folder). */
static int each_entry(eval_set *v, const char *below,
                      int (*on)(eval_set *v, const char *below, const char *name,
                                clipc_err *err),
                      clipc_err *err)
{
    char *path = *below ? path_join(v->folder, below) : strdup(v->folder);
    struct dirent **names = NULL;
    const int n = path ? scandir(path, &names, is_visible, alphasort) : 0;
    int rc = path ? CLIPC_OK : clipc_fail_memory(err, v->path, 0);

    if (n < 0)
        rc = clipc_fail(err, CLIPC_ERR_IO, "%s: cannot read folder: %s", path,
                        strerror(errno));
    for (int i = 0; i < n; i++) {
        if (rc == CLIPC_OK && strpbrk(names[i]->d_name, "\t\r\n"))
            rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s/%s: a tab or an end of line in it",
                            path, names[i]->d_name);
        if (rc == CLIPC_OK) rc = on(v, below, names[i]->d_name, err);
        free(names[i]);
    }
    free(names);
    free(path);
    return rc;
}

/* A picture of a class, whose name is the folder's with blanks. */
static int add_labelled(eval_set *v, const char *below, const char *name, clipc_err *err)
{
    const size_t at = v->lines.len + strlen(below) + strlen(name) + 2;
    int rc = CLIPC_OK;

    if (!ending_is_picture(path_ending(name))) return CLIPC_OK;
    rc = buf_printf(&v->lines, err, "%s/%s\t%s\n", below, name, below);
    for (size_t i = at; rc == CLIPC_OK && i < v->lines.len; i++)
        if (v->lines.data[i] == '_') v->lines.data[i] = ' ';
    return rc;
}

static int add_class(eval_set *v, const char *below, const char *name, clipc_err *err)
{
    char *path = path_join(v->folder, name);
    const bool folder = path && file_is_dir(path);

    (void)below;
    free(path);
    return folder ? each_entry(v, name, add_labelled, err) : CLIPC_OK;
}

/* A picture with the captions beside it. */
static int add_captioned(eval_set *v, const char *below, const char *name, clipc_err *err)
{
    const char *ending = path_ending(name);
    buf text = {0}, path = {0};
    int rc;

    if (!ending_is_picture(ending)) return CLIPC_OK;
    rc = buf_printf(&path, err, "%s/%.*s.txt", v->folder, (int)(ending - name) - 1, name);
    if (rc == CLIPC_OK) rc = file_read(&text, path.data, CAPTIONS_LIMIT, err);
    for (char *p = text.data; rc == CLIPC_OK && p && *p;) {
        const size_t len = strcspn(p, "\r\n");
        if (len) rc = buf_printf(&v->lines, err, "%s\t%.*s\n", name, (int)len, p);
        p += len + strspn(p + len, "\r\n");
    }
    (void)below;
    buf_free(&text);
    buf_free(&path);
    return rc;
}

static int read_folder(eval_set *v, eval_classes *c, clipc_err *err)
{
    int rc;

    v->folder = strdup(v->path);
    if (!v->folder) return clipc_fail_memory(err, v->path, 0);
    rc = each_entry(v, "", c ? add_class : add_captioned, err);
    return rc == CLIPC_OK ? read_lines(v, c, err) : rc;
}

/* ---- a shard ---- */

static size_t folder_length(const char *key)
{
    return (size_t)(path_base(key) - key);
}

static bool same_folder(const char *a, const char *b)
{
    const size_t n = folder_length(a);
    return n == folder_length(b) && memcmp(a, b, n) == 0;
}

static int shard_label(eval_set *v, span text, eval_classes *c, bool by_folder,
                       clipc_err *err)
{
    eval_sample *s = &v->samples[v->n - 1];
    const eval_sample *last = v->n > 1 ? s - 1 : NULL;
    size_t len = 0, set = by_folder ? c->n : 0;

    while (len < text.size && text.data[len] >= ' ') len++;
    if (by_folder && last && same_folder(last->name, s->name)) set = c->set[last->label];
    return len ? class_of(&s->label, c, (const char *)text.data, len, set, v->path, err)
               : clipc_fail(err, CLIPC_ERR_FORMAT, "%s: %s: no label in its .txt",
                            v->path, s->name);
}

static int shard_captions(eval_set *v, span text, clipc_err *err)
{
    eval_sample *s = &v->samples[v->n - 1];
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < text.size; i++) {
        const size_t from = i;
        while (i < text.size && text.data[i] != '\n' && text.data[i] != '\r') i++;
        if (i > from) rc = add_text(v, (const char *)text.data + from, i - from, err);
    }
    return rc == CLIPC_OK && !s->n_texts
               ? clipc_fail(err, CLIPC_ERR_FORMAT, "%s: %s: no caption in its .txt",
                            v->path, s->name)
               : rc;
}

/* The picture is what is neither text nor JSON. */
static const shard_part *picture_of(const shard_sample *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->parts[i].ext, "txt") != 0 && strcmp(s->parts[i].ext, "json") != 0)
            return &s->parts[i];
    return NULL;
}

static int read_sample(eval_set *v, const shard_sample *in, eval_classes *c,
                       bool by_folder, clipc_err *err)
{
    const shard_part *text = shard_find(in, "txt"), *picture = picture_of(in);

    if (!picture || !text)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: %s: wanted a picture and a .txt with its %s", v->path,
                          in->key, c ? "label" : "captions");
    v->samples[v->n++] = (eval_sample){.name = in->key, .picture = picture->bytes};
    return c ? shard_label(v, text->bytes, c, by_folder, err)
             : shard_captions(v, text->bytes, err);
}

static int read_shard(eval_set *v, eval_classes *c, bool by_folder, clipc_err *err)
{
    int rc = shard_open(&v->shard, v->path, SAMPLES_LIMIT, err);

    if (rc == CLIPC_OK) rc = make_samples(v, v->shard.n, err);
    for (size_t i = 0; rc == CLIPC_OK && i < v->shard.n; i++)
        rc = read_sample(v, &v->shard.samples[i], c, by_folder, err);
    return rc;
}

/* ---- any of them ---- */

bool eval_set_is(const char *path)
{
    return shard_is(path) || strcmp(path_ending(path), "tsv") == 0 || file_is_dir(path);
}

/* "folder/stem" is all that a shard tells of its name. */
void eval_set_name(char *name, size_t size, const char *path)
{
    const bool tar = shard_is(path);
    const char *end = tar ? strstr(path_base(path), ".tar") : path + strlen(path), *from;

    if (!end) end = strrchr(path, '.'); /* .tgz */
    while (end > path + 1 && end[-1] == '/') end--;
    for (from = end; from > path && from[-1] != '/';) from--;
    if (tar && from > path)
        for (from--; from > path && from[-1] != '/';) from--;
    snprintf(name, size, "%.*s", (int)(end - from), from);
}

int eval_set_open(eval_set *v, const char *path, eval_classes *classes, bool by_folder,
                  clipc_err *err)
{
    int rc;

    *v = (eval_set){.path = path};
    rc = shard_is(path)      ? read_shard(v, classes, by_folder, err)
         : file_is_dir(path) ? read_folder(v, classes, err)
                             : read_list(v, classes, err);
    if (rc == CLIPC_OK && !v->n)
        rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no samples", path);
    if (rc != CLIPC_OK) eval_set_free(v);
    return rc;
}

#include "hub/repo.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

enum { FILES_MAX = 10000, NAME_BYTES_MAX = 512 };
#define SIZE_MAX_BYTES ((uint64_t)1 << 42) /* of a file: 4 TB */

/* ---- the listing ---------------------------------------------------------------------
 */

/* A path that stays below the folder that it is put into. */
static bool name_ok(const char *name)
{
    if (!*name || strlen(name) > NAME_BYTES_MAX) return false;
    for (const char *p = name; *p;) {
        const size_t n = strcspn(p, "/");
        if (n == 0 || (n == 1 && *p == '.') || (n == 2 && memcmp(p, "..", 2) == 0))
            return false;
        for (size_t i = 0; i < n; i++)
            if ((unsigned char)p[i] < ' ' || p[i] == 0x7f || p[i] == '\\') return false;
        p += n;
        if (*p && !*++p) return false; /* ends in '/' */
    }
    return true;
}

int repo_identify(repo_file *f, const char *hash, uint64_t size, const char *name,
                  clipc_err *err)
{
    if (!hash || (!hub_is_hex(hash, 64) && !hub_is_hex(hash, 40)))
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: the hub gives no checksum of %.80s",
                          name, f->name);
    if (size > SIZE_MAX_BYTES)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: the hub gives no size of %.80s",
                          name, f->name);
    memcpy(f->hash, hash, strlen(hash) + 1);
    f->size = size;
    return CLIPC_OK;
}

static int read_file(repo_file *f, const json_t *o, const char *where, clipc_err *err)
{
    const json_t *lfs = json_object_get(o, "lfs"), *blob = json_object_get(o, "blobId");
    const json_t *from = json_is_object(lfs) ? lfs : o;
    const json_t *size = json_object_get(from, "size");
    const char *name = json_string_value(json_object_get(o, "rfilename"));

    if (!name || !name_ok(name))
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: the hub names a file \"%.80s\"",
                          where, name ? name : "");
    f->name = strdup(name);
    if (!f->name) return clipc_fail_memory(err, name, strlen(name));
    if (!blob && from == o) return CLIPC_OK;
    /* What is no number counts as too large a one. */
    return repo_identify(
        f, json_string_value(from == lfs ? json_object_get(lfs, "sha256") : blob),
        json_is_integer(size) ? (uint64_t)json_integer_value(size) : UINT64_MAX, where,
        err);
}

int repo_read(repo *r, const json_t *answer, const char *name, clipc_err *err)
{
    const char *commit = json_string_value(json_object_get(answer, "sha"));
    const json_t *files = json_object_get(answer, "siblings");
    const size_t n = json_array_size(files);
    int rc = CLIPC_OK;

    *r = (repo){0};
    if (!commit || !hub_is_hex(commit, HUB_COMMIT))
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: the hub's answer holds no commit",
                          name);
    memcpy(r->commit, commit, sizeof r->commit);
    if (!n || n > FILES_MAX)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: %zu files, wanted 1 to %d", name, n,
                          FILES_MAX);
    r->files = calloc(n, sizeof *r->files);
    if (!r->files) return clipc_fail_memory(err, name, n * sizeof *r->files);
    for (; rc == CLIPC_OK && r->n < n; r->n++)
        rc = read_file(&r->files[r->n], json_array_get(files, r->n), name, err);
    return rc;
}

void repo_free(repo *r)
{
    for (size_t i = 0; i < r->n; i++) free(r->files[i].name);
    free(r->files);
    *r = (repo){0};
}

/* ---- the choice ----------------------------------------------------------------------
 */

/* Files that say what a model is and how it reads texts. */
static const char *const small[] = {"open_clip_config.json",
                                    "config.json",
                                    "preprocessor_config.json",
                                    "processor_config.json",
                                    "tokenizer.json",
                                    "tokenizer_config.json",
                                    "special_tokens_map.json",
                                    "added_tokens.json",
                                    "vocab.json",
                                    "merges.txt",
                                    "vocab.txt",
                                    "spiece.model",
                                    "sentencepiece.bpe.model",
                                    "tokenizer.model",
                                    "modules.json",
                                    "sentence_bert_config.json",
                                    "config_sentence_transformers.json",
                                    NULL};

/* Kinds of weights, one file or an index and its shards, in the order in which
 * clip/source.c opens them; the first N_OPEN_CLIP only beside open_clip's config. */
static const char *const weights[][2] = {
    {"open_clip_model.safetensors", ""},
    {"open_clip_model.safetensors.index.json", "open_clip_model-*-of-*.safetensors"},
    {"open_clip_pytorch_model.bin", ""},
    {"open_clip_pytorch_model.bin.index.json", "open_clip_pytorch_model-*-of-*.bin"},
    {"model.safetensors", ""},
    {"model.safetensors.index.json", "model-*-of-*.safetensors"},
    {"pytorch_model.bin", ""},
    {"pytorch_model.bin.index.json", "pytorch_model-*-of-*.bin"}};
enum { N_OPEN_CLIP = 4, N_WEIGHTS = sizeof weights / sizeof weights[0] };

static bool is_small(const char *base)
{
    for (size_t i = 0; small[i]; i++)
        if (strcmp(small[i], base) == 0) return true;
    return false;
}

static bool has_open_clip(const repo *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->files[i].name, small[0]) == 0) return true;
    return false;
}

/* The kind of weights that a file is or belongs to, of those from `first` on; N_WEIGHTS:
 * none. */
static size_t kind_of(const char *base, size_t first)
{
    size_t w = first;

    while (w < N_WEIGHTS && fnmatch(weights[w][0], base, 0) != 0 &&
           fnmatch(weights[w][1], base, 0) != 0)
        w++;
    return w;
}

/* The best kind in the folder of a file; N_WEIGHTS: none. */
static size_t best_kind(const repo *r, const char *name, size_t first)
{
    const size_t len = (size_t)(path_base(name) - name);
    size_t best = N_WEIGHTS;

    for (size_t i = 0; i < r->n; i++) {
        const char *other = r->files[i].name, *base = path_base(other);
        if ((size_t)(base - other) != len || memcmp(other, name, len) != 0) continue;
        const size_t kind = kind_of(base, first);
        if (kind < best) best = kind;
    }
    return best;
}

/* Whether a file lies at the top or in "0_Name/", as sentence-transformers' modules do.
 */
static bool in_place(const char *name)
{
    const size_t digits = strspn(name, "0123456789");

    return !strchr(name, '/') ||
           (digits && name[digits] == '_' && strchr(name, '/') + 1 == path_base(name));
}

/* Where there is nothing else: the only file of its kind. */
static int mark_single(repo *r, const char *name, clipc_err *err)
{
    for (size_t s = 0; cache_model_files[s]; s++) {
        size_t n = 0;
        for (size_t i = 0; i < r->n; i++) {
            repo_file *f = &r->files[i];
            if (strchr(f->name, '/') || fnmatch(cache_model_files[s], f->name, 0) != 0)
                continue;
            f->wanted = true;
            n++;
        }
        if (n == 1) return CLIPC_OK;
        if (n > 1)
            return clipc_fail(err, CLIPC_ERR_IO, "%s: %zu files %s: choose by --include",
                              name, n, cache_model_files[s]);
    }
    return clipc_fail(err, CLIPC_ERR_IO, "%s: no weights that clipc reads", name);
}

static int mark_globs(repo *r, const char *const *globs, size_t n_globs, const char *name,
                      clipc_err *err)
{
    for (size_t g = 0; g < n_globs; g++) {
        bool found = false;
        for (size_t i = 0; i < r->n; i++)
            if (fnmatch(globs[g], r->files[i].name, 0) == 0)
                r->files[i].wanted = found = true;
        if (!found)
            return clipc_fail(err, CLIPC_ERR_IO, "%s: no file %.80s", name, globs[g]);
    }
    return CLIPC_OK;
}

int repo_choose(repo *r, const char *const *globs, size_t n_globs, const char *name,
                clipc_err *err)
{
    const size_t first = has_open_clip(r) ? 0 : N_OPEN_CLIP;
    bool found = false; /* weights at the top */

    for (size_t i = 0; i < r->n; i++) {
        repo_file *f = &r->files[i];
        const char *base = path_base(f->name);
        const size_t kind = n_globs ? N_WEIGHTS : kind_of(base, first);
        if (!in_place(f->name)) continue;
        f->wanted =
            is_small(base) || (kind < N_WEIGHTS && kind == best_kind(r, f->name, first));
        found = found || (kind < N_WEIGHTS && base == f->name);
    }
    if (n_globs) return mark_globs(r, globs, n_globs, name, err);
    return found ? CLIPC_OK : mark_single(r, name, err);
}

#include "clip/pretrained.h"

#include <stdlib.h>
#include <string.h>

#include "text/added.h"
#include "text/clean.h"
#include "text/pipeline.h"
#include "text/sentencepiece.h"

#define META "\xe2\x96\x81" /* U+2581 */

enum { MODEL_MAX = 64 << 20 };

/* transformers' classes that build their pipeline themselves, and SigLIP's. */
typedef enum token_class {
    AS_IT_IS,
    T5,
    XLM_ROBERTA,
    ROBERTA,
    GEMMA,
    SIGLIP2,
    SIGLIP,
    N_CLASSES
} token_class;

enum { BOS, EOS, UNK, SEP, PAD, CLS, MASK, N_NAMED };

static const char *const named_keys[N_NAMED] = {"bos_token", "eos_token", "unk_token",
                                                "sep_token", "pad_token", "cls_token",
                                                "mask_token"};

typedef struct class_facts {
    const char *name;
    const char *named[N_NAMED]; /* special tokens, unless the files say otherwise */
    bool pad_left;
} class_facts;

static const class_facts facts[N_CLASSES] = {
    [AS_IT_IS] = {"", {0}, false},
    [T5] = {"T5Tokenizer", {NULL, "</s>", "<unk>", NULL, "<pad>", NULL, NULL}, false},
    [XLM_ROBERTA] = {"XLMRobertaTokenizer",
                     {"<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>"},
                     false},
    [ROBERTA] = {"RobertaTokenizer",
                 {"<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>"},
                 false},
    [GEMMA] = {"GemmaTokenizer",
               {"<bos>", "<eos>", "<unk>", NULL, "<pad>", NULL, "<mask>"},
               true},
    [SIGLIP2] = {"Siglip2Tokenizer",
                 {"<bos>", "<eos>", "<unk>", NULL, "<pad>", NULL, "<mask>"},
                 true},
    [SIGLIP] = {
        "SiglipTokenizer", {NULL, "</s>", "<unk>", NULL, "</s>", NULL, NULL}, false}};

struct pretrained {
    bool cleans;          /* open_clip, ... */
    clean_rules cleaning; /* ... so */
    pipeline *pipe;
    int32_t strip_sep; /* open_clip's strip_sep_token: this id becomes 0; -1: none does */
    const char *kind;
    /* SigLIP's class: */
    spm *sp;
    added *added;
    clean_rules canonical;
    int32_t eos, pad, unk, meta; /* meta: the piece U+2581, -1 */
    size_t n_unk;                /* pieces of the string "<unk>" */
    char unk_token[64];
    bool pad_left, cut_left;
    /* Gemma's tokenizer.model: SentencePiece itself, with what the flags put around. */
    int32_t bos;
    bool plain, add_bos, add_eos;
};

struct pretrained_work {
    buf whole, clean, scratch, part;
    clean_work *cleaner;
    pipeline_work *pipe;
    spm_work *sp;
    word_list words;
    id_list ids;
};

/* What the files of a folder say. */
typedef struct folder {
    const char *path;
    json_t *config;    /* tokenizer_config.json */
    json_t *specials;  /* special_tokens_map.json; NULL if config lists added tokens */
    json_t *tokenizer; /* tokenizer.json */
    spm *sp;
    char *model_file; /* of sp */
    token_class class;
} folder;

/* ---- files ---------------------------------------------------------------------------
 */

static const char *const model_names[] = {"spiece.model", "sentencepiece.bpe.model",
                                          "tokenizer.model", NULL};

/* The path of a file, NULL if it is not there (or memory is out, which shows later). */
static char *file_in(const char *dir, const char *name)
{
    char *path = path_join(dir, name);

    if (path && file_exists(path)) return path;
    free(path);
    return NULL;
}

static char *model_file(const char *dir)
{
    char *path = NULL;

    for (int i = 0; !path && model_names[i]; i++) path = file_in(dir, model_names[i]);
    return path;
}

bool pretrained_found(const char *dir)
{
    char *json = file_in(dir, "tokenizer.json"), *model = model_file(dir),
         *vocab = file_in(dir, "vocab.json"), *merges = file_in(dir, "merges.txt");
    const bool found = json || model || (vocab && merges);

    free(json);
    free(model);
    free(vocab);
    free(merges);
    return found;
}

/* NULL where there is no such file. */
static int read_if_there(json_t **out, const char *dir, const char *name, clipc_err *err)
{
    char *path = file_in(dir, name);
    const int rc = path ? json_read(out, path, err) : CLIPC_OK;

    free(path);
    return rc;
}

static int read_sp(folder *f, clipc_err *err)
{
    buf b = {0};
    int rc;

    if (!(f->model_file = model_file(f->path))) return CLIPC_OK;
    rc = file_read(&b, f->model_file, MODEL_MAX, err);
    if (rc == CLIPC_OK) rc = spm_new(&f->sp, b.data, b.len, f->model_file, err);
    buf_free(&b);
    return rc;
}

/* The class by name, and for want of one by the kind of model. */
static token_class class_of(const folder *f, const model_source *s)
{
    static const struct {
        const char *part;
        token_class class;
    } kinds[] = {{"xlm", XLM_ROBERTA}, {"roberta", ROBERTA},     {"mt5", T5},
                 {"t5", T5},           {"gemma", GEMMA},         {"SigLIP2", GEMMA},
                 {"SigLIP", T5},       {"metaclip", XLM_ROBERTA}};
    const char *name = json_string_value(json_object_get(f->config, "tokenizer_class"));

    for (token_class c = T5; name && c < N_CLASSES; c++) {
        const size_t n = strlen(facts[c].name);
        if (strncmp(name, facts[c].name, n) == 0 &&
            (!name[n] || strcmp(name + n, "Fast") == 0))
            return c;
    }
    if (name && strncmp(name, "MT5Tokenizer", 12) == 0) return T5;
    if (name) return AS_IT_IS;
    if (s->cfg.layout == LAYOUT_HF && s->cfg.logit_bias) return SIGLIP;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strstr(s->cfg.tokenizer, kinds[i].part)) return kinds[i].class;
    return AS_IT_IS;
}

static void folder_close(folder *f)
{
    json_decref(f->config);
    json_decref(f->specials);
    json_decref(f->tokenizer);
    spm_free(f->sp);
    free(f->model_file);
}

static int folder_open(folder *f, const model_source *s, clipc_err *err)
{
    int rc = read_if_there(&f->config, s->path, "tokenizer_config.json", err);

    f->path = s->path;
    if (rc != CLIPC_OK) return rc;
    if (!json_object_get(f->config, "added_tokens_decoder"))
        rc = read_if_there(&f->specials, s->path, "special_tokens_map.json", err);
    f->class = class_of(f, s);
    if (rc == CLIPC_OK && f->class == SIGLIP) rc = read_sp(f, err);
    if (rc == CLIPC_OK && !f->sp) {
        if (f->class == SIGLIP) f->class = AS_IT_IS;
        rc = read_if_there(&f->tokenizer, s->path, "tokenizer.json", err);
    }
    if (rc == CLIPC_OK && !f->sp && !f->tokenizer) rc = read_sp(f, err);
    return rc;
}

/* ---- special tokens ------------------------------------------------------------------
 */

/* A special token by its key, a string or an object; NULL. */
static const json_t *named_value(const folder *f, int which)
{
    const json_t *v = json_object_get(f->specials, named_keys[which]);

    if (!v) v = json_object_get(f->config, named_keys[which]);
    return v;
}

static const char *named(const folder *f, int which)
{
    const json_t *v = named_value(f, which);

    if (json_is_object(v)) v = json_object_get(v, "content");
    if (json_is_null(v)) return NULL; /* taken away */
    if (!v && which == PAD) {
        v = json_object_get(json_object_get(f->tokenizer, "padding"), "pad_token");
        if (facts[f->class].named[PAD]) v = NULL;
    }
    return json_is_string(v) ? json_string_value(v) : facts[f->class].named[which];
}

static json_t *special_token(const char *content)
{
    return json_pack("{s:s, s:b, s:b}", "content", content, "special", 1, "normalized",
                     0);
}

/* The properties that the files give to a token of this spelling; NULL. */
static json_t *listed(json_t *list, const char *content)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *t = json_array_get(list, i);
        const char *c = json_string_value(json_object_get(t, "content"));
        if (c && strcmp(c, content) == 0) return t;
    }
    return NULL;
}

static int by_id(const void *x, const void *y)
{
    const long a = *(const long *)x, b = *(const long *)y;
    return a < b ? -1 : a > b;
}

/* "added_tokens_decoder", {"id": token}, in the order of ids. */
static int decoder_list(json_t **out, const json_t *decoder, clipc_err *err)
{
    const size_t n = json_object_size(decoder);
    long *ids = malloc((n + 1) * sizeof *ids);
    size_t k = 0;
    const char *key;
    json_t *value;

    *out = json_array();
    if (!ids || !*out) {
        free(ids);
        return clipc_fail_memory(err, "tokenizer", n);
    }
    json_object_foreach((json_t *)(uintptr_t)decoder, key, value) ids[k++] = atol(key);
    qsort(ids, n, sizeof *ids, by_id);
    for (size_t i = 0; i < n; i++) {
        char id[24];
        snprintf(id, sizeof id, "%ld", ids[i]);
        json_array_append(*out, json_object_get(decoder, id));
    }
    free(ids);
    return CLIPC_OK;
}

/* Control and user-defined pieces of a .model. */
static void append_pieces(json_t *list, const spm *sp)
{
    for (size_t i = 0; i < spm_size(sp); i++) {
        float score;
        spm_type type;
        const span s = spm_piece(sp, (int32_t)i, &score, &type);
        if (type != SPM_CONTROL && type != SPM_USER_DEFINED) continue;
        json_array_append_new(list,
                              json_pack("{s:s%, s:b, s:b}", "content", s.data, s.size,
                                        "special", type == SPM_CONTROL, "normalized", 0));
    }
}

/* Strings or objects, each of them special. */
static void append_specials(json_t *list, const json_t *from)
{
    for (size_t i = 0; i < json_array_size(from); i++) {
        json_t *t = json_array_get(from, i);
        if (json_is_string(t))
            json_array_append_new(list, special_token(json_string_value(t)));
        else if (json_is_object(t)) json_array_append(list, t);
    }
}

/* T5's <extra_id_0> ..., unless there are some. */
static void append_extra_ids(json_t *list, const folder *f)
{
    const json_t *n = json_object_get(f->config, "extra_ids");
    const json_int_t count = json_is_integer(n) ? json_integer_value(n) : 100;

    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *s =
            json_string_value(json_object_get(json_array_get(list, i), "content"));
        if (s && strstr(s, "<extra_id_")) return;
    }
    for (json_int_t i = 0; i < count && i < 1000; i++) {
        char name[32];
        snprintf(name, sizeof name, "<extra_id_%d>", (int)i);
        json_array_append_new(list, special_token(name));
    }
}

/* All added tokens in the order in which transformers adds them. */
static int added_list(json_t **out, const folder *f, clipc_err *err)
{
    const json_t *decoder = json_object_get(f->config, "added_tokens_decoder"),
                 *told = json_object_get(f->config, "extra_special_tokens");
    json_t *own = json_object_get(f->tokenizer, "added_tokens"), *known = NULL;
    int rc = CLIPC_OK;

    if (!json_array_size(told))
        told = json_object_get(f->config, "additional_special_tokens");
    if (!told) told = json_object_get(f->specials, "additional_special_tokens");
    *out = json_array();
    if (!*out) return clipc_fail_memory(err, f->path, 0);
    if (f->class == AS_IT_IS) json_array_extend(*out, own);
    if (decoder) rc = decoder_list(&known, decoder, err);
    else known = json_incref(own);
    if (rc != CLIPC_OK) return rc;
    json_array_extend(*out, known);
    for (int i = 0; i < N_NAMED; i++) {
        const char *content = named(f, i);
        json_t *t = content ? listed(known, content) : NULL;
        const json_t *v = named_value(f, i);
        if (t) json_array_append(*out, t);
        else if (json_is_object(v)) json_array_append(*out, (json_t *)(uintptr_t)v);
        else if (content) json_array_append_new(*out, special_token(content));
    }
    if (f->sp) append_pieces(*out, f->sp);
    else append_specials(*out, told);
    if (f->class == T5) append_extra_ids(*out, f);
    json_decref(known);
    return rc;
}

/* ---- the classes' own pipelines ------------------------------------------------------
 */

/* [[piece, score], ...] of a .model. */
static json_t *pieces_json(const spm *sp, size_t from)
{
    json_t *list = json_array();

    for (size_t i = from; i < spm_size(sp); i++) {
        float score;
        spm_type type;
        const span s = spm_piece(sp, (int32_t)i, &score, &type);
        json_array_append_new(list, json_pack("[s%, f]", s.data, s.size, (double)score));
    }
    return list;
}

static json_t *unigram_vocab(const folder *f)
{
    static const int first[] = {BOS, PAD, EOS, UNK};
    json_t *list;

    if (f->tokenizer)
        return json_incref(
            json_object_get(json_object_get(f->tokenizer, "model"), "vocab"));
    if (f->class != XLM_ROBERTA) return pieces_json(f->sp, 0);
    /* fairseq's order: its first four, the pieces behind SentencePiece's first three, the
     * mask; so a piece's id is one more than SentencePiece's. */
    list = json_array();
    for (int i = 0; i < 4; i++)
        json_array_append_new(list, json_pack("[s, f]", named(f, first[i]), 0.0));
    json_t *rest = pieces_json(f->sp, 3);
    json_array_extend(list, rest);
    json_decref(rest);
    json_array_append_new(list, json_pack("[s, f]", named(f, MASK), 0.0));
    return list;
}

static json_t *base64(span s)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *text = malloc(4 * (s.size / 3 + 1) + 1), *at = text;
    json_t *out;

    if (!text) return NULL;
    for (size_t i = 0; i < s.size; i += 3) {
        const size_t left = s.size - i;
        const unsigned v = (unsigned)s.data[i] << 16 |
                           (left > 1 ? (unsigned)s.data[i + 1] << 8 : 0) |
                           (left > 2 ? (unsigned)s.data[i + 2] : 0);
        *at++ = digits[v >> 18];
        *at++ = digits[v >> 12 & 63];
        if (left > 1) *at++ = digits[v >> 6 & 63];
        if (left > 2) *at++ = digits[v & 63];
    }
    *at = '\0';
    out = json_string(text);
    free(text);
    return out;
}

/* The first Precompiled among the normalizers, or the rules of the .model; JSON null. */
static json_t *rules_json(const folder *f)
{
    const json_t *n = json_object_get(f->tokenizer, "normalizer"),
                 *list = json_object_get(n, "normalizers");
    const span own = f->sp ? spm_charsmap(f->sp) : (span){0};

    if (own.size)
        return json_pack("{s:s, s:o}", "type", "Precompiled", "precompiled_charsmap",
                         base64(own));
    for (size_t i = 0; i < (list ? json_array_size(list) : 1); i++) {
        const json_t *item = list ? json_array_get(list, i) : n;
        const char *type = json_string_value(json_object_get(item, "type"));
        if (type && strcmp(type, "Precompiled") == 0)
            return json_incref((json_t *)(uintptr_t)item);
    }
    return json_null();
}

/* One text between tokens, each NULL or a spelling. */
static json_t *template_json(const char *front, const char *back, json_int_t front_id,
                             json_int_t back_id)
{
    json_t *single = json_array(), *tokens = json_object();

    if (front) {
        json_array_append_new(single,
                              json_pack("{s:{s:s}}", "SpecialToken", "id", front));
        json_object_set_new(tokens, front, json_pack("{s:[I]}", "ids", front_id));
    }
    json_array_append_new(single, json_pack("{s:{s:s}}", "Sequence", "id", "A"));
    if (back) {
        json_array_append_new(single, json_pack("{s:{s:s}}", "SpecialToken", "id", back));
        json_object_set_new(tokens, back, json_pack("{s:[I]}", "ids", back_id));
    }
    return json_pack("{s:s, s:o, s:o}", "type", "TemplateProcessing", "single", single,
                     "special_tokens", tokens);
}

static bool flag(const folder *f, const char *key, bool otherwise)
{
    const json_t *v = json_object_get(f->config, key);
    return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

static json_t *unigram_json(const folder *f)
{
    const bool prefix = f->class == T5 || flag(f, "add_prefix_space", true);

    return json_pack("{s:{s:s, s:i, s:o}, s:o, s:{s:s, s:[{s:s}, {s:s, s:s, s:s}]}}",
                     "model", "type", "Unigram", "unk_id", f->class == T5 ? 2 : 3,
                     "vocab", unigram_vocab(f), "normalizer", rules_json(f),
                     "pre_tokenizer", "type", "Sequence", "pretokenizers", "type",
                     "WhitespaceSplit", "type", "Metaspace", "replacement", META,
                     "prepend_scheme", prefix ? "always" : "never");
}

/* Merges of merges.txt. */
static int merges_json(json_t **out, const char *path, clipc_err *err)
{
    buf b = {0};
    int rc = file_read(&b, path, MODEL_MAX, err);

    *out = json_array();
    for (char *line = b.data, *next; rc == CLIPC_OK && line && *line; line = next) {
        const size_t n = strcspn(line, "\n");
        next = line + n + (line[n] == '\n');
        const size_t len = n && line[n - 1] == '\r' ? n - 1 : n;
        if (!len) continue;
        json_t *text = json_stringn(line, len);
        if (!text) rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s: not UTF-8", path);
        else json_array_append_new(*out, text);
    }
    buf_free(&b);
    return rc;
}

/* The vocabulary and merges of a byte-pair model, whichever files hold them. */
static int pairs_json(json_t **vocab, json_t **merges, const folder *f, clipc_err *err)
{
    const json_t *model = json_object_get(f->tokenizer, "model");
    char *path = path_join(f->path, "merges.txt");
    int rc = CLIPC_OK;

    *vocab = json_incref(json_object_get(model, "vocab"));
    *merges = json_incref(json_object_get(model, "merges"));
    if (!f->tokenizer) {
        rc = read_if_there(vocab, f->path, "vocab.json", err);
        if (rc == CLIPC_OK)
            rc = path ? merges_json(merges, path, err) : clipc_fail_memory(err, path, 0);
    }
    free(path);
    return rc;
}

static json_t *roberta_json(const folder *f, json_t *vocab, json_t *merges)
{
    return json_pack("{s:{s:s, s:O, s:O}, s:{s:s, s:b}}", "model", "type", "BPE", "vocab",
                     vocab, "merges", merges, "pre_tokenizer", "type", "ByteLevel",
                     "add_prefix_space", flag(f, "add_prefix_space", false));
}

static json_t *gemma_json(const folder *f, json_t *vocab, json_t *merges)
{
    json_t *root = json_pack(
        "{s:{s:s, s:s, s:b, s:b, s:O, s:O}, s:{s:s, s:[]}, s:{s:s, s:{s:s}, s:s, s:b}}",
        "model", "type", "BPE", "unk_token", named(f, UNK), "fuse_unk", 1,
        "byte_fallback", 1, "vocab", vocab, "merges", merges, "normalizer", "type",
        "Sequence", "normalizers", "pre_tokenizer", "type", "Split", "pattern", "String",
        " ", "behavior", "MergedWithPrevious", "invert", 0);
    json_t *list = json_object_get(json_object_get(root, "normalizer"), "normalizers");

    if (f->class == SIGLIP2)
        json_array_append_new(list, json_pack("{s:s}", "type", "Lowercase"));
    json_array_append_new(list, json_pack("{s:s, s:{s:s}, s:s}", "type", "Replace",
                                          "pattern", "String", " ", "content", META));
    json_t *post = json_object_get(f->tokenizer, "post_processor");
    if (post) json_object_set(root, "post_processor", post);
    return root;
}

/* The tokenizer.json that the class would save. */
static int class_json(json_t **out, const folder *f, clipc_err *err)
{
    json_t *vocab = NULL, *merges = NULL;
    int rc = CLIPC_OK;

    *out = NULL;
    if (f->class == AS_IT_IS && f->tokenizer) *out = json_copy(f->tokenizer);
    else if (f->class == T5 || f->class == XLM_ROBERTA) *out = unigram_json(f);
    else if ((rc = pairs_json(&vocab, &merges, f, err)) == CLIPC_OK)
        *out = f->class == ROBERTA    ? roberta_json(f, vocab, merges)
               : f->class != AS_IT_IS ? gemma_json(f, vocab, merges)
                                      : NULL;
    json_decref(vocab);
    json_decref(merges);
    if (rc == CLIPC_OK && !*out)
        rc = clipc_fail(err, CLIPC_ERR_FEATURE,
                        "%s: its tokenizer's files do not say how "
                        "they are meant",
                        f->path);
    return rc;
}

/* ---- what begins and ends a text -----------------------------------------------------
 */

static int named_id(int32_t *id, const folder *f, const pipeline *p, int which,
                    clipc_err *err)
{
    const char *s = named(f, which);

    *id = s ? pipeline_id(p, s) : -1;
    if (*id >= 0) return CLIPC_OK;
    return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no %s (%.40s) in its vocabulary",
                      f->path, named_keys[which], s ? s : "none told");
}

/* Sets the post-processor where a class decides, or without tokenizer.json the flags; p
 * is the same tokenizer without one, to ask for ids. */
static int set_frame(json_t *root, const folder *f, const pipeline *p, clipc_err *err)
{
    bool front = flag(f, "add_bos_token", false) && named(f, BOS),
         back = flag(f, "add_eos_token", false) && named(f, EOS);
    int first = BOS, last = EOS, rc = CLIPC_OK;
    int32_t front_id = -1, back_id = -1;

    if (f->class == T5) front = false, back = true;
    else if (f->class == XLM_ROBERTA) front = back = true;
    else if (f->class == ROBERTA) front = back = true, first = CLS, last = SEP;
    else if (f->tokenizer) return CLIPC_OK;
    if (front) rc = named_id(&front_id, f, p, first, err);
    if (rc == CLIPC_OK && back) rc = named_id(&back_id, f, p, last, err);
    if (rc == CLIPC_OK)
        json_object_set_new(root, "post_processor",
                            template_json(front ? named(f, first) : NULL,
                                          back ? named(f, last) : NULL, front_id,
                                          back_id));
    return rc;
}

static bool side_left(const folder *f, const char *key, const char *own, bool otherwise)
{
    const char *side = json_string_value(json_object_get(f->config, key));
    const json_t *mine = json_object_get(f->tokenizer, own);

    if (side) return strcmp(side, "left") == 0;
    side = json_string_value(json_object_get(mine, "direction"));
    return side ? strcmp(side, "Left") == 0 : otherwise;
}

static int set_sides(pipeline *p, const folder *f, clipc_err *err)
{
    const char *pad = named(f, PAD);
    const int32_t id = pad ? pipeline_id(p, pad) : pipeline_pad(p);

    if (id < 0)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: its tokenizer has no padding token",
                          f->path);
    pipeline_set_padding(
        p, id, side_left(f, "padding_side", "padding", facts[f->class].pad_left));
    pipeline_set_truncation(p, side_left(f, "truncation_side", "truncation", false));
    return CLIPC_OK;
}

static int open_pipeline(pretrained *p, const folder *f, clipc_err *err)
{
    json_t *root = NULL, *list = NULL;
    pipeline *asked = NULL;
    int rc = class_json(&root, f, err);

    if (rc == CLIPC_OK) rc = added_list(&list, f, err);
    if (rc == CLIPC_OK) {
        json_object_set(root, "added_tokens", list);
        rc = pipeline_new(&asked, root, f->class != AS_IT_IS, f->path, err);
    }
    if (rc == CLIPC_OK) rc = set_frame(root, f, asked, err);
    if (rc == CLIPC_OK)
        rc = pipeline_set_frame(asked, json_object_get(root, "post_processor"), f->path,
                                err);
    if (rc == CLIPC_OK) rc = set_sides(asked, f, err);
    if (rc == CLIPC_OK) p->pipe = asked, asked = NULL;
    p->kind = f->tokenizer ? "tokenizer.json" : f->sp ? "sentencepiece" : "bpe";
    pipeline_free(asked);
    json_decref(root);
    json_decref(list);
    return rc;
}

/* ---- SentencePiece itself ------------------------------------------------------------
 */

static int sp_id(int32_t *id, const folder *f, int which, clipc_err *err)
{
    const char *s = named(f, which);

    *id = s ? spm_id(f->sp, s) : -1;
    if (*id >= 0) return CLIPC_OK;
    return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no %s (%.40s)", f->model_file,
                      named_keys[which], s ? s : "none told");
}

/* The tokens that SigLIP's class looks for before anything else. */
static int siglip_added(pretrained *p, const folder *f, clipc_err *err)
{
    static const int which[] = {EOS, UNK, PAD};
    json_t *list = NULL;
    int rc = added_list(&list, f, err);

    /* Those of its own, unless the files list them, take the white space around them. */
    for (int i = 0; i < 3 && rc == CLIPC_OK; i++) {
        const char *s = named(f, which[i]);
        const json_t *decoder = json_object_get(f->config, "added_tokens_decoder");
        if (!s || json_is_object(decoder) || json_is_object(named_value(f, which[i])))
            continue;
        json_t *t = special_token(s);
        json_object_set_new(t, "lstrip", json_true());
        json_object_set_new(t, "rstrip", json_true());
        json_array_append_new(list, t);
    }
    if (rc == CLIPC_OK) rc = added_new(&p->added, err);
    for (size_t i = 0; rc == CLIPC_OK && i < json_array_size(list); i++) {
        json_t *t = json_array_get(list, i);
        const char *s = json_string_value(json_object_get(t, "content"));
        json_object_set_new(t, "normalized", json_false());
        rc = added_add(p->added, t, s ? spm_id(p->sp, s) : -1, spm_size(p->sp), f->path,
                       err);
    }
    if (rc == CLIPC_OK) rc = added_finish(p->added, NULL, f->path, err);
    json_decref(list);
    return rc;
}

static int open_siglip(pretrained *p, folder *f, clipc_err *err)
{
    id_list ids = {0};
    spm_work *w = NULL;
    int rc = sp_id(&p->eos, f, EOS, err);

    p->canonical = flag(f, "do_lower_case", true) ? CLEAN_SIGLIP : CLEAN_SIGLIP_CASED;
    p->meta = spm_id(f->sp, META);
    p->pad_left = side_left(f, "padding_side", "", false);
    p->cut_left = side_left(f, "truncation_side", "", false);
    if (rc == CLIPC_OK) rc = sp_id(&p->pad, f, PAD, err);
    if (rc == CLIPC_OK) rc = sp_id(&p->unk, f, UNK, err);
    if (rc != CLIPC_OK) return rc;
    if (!flag(f, "legacy", true)) spm_set_dummy_prefix(f->sp, false);
    p->sp = f->sp, f->sp = NULL;
    if ((rc = spm_work_new(&w, err)) != CLIPC_OK) return rc;
    snprintf(p->unk_token, sizeof p->unk_token, "%s", named(f, UNK));
    rc = spm_encode(p->sp, w, &ids, p->unk_token, strlen(p->unk_token), err);
    p->n_unk = ids.n;
    ids_free(&ids);
    spm_work_free(w);
    return rc == CLIPC_OK ? siglip_added(p, f, err) : rc;
}

/* Gemma's vocabulary without tokenizer.json: transformers has no class for it, so this is
 * the vocabulary itself. */
static int open_plain(pretrained *p, folder *f, clipc_err *err)
{
    int rc = CLIPC_OK;

    p->plain = true;
    p->add_bos = flag(f, "add_bos_token", false);
    p->add_eos = flag(f, "add_eos_token", true);
    if (p->add_bos) rc = sp_id(&p->bos, f, BOS, err);
    if (rc == CLIPC_OK && p->add_eos) rc = sp_id(&p->eos, f, EOS, err);
    if (rc == CLIPC_OK) rc = sp_id(&p->pad, f, PAD, err);
    p->pad_left = side_left(f, "padding_side", "", false);
    p->cut_left = side_left(f, "truncation_side", "", false);
    p->sp = f->sp, f->sp = NULL;
    return rc;
}

/* ---- open_clip's HFTokenizer ---------------------------------------------------------
 */

/* text_cfg of open_clip_config.json; *root NULL where there is none. */
static int text_config(json_t **root, const json_t **text, const char *dir,
                       clipc_err *err)
{
    const int rc = read_if_there(root, dir, "open_clip_config.json", err);

    *text = json_object_get(json_object_get(*root, "model_cfg"), "text_cfg");
    return rc;
}

int pretrained_cleaning(bool *cleans, clean_rules *rules, const char *dir, clipc_err *err)
{
    static const char *const names[] = {[CLEAN_LOWER] = "lower",
                                        [CLEAN_WHITESPACE] = "whitespace",
                                        [CLEAN_CANONICAL] = "canonicalize"};
    const char *clean = "whitespace";
    const json_t *text;
    json_t *root = NULL;
    bool known = false;
    int rc = text_config(&root, &text, dir, err);

    *cleans = root != NULL;
    if (rc == CLIPC_OK && root)
        rc = json_get_string(&clean, json_object_get(text, "tokenizer_kwargs"), "clean",
                             dir, err);
    for (clean_rules r = CLEAN_LOWER; r <= CLEAN_CANONICAL; r++)
        if (strcmp(clean, names[r]) == 0) *rules = r, known = true;
    if (rc == CLIPC_OK && !known)
        rc = clipc_fail(err, CLIPC_ERR_FEATURE, "%s: tokenizer_kwargs: clean \"%.40s\"",
                        dir, clean);
    json_decref(root);
    return rc;
}

static int read_open_clip(pretrained *p, const folder *f, clipc_err *err)
{
    static const char *const known[] = {"clean", "strip_sep_token", NULL};
    const json_t *text, *kwargs;
    json_t *root = NULL;
    bool strip = false;
    int rc = text_config(&root, &text, f->path, err);

    p->strip_sep = -1;
    kwargs = json_object_get(text, "tokenizer_kwargs");
    if (rc == CLIPC_OK && json_is_string(json_object_get(text, "tokenizer_mode")))
        rc = clipc_fail(err, CLIPC_ERR_FEATURE, "%s: tokenizer_mode \"%.40s\"", f->path,
                        json_string_value(json_object_get(text, "tokenizer_mode")));
    if (rc == CLIPC_OK) rc = json_check_keys(kwargs, known, f->path, err);
    if (rc == CLIPC_OK)
        rc = json_get_bool(&strip, kwargs, "strip_sep_token", f->path, err);
    if (rc == CLIPC_OK && strip && p->pipe)
        rc = named_id(&p->strip_sep, f, p->pipe, SEP, err);
    json_decref(root);
    return rc == CLIPC_OK ? pretrained_cleaning(&p->cleans, &p->cleaning, f->path, err)
                          : rc;
}

int pretrained_open(pretrained **out, const model_source *s, clipc_err *err)
{
    pretrained *p = calloc(1, sizeof *p);
    folder f = {0};
    int rc;

    *out = NULL;
    if (!p) return clipc_fail_memory(err, s->path, sizeof *p);
    p->kind = "sentencepiece";
    rc = folder_open(&f, s, err);
    if (rc == CLIPC_OK && f.class == SIGLIP) rc = open_siglip(p, &f, err);
    else if (rc == CLIPC_OK && f.sp && f.class == GEMMA) rc = open_plain(p, &f, err);
    else if (rc == CLIPC_OK) rc = open_pipeline(p, &f, err);
    if (rc == CLIPC_OK) rc = read_open_clip(p, &f, err);
    if (rc == CLIPC_OK) *out = p;
    else pretrained_free(p);
    folder_close(&f);
    return rc;
}

void pretrained_free(pretrained *p)
{
    if (!p) return;
    pipeline_free(p->pipe);
    spm_free(p->sp);
    added_free(p->added);
    free(p);
}

size_t pretrained_size(const pretrained *p)
{
    return p->pipe ? pipeline_vocab_size(p->pipe) : spm_size(p->sp);
}

const char *pretrained_kind(const pretrained *p)
{
    return p->kind;
}

/* ---- texts ---------------------------------------------------------------------------
 */

int pretrained_work_new(pretrained_work **out, clipc_err *err)
{
    int rc;

    *out = calloc(1, sizeof **out);
    if (!*out) return clipc_fail_memory(err, "tokenizer", sizeof **out);
    rc = clean_work_new(&(*out)->cleaner, err);
    if (rc == CLIPC_OK) rc = pipeline_work_new(&(*out)->pipe, err);
    return rc == CLIPC_OK ? spm_work_new(&(*out)->sp, err) : rc;
}

void pretrained_work_free(pretrained_work *w)
{
    if (!w) return;
    buf_free(&w->whole);
    buf_free(&w->clean);
    buf_free(&w->scratch);
    buf_free(&w->part);
    clean_work_free(w->cleaner);
    pipeline_work_free(w->pipe);
    spm_work_free(w->sp);
    words_free(&w->words);
    ids_free(&w->ids);
    free(w);
}

/* The ids of a text between special tokens: "<unk>" goes in front, so that SentencePiece
 * does not take away the blank there, and its pieces are dropped again. */
static int siglip_part(const pretrained *p, pretrained_work *w, const char *s, size_t len,
                       clipc_err *err)
{
    const size_t before = w->ids.n;
    int rc = text_clean(&w->part, w->cleaner, s, len, p->canonical, err);

    buf_clear(&w->scratch);
    if (rc == CLIPC_OK) rc = buf_puts(&w->scratch, p->unk_token, err);
    if (rc == CLIPC_OK) rc = buf_add(&w->scratch, w->part.data, w->part.len, err);
    if (rc == CLIPC_OK)
        rc = spm_encode(p->sp, w->sp, &w->ids, w->scratch.data, w->scratch.len, err);
    const size_t made = w->ids.n - before;
    if (rc == CLIPC_OK && made >= p->n_unk) {
        memmove(w->ids.at + before, w->ids.at + before + p->n_unk,
                (made - p->n_unk) * sizeof *w->ids.at);
        w->ids.n -= p->n_unk;
    }
    return rc;
}

/* U+2581, and the text with blanks for its own. */
static int with_meta(buf *out, const char *s, size_t len, clipc_err *err)
{
    int rc = buf_puts(out, META, err);

    for (size_t i = 0; rc == CLIPC_OK && i < len; i++) {
        const bool meta = len - i >= 3 && memcmp(s + i, META, 3) == 0;
        rc = meta ? buf_puts(out, " ", err) : buf_add(out, s + i, 1, err);
        i += meta ? 2 : 0;
    }
    return rc;
}

static int siglip_encode(const pretrained *p, pretrained_work *w, const char *s,
                         size_t len, bool special, clipc_err *err)
{
    int rc = CLIPC_OK;

    buf_clear(&w->clean);
    w->words.n = w->ids.n = 0;
    rc = with_meta(&w->clean, s, len, err);
    if (rc == CLIPC_OK)
        rc = added_split(p->added, false, &w->words, w->clean.data, w->clean.len, 0, true,
                         special, err);
    for (size_t i = 0; rc == CLIPC_OK && i < w->words.n; i++) {
        const word from = w->words.at[i];
        rc = from.id >= 0 ? ids_add(&w->ids, from.id, err)
                          : siglip_part(p, w, w->clean.data + from.begin, from.len, err);
        /* The U+2581 that was put in front does not stand before a special token. */
        if (rc == CLIPC_OK && i == 1 && from.id >= 0 && w->ids.n == 2 &&
            w->ids.at[0] == p->meta)
            w->ids.at[0] = w->ids.at[1], w->ids.n = 1;
    }
    return rc;
}

static int plain_encode(const pretrained *p, pretrained_work *w, const char *s,
                        size_t len, clipc_err *err)
{
    w->ids.n = 0;
    return spm_encode(p->sp, w->sp, &w->ids, s, len, err);
}

int pretrained_encode(const pretrained *p, pretrained_work *w, const int32_t **inner,
                      size_t *n, const char *text, size_t len, bool special,
                      clipc_err *err)
{
    int rc = CLIPC_OK;

    if (p->cleans) {
        rc = text_clean(&w->whole, w->cleaner, text, len, p->cleaning, err);
        text = w->whole.data ? w->whole.data : "", len = w->whole.len;
    }
    if (rc != CLIPC_OK) return rc;
    if (p->pipe)
        return pipeline_encode(p->pipe, w->pipe, inner, n, text, len, special, err);
    rc = p->plain ? plain_encode(p, w, text, len, err)
                  : siglip_encode(p, w, text, len, special, err);
    *inner = w->ids.at;
    *n = rc == CLIPC_OK ? w->ids.n : 0;
    return rc;
}

/* SentencePiece's rows: what begins and ends a text by the flags; SigLIP's class adds no
 * second end token. */
static size_t around(const pretrained *p)
{
    return p->plain ? (size_t)p->add_bos + p->add_eos : 1;
}

static bool ends_itself(const pretrained *p, const int32_t *inner, size_t n)
{
    return !p->pipe && !p->plain && n && inner[n - 1] == p->eos;
}

static void frame_row(const pretrained *p, int32_t *row, size_t context_length,
                      const int32_t *inner, size_t n)
{
    const bool front = p->plain && p->add_bos;
    const size_t room = context_length - around(p);

    if (n > room) {
        if (p->cut_left) inner += n - room;
        n = room;
    }
    const bool back = p->plain ? p->add_eos : !ends_itself(p, inner, n);
    const size_t used = n + front + back;
    for (size_t i = used; p->pad_left && i < context_length; i++) *row++ = p->pad;
    if (front) *row++ = p->bos;
    if (n) memcpy(row, inner, n * sizeof *row);
    row += n;
    if (back) *row++ = p->eos;
    for (size_t i = used; !p->pad_left && i < context_length; i++) *row++ = p->pad;
}

size_t pretrained_room(const pretrained *p, size_t context_length)
{
    const size_t taken = p->pipe ? pipeline_around(p->pipe) : around(p);
    return context_length > taken ? context_length - taken : 0;
}

void pretrained_frame(const pretrained *p, int32_t *ids, size_t context_length,
                      const int32_t *inner, size_t n)
{
    if (p->pipe) pipeline_frame(p->pipe, ids, context_length, inner, n);
    else frame_row(p, ids, context_length, inner, n);
    for (size_t i = 0; p->strip_sep >= 0 && i < context_length; i++)
        if (ids[i] == p->strip_sep) ids[i] = 0;
}

int pretrained_tokenize(const pretrained *p, pretrained_work *w, int32_t *ids,
                        size_t context_length, size_t *n_tokens, const char *text,
                        size_t len, bool special, clipc_err *err)
{
    const size_t room = pretrained_room(p, context_length);
    const int32_t *inner = NULL;
    size_t n = 0;
    int rc;

    if (!room)
        return clipc_fail(err, CLIPC_ERR_ARG, "a context of %zu has no room for a text",
                          context_length);
    rc = pretrained_encode(p, w, &inner, &n, text, len, special, err);
    if (rc != CLIPC_OK) return rc;
    if (n_tokens) *n_tokens = n + context_length - room - ends_itself(p, inner, n);
    pretrained_frame(p, ids, context_length, inner, n);
    return CLIPC_OK;
}

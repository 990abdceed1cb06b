#include "clip/token_folder.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"

#define META "\xe2\x96\x81" /* U+2581 */

const char *const token_keys[N_NAMED] = {"bos_token", "eos_token", "unk_token",
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

/* ---- files ---------------------------------------------------------------------------
 */

/* Which file SentencePiece's model is; TOKEN_FILES: there is none. */
static int model_file(const token_files *files)
{
    int which = TOKEN_SPIECE;

    while (which < TOKEN_FILES && !files->there[which]) which++;
    return which;
}

bool token_folder_found(const token_files *f)
{
    return f->there[TOKEN_JSON] || model_file(f) < TOKEN_FILES ||
           (f->there[TOKEN_VOCAB] && f->there[TOKEN_MERGES]);
}

static int read_sp(token_folder *f, clipc_err *err)
{
    const int which = model_file(f->files);
    int rc;

    if (which == TOKEN_FILES) return CLIPC_OK;
    f->model_path = f->files->paths[which];
    rc = token_file_read(f->files, which, err);
    const buf *b = &f->files->bytes[which];
    return rc == CLIPC_OK ? spm_new(&f->sp, b->data, b->len, f->model_path, err) : rc;
}

/* The class by name, and for want of one by the kind of model. */
static token_class class_of(const token_folder *f)
{
    static const struct {
        const char *part;
        token_class class;
    } kinds[] = {{"SiglipTokenizer", SIGLIP},
                 {"xlm", XLM_ROBERTA},
                 {"roberta", ROBERTA},
                 {"mt5", T5},
                 {"t5", T5},
                 {"gemma", GEMMA},
                 {"SigLIP2", GEMMA},
                 {"SigLIP", T5},
                 {"metaclip", XLM_ROBERTA}};
    const char *name = json_string_value(json_object_get(f->config, "tokenizer_class"));
    const char *kind = f->files->source->cfg.tokenizer;

    for (token_class c = T5; name && c < N_CLASSES; c++) {
        const size_t n = strlen(facts[c].name);
        if (strncmp(name, facts[c].name, n) == 0 &&
            (!name[n] || strcmp(name + n, "Fast") == 0))
            return c;
    }
    if (name && strncmp(name, "MT5Tokenizer", 12) == 0) return T5;
    if (name) return AS_IT_IS;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strstr(kind, kinds[i].part)) return kinds[i].class;
    return AS_IT_IS;
}

void token_folder_close(token_folder *f)
{
    json_decref(f->config);
    json_decref(f->specials);
    json_decref(f->tokenizer);
    spm_free(f->sp);
}

int token_folder_open(token_folder *f, token_files *files, clipc_err *err)
{
    int rc = token_file_json(&f->config, files, TOKEN_OPTIONS, err);

    f->files = files;
    f->path = files->source->path;
    if (rc != CLIPC_OK) return rc;
    if (!json_object_get(f->config, "added_tokens_decoder"))
        rc = token_file_json(&f->specials, files, TOKEN_SPECIALS, err);
    f->class = class_of(f);
    if (rc == CLIPC_OK && f->class == SIGLIP) rc = read_sp(f, err);
    if (rc == CLIPC_OK && !f->sp) {
        if (f->class == SIGLIP) f->class = AS_IT_IS;
        rc = token_file_json(&f->tokenizer, files, TOKEN_JSON, err);
    }
    if (rc == CLIPC_OK && !f->sp && !f->tokenizer) rc = read_sp(f, err);
    return rc;
}

bool token_folder_pads_left(const token_folder *f)
{
    return facts[f->class].pad_left;
}

/* ---- special tokens ------------------------------------------------------------------
 */

/* A special token by its key, a string or an object; NULL. */
const json_t *token_folder_value(const token_folder *f, int which)
{
    const json_t *v = json_object_get(f->specials, token_keys[which]);

    if (!v) v = json_object_get(f->config, token_keys[which]);
    return v;
}

const char *token_folder_named(const token_folder *f, int which)
{
    const json_t *v = token_folder_value(f, which);

    if (json_is_object(v)) v = json_object_get(v, "content");
    if (json_is_null(v)) return NULL; /* taken away */
    if (!v && which == PAD) {
        v = json_object_get(json_object_get(f->tokenizer, "padding"), "pad_token");
        if (facts[f->class].named[PAD]) v = NULL;
    }
    return json_is_string(v) ? json_string_value(v) : facts[f->class].named[which];
}

json_t *special_token_json(const char *content)
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
            json_array_append_new(list, special_token_json(json_string_value(t)));
        else if (json_is_object(t)) json_array_append(list, t);
    }
}

/* T5's <extra_id_0> ..., unless there are some. */
static void append_extra_ids(json_t *list, const token_folder *f)
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
        json_array_append_new(list, special_token_json(name));
    }
}

/* All added tokens in the order in which transformers adds them. */
int token_folder_added(json_t **out, const token_folder *f, clipc_err *err)
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
        const char *content = token_folder_named(f, i);
        json_t *t = content ? listed(known, content) : NULL;
        const json_t *v = token_folder_value(f, i);
        if (t) json_array_append(*out, t);
        else if (json_is_object(v)) json_array_append(*out, (json_t *)(uintptr_t)v);
        else if (content) json_array_append_new(*out, special_token_json(content));
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

static json_t *unigram_vocab(const token_folder *f)
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
        json_array_append_new(list,
                              json_pack("[s, f]", token_folder_named(f, first[i]), 0.0));
    json_t *rest = pieces_json(f->sp, 3);
    json_array_extend(list, rest);
    json_decref(rest);
    json_array_append_new(list, json_pack("[s, f]", token_folder_named(f, MASK), 0.0));
    return list;
}

static json_t *base64(span s)
{
    buf text = {0};
    json_t *out = base64_add(&text, s, NULL) == CLIPC_OK ? json_string(text.data) : NULL;

    buf_free(&text);
    return out;
}

/* The first Precompiled among the normalizers, or the rules of the .model; JSON null. */
static json_t *rules_json(const token_folder *f)
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
json_t *token_template_json(const char *front, const char *back, json_int_t front_id,
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

bool token_folder_flag(const token_folder *f, const char *key, bool otherwise)
{
    const json_t *v = json_object_get(f->config, key);
    return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

static json_t *unigram_json(const token_folder *f)
{
    const bool prefix = f->class == T5 || token_folder_flag(f, "add_prefix_space", true);

    return json_pack("{s:{s:s, s:i, s:o}, s:o, s:{s:s, s:[{s:s}, {s:s, s:s, s:s}]}}",
                     "model", "type", "Unigram", "unk_id", f->class == T5 ? 2 : 3,
                     "vocab", unigram_vocab(f), "normalizer", rules_json(f),
                     "pre_tokenizer", "type", "Sequence", "pretokenizers", "type",
                     "WhitespaceSplit", "type", "Metaspace", "replacement", META,
                     "prepend_scheme", prefix ? "always" : "never");
}

/* The lines of merges.txt. */
static int merges_json(json_t **out, const token_folder *f, clipc_err *err)
{
    const buf *b = &f->files->bytes[TOKEN_MERGES];
    int rc = token_file_read(f->files, TOKEN_MERGES, err);

    *out = json_array();
    for (const char *line = b->data, *next; rc == CLIPC_OK && line && *line;
         line = next) {
        const size_t n = strcspn(line, "\n");
        next = line + n + (line[n] == '\n');
        const size_t len = n && line[n - 1] == '\r' ? n - 1 : n;
        if (!len) continue;
        json_t *text = json_stringn(line, len);
        if (text) json_array_append_new(*out, text);
        else
            rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s: not UTF-8",
                            f->files->paths[TOKEN_MERGES]);
    }
    return rc;
}

/* The vocabulary and merges of a byte-pair model, whichever files hold them. */
static int pairs_json(json_t **vocab, json_t **merges, const token_folder *f,
                      clipc_err *err)
{
    const json_t *model = json_object_get(f->tokenizer, "model");
    int rc = CLIPC_OK;

    *vocab = json_incref(json_object_get(model, "vocab"));
    *merges = json_incref(json_object_get(model, "merges"));
    if (f->tokenizer) return CLIPC_OK;
    rc = token_file_json(vocab, f->files, TOKEN_VOCAB, err);
    return rc == CLIPC_OK ? merges_json(merges, f, err) : rc;
}

static json_t *roberta_json(const token_folder *f, json_t *vocab, json_t *merges)
{
    return json_pack("{s:{s:s, s:O, s:O}, s:{s:s, s:b}}", "model", "type", "BPE", "vocab",
                     vocab, "merges", merges, "pre_tokenizer", "type", "ByteLevel",
                     "add_prefix_space", token_folder_flag(f, "add_prefix_space", false));
}

static json_t *gemma_json(const token_folder *f, json_t *vocab, json_t *merges)
{
    json_t *root = json_pack(
        "{s:{s:s, s:s, s:b, s:b, s:O, s:O}, s:{s:s, s:[]}, s:{s:s, s:{s:s}, s:s, s:b}}",
        "model", "type", "BPE", "unk_token", token_folder_named(f, UNK), "fuse_unk", 1,
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
int token_folder_pipeline(json_t **out, const token_folder *f, clipc_err *err)
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

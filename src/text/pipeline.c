#include "text/pipeline.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/added.h"
#include "text/chars.h"
#include "text/clean.h"
#include "text/grow.h"
#include "text/normalizer.h"
#include "text/pairs.h"
#include "text/pretokenizer.h"
#include "text/unigram.h"

enum { FRAME_MAX = 64, DEPTH_MAX = 8, MAX_WORD = 100 };
#define UNK_PENALTY 10.0 /* below the least likely piece */

typedef enum model_kind { BPE, UNIGRAM, WORDPIECE } model_kind;

/* BERT's greedy model. */
typedef struct greedy {
    trie *vocab;
    uint32_t rest; /* the node of the prefix under which words go on; 0: none */
    bool no_prefix;
    int32_t unk;
    size_t max_word;
} greedy;

/* Ids in front of a text or behind it. */
typedef struct frame {
    int32_t ids[FRAME_MAX];
    size_t n;
} frame;

struct pipeline {
    model_kind kind;
    pairs *bpe;
    unigram uni;
    bool byte_fallback; /* UNIGRAM: of characters that it lacks */
    int32_t byte[256];
    greedy greedy;
    normalizer *normalizer;
    pretokenizer *pretokenizer;
    added *added;
    bool *special; /* [end id of the model]: is a special token */
    frame front, back;
    int32_t pad;
    bool pad_left, cut_left;
};

struct pipeline_work {
    buf segment, text;
    word_list raw, words;
    normalizer_work normalizer;
    pretokenizer_work pretokenizer;
    merges_work merges;
    unigram_work unigram;
    id_list ids;
};

/* ---- models --------------------------------------------------------------------------
 */

static const trie *vocab_of(const pipeline *p)
{
    return p->kind == BPE       ? pairs_vocab(p->bpe)
           : p->kind == UNIGRAM ? p->uni.pieces
                                : p->greedy.vocab;
}

/* The tokens of a model, counted as the reference does. */
static size_t model_size(const pipeline *p, const json_t *model)
{
    const json_t *vocab = json_object_get(model, "vocab");
    return p->kind == UNIGRAM ? json_array_size(vocab) : json_object_size(vocab);
}

/* A number as the reference reads it from a file: its digits as a whole number, rounded,
 * times a power of ten, rounded again, so that some are off by one unit. */
static double twice_rounded(double x)
{
    char text[40];
    uint64_t digits = 0;
    long power = 0;
    bool point = false;
    const char *s = text;

    for (int n = 15; n <= 17;
         n++) { /* as short as it can be, as such files are written */
        snprintf(text, sizeof text, "%.*g", n, x);
        if (strtod(text, NULL) == x) break;
    }
    for (; *s && *s != 'e'; s++) {
        if (*s >= '0' && *s <= '9') digits = digits * 10 + (uint64_t)(*s - '0');
        else if (*s != '-') point = true;
        power -= point && *s >= '0' && *s <= '9';
    }
    if (*s == 'e') power += strtol(s + 1, NULL, 10);
    const double whole = (double)digits, scale = pow(10, (double)labs(power));
    return copysign(power < 0 ? whole / scale : whole * scale, x);
}

static int read_scores(unigram *u, const json_t *vocab, bool exact, const char *where,
                       clipc_err *err)
{
    const size_t n = json_array_size(vocab);
    trie_word *w = malloc((n + 1) * sizeof *w);
    double least = HUGE_VAL;
    size_t words = 0;
    int rc = CLIPC_OK;

    u->scores = malloc((n + 1) * sizeof *u->scores);
    if (!w || !u->scores) rc = clipc_fail_memory(err, where, n * sizeof *w);
    for (size_t i = 0; rc == CLIPC_OK && i < n; i++) {
        const json_t *item = json_array_get(vocab, i);
        const char *s = json_string_value(json_array_get(item, 0));
        const json_t *score = json_array_get(item, 1);
        if (json_array_size(item) != 2 || !s || !json_is_number(score)) {
            rc = clipc_fail(err, CLIPC_ERR_FORMAT,
                            "%s: token %zu is not of a string and a number", where, i);
            break;
        }
        u->scores[i] = json_number_value(score);
        if (!exact && json_is_real(score)) u->scores[i] = twice_rounded(u->scores[i]);
        if (u->scores[i] < least) least = u->scores[i];
        const size_t len = strlen(s);
        if (len)
            w[words++] = (trie_word){
                s, (uint32_t)(len > TRIE_WORD_MAX ? TRIE_WORD_MAX + 1 : len), (int32_t)i};
    }
    if (rc == CLIPC_OK) rc = trie_new(&u->pieces, w, words, where, err);
    u->unk_score = least - UNK_PENALTY;
    free(w);
    return rc;
}

static int unigram_model(pipeline *p, const json_t *model, bool exact, const char *where,
                         clipc_err *err)
{
    const json_t *vocab = json_object_get(model, "vocab"),
                 *unk = json_object_get(model, "unk_id");
    int rc = json_get_bool(&p->byte_fallback, model, "byte_fallback", where, err);

    if (rc != CLIPC_OK) return rc;
    if (!json_is_array(vocab) || json_array_size(vocab) == 0 ||
        json_array_size(vocab) > TRIE_BYTES_MAX)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no \"vocab\"", where);
    p->uni.unk = -1;
    if (unk && !json_is_null(unk)) {
        const json_int_t id = json_is_integer(unk) ? json_integer_value(unk) : -1;
        if (id < 0 || id >= (json_int_t)json_array_size(vocab))
            return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: \"unk_id\" is no id", where);
        p->uni.unk = (int32_t)id;
    }
    rc = read_scores(&p->uni, vocab, exact, where, err);
    for (unsigned i = 0; rc == CLIPC_OK && i < 256; i++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", i);
        p->byte[i] = trie_find(p->uni.pieces, name, 6);
    }
    return rc;
}

static int greedy_model(pipeline *p, const json_t *model, const char *where,
                        clipc_err *err)
{
    const char *unk = "[UNK]", *prefix = "##";
    greedy *g = &p->greedy;
    int rc = vocab_from_json(&g->vocab, json_object_get(model, "vocab"), where, err);

    g->max_word = MAX_WORD;
    if (rc == CLIPC_OK) rc = json_get_string(&unk, model, "unk_token", where, err);
    if (rc == CLIPC_OK)
        rc = json_get_string(&prefix, model, "continuing_subword_prefix", where, err);
    if (rc == CLIPC_OK)
        rc = json_get_size(&g->max_word, model, "max_input_chars_per_word", where, err);
    if (rc != CLIPC_OK) return rc;
    g->unk = trie_find(g->vocab, unk, strlen(unk));
    g->rest = trie_walk(g->vocab, 0, prefix, strlen(prefix));
    g->no_prefix = !*prefix;
    if (g->unk < 0)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no token \"%.40s\"", where, unk);
    return CLIPC_OK;
}

/* Old files do not say what their model is. */
static const char *model_type(const json_t *model)
{
    const char *type = json_string_value(json_object_get(model, "type"));

    if (type) return type;
    if (json_is_array(json_object_get(model, "vocab"))) return "Unigram";
    return json_object_get(model, "merges") ? "BPE" : "WordPiece";
}

static int read_model(pipeline *p, const json_t *model, bool exact, const char *where,
                      clipc_err *err)
{
    if (!json_is_object(model))
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no \"model\"", where);
    const char *type = model_type(model);
    if (strcmp(type, "BPE") == 0) {
        p->kind = BPE;
        return pairs_new(&p->bpe, model, where, err);
    }
    if (strcmp(type, "Unigram") == 0) {
        p->kind = UNIGRAM;
        return unigram_model(p, model, exact, where, err);
    }
    if (strcmp(type, "WordPiece") == 0) {
        p->kind = WORDPIECE;
        return greedy_model(p, model, where, err);
    }
    return clipc_fail(err, CLIPC_ERR_FEATURE, "%s: model \"%.40s\"", where, type);
}

/* ---- added tokens --------------------------------------------------------------------
 */

static int read_added(pipeline *p, const json_t *root, const char *where, clipc_err *err)
{
    const json_t *list = json_object_get(root, "added_tokens");
    const size_t size = model_size(p, json_object_get(root, "model"));
    int rc = added_new(&p->added, err);

    for (size_t i = 0; rc == CLIPC_OK && i < json_array_size(list); i++) {
        const json_t *t = json_array_get(list, i);
        const char *s = json_string_value(json_object_get(t, "content"));
        rc = added_add(p->added, t, s ? trie_find(vocab_of(p), s, strlen(s)) : -1, size,
                       where, err);
    }
    return rc == CLIPC_OK ? added_finish(p->added, p->normalizer, where, err) : rc;
}

/* Special tokens of the model's own vocabulary, which a text must not spell. */
static int mark_special(pipeline *p, const char *where, clipc_err *err)
{
    const size_t end = trie_end_id(vocab_of(p));
    int32_t id;
    bool special;

    if (!(p->special = calloc(end + 1, sizeof *p->special)))
        return clipc_fail_memory(err, where, end);
    for (size_t i = 0; added_token(p->added, i, &id, &special); i++)
        if (special && (size_t)id < end) p->special[id] = true;
    return CLIPC_OK;
}

/* ---- what begins and ends a text -----------------------------------------------------
 */

static int no_frame(const char *where, clipc_err *err)
{
    return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: a broken post-processor", where);
}

static int frame_add(frame *f, const json_t *id, const char *where, clipc_err *err)
{
    const json_int_t v = json_is_integer(id) ? json_integer_value(id) : -1;

    if (v < 0 || v > INT32_MAX || f->n == FRAME_MAX) return no_frame(where, err);
    f->ids[f->n++] = (int32_t)v;
    return CLIPC_OK;
}

/* "single": the text once, and tokens before and behind it. */
static int read_template(frame *front, frame *back, const json_t *spec, const char *where,
                         clipc_err *err)
{
    const json_t *single = json_object_get(spec, "single"),
                 *tokens = json_object_get(spec, "special_tokens");
    bool behind = false;
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < json_array_size(single); i++) {
        const json_t *item = json_array_get(single, i);
        const char *text =
            json_string_value(json_object_get(json_object_get(item, "Sequence"), "id"));
        const char *name = json_string_value(
            json_object_get(json_object_get(item, "SpecialToken"), "id"));
        const json_t *ids =
            name ? json_object_get(json_object_get(tokens, name), "ids") : NULL;
        if (text && strcmp(text, "A") == 0 && !behind) behind = true;
        else if (!json_is_array(ids)) rc = no_frame(where, err);
        for (size_t k = 0; rc == CLIPC_OK && k < json_array_size(ids); k++)
            rc = frame_add(behind ? back : front, json_array_get(ids, k), where, err);
    }
    return rc == CLIPC_OK && !behind ? no_frame(where, err) : rc;
}

/* BERT's and RoBERTa's: ["[CLS]", 101]. */
static int read_cls_sep(frame *front, frame *back, const json_t *spec, const char *where,
                        clipc_err *err)
{
    const int rc =
        frame_add(front, json_array_get(json_object_get(spec, "cls"), 1), where, err);

    return rc == CLIPC_OK
               ? frame_add(back, json_array_get(json_object_get(spec, "sep"), 1), where,
                           err)
               : rc;
}

/* Puts what a further post-processor adds around what the earlier ones did. */
static int surround(pipeline *p, const frame *front, const frame *back, const char *where,
                    clipc_err *err)
{
    if (p->front.n + front->n > FRAME_MAX || p->back.n + back->n > FRAME_MAX)
        return no_frame(where, err);
    memmove(p->front.ids + front->n, p->front.ids, p->front.n * sizeof *p->front.ids);
    memcpy(p->front.ids, front->ids, front->n * sizeof *front->ids);
    memcpy(p->back.ids + p->back.n, back->ids, back->n * sizeof *back->ids);
    p->front.n += front->n, p->back.n += back->n;
    return CLIPC_OK;
}

static int read_frames(pipeline *p, const json_t *spec, int depth, const char *where,
                       clipc_err *err)
{
    const char *type = json_string_value(json_object_get(spec, "type"));
    frame front = {0}, back = {0};
    int rc = CLIPC_OK;

    if (!type) return no_frame(where, err);
    if (strcmp(type, "Sequence") == 0) {
        const json_t *list = json_object_get(spec, "processors");
        if (!json_is_array(list) || depth >= DEPTH_MAX) return no_frame(where, err);
        for (size_t i = 0; rc == CLIPC_OK && i < json_array_size(list); i++)
            rc = read_frames(p, json_array_get(list, i), depth + 1, where, err);
        return rc;
    }
    if (strcmp(type, "ByteLevel") == 0) return CLIPC_OK; /* only offsets change */
    if (strcmp(type, "TemplateProcessing") == 0)
        rc = read_template(&front, &back, spec, where, err);
    else if (strcmp(type, "BertProcessing") == 0 ||
             strcmp(type, "RobertaProcessing") == 0)
        rc = read_cls_sep(&front, &back, spec, where, err);
    else
        rc = clipc_fail(err, CLIPC_ERR_FEATURE, "%s: post-processor \"%.40s\"", where,
                        type);
    return rc == CLIPC_OK ? surround(p, &front, &back, where, err) : rc;
}

static bool is_left(const json_t *spec)
{
    const char *side = json_string_value(json_object_get(spec, "direction"));
    return side && strcmp(side, "Left") == 0;
}

static int read_sides(pipeline *p, const json_t *root, const char *where, clipc_err *err)
{
    const json_t *padding = json_object_get(root, "padding");
    size_t pad = 0;
    const int rc = json_get_size(&pad, padding, "pad_id", where, err);

    p->pad = json_is_object(padding) ? (int32_t)(pad < INT32_MAX ? pad : 0) : -1;
    p->pad_left = is_left(padding);
    p->cut_left = is_left(json_object_get(root, "truncation"));
    return rc;
}

/* ---- making --------------------------------------------------------------------------
 */

int pipeline_new(pipeline **out, const json_t *root, bool exact, const char *where,
                 clipc_err *err)
{
    const json_t *post = json_object_get(root, "post_processor");
    pipeline *p = calloc(1, sizeof *p);
    int rc;

    *out = NULL;
    if (!p) return clipc_fail_memory(err, where, sizeof *p);
    rc = read_model(p, json_object_get(root, "model"), exact, where, err);
    if (rc == CLIPC_OK)
        rc = normalizer_new(&p->normalizer, json_object_get(root, "normalizer"), where,
                            err);
    if (rc == CLIPC_OK)
        rc = pretokenizer_new(&p->pretokenizer, json_object_get(root, "pre_tokenizer"),
                              where, err);
    if (rc == CLIPC_OK) rc = read_added(p, root, where, err);
    if (rc == CLIPC_OK) rc = mark_special(p, where, err);
    if (rc == CLIPC_OK) rc = pipeline_set_frame(p, post, where, err);
    if (rc == CLIPC_OK) rc = read_sides(p, root, where, err);
    if (rc == CLIPC_OK) *out = p;
    else pipeline_free(p);
    return rc;
}

void pipeline_free(pipeline *p)
{
    if (!p) return;
    pairs_free(p->bpe);
    unigram_free(&p->uni);
    trie_free(p->greedy.vocab);
    normalizer_free(p->normalizer);
    pretokenizer_free(p->pretokenizer);
    added_free(p->added);
    free(p->special);
    free(p);
}

int pipeline_set_frame(pipeline *p, const json_t *spec, const char *where, clipc_err *err)
{
    p->front.n = p->back.n = 0;
    return spec && !json_is_null(spec) ? read_frames(p, spec, 0, where, err) : CLIPC_OK;
}

void pipeline_set_padding(pipeline *p, int32_t id, bool left)
{
    p->pad = id;
    p->pad_left = left;
}

void pipeline_set_truncation(pipeline *p, bool left)
{
    p->cut_left = left;
}

int32_t pipeline_pad(const pipeline *p)
{
    return p->pad;
}

int32_t pipeline_id(const pipeline *p, const char *token)
{
    const int32_t id = added_id(p->added, token);
    return id >= 0 ? id : trie_find(vocab_of(p), token, strlen(token));
}

int pipeline_token(buf *out, const pipeline *p, int32_t id, clipc_err *err)
{
    const char *token;
    int32_t own;
    bool special;

    for (size_t i = 0; (token = added_token(p->added, i, &own, &special)); i++)
        if (own == id) return buf_puts(out, token, err);
    return trie_spell(out, vocab_of(p), id, err);
}

size_t pipeline_vocab_size(const pipeline *p)
{
    return trie_end_id(vocab_of(p));
}

int pipeline_work_new(pipeline_work **out, clipc_err *err)
{
    *out = calloc(1, sizeof **out);
    return *out ? CLIPC_OK : clipc_fail_memory(err, "tokenizer", sizeof **out);
}

void pipeline_work_free(pipeline_work *w)
{
    if (!w) return;
    buf_free(&w->segment);
    buf_free(&w->text);
    words_free(&w->raw);
    words_free(&w->words);
    normalizer_work_free(&w->normalizer);
    pretokenizer_work_free(&w->pretokenizer);
    merges_free(&w->merges);
    unigram_work_free(&w->unigram);
    ids_free(&w->ids);
    free(w);
}

/* ---- words to tokens -----------------------------------------------------------------
 */

/* A piece that is no token: characters the vocabulary lacks, in a row. */
static int unknown(const pipeline *p, id_list *ids, const char *s, size_t len,
                   clipc_err *err)
{
    const int32_t id = trie_find(p->uni.pieces, s, len);
    bool bytes = p->byte_fallback && id < 0;
    int rc;

    for (size_t i = 0; bytes && i < len; i++) bytes = p->byte[(uint8_t)s[i]] >= 0;
    if (!bytes) return ids_add(ids, id >= 0 ? id : p->uni.unk, err);
    if ((rc = ids_reserve(ids, len, err)) != CLIPC_OK) return rc;
    for (size_t i = 0; i < len; i++) ids->at[ids->n++] = p->byte[(uint8_t)s[i]];
    return CLIPC_OK;
}

static int encode_unigram(const pipeline *p, pipeline_work *w, const char *s, size_t len,
                          const bool *skip, clipc_err *err)
{
    int rc = unigram_split(&p->uni, &w->unigram, s, len, skip, err);

    for (size_t i = 0, end; rc == CLIPC_OK && i < w->unigram.n; i = end) {
        const unigram_piece *piece = &w->unigram.pieces[i];
        end = i + 1;
        if (piece->id != p->uni.unk) {
            rc = ids_add(&w->ids, piece->id, err);
            continue;
        }
        while (end < w->unigram.n && w->unigram.pieces[end].id == p->uni.unk) end++;
        rc = unknown(p, &w->ids, s + piece->begin,
                     w->unigram.pieces[end].begin - piece->begin, err);
    }
    return rc;
}

/* The longest allowed token at the start of s, under the node `at`. */
static int32_t longest(const greedy *g, uint32_t at, const char *s, size_t len,
                       const bool *skip, size_t *n)
{
    int32_t found = -1;

    for (size_t i = 0; i < len && (at = trie_child(g->vocab, at, (uint8_t)s[i])); i++) {
        const int32_t id = trie_id(g->vocab, at);
        if (id >= 0 && !(skip && skip[id])) found = id, *n = i + 1;
    }
    return found;
}

static int encode_greedy(const pipeline *p, pipeline_work *w, const char *s, size_t len,
                         const bool *skip, clipc_err *err)
{
    const greedy *g = &p->greedy;
    const size_t before = w->ids.n;
    size_t chars = 0, n = 0;
    int rc = ids_reserve(&w->ids, len + 1, err);

    if (rc != CLIPC_OK) return rc;
    for (size_t i = 0; i < len; i++) chars += ((uint8_t)s[i] & 0xc0) != 0x80;
    for (size_t i = 0; chars <= g->max_word && i < len; i += n) {
        const bool goes_on = i == 0 || g->rest || g->no_prefix;
        const int32_t id =
            goes_on ? longest(g, i ? g->rest : 0, s + i, len - i, skip, &n) : -1;
        if (id < 0) {
            w->ids.n = before;
            break;
        }
        w->ids.at[w->ids.n++] = id;
    }
    if (w->ids.n == before) w->ids.at[w->ids.n++] = g->unk;
    return CLIPC_OK;
}

static int encode_word(const pipeline *p, pipeline_work *w, word from, bool special,
                       clipc_err *err)
{
    const char *s = w->text.data + from.begin;
    const bool *skip = special ? NULL : p->special;

    if (from.id >= 0) return ids_add(&w->ids, from.id, err);
    switch (p->kind) {
    case BPE: return pairs_encode(p->bpe, &w->merges, &w->ids, s, from.len, skip, err);
    case UNIGRAM: return encode_unigram(p, w, s, from.len, skip, err);
    default: return encode_greedy(p, w, s, from.len, skip, err);
    }
}

/* ---- texts ---------------------------------------------------------------------------
 */

/* A part of the user's text between added tokens: normalised, searched for those that are
 * looked for then, and appended to w->text and w->words. */
static int add_segment(const pipeline *p, pipeline_work *w, const char *s, word from,
                       bool special, clipc_err *err)
{
    bool at_start = from.at_start;
    int rc;

    buf_clear(&w->segment);
    rc = buf_add(&w->segment, s + from.begin, from.len, err);
    if (rc == CLIPC_OK)
        rc = normalizer_run(p->normalizer, &w->normalizer, &w->segment, &at_start, err);
    if (rc == CLIPC_OK)
        rc = added_split(p->added, true, &w->words, w->segment.data, w->segment.len,
                         w->text.len, at_start, special, err);
    if (rc == CLIPC_OK) rc = buf_add(&w->text, w->segment.data, w->segment.len, err);
    return rc;
}

int pipeline_encode(const pipeline *p, pipeline_work *w, const int32_t **ids, size_t *n,
                    const char *text, size_t len, bool special, clipc_err *err)
{
    int rc = len > TEXT_MAX ? clipc_fail(err, CLIPC_ERR_TEXT,
                                         "text: %zu bytes, more than %d", len, TEXT_MAX)
                            : char_check(text, len, err);

    w->ids.n = w->raw.n = w->words.n = 0;
    buf_clear(&w->text);
    if (rc == CLIPC_OK)
        rc = added_split(p->added, false, &w->raw, text, len, 0, true, special, err);
    for (size_t i = 0; rc == CLIPC_OK && i < w->raw.n; i++) {
        const word from = w->raw.at[i];
        rc = from.id >= 0 ? words_add(&w->words, from, err)
                          : add_segment(p, w, text, from, special, err);
    }
    if (rc == CLIPC_OK)
        rc =
            pretokenizer_run(p->pretokenizer, &w->pretokenizer, &w->text, &w->words, err);
    for (size_t i = 0; rc == CLIPC_OK && i < w->words.n; i++)
        rc = encode_word(p, w, w->words.at[i], special, err);
    *ids = w->ids.at;
    *n = rc == CLIPC_OK ? w->ids.n : 0;
    return rc;
}

size_t pipeline_around(const pipeline *p)
{
    return p->front.n + p->back.n;
}

void pipeline_frame(const pipeline *p, int32_t *ids, size_t context_length,
                    const int32_t *inner, size_t n)
{
    const size_t room = context_length - pipeline_around(p);

    if (n > room) {
        if (p->cut_left) inner += n - room;
        n = room;
    }
    for (size_t i = n; p->pad_left && i < room; i++) *ids++ = p->pad;
    memcpy(ids, p->front.ids, p->front.n * sizeof *ids);
    if (n) memcpy(ids + p->front.n, inner, n * sizeof *ids);
    memcpy(ids + p->front.n + n, p->back.ids, p->back.n * sizeof *ids);
    ids += pipeline_around(p) + n;
    for (size_t i = n; !p->pad_left && i < room; i++) *ids++ = p->pad;
}

int pipeline_tokenize(const pipeline *p, pipeline_work *w, int32_t *ids,
                      size_t context_length, size_t *n_tokens, const char *text,
                      size_t len, bool special, clipc_err *err)
{
    const size_t around = pipeline_around(p);
    const int32_t *inner = NULL;
    size_t n = 0;
    int rc;

    if (context_length < around)
        return clipc_fail(err, CLIPC_ERR_ARG,
                          "a context of %zu has no room for the %zu tokens around a text",
                          context_length, around);
    rc = pipeline_encode(p, w, &inner, &n, text, len, special, err);
    if (rc != CLIPC_OK) return rc;
    if (n_tokens) *n_tokens = n + around;
    pipeline_frame(p, ids, context_length, inner, n);
    return CLIPC_OK;
}

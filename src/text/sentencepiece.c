#include "text/sentencepiece.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "text/chars.h"
#include "text/charsmap.h"
#include "text/clean.h"
#include "text/merges.h"
#include "text/trie.h"
#include "text/unigram.h"

#define SPACE      "\xe2\x96\x81" /* U+2581 */
#define USER_BONUS 0.1f

enum {
    FILE_MAX = 64 << 20,
    PIECES_MAX = 4 << 20,
    NORMALISED_MAX = 4 * TEXT_MAX, /* rules may lengthen a text */
    UNK_PENALTY = 10               /* below the least likely piece */
};

enum { MODEL_UNIGRAM = 1, MODEL_BPE = 2, MODEL_WORD = 3, MODEL_CHAR = 4 };

typedef struct piece {
    uint32_t begin, len; /* in `text` */
    float score;
    spm_type type;
} piece;

struct spm {
    char *text; /* of all pieces, one behind the other */
    piece *pieces;
    size_t text_len, n;
    unigram uni;    /* its trie holds the pieces that a text can match, BPE's too */
    trie *user;     /* user-defined pieces: normalization leaves them alone */
    uint32_t *rank; /* BPE: of each piece by its score, equal ones alike */
    charsmap rules;
    char *rules_blob;
    size_t rules_size;
    int32_t unk, byte[256];
    int model_type;
    bool byte_fallback, whitespace_suffix, dummy_prefix, remove_extra, escape;
};

struct spm_work {
    buf text; /* normalised */
    unigram_work uni;
    merges_work merges;
    uint32_t *halves; /* [n]: bytes of the left part of an unused piece that was merged */
    size_t halves_cap;
};

/* ---- protobuf ------------------------------------------------------------------------
 */

/* What is left to read of a message. */
typedef struct reader {
    const uint8_t *p, *end;
    const char *file; /* for messages */
} reader;

/* A field: a number, or the bytes of a string or message. */
typedef struct field {
    uint32_t number, wire;
    uint64_t value;
    span bytes;
} field;

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

static bool varint(reader *r, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; r->p < r->end && shift < 64; shift += 7) {
        const uint8_t byte = *r->p++;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return true;
    }
    return false;
}

static bool fixed(reader *r, uint64_t *out, size_t bytes)
{
    if ((size_t)(r->end - r->p) < bytes) return false;
    *out = 0;
    for (size_t i = 0; i < bytes; i++) *out |= (uint64_t)r->p[i] << 8 * i;
    r->p += bytes;
    return true;
}

static bool next_field(reader *r, field *f)
{
    uint64_t key, len;

    if (!varint(r, &key) || key >> 3 == 0 || key >> 3 > UINT32_MAX) return false;
    *f = (field){.number = (uint32_t)(key >> 3), .wire = (uint32_t)(key & 7)};
    switch (f->wire) {
    case WIRE_VARINT: return varint(r, &f->value);
    case WIRE_64: return fixed(r, &f->value, 8);
    case WIRE_32: return fixed(r, &f->value, 4);
    case WIRE_BYTES:
        if (!varint(r, &len) || len > (uint64_t)(r->end - r->p)) return false;
        f->bytes = (span){r->p, (size_t)len};
        r->p += len;
        return true;
    default: return false; /* groups: nobody writes them */
    }
}

static int broken(const reader *r, const char *message, clipc_err *err)
{
    return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: not SentencePiece: broken %s", r->file,
                      message);
}

static reader inside(const reader *r, span bytes)
{
    return (reader){bytes.data, bytes.data + bytes.size, r->file};
}

/* Pieces are counted first, their text measured. */
static int count_pieces(spm *m, reader r, clipc_err *err)
{
    field f, g;

    while (r.p < r.end) {
        if (!next_field(&r, &f)) return broken(&r, "message", err);
        if (f.number != 1 || f.wire != WIRE_BYTES) continue;
        m->n++;
        for (reader in = inside(&r, f.bytes); in.p < in.end;) {
            if (!next_field(&in, &g)) return broken(&r, "piece", err);
            if (g.number == 1) m->text_len += g.bytes.size;
        }
    }
    if (m->n == 0) return broken(&r, "model: it has no pieces", err);
    if (m->n > PIECES_MAX)
        return clipc_fail(err, CLIPC_ERR_LIMIT, "%s: %zu pieces, more than %d", r.file,
                          m->n, PIECES_MAX);
    return CLIPC_OK;
}

static int read_piece(spm *m, size_t i, reader r, clipc_err *err)
{
    piece *p = &m->pieces[i];
    span name = {0};
    field f;

    *p = (piece){(uint32_t)m->text_len, 0, 0.0f, SPM_NORMAL};
    while (r.p < r.end) {
        if (!next_field(&r, &f)) return broken(&r, "piece", err);
        if (f.number == 1 && f.wire == WIRE_BYTES) name = f.bytes;
        if (f.number == 3 && f.wire == WIRE_VARINT) p->type = (spm_type)f.value;
        if (f.number == 2 && f.wire == WIRE_32) {
            const uint32_t bits = (uint32_t)f.value;
            memcpy(&p->score, &bits, sizeof bits);
        }
    }
    if (name.size == 0 || memchr(name.data, 0, name.size))
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: piece %zu is empty", r.file, i);
    if (p->type < SPM_NORMAL || p->type > SPM_BYTE)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: piece %zu is of no known type",
                          r.file, i);
    if (!(p->score > -FLT_MAX && p->score < FLT_MAX))
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: the score of piece %zu is no number", r.file, i);
    memcpy(m->text + m->text_len, name.data, name.size);
    p->len = (uint32_t)name.size;
    m->text_len += name.size;
    return CLIPC_OK;
}

static int read_trainer(spm *m, reader r, clipc_err *err)
{
    field f;

    while (r.p < r.end) {
        if (!next_field(&r, &f)) return broken(&r, "trainer_spec", err);
        if (f.wire != WIRE_VARINT) continue;
        if (f.number == 3) m->model_type = f.value <= 4 ? (int)f.value : 0;
        if (f.number == 24) m->whitespace_suffix = f.value != 0;
        if (f.number == 35) m->byte_fallback = f.value != 0;
    }
    return CLIPC_OK;
}

static int read_normalizer(spm *m, reader r, clipc_err *err)
{
    field f;

    while (r.p < r.end) {
        if (!next_field(&r, &f)) return broken(&r, "normalizer_spec", err);
        if (f.number == 2 && f.wire == WIRE_BYTES) {
            free(m->rules_blob);
            m->rules_blob = malloc(f.bytes.size + 1);
            if (!m->rules_blob) return clipc_fail_memory(err, r.file, f.bytes.size);
            memcpy(m->rules_blob, f.bytes.data, f.bytes.size);
            m->rules_size = f.bytes.size;
        }
        if (f.wire != WIRE_VARINT) continue;
        if (f.number == 3) m->dummy_prefix = f.value != 0;
        if (f.number == 4) m->remove_extra = f.value != 0;
        if (f.number == 5) m->escape = f.value != 0;
    }
    return CLIPC_OK;
}

static int read_model(spm *m, reader r, clipc_err *err)
{
    size_t i = 0;
    field f;
    int rc = count_pieces(m, r, err);

    if (rc != CLIPC_OK) return rc;
    m->pieces = calloc(m->n, sizeof *m->pieces);
    m->text = malloc(m->text_len + 1);
    if (!m->pieces || !m->text)
        return clipc_fail_memory(err, r.file, m->n * sizeof *m->pieces);
    m->text_len = 0;
    while (rc == CLIPC_OK && r.p < r.end) {
        next_field(&r, &f); /* count_pieces has seen that it can */
        if (f.wire != WIRE_BYTES) continue;
        if (f.number == 1) rc = read_piece(m, i++, inside(&r, f.bytes), err);
        if (f.number == 2) rc = read_trainer(m, inside(&r, f.bytes), err);
        if (f.number == 3) rc = read_normalizer(m, inside(&r, f.bytes), err);
    }
    return rc;
}

/* ---- the vocabulary ------------------------------------------------------------------
 */

static bool matches_text(spm_type t)
{
    return t == SPM_NORMAL || t == SPM_USER_DEFINED || t == SPM_UNUSED;
}

static const char *piece_text(const spm *m, size_t i)
{
    return m->text + m->pieces[i].begin;
}

/* The trie of the pieces for which take says so. */
static int make_trie(trie **out, const spm *m, bool (*take)(const spm *m, const piece *p),
                     const char *name, clipc_err *err)
{
    trie_word *w = malloc(m->n * sizeof *w);
    size_t n = 0;
    int rc;

    if (!w) return clipc_fail_memory(err, name, m->n * sizeof *w);
    for (size_t i = 0; i < m->n; i++)
        if (take(m, &m->pieces[i]))
            w[n++] = (trie_word){piece_text(m, i), m->pieces[i].len, (int32_t)i};
    rc = trie_new(out, w, n, name, err);
    if (rc == CLIPC_OK && trie_words(*out) != n)
        rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s: a piece is there twice", name);
    free(w);
    return rc;
}

/* Unigram models never use unused pieces; BPE merges them and takes them apart again. */
static bool is_matched(const spm *m, const piece *p)
{
    return matches_text(p->type) && (p->type != SPM_UNUSED || m->model_type == MODEL_BPE);
}

static bool is_user_defined(const spm *m, const piece *p)
{
    (void)m;
    return p->type == SPM_USER_DEFINED;
}

static int find_special(spm *m, const char *name, clipc_err *err)
{
    size_t n_bytes = 0;

    m->unk = -1;
    for (size_t i = 0; i < 256; i++) m->byte[i] = -1;
    for (size_t i = 0; i < m->n; i++) {
        if (m->pieces[i].type == SPM_UNKNOWN) {
            if (m->unk >= 0)
                return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: two unknown tokens", name);
            m->unk = (int32_t)i;
        }
        if (m->pieces[i].type != SPM_BYTE) continue;
        char spelt[8] = {0};
        unsigned byte = 256;
        if (m->pieces[i].len == 6) memcpy(spelt, piece_text(m, i), 6);
        if (sscanf(spelt, "<0x%2X>", &byte) != 1 || byte > 255 || m->byte[byte] >= 0)
            return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: piece %zu is no byte", name, i);
        m->byte[byte] = (int32_t)i;
        n_bytes++;
    }
    if (m->unk < 0)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no unknown token", name);
    if (n_bytes != (m->byte_fallback ? 256u : 0u))
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: %zu pieces of bytes, wanted %d",
                          name, n_bytes, m->byte_fallback ? 256 : 0);
    return CLIPC_OK;
}

/* User-defined pieces get so good a score that they always win: their bytes times the
 * best score, which is 0.1 at least.  Its exact value decides ties behind them. */
static int make_scores(spm *m, const char *name, clipc_err *err)
{
    float least = FLT_MAX, most = USER_BONUS;

    m->uni.scores = malloc(m->n * sizeof *m->uni.scores);
    if (!m->uni.scores) return clipc_fail_memory(err, name, m->n * sizeof(double));
    for (size_t i = 0; i < m->n; i++) {
        if (m->pieces[i].type != SPM_NORMAL) continue;
        if (m->pieces[i].score < least) least = m->pieces[i].score;
        if (m->pieces[i].score > most) most = m->pieces[i].score;
    }
    for (size_t i = 0; i < m->n; i++)
        m->uni.scores[i] = m->pieces[i].type == SPM_USER_DEFINED
                               ? (float)m->pieces[i].len * most - USER_BONUS
                               : m->pieces[i].score;
    m->uni.unk_score = (double)(least - (float)UNK_PENALTY);
    m->uni.unk = m->unk;
    m->uni.float32 = true;
    return CLIPC_OK;
}

/* A piece's score with its place, to sort by. */
typedef struct scored {
    float score;
    uint32_t id;
} scored;

static int by_score(const void *x, const void *y)
{
    const float a = ((const scored *)x)->score, b = ((const scored *)y)->score;
    return a > b ? -1 : a < b;
}

static int make_ranks(spm *m, const char *name, clipc_err *err)
{
    scored *s = malloc(m->n * sizeof *s);

    m->rank = malloc(m->n * sizeof *m->rank);
    if (!s || !m->rank) {
        free(s);
        return clipc_fail_memory(err, name, m->n * sizeof *s);
    }
    for (size_t i = 0; i < m->n; i++) s[i] = (scored){m->pieces[i].score, (uint32_t)i};
    qsort(s, m->n, sizeof *s, by_score);
    for (size_t i = 0, rank = 0; i < m->n; i++) {
        if (i && s[i].score != s[i - 1].score) rank++;
        m->rank[s[i].id] = (uint32_t)rank;
    }
    free(s);
    return CLIPC_OK;
}

static int finish(spm *m, const char *name, clipc_err *err)
{
    static const char *const kinds[] = {"unknown", "unigram", "BPE", "word", "character"};
    int rc = CLIPC_OK;

    if (m->model_type != MODEL_UNIGRAM && m->model_type != MODEL_BPE)
        return clipc_fail(err, CLIPC_ERR_FEATURE, "%s: a model of kind \"%s\"", name,
                          kinds[m->model_type]);
    rc = find_special(m, name, err);
    if (rc == CLIPC_OK) rc = make_trie(&m->uni.pieces, m, is_matched, name, err);
    if (rc == CLIPC_OK) rc = make_trie(&m->user, m, is_user_defined, name, err);
    if (rc == CLIPC_OK) rc = make_scores(m, name, err);
    if (rc == CLIPC_OK && m->model_type == MODEL_BPE) rc = make_ranks(m, name, err);
    if (rc == CLIPC_OK)
        rc = charsmap_new(&m->rules, m->rules_blob, m->rules_size, name, err);
    return rc;
}

int spm_new(spm **out, const void *data, size_t size, const char *name, clipc_err *err)
{
    spm *m = NULL;
    int rc;

    *out = NULL;
    if (size > FILE_MAX)
        return clipc_fail(err, CLIPC_ERR_LIMIT, "%s: %zu bytes, more than %d", name, size,
                          FILE_MAX);
    if (!(m = calloc(1, sizeof *m))) return clipc_fail_memory(err, name, sizeof *m);
    m->model_type = MODEL_UNIGRAM;
    m->dummy_prefix = m->remove_extra = m->escape = true;
    rc = read_model(m, (reader){data, (const uint8_t *)data + size, name}, err);
    if (rc == CLIPC_OK) rc = finish(m, name, err);
    if (rc == CLIPC_OK) *out = m;
    else spm_free(m);
    return rc;
}

void spm_free(spm *m)
{
    if (!m) return;
    unigram_free(&m->uni);
    trie_free(m->user);
    charsmap_free(&m->rules);
    free(m->rank);
    free(m->rules_blob);
    free(m->pieces);
    free(m->text);
    free(m);
}

size_t spm_size(const spm *m)
{
    return m->n;
}

int32_t spm_id(const spm *m, const char *name)
{
    const size_t len = strlen(name);

    for (size_t i = 0; i < m->n; i++)
        if (m->pieces[i].len == len && memcmp(piece_text(m, i), name, len) == 0)
            return (int32_t)i;
    return -1;
}

int32_t spm_unk(const spm *m)
{
    return m->unk;
}

bool spm_is_bpe(const spm *m)
{
    return m->model_type == MODEL_BPE;
}

span spm_piece(const spm *m, int32_t id, float *score, spm_type *type)
{
    const piece *p = &m->pieces[id];

    *score = p->score;
    *type = p->type;
    return (span){(const uint8_t *)piece_text(m, (size_t)id), p->len};
}

span spm_charsmap(const spm *m)
{
    return (span){(const uint8_t *)m->rules_blob, m->rules_size};
}

void spm_set_dummy_prefix(spm *m, bool on)
{
    m->dummy_prefix = on;
}

/* ---- scratch -------------------------------------------------------------------------
 */

int spm_work_new(spm_work **out, clipc_err *err)
{
    *out = calloc(1, sizeof **out);
    return *out ? CLIPC_OK : clipc_fail_memory(err, "tokenizer", sizeof **out);
}

void spm_work_free(spm_work *w)
{
    if (!w) return;
    buf_free(&w->text);
    unigram_work_free(&w->uni);
    merges_free(&w->merges);
    free(w->halves);
    free(w);
}

/* ---- normalising ---------------------------------------------------------------------
 */

/* What the start of a text becomes, and how many of its bytes that takes. */
static size_t rewrite(const spm *m, const char *s, size_t len, span *to)
{
    const char *rule;
    size_t n = 0;

    if (trie_longest(m->user, 0, s, len, &n) >= 0) {
        *to = (span){(const uint8_t *)s, n};
        return n;
    }
    if ((n = charsmap_match(&m->rules, s, len, true, &rule))) {
        *to = (span){(const uint8_t *)rule, strlen(rule)};
        return n;
    }
    n = char_claimed(*s); /* the text is known to be UTF-8 */
    *to = (span){(const uint8_t *)s, n};
    return n;
}

static int put_piece(const spm *m, buf *out, span s, clipc_err *err)
{
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < s.size; i++) {
        if (m->escape && s.data[i] == ' ') rc = buf_puts(out, SPACE, err);
        else rc = buf_add(out, s.data + i, 1, err);
    }
    if (rc == CLIPC_OK && out->len > NORMALISED_MAX)
        rc = clipc_fail(err, CLIPC_ERR_TEXT, "text: longer than %d bytes, normalised",
                        NORMALISED_MAX);
    return rc;
}

static bool is_blank(span s)
{
    return s.size == 1 && *s.data == ' ';
}

static void trim_end(buf *b, const char *blank)
{
    const size_t n = strlen(blank);

    while (b->len >= n && memcmp(b->data + b->len - n, blank, n) == 0)
        b->data[b->len -= n] = '\0';
}

static int normalise(const spm *m, buf *out, const char *s, size_t len, clipc_err *err)
{
    const char *blank = m->escape ? SPACE : " ";
    bool after_blank = m->remove_extra;
    span to;
    size_t i = 0, n;
    int rc = CLIPC_OK;

    buf_clear(out);
    while (m->remove_extra && i < len && (n = rewrite(m, s + i, len - i, &to)) &&
           is_blank(to))
        i += n;
    if (i == len) return CLIPC_OK;
    if (m->dummy_prefix && !m->whitespace_suffix) rc = buf_puts(out, blank, err);
    for (; rc == CLIPC_OK && i < len; i += n) {
        n = rewrite(m, s + i, len - i, &to);
        while (after_blank && to.size && *to.data == ' ') to.data++, to.size--;
        if (!to.size) continue;
        rc = put_piece(m, out, to, err);
        after_blank = m->remove_extra && to.data[to.size - 1] == ' ';
    }
    if (rc == CLIPC_OK && m->remove_extra) trim_end(out, blank);
    if (rc == CLIPC_OK && m->dummy_prefix && m->whitespace_suffix)
        rc = buf_puts(out, blank, err);
    return rc;
}

/* ---- segmenting ----------------------------------------------------------------------
 */

/* Appends the ids of one piece of the text.  Unknown ones in a row are one. */
static int emit(const spm *m, id_list *ids, int32_t id, const char *s, size_t len,
                bool *after_unk, clipc_err *err)
{
    const bool unk = id == m->unk, merged = unk && *after_unk;
    int rc = CLIPC_OK;

    *after_unk = unk;
    if (unk && m->byte_fallback) {
        rc = ids_reserve(ids, len, err);
        for (size_t i = 0; rc == CLIPC_OK && i < len; i++)
            ids->at[ids->n++] = m->byte[(uint8_t)s[i]];
        return rc;
    }
    return merged ? CLIPC_OK : ids_add(ids, id, err);
}

static int encode_unigram(const spm *m, spm_work *w, id_list *ids, clipc_err *err)
{
    bool after_unk = false;
    int rc = unigram_split(&m->uni, &w->uni, w->text.data, w->text.len, NULL, err);

    for (size_t i = 0; rc == CLIPC_OK && i < w->uni.n; i++) {
        const unigram_piece *p = &w->uni.pieces[i];
        rc = emit(m, ids, p->id, w->text.data + p->begin, p[1].begin - p->begin,
                  &after_unk, err);
    }
    return rc;
}

/* Where the merged symbols come from. */
typedef struct bpe_text {
    const spm *m;
    const char *text;
    uint32_t *halves;
} bpe_text;

/* A symbol's token is its node in the trie, 0 where no piece begins so; user-defined
 * ones, which are never merged, are marked. */
#define FROZEN (1u << 31)

static bool find_merge(const void *model, merge_rule *out, const merge_symbol *left,
                       const merge_symbol *right)
{
    const bpe_text *t = model;
    const trie *pieces = t->m->uni.pieces;

    if (!left->token || (left->token | right->token) & FROZEN) return false;
    const uint32_t at =
        trie_walk(pieces, left->token, t->text + right->begin, right->len);
    const int32_t id = trie_id(pieces, at);
    if (id < 0) return false;
    if (t->m->pieces[id].type == SPM_UNUSED) t->halves[id] = left->len;
    *out = (merge_rule){t->m->rank[id], at};
    return true;
}

/* Appends a symbol, unused pieces taken apart as they were put together; a character is
 * unknown then. */
static int emit_symbol(const bpe_text *t, id_list *ids, size_t begin, size_t len,
                       bool *after_unk, clipc_err *err)
{
    const char *s = t->text + begin;
    const int32_t id = trie_find(t->m->uni.pieces, s, len);
    int rc;

    if (id < 0 || (t->m->pieces[id].type == SPM_UNUSED && len <= char_claimed(*s)))
        return emit(t->m, ids, t->m->unk, s, len, after_unk, err);
    if (t->m->pieces[id].type != SPM_UNUSED)
        return emit(t->m, ids, id, s, len, after_unk, err);
    const size_t half = t->halves[id];
    rc = emit_symbol(t, ids, begin, half, after_unk, err);
    return rc == CLIPC_OK ? emit_symbol(t, ids, begin + half, len - half, after_unk, err)
                          : rc;
}

static int encode_bpe(const spm *m, spm_work *w, id_list *ids, clipc_err *err)
{
    const char *s = w->text.data;
    const size_t len = w->text.len;
    bool after_unk = false;
    uint32_t *halves = grow(w->halves, &w->halves_cap, m->n, sizeof *halves, err);
    int rc = merges_start(&w->merges, len, err);

    if (!halves) return CLIPC_ERR_MEMORY;
    w->halves = halves;
    for (size_t i = 0, n = 0; rc == CLIPC_OK && i < len; i += n) {
        const bool user = trie_longest(m->user, 0, s + i, len - i, &n) >= 0;
        if (!user) n = char_claimed(s[i]);
        if (n > len - i) n = len - i;
        const uint32_t at = trie_walk(m->uni.pieces, 0, s + i, n);
        merges_add(&w->merges, user ? at | FROZEN : at, i, n);
    }
    const bpe_text t = {m, s, halves};
    if (rc == CLIPC_OK) merges_run(&w->merges, find_merge, &t);
    for (int32_t i = 0; rc == CLIPC_OK && i >= 0; i = w->merges.symbols[i].next)
        rc = emit_symbol(&t, ids, w->merges.symbols[i].begin, w->merges.symbols[i].len,
                         &after_unk, err);
    return rc;
}

int spm_encode(const spm *m, spm_work *w, id_list *ids, const char *text, size_t len,
               clipc_err *err)
{
    int rc = len > TEXT_MAX ? clipc_fail(err, CLIPC_ERR_TEXT,
                                         "text: %zu bytes, more than %d", len, TEXT_MAX)
                            : char_check(text, len, err);

    if (rc == CLIPC_OK) rc = normalise(m, &w->text, text, len, err);
    if (rc != CLIPC_OK || !w->text.len) return rc;
    return m->model_type == MODEL_BPE ? encode_bpe(m, w, ids, err)
                                      : encode_unigram(m, w, ids, err);
}

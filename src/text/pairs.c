#include "text/pairs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "text/chars.h"

enum { IDS_MAX = 16 << 20, AFFIX_MAX = 64, NO_UNK = -1, UNK_MISSING = -2 };

/* left and right become `made`; rules lie sorted by left, then right. */
typedef struct rule {
    uint32_t left, right, rank, made;
} rule;

struct pairs {
    trie *vocab;
    rule *rules;
    uint32_t *first; /* [end id + 1]: where the rules of a left token begin */
    size_t n_rules;
    char *prefix, *suffix; /* of characters but the first, of the last; NULL: none */
    int32_t unk, byte[256];
    bool fuse_unk, byte_fallback, ignore_merges;
};

/* ---- loading -------------------------------------------------------------------------
 */

int vocab_from_json(trie **out, const json_t *vocab, const char *where, clipc_err *err)
{
    const size_t size = json_object_size(vocab);
    trie_word *w = malloc((size + 1) * sizeof *w);
    const char *key;
    json_t *id;
    size_t n = 0;
    int rc = CLIPC_OK;

    *out = NULL;
    if (!w) return clipc_fail_memory(err, where, size * sizeof *w);
    if (!json_is_object(vocab))
        rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no \"vocab\"", where);
    json_object_foreach((json_t *)(uintptr_t)vocab, key, id)
    {
        const json_int_t v = json_is_integer(id) ? json_integer_value(id) : -1;
        if (rc == CLIPC_OK && (v < 0 || v >= IDS_MAX))
            rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s: the id of \"%.40s\" is no id",
                            where, key);
        const size_t len = strlen(key);
        if (len > TRIE_WORD_MAX) /* trie_new refuses it, in a number that fits */
            w[n++] = (trie_word){key, TRIE_WORD_MAX + 1, (int32_t)v};
        else if (len) w[n++] = (trie_word){key, (uint32_t)len, (int32_t)v};
    }
    if (rc == CLIPC_OK) rc = trie_new(out, w, n, where, err);
    free(w);
    return rc;
}

static int by_pair(const void *x, const void *y)
{
    const rule *a = x, *b = y;

    if (a->left != b->left) return a->left < b->left ? -1 : 1;
    if (a->right != b->right) return a->right < b->right ? -1 : 1;
    return a->rank < b->rank ? -1 : a->rank > b->rank;
}

/* The two halves of a merge: "a b" or ["a", "b"]. */
typedef struct halves {
    const char *left, *right;
    size_t left_len, right_len;
} halves;

static bool read_halves(halves *h, const json_t *v)
{
    if (json_is_array(v)) {
        h->left = json_string_value(json_array_get(v, 0));
        h->right = json_string_value(json_array_get(v, 1));
        if (json_array_size(v) != 2 || !h->left || !h->right) return false;
        h->left_len = strlen(h->left);
    } else {
        h->left = json_string_value(v);
        const char *blank = h->left ? strchr(h->left, ' ') : NULL;
        if (!blank || strchr(blank + 1, ' ')) return false;
        h->left_len = (size_t)(blank - h->left);
        h->right = blank + 1;
    }
    h->right_len = strlen(h->right);
    return true;
}

static int no_token(const halves *h, size_t i, const char *where, clipc_err *err)
{
    return clipc_fail(err, CLIPC_ERR_FORMAT,
                      "%s: merge %zu, %.40s: not all of it is in the vocabulary", where,
                      i, h->left);
}

static int read_rule(pairs *p, const json_t *v, size_t i, const char *where,
                     clipc_err *err)
{
    const size_t skip = p->prefix ? strlen(p->prefix) : 0;
    halves h;

    if (!read_halves(&h, v))
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: merge %zu is not of two tokens",
                          where, i);
    const int32_t left = trie_find(p->vocab, h.left, h.left_len);
    const int32_t right = trie_find(p->vocab, h.right, h.right_len);
    if (left < 0 || right < 0 || h.right_len < skip) return no_token(&h, i, where, err);
    const uint32_t at = trie_walk(p->vocab, 0, h.left, h.left_len);
    const size_t rest = h.right_len - skip;
    const int32_t made =
        rest ? trie_id(p->vocab, trie_walk(p->vocab, at, h.right + skip, rest)) : left;
    if (made < 0) return no_token(&h, i, where, err);
    p->rules[p->n_rules++] =
        (rule){(uint32_t)left, (uint32_t)right, (uint32_t)i, (uint32_t)made};
    return CLIPC_OK;
}

/* Sorts the rules; of those for one pair the last counts. */
static void index_rules(pairs *p)
{
    const size_t end = trie_end_id(p->vocab);
    size_t n = 0, at = 0;

    if (p->n_rules) qsort(p->rules, p->n_rules, sizeof *p->rules, by_pair);
    for (size_t i = 0; i < p->n_rules; i++) {
        const rule *r = &p->rules[i];
        if (i + 1 < p->n_rules && r[1].left == r->left && r[1].right == r->right)
            continue;
        p->rules[n++] = *r;
    }
    p->n_rules = n;
    for (size_t left = 0; left <= end; left++) {
        while (at < n && p->rules[at].left < left) at++;
        p->first[left] = (uint32_t)at;
    }
}

static int read_rules(pairs *p, const json_t *merges, const char *where, clipc_err *err)
{
    const size_t n = json_array_size(merges);
    int rc = CLIPC_OK;

    if (!json_is_array(merges))
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no \"merges\"", where);
    p->rules = malloc((n + 1) * sizeof *p->rules);
    p->first = malloc((trie_end_id(p->vocab) + 1) * sizeof *p->first);
    if (!p->rules || !p->first)
        return clipc_fail_memory(err, where, n * sizeof *p->rules);
    for (size_t i = 0; rc == CLIPC_OK && i < n; i++) {
        const json_t *v = json_array_get(merges, i);
        const char *s = json_string_value(v);
        if (s && strncmp(s, "#version", 8) == 0) continue;
        rc = read_rule(p, v, i, where, err);
    }
    if (rc == CLIPC_OK) index_rules(p);
    return rc;
}

static int read_affix(char **out, const json_t *model, const char *key, const char *where,
                      clipc_err *err)
{
    const char *s = NULL;
    const int rc = json_get_string(&s, model, key, where, err);

    if (rc != CLIPC_OK || !s || !*s) return rc;
    if (strlen(s) > AFFIX_MAX)
        return clipc_fail(err, CLIPC_ERR_LIMIT, "%s: \"%s\" has more than %d bytes",
                          where, key, AFFIX_MAX);
    *out = strdup(s);
    return *out ? CLIPC_OK : clipc_fail_memory(err, where, strlen(s));
}

static int read_options(pairs *p, const json_t *model, const char *where, clipc_err *err)
{
    const char *unk = NULL;
    double dropout = 0;
    int rc = json_get_f64(&dropout, model, "dropout", where, err);

    if (rc == CLIPC_OK && dropout != 0)
        rc = clipc_fail(err, CLIPC_ERR_FEATURE, "%s: \"dropout\"", where);
    if (rc == CLIPC_OK)
        rc = read_affix(&p->prefix, model, "continuing_subword_prefix", where, err);
    if (rc == CLIPC_OK)
        rc = read_affix(&p->suffix, model, "end_of_word_suffix", where, err);
    if (rc == CLIPC_OK) rc = json_get_bool(&p->fuse_unk, model, "fuse_unk", where, err);
    if (rc == CLIPC_OK)
        rc = json_get_bool(&p->byte_fallback, model, "byte_fallback", where, err);
    if (rc == CLIPC_OK && p->byte_fallback && (p->prefix || p->suffix))
        rc = clipc_fail(err, CLIPC_ERR_FEATURE,
                        "%s: \"byte_fallback\" with a prefix or suffix", where);
    if (rc == CLIPC_OK)
        rc = json_get_bool(&p->ignore_merges, model, "ignore_merges", where, err);
    if (rc == CLIPC_OK) rc = json_get_string(&unk, model, "unk_token", where, err);
    if (rc != CLIPC_OK) return rc;
    p->unk = unk ? trie_find(p->vocab, unk, strlen(unk)) : NO_UNK;
    if (unk && p->unk < 0) p->unk = UNK_MISSING;
    for (unsigned i = 0; i < 256; i++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", i);
        p->byte[i] = trie_find(p->vocab, name, 6);
    }
    return CLIPC_OK;
}

int pairs_new(pairs **out, const json_t *model, const char *where, clipc_err *err)
{
    pairs *p = calloc(1, sizeof *p);
    int rc;

    *out = NULL;
    if (!p) return clipc_fail_memory(err, where, sizeof *p);
    rc = vocab_from_json(&p->vocab, json_object_get(model, "vocab"), where, err);
    if (rc == CLIPC_OK) rc = read_options(p, model, where, err);
    if (rc == CLIPC_OK) rc = read_rules(p, json_object_get(model, "merges"), where, err);
    if (rc == CLIPC_OK) *out = p;
    else pairs_free(p);
    return rc;
}

void pairs_free(pairs *p)
{
    if (!p) return;
    trie_free(p->vocab);
    free(p->rules);
    free(p->first);
    free(p->prefix);
    free(p->suffix);
    free(p);
}

const trie *pairs_vocab(const pairs *p)
{
    return p->vocab;
}

/* ---- words ---------------------------------------------------------------------------
 */

/* A model and what it may not make. */
typedef struct allowed {
    const pairs *p;
    const bool *skip;
} allowed;

static bool find_rule(const void *model, merge_rule *out, const merge_symbol *left,
                      const merge_symbol *right)
{
    const allowed *a = model;
    uint32_t lo = a->p->first[left->token], hi = a->p->first[left->token + 1];

    while (lo < hi) {
        const uint32_t mid = lo + (hi - lo) / 2;
        if (a->p->rules[mid].right < right->token) lo = mid + 1;
        else hi = mid;
    }
    if (lo == a->p->first[left->token + 1] || a->p->rules[lo].right != right->token)
        return false;
    const rule *r = &a->p->rules[lo];
    if (a->skip && a->skip[r->made]) return false;
    *out = (merge_rule){r->rank, r->made};
    return true;
}

/* The word as it is cut up, and the unknown characters that wait to be one token. */
typedef struct cutter {
    const pairs *p;
    merges_work *w;
    size_t unk_begin, unk_len;
} cutter;

static void flush_unk(cutter *c)
{
    if (c->unk_len) merges_add(c->w, (uint32_t)c->p->unk, c->unk_begin, c->unk_len);
    c->unk_len = 0;
}

/* A character's own token, prefix and suffix included; -1. */
static int32_t token_of(const pairs *p, const char *s, size_t n, bool first, bool last)
{
    uint32_t at = 0;

    if (!first && p->prefix &&
        !(at = trie_walk(p->vocab, 0, p->prefix, strlen(p->prefix))))
        return -1;
    if (!(at = trie_walk(p->vocab, at, s, n))) return -1;
    if (last && p->suffix &&
        !(at = trie_walk(p->vocab, at, p->suffix, strlen(p->suffix))))
        return -1;
    return trie_id(p->vocab, at);
}

/* The bytes of a character as tokens; false, with none added, if one of them lacks. */
static bool add_bytes(cutter *c, const char *s, size_t begin, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (c->p->byte[(uint8_t)s[i]] < 0) return false;
    for (size_t i = 0; i < n; i++)
        merges_add(c->w, (uint32_t)c->p->byte[(uint8_t)s[i]], begin + i, 1);
    return true;
}

/* As in the reference, bytes overtake unknown characters that wait. */
static int add_char(cutter *c, const char *s, size_t begin, size_t n, bool first,
                    bool last, clipc_err *err)
{
    const int32_t id = token_of(c->p, s, n, first, last);

    if (id >= 0) {
        flush_unk(c);
        merges_add(c->w, (uint32_t)id, begin, n);
        return CLIPC_OK;
    }
    if (c->p->byte_fallback && add_bytes(c, s, begin, n)) return CLIPC_OK;
    if (c->p->unk == UNK_MISSING)
        return clipc_fail(err, CLIPC_ERR_TEXT,
                          "text: an unknown character, and the vocabulary has no token "
                          "for it");
    if (c->p->unk == NO_UNK) return CLIPC_OK;
    if (!c->p->fuse_unk) flush_unk(c);
    if (!c->unk_len) c->unk_begin = begin;
    c->unk_len += n;
    return CLIPC_OK;
}

int pairs_encode(const pairs *p, merges_work *w, id_list *ids, const char *s, size_t len,
                 const bool *skip, clipc_err *err)
{
    const int32_t whole = p->ignore_merges ? trie_find(p->vocab, s, len) : -1;
    const allowed a = {p, skip};
    cutter c = {p, w, 0, 0};
    int rc;

    if (whole >= 0 && !(skip && skip[whole])) return ids_add(ids, whole, err);
    rc = merges_start(w, len, err);
    for (size_t i = 0, n; rc == CLIPC_OK && i < len; i += n) {
        n = char_claimed(s[i]);
        rc = add_char(&c, s + i, i, n, i == 0, i + n == len, err);
    }
    if (rc != CLIPC_OK) return rc;
    flush_unk(&c);
    if (!w->n) return CLIPC_OK;
    merges_run(w, find_rule, &a);
    for (int32_t i = 0; rc == CLIPC_OK && i >= 0; i = w->symbols[i].next)
        rc = ids_add(ids, (int32_t)w->symbols[i].token, err);
    return rc;
}

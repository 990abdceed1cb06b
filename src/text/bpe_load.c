#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "text/bpe_data.h"
#include "text/bpe_table.h"

enum {
    FILE_MAX = 16 << 20, /* merges as text; the real ones have half a megabyte */
    NAME_SLOTS = 1 << 17 /* 38 % full at most */
};

/* ---- the table -----------------------------------------------------------------------
 */

static void fill_slots(bpe *b)
{
    const size_t mask = ((size_t)1 << SLOT_BITS) - 1;

    for (uint32_t r = 0; r < b->n_merges; r++) {
        const uint32_t pair = (uint32_t)b->merges[r][0] << 16 | b->merges[r][1];
        size_t s = bpe_slot_of(pair);
        while (b->slots[s].rank) s = (s + 1) & mask;
        b->slots[s] = (bpe_slot){pair, r + 1};
    }
}

/* A table without merges. */
static int new_table(bpe **out, clipc_err *err)
{
    bpe *b = calloc(1, sizeof *b);

    *out = b;
    if (!b) return clipc_fail_memory(err, "vocabulary", sizeof *b);
    for (uint16_t i = 0; i < 256; i++) b->token_of[bpe_bytes[i]] = i;
    return CLIPC_OK;
}

int bpe_new(bpe **out, clipc_err *err)
{
    const int rc = new_table(out, err);

    if (rc != CLIPC_OK) return rc;
    (*out)->merges = bpe_merges;
    (*out)->n_merges = BPE_MERGES;
    fill_slots(*out);
    return CLIPC_OK;
}

int bpe_of_merges(bpe **out, uint16_t (*merges)[2], size_t n, clipc_err *err)
{
    const int rc = new_table(out, err);

    if (rc != CLIPC_OK) {
        free(merges);
        return rc;
    }
    (*out)->owned = merges;
    (*out)->merges = (const uint16_t(*)[2])merges;
    (*out)->n_merges = n;
    fill_slots(*out);
    return CLIPC_OK;
}

void bpe_free(bpe *b)
{
    if (!b) return;
    free(b->owned);
    free(b->ids);
    free(b);
}

void bpe_set_rules(bpe *b, bpe_rules rules)
{
    b->rules = rules;
    b->pad = rules == BPE_HF ? bpe_eot(b) : 0;
}

int bpe_set_pad(bpe *b, const char *token, clipc_err *err)
{
    buf symbol = {0};
    bool found = false;
    int rc = CLIPC_OK;

    for (int32_t t = bpe_token_eot(b); rc == CLIPC_OK && !found && t >= 0; t--) {
        buf_clear(&symbol);
        rc = bpe_spell(&symbol, b, t, true, err);
        found = rc == CLIPC_OK && strcmp(symbol.data, token) == 0;
        if (found) b->pad = bpe_id(b, t);
    }
    if (found && b->pad != bpe_eot(b))
        snprintf(b->pad_name, sizeof b->pad_name, "%s", token);
    buf_free(&symbol);
    return rc;
}

bool bpe_equal(const bpe *a, const bpe *b)
{
    if (a->n_merges != b->n_merges ||
        memcmp(a->merges, b->merges, a->n_merges * sizeof *a->merges) != 0)
        return false;
    for (int32_t t = 0; t <= bpe_token_eot(a); t++)
        if (bpe_id(a, t) != bpe_id(b, t)) return false;
    return true;
}

int32_t bpe_sot(const bpe *b)
{
    return bpe_id(b, bpe_token_sot(b));
}

int32_t bpe_eot(const bpe *b)
{
    return bpe_id(b, bpe_token_eot(b));
}

size_t bpe_vocab_size(const bpe *b)
{
    int32_t most = 0;

    for (int32_t t = 0; t <= bpe_token_eot(b); t++)
        if (bpe_id(b, t) > most) most = bpe_id(b, t);
    return (size_t)most + 1;
}

/* ---- merges as text ------------------------------------------------------------------
 */

/* A token under its spelling. */
typedef struct spelling {
    const char *s; /* NULL: empty slot */
    size_t len;
    int32_t token;
} spelling;

typedef struct reader {
    bpe *b;
    spelling *names;           /* [NAME_SLOTS], by open addressing */
    char base[FIRST_MERGE][8]; /* spellings of the bytes */
    char *text;                /* spellings of the merges, one behind the other */
    size_t text_len, line;
    const char *file; /* for messages */
} reader;

/* Where the name is, or would be put. */
static spelling *slot_named(const reader *r, const char *s, size_t len)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */

    for (size_t i = 0; i < len; i++) h = (h ^ (unsigned char)s[i]) * 1099511628211u;
    for (size_t i = (size_t)(h ^ h >> 32) % NAME_SLOTS;; i = (i + 1) % NAME_SLOTS) {
        spelling *n = &r->names[i];
        if (!n->s || (n->len == len && memcmp(n->s, s, len) == 0)) return n;
    }
}

static int name_bytes(reader *r, clipc_err *err)
{
    buf spelt = {0};
    int rc = CLIPC_OK;

    for (int32_t t = 0; rc == CLIPC_OK && t < FIRST_MERGE; t++) {
        buf_clear(&spelt);
        rc = bpe_spell(&spelt, r->b, t, true, err);
        if (rc != CLIPC_OK) break;
        memcpy(r->base[t], spelt.data, spelt.len + 1);
        *slot_named(r, r->base[t], spelt.len) = (spelling){r->base[t], spelt.len, t};
    }
    buf_free(&spelt);
    return rc;
}

static int bad_line(const reader *r, const char *why, clipc_err *err)
{
    return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: line %zu: %s", r->file, r->line, why);
}

static int read_merge(reader *r, const char *s, size_t len, clipc_err *err)
{
    const char *blank = memchr(s, ' ', len);
    bpe *b = r->b;

    if (!blank) return bad_line(r, "not two symbols", err);
    const size_t left_len = (size_t)(blank - s), right_len = len - left_len - 1;
    const spelling *left = slot_named(r, s, left_len);
    const spelling *right = slot_named(r, blank + 1, right_len);
    if (!left->s || !right->s)
        return bad_line(r, "a symbol that no earlier line makes", err);
    if (bpe_ends_word(b, left->token))
        return bad_line(r, "a merge beyond the end of a word", err);

    char *made = r->text + r->text_len;
    memcpy(made, s, left_len);
    memcpy(made + left_len, blank + 1, right_len);
    spelling *n = slot_named(r, made, len - 1);
    if (n->s) return bad_line(r, "makes a symbol that exists already", err);
    b->owned[b->n_merges][0] = (uint16_t)left->token;
    b->owned[b->n_merges][1] = (uint16_t)right->token;
    *n = (spelling){made, len - 1, FIRST_MERGE + (int32_t)b->n_merges++};
    r->text_len += len - 1;
    return CLIPC_OK;
}

static int read_merges(reader *r, const char *s, size_t size, clipc_err *err)
{
    const char *end = s + size;
    int rc = CLIPC_OK;

    for (r->line = 1; rc == CLIPC_OK && s < end && r->b->n_merges < MERGES_MAX;
         r->line++) {
        const char *eol = memchr(s, '\n', (size_t)(end - s));
        const char *next = eol ? eol + 1 : end;
        size_t len = (size_t)((eol ? eol : end) - s);

        if (len && s[len - 1] == '\r') len--;
        if (r->line > 1) rc = read_merge(r, s, len, err);
        s = next;
    }
    return rc;
}

int bpe_load(bpe **out, const char *merges, size_t size, const char *name, clipc_err *err)
{
    reader *r = calloc(1, sizeof *r);
    int rc;

    *out = NULL;
    if (!r) return clipc_fail_memory(err, name, sizeof *r);
    r->file = name;
    if (size > FILE_MAX) {
        rc = clipc_fail(err, CLIPC_ERR_LIMIT, "%s: %zu bytes, more than %d", name, size,
                        FILE_MAX);
        goto done;
    }
    if ((rc = new_table(&r->b, err)) != CLIPC_OK) goto done;
    r->names = calloc(NAME_SLOTS, sizeof *r->names);
    r->text = malloc(size + 1);
    r->b->owned = malloc(MERGES_MAX * sizeof *r->b->owned);
    if (!r->names || !r->text || !r->b->owned) {
        rc = clipc_fail_memory(err, name, size);
        goto done;
    }
    r->b->merges = (const uint16_t(*)[2])r->b->owned;
    if ((rc = name_bytes(r, err)) != CLIPC_OK) goto done;
    if ((rc = read_merges(r, merges, size, err)) != CLIPC_OK) goto done;
    fill_slots(r->b);
    *out = r->b, r->b = NULL;
done:
    bpe_free(r->b);
    free(r->names);
    free(r->text);
    free(r);
    return rc;
}

/* ---- ids of vocab.json ---------------------------------------------------------------
 */

/* The id of one token; -1 if there is none. */
static int id_named(int32_t *id, const json_t *vocab, const char *symbol,
                    const char *path, clipc_err *err)
{
    const json_t *v = json_object_get(vocab, symbol);

    *id = -1;
    if (!v) return CLIPC_OK;
    if (!json_is_integer(v) || json_integer_value(v) < 0 ||
        json_integer_value(v) >= INT32_MAX)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: the id of \"%.40s\" is no id", path,
                          symbol);
    *id = (int32_t)json_integer_value(v);
    return CLIPC_OK;
}

static int take_ids(bpe *b, const json_t *vocab, const char *path, clipc_err *err)
{
    const int32_t last = bpe_token_eot(b);
    buf symbol = {0};
    int rc = CLIPC_OK;

    b->ids = malloc(((size_t)last + 1) * sizeof *b->ids);
    if (!b->ids) return clipc_fail_memory(err, path, (size_t)last * sizeof *b->ids);
    for (int32_t t = last; rc == CLIPC_OK && t >= 0; t--) {
        buf_clear(&symbol);
        rc = bpe_spell(&symbol, b, t, true, err);
        if (rc == CLIPC_OK) rc = id_named(&b->ids[t], vocab, symbol.data, path, err);
        if (rc != CLIPC_OK || b->ids[t] >= 0) continue;
        if (t < FIRST_MERGE) b->ids[t] = b->ids[last];
        else
            rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no symbol \"%.40s\"", path,
                            symbol.data);
    }
    buf_free(&symbol);
    return rc;
}

int bpe_load_hf(bpe **out, const buf *vocab, const char *vocab_name, const buf *merges,
                const char *merges_name, clipc_err *err)
{
    json_t *ids = NULL;
    bpe *b = NULL;
    int rc;

    *out = NULL;
    if ((rc = bpe_load(&b, merges->data, merges->len, merges_name, err)) != CLIPC_OK)
        goto done;
    if ((rc = json_parse(&ids, vocab->data, vocab->len, vocab_name, err)) != CLIPC_OK)
        goto done;
    if ((rc = take_ids(b, ids, vocab_name, err)) != CLIPC_OK) goto done;
    bpe_set_rules(b, BPE_HF);
    *out = b, b = NULL;
done:
    bpe_free(b);
    json_decref(ids);
    return rc;
}

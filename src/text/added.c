#include "text/added.h"

#include <stdlib.h>
#include <string.h>

#include "text/chars.h"
#include "text/grow.h"
#include "text/trie.h"

typedef struct token {
    char *content;
    int32_t id;
    bool single_word, lstrip, rstrip, normalized, special;
} token;

struct added {
    token *tokens;
    json_t *index;  /* content: its place in tokens */
    trie *tries[2]; /* as they are, normalised: their values are places in tokens */
    size_t n, cap, next_id;
};

int added_new(added **out, clipc_err *err)
{
    added *a = calloc(1, sizeof *a);

    *out = NULL;
    if (a) a->index = json_object();
    if (!a || !a->index) {
        added_free(a);
        return clipc_fail_memory(err, "tokenizer", sizeof *a);
    }
    *out = a;
    return CLIPC_OK;
}

void added_free(added *a)
{
    if (!a) return;
    for (size_t i = 0; i < a->n; i++) free(a->tokens[i].content);
    free(a->tokens);
    json_decref(a->index);
    trie_free(a->tries[0]);
    trie_free(a->tries[1]);
    free(a);
}

static token *find(const added *a, const char *content)
{
    const json_t *at = json_object_get(a->index, content);
    return at ? &a->tokens[json_integer_value(at)] : NULL;
}

static int read_flags(token *t, const json_t *spec, const char *where, clipc_err *err)
{
    int rc = json_get_bool(&t->special, spec, "special", where, err);

    t->normalized = !t->special;
    if (rc == CLIPC_OK)
        rc = json_get_bool(&t->single_word, spec, "single_word", where, err);
    if (rc == CLIPC_OK) rc = json_get_bool(&t->lstrip, spec, "lstrip", where, err);
    if (rc == CLIPC_OK) rc = json_get_bool(&t->rstrip, spec, "rstrip", where, err);
    if (rc == CLIPC_OK)
        rc = json_get_bool(&t->normalized, spec, "normalized", where, err);
    return rc;
}

static int append(added *a, const token *t, const char *where, clipc_err *err)
{
    token *tokens = grow(a->tokens, &a->cap, a->n + 1, sizeof *tokens, err);

    if (!tokens) return CLIPC_ERR_MEMORY;
    a->tokens = tokens;
    tokens[a->n] = *t;
    if (!(tokens[a->n].content = strdup(t->content)))
        return clipc_fail_memory(err, where, strlen(t->content));
    a->n++;
    if (json_object_set_new(a->index, t->content, json_integer((json_int_t)a->n - 1)) !=
        0)
        return clipc_fail_memory(err, where, strlen(t->content));
    return CLIPC_OK;
}

int added_add(added *a, const json_t *spec, int32_t model_id, size_t model_size,
              const char *where, clipc_err *err)
{
    const char *content = NULL;
    token t = {0};
    int rc = json_get_string(&content, spec, "content", where, err);

    if (rc == CLIPC_OK && !content)
        rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s: an added token without \"content\"",
                        where);
    if (rc == CLIPC_OK) rc = read_flags(&t, spec, where, err);
    if (rc != CLIPC_OK || !*content) return rc;
    token *old = find(a, content);
    if (old) {
        t.content = old->content, t.id = old->id;
        t.special |= old->special; /* once special, always special */
        *old = t;
        return CLIPC_OK;
    }
    if (a->next_id < model_size) a->next_id = model_size;
    t.content = (char *)(uintptr_t)content; /* copied by append */
    t.id = model_id >= 0 ? model_id : (int32_t)a->next_id++;
    if (a->next_id <= (size_t)t.id) a->next_id = (size_t)t.id + 1;
    return append(a, &t, where, err);
}

/* The words of one of the tries; `text` holds normalised spellings, NUL-separated. */
static int collect(const added *a, trie_word *w, buf *text, const normalizer *n,
                   bool normalized, clipc_err *err)
{
    normalizer_work work = {0};
    buf one = {0};
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < a->n; i++) {
        const token *t = &a->tokens[i];
        bool at_start = true;
        buf_clear(&one);
        if (t->normalized != normalized) continue;
        rc = buf_puts(&one, t->content, err);
        if (rc == CLIPC_OK && normalized && n)
            rc = normalizer_run(n, &work, &one, &at_start, err);
        /* Only the length for now: the text may still move. */
        if (rc == CLIPC_OK) w[i].len = (uint32_t)one.len;
        if (rc == CLIPC_OK) rc = buf_add(text, one.data, one.len, err);
    }
    normalizer_work_free(&work);
    buf_free(&one);
    return rc;
}

static int make_trie(added *a, const normalizer *n, bool normalized, const char *where,
                     clipc_err *err)
{
    trie_word *w = calloc(a->n + 1, sizeof *w);
    buf text = {0};
    size_t used = 0, kept = 0;
    int rc = w ? collect(a, w, &text, n, normalized, err)
               : clipc_fail_memory(err, where, a->n * sizeof *w);

    for (size_t i = 0; rc == CLIPC_OK && i < a->n; i++) {
        const uint32_t len = w[i].len;
        if (len) w[kept++] = (trie_word){text.data + used, len, (int32_t)i};
        used += len;
    }
    if (rc == CLIPC_OK) rc = trie_new(&a->tries[normalized], w, kept, where, err);
    free(w);
    buf_free(&text);
    return rc;
}

int added_finish(added *a, const normalizer *n, const char *where, clipc_err *err)
{
    const int rc = make_trie(a, n, false, where, err);
    return rc == CLIPC_OK ? make_trie(a, n, true, where, err) : rc;
}

int32_t added_id(const added *a, const char *content)
{
    const token *t = find(a, content);
    return t ? t->id : -1;
}

const char *added_token(const added *a, size_t i, int32_t *id, bool *special)
{
    if (i >= a->n) return NULL;
    *id = a->tokens[i].id;
    *special = a->tokens[i].special;
    return a->tokens[i].content;
}

/* ---- splitting -----------------------------------------------------------------------
 */

/* Where the character before byte i begins. */
static size_t before(const char *s, size_t i)
{
    while (i && (s[--i] & 0xc0) == 0x80) continue;
    return i;
}

static bool stands_alone(const char *s, size_t begin, size_t end, size_t len)
{
    const size_t i = before(s, begin);
    uint32_t c;

    if (begin && char_next(&c, s + i, begin - i) && char_is_word(c)) return false;
    return !(char_next(&c, s + end, len - end) && char_is_word(c));
}

/* The match with the white space that it takes, none from before `from`. */
static match widen(const token *t, const char *s, size_t begin, size_t end, size_t len,
                   size_t from)
{
    uint32_t c;

    while (t->lstrip && begin > from) {
        const size_t i = before(s, begin);
        if (!char_next(&c, s + i, begin - i) || !char_is_space(c)) break;
        begin = i;
    }
    if (begin < from) begin = from;
    for (size_t n; t->rstrip && (n = char_next(&c, s + end, len - end)); end += n)
        if (!char_is_space(c)) break;
    return (match){(uint32_t)begin, (uint32_t)end, true};
}

int added_split(const added *a, bool normalized, word_list *out, const char *s,
                size_t len, size_t base, bool at_start, bool special, clipc_err *err)
{
    size_t done = 0;
    int rc = CLIPC_OK;

    for (size_t i = 0, n = 0; rc == CLIPC_OK && i < len; i += n) {
        const int32_t which = trie_longest(a->tries[normalized], 0, s + i, len - i, &n);
        if (which < 0) {
            n = 1;
            continue;
        }
        const token *t = &a->tokens[which];
        if (t->special && !special) continue;
        if (t->single_word && !stands_alone(s, i, i + n, len)) continue;
        const match m = widen(t, s, i, i + n, len, done);
        rc = words_add(out,
                       (word){(uint32_t)(base + done), (uint32_t)(m.begin - done), -1,
                              at_start && done == 0},
                       err);
        if (rc == CLIPC_OK) rc = words_add(out, (word){0, 0, t->id, false}, err);
        done = m.end;
    }
    if (rc == CLIPC_OK && done < len)
        rc = words_add(out,
                       (word){(uint32_t)(base + done), (uint32_t)(len - done), -1,
                              at_start && done == 0},
                       err);
    return rc;
}

#include "text/trie.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

typedef struct node {
    uint32_t child; /* children lie side by side, sorted by byte */
    int32_t id;     /* of the word that ends here; -1: none */
    uint16_t n_children;
    uint8_t byte;
} node;

struct trie {
    node *nodes; /* the root is the first */
    size_t n_nodes, n_words, end_id;
};

/* The words that begin as a node does. */
typedef struct branch {
    uint32_t begin, end, depth;
} branch;

static bool same_text(const trie_word *a, const trie_word *b)
{
    return a->len == b->len && memcmp(a->s, b->s, a->len) == 0;
}

static int by_text(const void *x, const void *y)
{
    const trie_word *a = x, *b = y;
    const int c = memcmp(a->s, b->s, a->len < b->len ? a->len : b->len);

    if (c) return c;
    if (a->len != b->len) return a->len < b->len ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

/* Sorts them, and of equal ones keeps the last. */
static size_t sort_words(trie_word *w, size_t n)
{
    size_t kept = 0;

    if (n) qsort(w, n, sizeof *w, by_text);
    for (size_t i = 0; i < n; i++)
        if (i + 1 == n || !same_text(&w[i], &w[i + 1])) w[kept++] = w[i];
    return kept;
}

/* Every byte that a word does not share with the one before it is a node. */
static size_t count_nodes(const trie_word *w, size_t n)
{
    size_t nodes = 1;

    for (size_t i = 0; i < n; i++) {
        const trie_word *a = &w[i], *b = i ? a - 1 : NULL;
        size_t same = 0;
        while (b && same < a->len && same < b->len && a->s[same] == b->s[same]) same++;
        nodes += a->len - same;
    }
    return nodes;
}

/* Level by level: each node gives its words to children by their next byte. */
static void fill(node *nodes, branch *from, const trie_word *w, size_t n_words)
{
    uint32_t n = 1;

    nodes[0] = (node){0, -1, 0, 0};
    from[0] = (branch){0, (uint32_t)n_words, 0};
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t depth = from[i].depth;
        uint32_t at = from[i].begin;
        if (at < from[i].end && w[at].len == depth) nodes[i].id = w[at++].id;
        nodes[i].child = n;
        while (at < from[i].end) {
            const uint8_t byte = (uint8_t)w[at].s[depth];
            const uint32_t begin = at;
            while (at < from[i].end && (uint8_t)w[at].s[depth] == byte) at++;
            nodes[n] = (node){0, -1, 0, byte};
            from[n++] = (branch){begin, at, depth + 1};
            nodes[i].n_children++;
        }
    }
}

/* Bounds that keep every count in 32 bits. */
static int check(const trie_word *w, size_t n, const char *name, clipc_err *err)
{
    size_t bytes = 0;

    for (size_t i = 0; i < n; i++) {
        if (w[i].len > TRIE_WORD_MAX)
            return clipc_fail(err, CLIPC_ERR_LIMIT,
                              "%s: token %d has %u bytes, more than %d", name,
                              (int)w[i].id, (unsigned)w[i].len, TRIE_WORD_MAX);
        bytes += w[i].len;
    }
    if (n > TRIE_BYTES_MAX || bytes > TRIE_BYTES_MAX)
        return clipc_fail(err, CLIPC_ERR_LIMIT, "%s: words of %zu bytes, more than %d",
                          name, bytes, TRIE_BYTES_MAX);
    return CLIPC_OK;
}

int trie_new(trie **out, trie_word *words, size_t n, const char *name, clipc_err *err)
{
    trie *t = NULL;
    branch *from = NULL;
    int rc = check(words, n, name, err);

    *out = NULL;
    if (rc != CLIPC_OK) return rc;
    n = sort_words(words, n);
    const size_t n_nodes = count_nodes(words, n);
    t = calloc(1, sizeof *t);
    if (t) t->nodes = malloc(n_nodes * sizeof *t->nodes);
    from = malloc(n_nodes * sizeof *from);
    if (!t || !t->nodes || !from) {
        trie_free(t);
        free(from);
        return clipc_fail_memory(err, name, n_nodes * (sizeof *from + sizeof(node)));
    }
    fill(t->nodes, from, words, n);
    free(from);
    t->n_nodes = n_nodes;
    t->n_words = n;
    for (size_t i = 0; i < n; i++)
        if ((size_t)words[i].id >= t->end_id) t->end_id = (size_t)words[i].id + 1;
    *out = t;
    return CLIPC_OK;
}

void trie_free(trie *t)
{
    if (!t) return;
    free(t->nodes);
    free(t);
}

size_t trie_words(const trie *t)
{
    return t->n_words;
}

size_t trie_end_id(const trie *t)
{
    return t->end_id;
}

uint32_t trie_child(const trie *t, uint32_t parent, uint8_t byte)
{
    uint32_t lo = t->nodes[parent].child, n = t->nodes[parent].n_children;

    while (n > 1) {
        const uint32_t half = n / 2;
        if (t->nodes[lo + half].byte <= byte) lo += half, n -= half;
        else n = half;
    }
    return n && t->nodes[lo].byte == byte ? lo : 0;
}

uint32_t trie_walk(const trie *t, uint32_t parent, const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!(parent = trie_child(t, parent, (uint8_t)s[i]))) return 0;
    return parent;
}

int32_t trie_id(const trie *t, uint32_t at)
{
    return t->nodes[at].id;
}

int trie_spell(buf *out, const trie *t, int32_t id, clipc_err *err)
{
    const size_t start = out->len;
    uint32_t at = 0;
    int rc = CLIPC_OK;

    while (at < t->n_nodes && t->nodes[at].id != id) at++;
    if (id < 0 || at == t->n_nodes) return CLIPC_OK;
    /* Upwards: a node's parent is the last whose children do not begin behind it. */
    while (at && rc == CLIPC_OK) {
        rc = buf_add(out, &t->nodes[at].byte, 1, err);
        for (uint32_t child = at--; t->nodes[at].child > child;) at--;
    }
    for (size_t i = start, j = out->len; rc == CLIPC_OK && i + 1 < j; i++) {
        const char c = out->data[i];
        out->data[i] = out->data[--j];
        out->data[j] = c;
    }
    return rc;
}

int32_t trie_find(const trie *t, const char *s, size_t len)
{
    return trie_id(t, trie_walk(t, 0, s, len));
}

int32_t trie_longest(const trie *t, uint32_t at, const char *s, size_t len,
                     size_t *word_len)
{
    int32_t id = -1;

    for (size_t i = 0; i < len && (at = trie_child(t, at, (uint8_t)s[i])); i++)
        if (t->nodes[at].id >= 0) id = t->nodes[at].id, *word_len = i + 1;
    return id;
}

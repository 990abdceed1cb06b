#include "train/reword.h"

#include <stdlib.h>
#include <string.h>

#include "text/chars.h"
#include "text/grow.h"

int reword_work_new(reword_work *w, clipc_err *err)
{
    return clean_work_new(&w->clean, err);
}

void reword_work_free(reword_work *w)
{
    clean_work_free(w->clean);
    buf_free(&w->text);
    buf_free(&w->cuts);
    free(w->found);
}

/* Between letters these belong to the word. */
static bool joins(uint32_t c, const char *rest, size_t len)
{
    uint32_t next;

    return (c == '-' || c == '\'') && char_next(&next, rest, len) && char_is_word(next);
}

static int mark_cuts(reword_work *w, clipc_err *err)
{
    const char *s = w->text.data;
    const size_t len = w->text.len;
    bool inside = false;
    uint32_t c;

    buf_clear(&w->cuts);
    const int rc = buf_reserve(&w->cuts, len + 1, err);
    if (rc != CLIPC_OK) return rc;
    for (size_t i = 0, n; i < len; i += n) {
        n = char_next(&c, s + i, len - i);
        const bool letter =
            char_is_word(c) || (inside && joins(c, s + i + n, len - i - n));
        for (size_t k = 0; k < n; k++)
            w->cuts.data[i + k] = k == 0 && !(inside && letter);
        inside = letter;
    }
    w->cuts.data[len] = 1;
    return CLIPC_OK;
}

/* The longest word that begins at a place; its end, or 0. */
static size_t longest(const dictionary_word **out, const reword_work *w,
                      const dictionary *d, size_t begin)
{
    const char *s = w->text.data;
    const size_t len = w->text.len;
    uint32_t at = 0, c;
    size_t best = 0;
    char lower[4];

    for (size_t i = begin; i < len;) {
        i += char_next(&c, s + i, len - i);
        at = trie_walk(d->spellings, at, lower, char_put(lower, char_lower(c)));
        if (!at) break;
        const int32_t id = w->cuts.data[i] ? trie_id(d->spellings, at) : -1;
        if (id < 0) continue;
        *out = &d->words[id];
        best = i;
    }
    return best;
}

static bool is_whole(const reword_work *w, const reword_place *p)
{
    return p->begin == 0 && p->end == w->text.len;
}

static int keep(reword_work *w, const reword_place *p, clipc_err *err)
{
    reword_place *found = grow(w->found, &w->cap, w->n + 1, sizeof *found, err);

    if (!found) return CLIPC_ERR_MEMORY;
    w->found = found;
    found[w->n++] = *p;
    return CLIPC_OK;
}

int reword_find(reword_work *w, const dictionary *d, const char *caption, clipc_err *err)
{
    int rc =
        text_clean(&w->text, w->clean, caption, strlen(caption), CLEAN_WHITESPACE, err);

    w->n = 0;
    if (rc == CLIPC_ERR_TEXT) return CLIPC_OK; /* which the tokenizer will say */
    if (rc == CLIPC_OK) rc = mark_cuts(w, err);
    for (size_t i = 0; rc == CLIPC_OK && i < w->text.len;) {
        reword_place p = {.begin = i};
        if (w->cuts.data[i]) p.end = longest(&p.word, w, d, i);
        if (p.end && (p.word->synonyms || is_whole(w, &p))) rc = keep(w, &p, err);
        i = p.end ? p.end : i + 1;
    }
    return rc;
}

bool reword_whole(const reword_work *w)
{
    return w->n && is_whole(w, w->found);
}

int reword_caption(buf *out, bool *gloss, reword_work *w, const dictionary *d,
                   const char *caption, rng *r, clipc_err *err)
{
    int rc = reword_find(w, d, caption, err);

    *gloss = false;
    buf_clear(out);
    if (rc != CLIPC_OK || !w->n) return rc;
    const reword_place *p = &w->found[rng_below(r, w->n)];
    const dictionary_word *word = p->word;
    const uint64_t which =
        rng_below(r, word->synonyms + (reword_whole(w) ? word->glosses : 0u));
    const dictionary_text *t = &d->texts[word->first + which];
    *gloss = which >= word->synonyms;
    rc = buf_add(out, w->text.data, p->begin, err);
    if (rc == CLIPC_OK) rc = buf_add(out, d->file.data + t->at, t->len, err);
    if (rc == CLIPC_OK) rc = buf_puts(out, w->text.data + p->end, err);
    return rc;
}

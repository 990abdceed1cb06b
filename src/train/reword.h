/* train/reword.h -- what else a caption could say, by a dictionary.
 *
 * Words are found in the caption where words begin and end (a hyphen or an apostrophe
 * between letters ends none), whatever their case: the leftmost first, of those the
 * longest.  A synonym takes a word's place anywhere; a gloss says what a whole caption
 * means, and would be no phrase inside one, where a word with glosses alone stays as it
 * is. */
#ifndef CLIPC_TRAIN_REWORD_H
#define CLIPC_TRAIN_REWORD_H

#include <stdbool.h>

#include "base/rng.h"
#include "text/clean.h"
#include "train/dictionary.h"

/* A word of a caption, by its place in bytes. */
typedef struct reword_place {
    size_t begin, end;
    const dictionary_word *word;
} reword_place;

/* One thread's scratch: of the last caption. */
typedef struct reword_work {
    clean_work *clean;
    buf text; /* cleaned, case and all */
    buf cuts; /* 1: a word may begin or end before this byte */
    reword_place *found;
    size_t n, cap;
} reword_work;

int reword_work_new(reword_work *w, clipc_err *err);
void reword_work_free(reword_work *w);

/* Finds w->n words in a caption; none in what is no UTF-8. */
int reword_find(reword_work *w, const dictionary *d, const char *caption, clipc_err *err);
/* Behind reword_find: the only one found is all of the caption. */
bool reword_whole(const reword_work *w);

/* out = the caption with one of its words, drawn, said otherwise; empty if none is known.
 * *gloss: it became a gloss. */
int reword_caption(buf *out, bool *gloss, reword_work *w, const dictionary *d,
                   const char *caption, rng *r, clipc_err *err);

#endif

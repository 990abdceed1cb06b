/* clip/vocab_cut.h -- the part of a WordPiece vocabulary that a text tower which knows
 * languages of Latin letters alone can be asked for: without tokens that stand for
 * nothing
 * ("[unused7]") and those of other scripts than Latin and Greek, which are [UNK] then. */
#ifndef CLIPC_CLIP_VOCAB_CUT_H
#define CLIPC_CLIP_VOCAB_CUT_H

#include "base/buf.h"

/* words: a vocab.txt, which becomes the lines that stay.  *kept [n], to be freed: the
 * numbers that these had. */
int vocab_cut(size_t **kept, size_t *n, buf *words, clipc_err *err);

#endif

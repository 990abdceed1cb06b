/* text/canonical.h -- what open_clip and transformers do to a text before one of the
 * tokenizers of Hugging Face sees it (open_clip tokenizer.py get_clean_fn, transformers
 * tokenization_siglip.py canonicalize_text), ftfy's repair excepted. */
#ifndef CLIPC_TEXT_CANONICAL_H
#define CLIPC_TEXT_CANONICAL_H

#include "base/buf.h"

typedef enum canonical_rules {
    CANONICAL_NONE,
    /* open_clip: html.unescape twice, runs of white space to one blank, none at the ends;
     */
    CANONICAL_WHITESPACE,
    CANONICAL_LOWER, /* then Python's lower(); */
    CANONICAL_FULL,  /* '_' to a blank, ASCII's punctuation out, lower(), white space */
    /* transformers' SigLIP: lower(), punctuation out, white space */
    CANONICAL_SIGLIP,
    CANONICAL_SIGLIP_CASED
} canonical_rules;

/* out = the text (cleared first); work is scratch.  The text is UTF-8. */
int canonical_text(buf *out, buf *work, canonical_rules rules, const char *text,
                   size_t len, clipc_err *err);

#endif

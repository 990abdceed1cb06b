/* text/pattern.h -- the regular expressions of tokenizer.json, which mean what Oniguruma
 * takes them for (Ruby's syntax, Unicode classes), by PCRE2.
 *
 * Spelt anew where the two differ: \s, \w, \b, \d, \h, \v, \u, [:alpha:]; lines begin and
 * end at ^ and
 * $. Refused by name: sets inside sets and their intersection, {n,m}+, options but a
 * leading
 * (?i) or (?i:...), escapes that PCRE2 lacks. */
#ifndef CLIPC_TEXT_PATTERN_H
#define CLIPC_TEXT_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"

typedef struct pattern pattern;

/* `literal`: the text itself and no expression. */
int pattern_new(pattern **out, const char *text, bool literal, const char *where,
                clipc_err *err);
/* {"String": text} or {"Regex": text}. */
int pattern_from_json(pattern **out, const json_t *spec, const char *where,
                      clipc_err *err);
void pattern_free(pattern *p);

/* A part of a text, which the pattern matched or not. */
typedef struct match {
    uint32_t begin, end;
    bool hit;
} match;

typedef struct match_list {
    match *at;
    void *data; /* PCRE2's */
    size_t n, cap;
} match_list;

void matches_free(match_list *l);
int matches_add(match_list *l, size_t begin, size_t end, bool hit, clipc_err *err);

/* The text from end to end in order: matches, which may be empty, and what lies between
 * them. s is UTF-8. */
int pattern_cover(const pattern *p, match_list *out, const char *s, size_t len,
                  clipc_err *err);

#endif

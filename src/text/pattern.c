#include "text/pattern.h"

#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/buf.h"
#include "text/chars.h"
#include "text/grow.h"

#define SET_WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"
/* Outside sets Oniguruma has a table of its own for Latin-1, with its six numbers. */
#define WORD SET_WORD "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"
#define HEX  "0-9a-fA-F"
/* Between a word and none; PCRE2's own \\b does not count marks among words. */
#define EDGE    "(?:(?<=[" WORD "])(?![" WORD "])|(?<![" WORD "])(?=[" WORD "]))"
#define NO_EDGE "(?:(?<=[" WORD "])(?=[" WORD "])|(?<![" WORD "])(?![" WORD "]))"

enum { PATTERN_MAX = 64 << 10 };

struct pattern {
    pcre2_code *code;
};

/* ---- Oniguruma's expressions as PCRE2's ----------------------------------------------
 */

typedef struct translator {
    buf *out;
    const char *s, *where;
    bool in_set;
} translator;

static int refuse(const translator *t, const char *what, clipc_err *err)
{
    return clipc_fail(err, CLIPC_ERR_FEATURE, "%s: a pattern with %s: %.60s", t->where,
                      what, t->s);
}

/* A class of characters that stands inside a set or alone. */
static int put_class(translator *t, const char *members, bool negated, clipc_err *err)
{
    if (t->in_set && negated) return refuse(t, "a negated class in a set", err);
    if (t->in_set) return buf_puts(t->out, members, err);
    return buf_printf(t->out, err, "[%s%s]", negated ? "^" : "", members);
}

/* \uHHHH */
static int put_unicode(translator *t, clipc_err *err)
{
    const char *hex = t->s + 2;

    if (strspn(hex, "0123456789abcdefABCDEF") < 4) return refuse(t, "a broken \\u", err);
    t->s += 4;
    return buf_printf(t->out, err, "\\x{%.4s}", hex);
}

/* \\p{...}, \\x{...} and whatever else is the same in both. */
static int put_same(translator *t, clipc_err *err)
{
    const char *end = strchr("pPx", t->s[1]) && t->s[2] == '{' ? strchr(t->s, '}') : NULL;
    const size_t n = end ? (size_t)(end + 1 - t->s) : 2;
    const int rc = buf_add(t->out, t->s, n, err);

    t->s += n - 2;
    return rc;
}

/* An escape: t->s is at the backslash, and is left at its last character. */
static int put_escape(translator *t, clipc_err *err)
{
    const char c = t->s[1];
    int rc;

    switch (c) {
    case '\0': return refuse(t, "a backslash at its end", err);
    case 's': rc = buf_puts(t->out, "\\p{White_Space}", err); break;
    case 'S': rc = buf_puts(t->out, "\\P{White_Space}", err); break;
    case 'd': rc = buf_puts(t->out, "\\p{Nd}", err); break;
    case 'D': rc = buf_puts(t->out, "\\P{Nd}", err); break;
    case 'w':
    case 'W': rc = put_class(t, t->in_set ? SET_WORD : WORD, c == 'W', err); break;
    case 'h':
    case 'H': rc = put_class(t, HEX, c == 'H', err); break;
    case 'v': rc = buf_puts(t->out, "\\x{0b}", err); break;
    case 'u': rc = put_unicode(t, err); break;
    default:
        if (((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) &&
            !strchr("pPRXKGAzZbBnrtfeaxkN", c))
            return refuse(t, "an escape that is not supported", err);
        if (!t->in_set && (c == 'b' || c == 'B'))
            rc = buf_puts(t->out, c == 'b' ? EDGE : NO_EDGE, err);
        else rc = put_same(t, err);
    }
    t->s++;
    return rc;
}

/* [:name:] */
typedef struct posix {
    const char *name, *members;
} posix;

static const posix posix_classes[] = {{"[:alnum:]", "\\p{Alphabetic}\\p{Nd}"},
                                      {"[:alpha:]", "\\p{Alphabetic}"},
                                      {"[:ascii:]", "\\x00-\\x7f"},
                                      {"[:blank:]", "\\t\\p{Zs}"},
                                      {"[:cntrl:]", "\\p{Cc}"},
                                      {"[:digit:]", "\\p{Nd}"},
                                      {"[:lower:]", "\\p{Lowercase}"},
                                      {"[:punct:]", "\\p{P}\\p{S}"},
                                      {"[:space:]", "\\p{White_Space}"},
                                      {"[:upper:]", "\\p{Uppercase}"},
                                      {"[:xdigit:]", HEX}};

static int put_posix(translator *t, clipc_err *err)
{
    for (size_t i = 0; i < sizeof posix_classes / sizeof *posix_classes; i++) {
        const size_t n = strlen(posix_classes[i].name);
        if (strncmp(t->s, posix_classes[i].name, n) != 0) continue;
        t->s += n - 1;
        return buf_puts(t->out, posix_classes[i].members, err);
    }
    return refuse(t, "a set in a set", err);
}

static int put_in_set(translator *t, clipc_err *err)
{
    if (t->s[0] == '[') return put_posix(t, err);
    if (t->s[0] == '&' && t->s[1] == '&') return refuse(t, "an intersection", err);
    if (t->s[0] == ']') t->in_set = false;
    return buf_add(t->out, t->s, 1, err);
}

/* "(?...": groups and looking around mean the same in both; options do not. */
static bool same_group(const char *s, bool at_start)
{
    if (strchr(":=!><", s[2]) && s[2]) return true;
    return strncmp(s, "(?i:", 4) == 0 || (at_start && strncmp(s, "(?i)", 4) == 0);
}

/* The start of a set; a ']' right behind it is a member. */
static int open_set(translator *t, clipc_err *err)
{
    size_t n = t->s[1] == '^' ? 2 : 1;

    if (t->s[n] == ']') n++;
    t->in_set = true;
    const int rc = buf_add(t->out, t->s, n, err);
    t->s += n - 1;
    return rc;
}

static int translate(translator *t, clipc_err *err)
{
    const char *start = t->s;
    int rc = CLIPC_OK;

    for (; rc == CLIPC_OK && *t->s; t->s++) {
        if (*t->s == '\\') {
            rc = put_escape(t, err);
        } else if (t->in_set) {
            rc = put_in_set(t, err);
        } else if (*t->s == '[') {
            rc = open_set(t, err);
        } else if (t->s[0] == '}' && t->s[1] == '+') {
            rc = refuse(t, "{...}+", err);
        } else if (t->s[0] == '(' &&
                   (t->s[1] == '*' ||
                    (t->s[1] == '?' && !same_group(t->s, t->s == start)))) {
            rc = refuse(t, "options", err);
        } else {
            rc = buf_add(t->out, t->s, 1, err);
        }
    }
    return rc;
}

/* ---- patterns ------------------------------------------------------------------------
 */

static int compile(pattern *p, const char *text, size_t len, uint32_t options,
                   const char *where, clipc_err *err)
{
    pcre2_compile_context *c = pcre2_compile_context_create(NULL);
    int code;
    PCRE2_SIZE at;

    if (!c) return clipc_fail_memory(err, where, 0);
    pcre2_set_newline(c, PCRE2_NEWLINE_LF);
    p->code = pcre2_compile((PCRE2_SPTR)text, len, PCRE2_UTF | options, &code, &at, c);
    pcre2_compile_context_free(c);
    if (!p->code)
        return clipc_fail(err, CLIPC_ERR_FEATURE,
                          "%s: PCRE2 refuses a pattern (%d at byte %zu): %.60s", where,
                          code, at, text);
    pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE); /* without it the interpreter runs */
    return CLIPC_OK;
}

int pattern_new(pattern **out, const char *text, bool literal, const char *where,
                clipc_err *err)
{
    pattern *p = calloc(1, sizeof *p);
    buf spelt = {0};
    translator t = {&spelt, text, where, false};
    int rc = CLIPC_OK;

    *out = NULL;
    if (!p) return clipc_fail_memory(err, where, sizeof *p);
    if (strlen(text) > PATTERN_MAX) {
        rc = clipc_fail(err, CLIPC_ERR_LIMIT, "%s: a pattern of %zu bytes, more than %d",
                        where, strlen(text), PATTERN_MAX);
    } else if (literal) {
        rc = compile(p, text, strlen(text), PCRE2_LITERAL, where, err);
    } else if ((rc = translate(&t, err)) == CLIPC_OK) {
        rc = compile(p, spelt.data ? spelt.data : "", spelt.len,
                     PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, where, err);
    }
    buf_free(&spelt);
    if (rc == CLIPC_OK) *out = p;
    else pattern_free(p);
    return rc;
}

int pattern_from_json(pattern **out, const json_t *spec, const char *where,
                      clipc_err *err)
{
    const char *text = NULL, *regex = NULL;
    int rc = json_get_string(&text, spec, "String", where, err);

    *out = NULL;
    if (rc == CLIPC_OK) rc = json_get_string(&regex, spec, "Regex", where, err);
    if (rc != CLIPC_OK) return rc;
    if (!text == !regex)
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: a pattern is \"String\" or \"Regex\"", where);
    return pattern_new(out, text ? text : regex, text != NULL, where, err);
}

void pattern_free(pattern *p)
{
    if (!p) return;
    pcre2_code_free(p->code);
    free(p);
}

void matches_free(match_list *l)
{
    free(l->at);
    pcre2_match_data_free(l->data);
    *l = (match_list){0};
}

int matches_add(match_list *l, size_t begin, size_t end, bool hit, clipc_err *err)
{
    match *at = grow(l->at, &l->cap, l->n + 1, sizeof *at, err);

    if (!at) return CLIPC_ERR_MEMORY;
    l->at = at;
    at[l->n++] = (match){(uint32_t)begin, (uint32_t)end, hit};
    return CLIPC_OK;
}

static int next_match(const pattern *p, match_list *l, const char *s, size_t len,
                      size_t from)
{
    const uint32_t options = PCRE2_NO_UTF_CHECK;
    int rc = pcre2_match(p->code, (PCRE2_SPTR)s, len, from, options, l->data, NULL);

    if (rc ==
        PCRE2_ERROR_JIT_STACKLIMIT) /* the interpreter takes its stack from the heap */
        rc = pcre2_match(p->code, (PCRE2_SPTR)s, len, from, options | PCRE2_NO_JIT,
                         l->data, NULL);
    return rc;
}

int pattern_cover(const pattern *p, match_list *out, const char *s, size_t len,
                  clipc_err *err)
{
    size_t from = 0, covered = 0, last_end = SIZE_MAX;
    int rc = CLIPC_OK, found = PCRE2_ERROR_NOMATCH;

    out->n = 0;
    if (!out->data && !(out->data = pcre2_match_data_create(1, NULL)))
        return clipc_fail_memory(err, "tokenizer", 0);
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(out->data);
    while (rc == CLIPC_OK && from <= len) {
        if ((found = next_match(p, out, s, len, from)) < 0) break;
        const size_t begin = at[0], end = at[1];
        if (begin > end || begin < covered) break; /* \K may turn a match around */
        if (begin == end && end == last_end) {     /* an empty one right behind another */
            from += from < len ? char_claimed(s[from]) : 1;
            continue;
        }
        if (begin > covered) rc = matches_add(out, covered, begin, false, err);
        if (rc == CLIPC_OK) rc = matches_add(out, begin, end, true, err);
        covered = from = last_end = end;
    }
    if (rc == CLIPC_OK && found < 0 && found != PCRE2_ERROR_NOMATCH)
        rc = clipc_fail(err, CLIPC_ERR_TEXT, "text: cannot be split (PCRE2 says %d)",
                        found);
    if (rc == CLIPC_OK && covered < len) rc = matches_add(out, covered, len, false, err);
    return rc;
}

#include "text/pretokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "text/bytelevel.h"
#include "text/chars.h"
#include "text/clean.h"
#include "text/grow.h"

/* Rust's own regular expressions: \w+|[^\w\s]+, with joiners among the words. */
#define RUST_WORD          "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200c}\\x{200d}"
#define WHITESPACE_PATTERN "[" RUST_WORD "]+|[^" RUST_WORD "\\s]+"

enum { STEPS_MAX = 64, DEPTH_MAX = 8, TEXT_GROWN_MAX = 8 * TEXT_MAX };

/* What becomes of the parts that match. */
typedef enum behavior {
    REMOVED,
    ISOLATED,
    MERGED_WITH_PREVIOUS,
    MERGED_WITH_NEXT,
    CONTIGUOUS,
    N_BEHAVIORS
} behavior;

static const char *const behavior_names[N_BEHAVIORS] = {
    "Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"};

typedef enum action {
    /* These split ... */
    SPLIT_PATTERN,
    SPLIT_SPACE,
    SPLIT_PUNCT,
    SPLIT_NUMERIC,
    SPLIT_CHAR,
    /* ... and these rewrite each word. */
    PUT_SPACE, /* a blank in front where there is none */
    PUT_META,  /* `c` for blanks, and in front */
    PUT_BYTES  /* GPT-2's byte alphabet */
} action;

typedef enum prepend { NEVER, FIRST, ALWAYS } prepend;

typedef struct step {
    action action;
    behavior behavior;
    bool invert;
    pattern *pattern;
    uint32_t c;
    prepend prepend;
} step;

struct pretokenizer {
    step steps[STEPS_MAX];
    size_t n;
};

void words_free(word_list *l)
{
    free(l->at);
    *l = (word_list){0};
}

int words_add(word_list *l, word w, clipc_err *err)
{
    if (!w.len && w.id < 0) return CLIPC_OK;
    word *at = grow(l->at, &l->cap, l->n + 1, sizeof *at, err);
    if (!at) return CLIPC_ERR_MEMORY;
    l->at = at;
    at[l->n++] = w;
    return CLIPC_OK;
}

/* ---- loading -------------------------------------------------------------------------
 */

static int add_step(pretokenizer *p, step s, const char *where, clipc_err *err)
{
    if (p->n < STEPS_MAX) {
        p->steps[p->n++] = s;
        return CLIPC_OK;
    }
    pattern_free(s.pattern);
    return clipc_fail(err, CLIPC_ERR_LIMIT, "%s: more than %d pre-tokenizers", where,
                      STEPS_MAX);
}

static int read_behavior(behavior *out, const json_t *spec, const char *where,
                         clipc_err *err)
{
    const char *name = NULL;
    const int rc = json_get_string(&name, spec, "behavior", where, err);

    if (rc != CLIPC_OK || !name) return rc;
    for (behavior b = 0; b < N_BEHAVIORS; b++)
        if (strcmp(name, behavior_names[b]) == 0) {
            *out = b;
            return CLIPC_OK;
        }
    return clipc_fail(err, CLIPC_ERR_FEATURE, "%s: \"behavior\": \"%.40s\"", where, name);
}

/* A string of one character. */
static int read_char(uint32_t *out, const json_t *spec, const char *key,
                     const char *where, clipc_err *err)
{
    const char *s = NULL;
    const int rc = json_get_string(&s, spec, key, where, err);
    const size_t len = s ? strlen(s) : 0;

    if (rc != CLIPC_OK) return rc;
    if (len && char_next(out, s, len) == len) return CLIPC_OK;
    return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: \"%s\" is not one character", where,
                      key);
}

static int read_split(pretokenizer *p, const json_t *spec, const char *where,
                      clipc_err *err)
{
    step s = {.action = SPLIT_PATTERN, .behavior = ISOLATED};
    int rc = read_behavior(&s.behavior, spec, where, err);

    if (rc == CLIPC_OK) rc = json_get_bool(&s.invert, spec, "invert", where, err);
    if (rc == CLIPC_OK)
        rc = pattern_from_json(&s.pattern, json_object_get(spec, "pattern"), where, err);
    return rc == CLIPC_OK ? add_step(p, s, where, err) : rc;
}

static int read_whitespace(pretokenizer *p, const json_t *spec, const char *where,
                           clipc_err *err)
{
    step s = {.action = SPLIT_PATTERN, .behavior = REMOVED, .invert = true};
    const int rc = pattern_new(&s.pattern, WHITESPACE_PATTERN, false, where, err);

    (void)spec;
    return rc == CLIPC_OK ? add_step(p, s, where, err) : rc;
}

static int read_whitespace_split(pretokenizer *p, const json_t *spec, const char *where,
                                 clipc_err *err)
{
    (void)spec;
    return add_step(p, (step){.action = SPLIT_SPACE, .behavior = REMOVED}, where, err);
}

static int read_punctuation(pretokenizer *p, const json_t *spec, const char *where,
                            clipc_err *err)
{
    step s = {.action = SPLIT_PUNCT, .behavior = ISOLATED};
    const int rc = read_behavior(&s.behavior, spec, where, err);

    return rc == CLIPC_OK ? add_step(p, s, where, err) : rc;
}

static int read_bert(pretokenizer *p, const json_t *spec, const char *where,
                     clipc_err *err)
{
    const int rc = read_whitespace_split(p, spec, where, err);

    return rc == CLIPC_OK
               ? add_step(p, (step){.action = SPLIT_PUNCT, .behavior = ISOLATED}, where,
                          err)
               : rc;
}

static int read_digits(pretokenizer *p, const json_t *spec, const char *where,
                       clipc_err *err)
{
    bool individual = false;
    const int rc = json_get_bool(&individual, spec, "individual_digits", where, err);
    const step s = {.action = SPLIT_NUMERIC,
                    .behavior = individual ? ISOLATED : CONTIGUOUS};

    return rc == CLIPC_OK ? add_step(p, s, where, err) : rc;
}

static int read_delimiter(pretokenizer *p, const json_t *spec, const char *where,
                          clipc_err *err)
{
    step s = {.action = SPLIT_CHAR, .behavior = REMOVED};
    const int rc = read_char(&s.c, spec, "delimiter", where, err);

    return rc == CLIPC_OK ? add_step(p, s, where, err) : rc;
}

static int read_byte_level(pretokenizer *p, const json_t *spec, const char *where,
                           clipc_err *err)
{
    step s = {.action = SPLIT_PATTERN, .behavior = ISOLATED};
    bool prefix = true, regex = true;
    int rc = json_get_bool(&prefix, spec, "add_prefix_space", where, err);

    if (rc == CLIPC_OK) rc = json_get_bool(&regex, spec, "use_regex", where, err);
    if (rc == CLIPC_OK && prefix)
        rc = add_step(p, (step){.action = PUT_SPACE}, where, err);
    if (rc == CLIPC_OK && regex) {
        rc = pattern_new(&s.pattern, BYTELEVEL_PATTERN, false, where, err);
        if (rc == CLIPC_OK) rc = add_step(p, s, where, err);
    }
    return rc == CLIPC_OK ? add_step(p, (step){.action = PUT_BYTES}, where, err) : rc;
}

/* "prepend_scheme", and the older "add_prefix_space". */
static int read_prepend(prepend *out, const json_t *spec, const char *where,
                        clipc_err *err)
{
    const char *scheme = NULL;
    bool prefix = true;
    int rc = json_get_string(&scheme, spec, "prepend_scheme", where, err);

    if (rc == CLIPC_OK) rc = json_get_bool(&prefix, spec, "add_prefix_space", where, err);
    if (rc != CLIPC_OK) return rc;
    if (!scheme) *out = prefix ? ALWAYS : NEVER;
    else if (strcmp(scheme, "never") == 0) *out = NEVER;
    else if (strcmp(scheme, "first") == 0 && prefix) *out = FIRST;
    else if (strcmp(scheme, "always") == 0 && prefix) *out = ALWAYS;
    else
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: \"prepend_scheme\": \"%.40s\"",
                          where, scheme);
    return CLIPC_OK;
}

static int read_metaspace(pretokenizer *p, const json_t *spec, const char *where,
                          clipc_err *err)
{
    step s = {.action = PUT_META};
    bool split = true;
    int rc = read_char(&s.c, spec, "replacement", where, err);

    if (rc == CLIPC_OK) rc = read_prepend(&s.prepend, spec, where, err);
    if (rc == CLIPC_OK) rc = json_get_bool(&split, spec, "split", where, err);
    if (rc == CLIPC_OK) rc = add_step(p, s, where, err);
    s.action = SPLIT_CHAR, s.behavior = MERGED_WITH_NEXT;
    return rc == CLIPC_OK && split ? add_step(p, s, where, err) : rc;
}

typedef struct reader {
    const char *type;
    int (*read)(pretokenizer *p, const json_t *spec, const char *where, clipc_err *err);
} reader;

static const reader readers[] = {{"BertPreTokenizer", read_bert},
                                 {"ByteLevel", read_byte_level},
                                 {"CharDelimiterSplit", read_delimiter},
                                 {"Digits", read_digits},
                                 {"Metaspace", read_metaspace},
                                 {"Punctuation", read_punctuation},
                                 {"Split", read_split},
                                 {"Whitespace", read_whitespace},
                                 {"WhitespaceSplit", read_whitespace_split}};

static int add_steps(pretokenizer *p, const json_t *spec, int depth, const char *where,
                     clipc_err *err)
{
    const char *type = json_string_value(json_object_get(spec, "type"));
    int rc = CLIPC_OK;

    if (type && strcmp(type, "Sequence") == 0) {
        const json_t *list = json_object_get(spec, "pretokenizers");
        if (!json_is_array(list) || depth >= DEPTH_MAX)
            return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: a broken sequence", where);
        for (size_t i = 0; rc == CLIPC_OK && i < json_array_size(list); i++)
            rc = add_steps(p, json_array_get(list, i), depth + 1, where, err);
        return rc;
    }
    for (size_t i = 0; type && i < sizeof readers / sizeof *readers; i++)
        if (strcmp(type, readers[i].type) == 0)
            return readers[i].read(p, spec, where, err);
    return clipc_fail(err, CLIPC_ERR_FEATURE, "%s: pre-tokenizer \"%.40s\"", where,
                      type ? type : "");
}

int pretokenizer_new(pretokenizer **out, const json_t *spec, const char *where,
                     clipc_err *err)
{
    pretokenizer *p = calloc(1, sizeof *p);
    int rc = CLIPC_OK;

    *out = NULL;
    if (!p) return clipc_fail_memory(err, where, sizeof *p);
    if (spec && !json_is_null(spec)) rc = add_steps(p, spec, 0, where, err);
    if (rc == CLIPC_OK) *out = p;
    else pretokenizer_free(p);
    return rc;
}

void pretokenizer_free(pretokenizer *p)
{
    if (!p) return;
    for (size_t i = 0; i < p->n; i++) pattern_free(p->steps[i].pattern);
    free(p);
}

void pretokenizer_work_free(pretokenizer_work *w)
{
    buf_free(&w->other);
    words_free(&w->next);
    matches_free(&w->matches);
}

/* ---- splitting -----------------------------------------------------------------------
 */

static bool is_hit(const step *s, uint32_t c)
{
    switch (s->action) {
    case SPLIT_SPACE: return char_is_space(c);
    case SPLIT_PUNCT: return char_is_punct(c);
    case SPLIT_NUMERIC: return char_is_numeric(c);
    default: return c == s->c;
    }
}

/* Every character that hits is a match of its own. */
static int cover_chars(const step *s, match_list *out, const char *text, size_t len,
                       clipc_err *err)
{
    size_t covered = 0;
    uint32_t c;
    int rc = CLIPC_OK;

    out->n = 0;
    for (size_t i = 0, n; rc == CLIPC_OK && i < len; i += n) {
        n = char_next(&c, text + i, len - i);
        if (!is_hit(s, c)) continue;
        if (covered < i) rc = matches_add(out, covered, i, false, err);
        if (rc == CLIPC_OK) rc = matches_add(out, i, i + n, true, err);
        covered = i + n;
    }
    if (rc == CLIPC_OK && covered < len) rc = matches_add(out, covered, len, false, err);
    return rc;
}

/* Joins what belongs together; hits that are left are to be removed. */
static void join(match_list *l, behavior b)
{
    bool previous = false;
    size_t n = 0;

    for (size_t i = 0; i < l->n; i++) {
        const match m = l->at[i];
        const bool joins = b == CONTIGUOUS ? m.hit == previous : m.hit && !previous;
        if (joins && n) l->at[n - 1].end = m.end;
        else l->at[n++] = (match){m.begin, m.end, false};
        previous = m.hit;
    }
    l->n = n;
}

static void join_next(match_list *l)
{
    bool following = false;
    size_t n = l->n;

    for (size_t i = l->n; i-- > 0;) {
        const match m = l->at[i];
        if (m.hit && !following && n < l->n) l->at[n].begin = m.begin;
        else l->at[--n] = (match){m.begin, m.end, false};
        following = m.hit;
    }
    memmove(l->at, l->at + n, (l->n - n) * sizeof *l->at);
    l->n -= n;
}

static int split(const step *s, pretokenizer_work *w, const buf *text, word from,
                 clipc_err *err)
{
    const char *at = text->data + from.begin;
    match_list *l = &w->matches;
    int rc = s->action == SPLIT_PATTERN ? pattern_cover(s->pattern, l, at, from.len, err)
                                        : cover_chars(s, l, at, from.len, err);

    if (rc != CLIPC_OK) return rc;
    for (size_t i = 0; s->invert && i < l->n; i++) l->at[i].hit = !l->at[i].hit;
    if (s->behavior == MERGED_WITH_NEXT) join_next(l);
    else if (s->behavior != REMOVED && s->behavior != ISOLATED) join(l, s->behavior);
    for (size_t i = 0; rc == CLIPC_OK && i < l->n; i++) {
        const match m = l->at[i];
        if (m.hit && s->behavior == REMOVED) continue;
        rc = words_add(&w->next,
                       (word){from.begin + m.begin, m.end - m.begin, -1,
                              from.at_start && m.begin == 0},
                       err);
    }
    return rc;
}

/* ---- rewriting -----------------------------------------------------------------------
 */

static bool starts_with(const char *s, size_t len, uint32_t c)
{
    uint32_t first = 0;
    return char_next(&first, s, len) && first == c;
}

/* `with` for every blank. */
static int put_blanks(buf *out, const char *s, size_t len, const char *with,
                      size_t with_len, clipc_err *err)
{
    int rc = CLIPC_OK;

    for (size_t i = 0, n; rc == CLIPC_OK && i < len; i += n) {
        const char *blank = memchr(s + i, ' ', len - i);
        n = blank ? (size_t)(blank - s) - i : len - i;
        if (n) rc = buf_add(out, s + i, n, err);
        else rc = buf_add(out, with, with_len, err), n = 1;
    }
    return rc;
}

static int put_word(const step *s, buf *out, const char *at, word from, clipc_err *err)
{
    char meta[4];
    size_t n;
    int rc = CLIPC_OK;

    switch (s->action) {
    case PUT_SPACE:
        if (*at != ' ') rc = buf_puts(out, " ", err);
        return rc == CLIPC_OK ? buf_add(out, at, from.len, err) : rc;
    case PUT_META:
        n = char_put(meta, s->c);
        if ((s->prepend == ALWAYS || (s->prepend == FIRST && from.at_start)) &&
            *at != ' ' && !starts_with(at, from.len, s->c))
            rc = buf_add(out, meta, n, err);
        return rc == CLIPC_OK ? put_blanks(out, at, from.len, meta, n, err) : rc;
    default: return bytelevel_put(out, at, from.len, err);
    }
}

static int rewrite(const step *s, pretokenizer_work *w, const buf *text, word from,
                   clipc_err *err)
{
    const size_t begin = w->other.len;
    const int rc = put_word(s, &w->other, text->data + from.begin, from, err);

    if (rc != CLIPC_OK) return rc;
    if (w->other.len > TEXT_GROWN_MAX)
        return clipc_fail(err, CLIPC_ERR_TEXT, "text: longer than %d bytes, split",
                          TEXT_GROWN_MAX);
    return words_add(
        &w->next,
        (word){(uint32_t)begin, (uint32_t)(w->other.len - begin), -1, from.at_start},
        err);
}

static int run_step(const step *s, pretokenizer_work *w, buf *text, word_list *words,
                    clipc_err *err)
{
    const bool splits = s->action < PUT_SPACE;
    int rc = CLIPC_OK;

    w->next.n = 0;
    buf_clear(&w->other);
    for (size_t i = 0; rc == CLIPC_OK && i < words->n; i++) {
        const word from = words->at[i];
        if (from.id >= 0) rc = words_add(&w->next, from, err);
        else if (splits) rc = split(s, w, text, from, err);
        else rc = rewrite(s, w, text, from, err);
    }
    const word_list swap = *words;
    *words = w->next;
    w->next = swap;
    if (!splits) {
        const buf old = *text;
        *text = w->other;
        w->other = old;
    }
    return rc;
}

int pretokenizer_run(const pretokenizer *p, pretokenizer_work *w, buf *text,
                     word_list *words, clipc_err *err)
{
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < p->n; i++)
        rc = run_step(&p->steps[i], w, text, words, err);
    return rc;
}

#include "text/normalizer.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "text/bytelevel.h"
#include "text/chars.h"
#include "text/charsmap.h"
#include "text/clean.h"
#include "text/nfc.h"

enum {
    STEPS_MAX = 64,
    DEPTH_MAX = 8,
    TEXT_GROWN_MAX = 4 * TEXT_MAX, /* steps may lengthen a text */
    DECOMPOSED = 32,               /* U+FDFA becomes 18 */
    WHOLE_MAX = 6                  /* bytes: longer clusters are looked up in parts */
};

typedef enum kind {
    NFC,
    NFD,
    NFKC,
    NFKD,
    LOWERCASE,
    STRIP,
    STRIP_ACCENTS,
    NMT,
    REPLACE,
    PREPEND,
    PRECOMPILED,
    BYTE_LEVEL,
    BERT,
    SEQUENCE,
    N_KINDS
} kind;

static const char *const kind_names[N_KINDS] = {"NFC",
                                                "NFD",
                                                "NFKC",
                                                "NFKD",
                                                "Lowercase",
                                                "Strip",
                                                "StripAccents",
                                                "Nmt",
                                                "Replace",
                                                "Prepend",
                                                "Precompiled",
                                                "ByteLevel",
                                                "BertNormalizer",
                                                "Sequence"};

typedef struct step {
    kind kind;
    bool left, right; /* STRIP */
    pattern *pattern; /* REPLACE */
    char *content;    /* REPLACE, PREPEND */
    charsmap rules;
    wordpiece_options bert;
    bool clean;
} step;

struct normalizer {
    step steps[STEPS_MAX];
    size_t n;
};

/* ---- loading -------------------------------------------------------------------------
 */

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static int decode_base64(buf *out, const char *s, const char *where, clipc_err *err)
{
    uint32_t bits = 0;
    unsigned n = 0;
    int rc = CLIPC_OK;

    for (; rc == CLIPC_OK && *s && *s != '='; s++) {
        const int digit = base64_digit(*s);
        if (digit < 0)
            return clipc_fail(err, CLIPC_ERR_FORMAT,
                              "%s: \"precompiled_charsmap\" is not base64", where);
        bits = bits << 6 | (uint32_t)digit;
        if ((n += 6) < 8) continue;
        n -= 8;
        const char byte = (char)(bits >> n & 0xff);
        rc = buf_add(out, &byte, 1, err);
    }
    return rc;
}

static int read_rules(step *s, const json_t *spec, const char *where, clipc_err *err)
{
    const char *text = NULL;
    buf blob = {0};
    int rc = json_get_string(&text, spec, "precompiled_charsmap", where, err);

    if (rc == CLIPC_OK && !text)
        rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no \"precompiled_charsmap\"", where);
    if (rc == CLIPC_OK) rc = decode_base64(&blob, text, where, err);
    if (rc == CLIPC_OK) rc = charsmap_new(&s->rules, blob.data, blob.len, where, err);
    buf_free(&blob);
    return rc;
}

static int read_content(step *s, const json_t *spec, const char *key, const char *where,
                        clipc_err *err)
{
    const char *text = NULL;
    const int rc = json_get_string(&text, spec, key, where, err);

    if (rc != CLIPC_OK) return rc;
    if (!text) return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no \"%s\"", where, key);
    s->content = strdup(text);
    return s->content ? CLIPC_OK : clipc_fail_memory(err, where, strlen(text));
}

static int read_bert(step *s, const json_t *spec, const char *where, clipc_err *err)
{
    bool accents = false;
    int rc = json_get_bool(&s->clean, spec, "clean_text", where, err);

    if (rc == CLIPC_OK)
        rc = json_get_bool(&s->bert.chinese_chars, spec, "handle_chinese_chars", where,
                           err);
    if (rc == CLIPC_OK)
        rc = json_get_bool(&s->bert.lower_case, spec, "lowercase", where, err);
    if (rc == CLIPC_OK && json_is_boolean(json_object_get(spec, "strip_accents"))) {
        rc = json_get_bool(&accents, spec, "strip_accents", where, err);
        s->bert.strip_accents = accents;
    }
    return rc;
}

static int read_step(step *s, const json_t *spec, const char *where, clipc_err *err)
{
    int rc;

    switch (s->kind) {
    case STRIP:
        rc = json_get_bool(&s->left, spec, "strip_left", where, err);
        return rc == CLIPC_OK ? json_get_bool(&s->right, spec, "strip_right", where, err)
                              : rc;
    case REPLACE:
        rc = pattern_from_json(&s->pattern, json_object_get(spec, "pattern"), where, err);
        return rc == CLIPC_OK ? read_content(s, spec, "content", where, err) : rc;
    case PREPEND: return read_content(s, spec, "prepend", where, err);
    case PRECOMPILED: return read_rules(s, spec, where, err);
    case BERT: return read_bert(s, spec, where, err);
    default: return CLIPC_OK;
    }
}

static int add_steps(normalizer *n, const json_t *spec, int depth, const char *where,
                     clipc_err *err)
{
    const char *type = json_string_value(json_object_get(spec, "type"));
    kind k = 0;
    int rc = CLIPC_OK;

    while (type && k < N_KINDS && strcmp(type, kind_names[k]) != 0) k++;
    if (!type || k == N_KINDS)
        return clipc_fail(err, CLIPC_ERR_FEATURE, "%s: normalizer \"%.40s\"", where,
                          type ? type : "");
    if (k == SEQUENCE) {
        const json_t *list = json_object_get(spec, "normalizers");
        if (!json_is_array(list) || depth >= DEPTH_MAX)
            return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: a broken sequence", where);
        for (size_t i = 0; rc == CLIPC_OK && i < json_array_size(list); i++)
            rc = add_steps(n, json_array_get(list, i), depth + 1, where, err);
        return rc;
    }
    if (n->n == STEPS_MAX)
        return clipc_fail(err, CLIPC_ERR_LIMIT, "%s: more than %d normalizers", where,
                          STEPS_MAX);
    n->steps[n->n] = (step){.kind = k,
                            .left = true,
                            .right = true,
                            .bert = {true, -1, true, 0},
                            .clean = true};
    return read_step(&n->steps[n->n++], spec, where, err);
}

int normalizer_new(normalizer **out, const json_t *spec, const char *where,
                   clipc_err *err)
{
    normalizer *n = calloc(1, sizeof *n);
    int rc = CLIPC_OK;

    *out = NULL;
    if (!n) return clipc_fail_memory(err, where, sizeof *n);
    if (spec && !json_is_null(spec)) rc = add_steps(n, spec, 0, where, err);
    if (rc == CLIPC_OK) *out = n;
    else normalizer_free(n);
    return rc;
}

void normalizer_free(normalizer *n)
{
    if (!n) return;
    for (size_t i = 0; i < n->n; i++) {
        pattern_free(n->steps[i].pattern);
        free(n->steps[i].content);
        charsmap_free(&n->steps[i].rules);
    }
    free(n);
}

void normalizer_work_free(normalizer_work *w)
{
    buf_free(&w->other);
    matches_free(&w->matches);
    runes_free(&w->chars);
    runes_free(&w->scratch);
    wordpiece_work_free(w->wordpiece);
    *w = (normalizer_work){0};
}

/* ---- Unicode's normal forms ----------------------------------------------------------
 */

static int put_char(buf *out, uint32_t c, clipc_err *err)
{
    char bytes[4];
    return buf_add(out, bytes, char_put(bytes, c), err);
}

static int decompose(runes *out, const buf *text, bool compat, clipc_err *err)
{
    const utf8proc_option_t how =
        UTF8PROC_DECOMPOSE | (compat ? UTF8PROC_COMPAT : (utf8proc_option_t)0);
    utf8proc_int32_t parts[DECOMPOSED];
    uint32_t c;
    int rc = CLIPC_OK, last = 0;

    out->n = 0;
    for (size_t i = 0, n; rc == CLIPC_OK && i < text->len; i += n) {
        utf8proc_ssize_t m = -1;
        n = char_next(&c, text->data + i, text->len - i);
        if (compat || char_decomposes(c))
            m = utf8proc_decompose_char((utf8proc_int32_t)c, parts, DECOMPOSED, how,
                                        &last);
        if (m < 0 || m > DECOMPOSED) parts[0] = (utf8proc_int32_t)c, m = 1;
        rc = runes_add(out, parts, (size_t)m, err);
    }
    return rc;
}

static int normal_form(kind k, normalizer_work *w, buf *out, const buf *text,
                       clipc_err *err)
{
    int rc = decompose(&w->chars, text, k == NFKC || k == NFKD, err);

    if (rc == CLIPC_OK) rc = nfc_order(&w->chars, &w->scratch, err);
    if (rc == CLIPC_OK && (k == NFC || k == NFKC)) nfc_join(&w->chars);
    return rc == CLIPC_OK ? runes_to_utf8(out, &w->chars, err) : rc;
}

/* ---- character by character ----------------------------------------------------------
 */

static int lowercase(buf *out, const buf *text, clipc_err *err)
{
    uint32_t c;
    int rc = CLIPC_OK;

    for (size_t i = 0, n; rc == CLIPC_OK && i < text->len; i += n) {
        n = char_next(&c, text->data + i, text->len - i);
        rc = c == 0x130 ? buf_puts(out, "i\xcc\x87", err)
                        : put_char(out, char_lower(c), err);
    }
    return rc;
}

static bool is_mark(uint32_t c)
{
    return c >= 0x300 && char_in(wordpiece_combining, n_wordpiece_combining, c);
}

/* Google's neural machine translation: control characters vanish (0), what could be taken
 * for a blank is one. */
static uint32_t nmt(uint32_t c)
{
    if ((c >= 0x1 && c <= 0x8) || c == 0xb || (c >= 0xe && c <= 0x1f) || c == 0x7f ||
        c == 0x8f || c == 0x9f)
        return 0;
    if (c == 0x9 || c == 0xa || c == 0xc || c == 0xd || c == 0x1680 ||
        (c >= 0x200b && c <= 0x200f) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
        c == 0xfeff || c == 0xfffd)
        return ' ';
    return c;
}

static int filter(kind k, buf *out, const buf *text, bool *at_start, clipc_err *err)
{
    uint32_t c;
    int rc = CLIPC_OK;

    for (size_t i = 0, n; rc == CLIPC_OK && i < text->len; i += n) {
        n = char_next(&c, text->data + i, text->len - i);
        const uint32_t to = k == NMT ? nmt(c) : is_mark(c) ? 0 : c;
        if (to) rc = put_char(out, to, err);
        else if (i == 0) *at_start = false;
    }
    return rc;
}

static int strip(const step *s, buf *out, const buf *text, bool *at_start, clipc_err *err)
{
    size_t begin = 0, end = 0, n;
    uint32_t c;

    while (s->left && begin < text->len &&
           (n = char_next(&c, text->data + begin, text->len - begin)) && char_is_space(c))
        begin += n;
    for (size_t i = end = begin; i < text->len; i += n) {
        n = char_next(&c, text->data + i, text->len - i);
        if (!s->right || !char_is_space(c)) end = i + n;
    }
    if (begin) *at_start = false;
    return buf_add(out, text->data + begin, end - begin, err);
}

static int replace(const step *s, normalizer_work *w, buf *out, const buf *text,
                   bool *at_start, clipc_err *err)
{
    int rc = pattern_cover(s->pattern, &w->matches, text->data, text->len, err);

    for (size_t i = 0; rc == CLIPC_OK && i < w->matches.n; i++) {
        const match *m = &w->matches.at[i];
        rc = m->hit ? buf_puts(out, s->content, err)
                    : buf_add(out, text->data + m->begin, m->end - m->begin, err);
        if (m->hit && m->begin == 0 &&
            (!*s->content || m->end > char_claimed(text->data[0])))
            *at_start = false;
        if (out->len > TEXT_GROWN_MAX) break;
    }
    return rc;
}

/* ---- precompiled rules ---------------------------------------------------------------
 */

static int put_rule(const step *s, buf *out, const char *part, size_t len, bool *applied,
                    clipc_err *err)
{
    const char *to;

    *applied = charsmap_match(&s->rules, part, len, false, &to) > 0;
    return *applied ? buf_puts(out, to, err) : CLIPC_OK;
}

static int put_cluster(const step *s, buf *out, const char *part, size_t len,
                       clipc_err *err)
{
    bool applied = false;
    int rc = len < WHOLE_MAX ? put_rule(s, out, part, len, &applied, err) : CLIPC_OK;

    if (applied) return rc;
    for (size_t i = 0, n; rc == CLIPC_OK && i < len; i += n) {
        n = char_claimed(part[i]);
        rc = put_rule(s, out, part + i, n, &applied, err);
        if (rc == CLIPC_OK && !applied) rc = buf_add(out, part + i, n, err);
    }
    return rc;
}

static int precompiled(const step *s, buf *out, const buf *text, clipc_err *err)
{
    utf8proc_int32_t state = 0;
    uint32_t last = 0, c;
    size_t begin = 0;
    int rc = CLIPC_OK;

    for (size_t i = 0, n; rc == CLIPC_OK && i < text->len; i += n, last = c) {
        n = char_next(&c, text->data + i, text->len - i);
        if (i == 0 || !utf8proc_grapheme_break_stateful((utf8proc_int32_t)last,
                                                        (utf8proc_int32_t)c, &state))
            continue;
        rc = put_cluster(s, out, text->data + begin, i - begin, err);
        begin = i;
        if (out->len > TEXT_GROWN_MAX) break;
    }
    if (rc == CLIPC_OK)
        rc = put_cluster(s, out, text->data + begin, text->len - begin, err);
    if (rc == CLIPC_OK && char_check(out->data ? out->data : "", out->len, NULL))
        rc = clipc_fail(err, CLIPC_ERR_FORMAT,
                        "the tokenizer's normalization rules do not give UTF-8");
    return rc;
}

/* ---- running -------------------------------------------------------------------------
 */

static int bert(const step *s, normalizer_work *w, buf *out, const buf *text,
                bool *at_start, clipc_err *err)
{
    int rc = w->wordpiece ? CLIPC_OK : wordpiece_work_new(&w->wordpiece, err);

    if (rc == CLIPC_OK)
        rc = wordpiece_normalise(out, w->wordpiece, &s->bert, s->clean, text->data,
                                 text->len, err);
    *at_start = false; /* no pre-tokenizer that goes with it asks */
    return rc;
}

static int run_step(const step *s, normalizer_work *w, buf *out, const buf *text,
                    bool *at_start, clipc_err *err)
{
    switch (s->kind) {
    case LOWERCASE: return lowercase(out, text, err);
    case STRIP: return strip(s, out, text, at_start, err);
    case STRIP_ACCENTS:
    case NMT: return filter(s->kind, out, text, at_start, err);
    case REPLACE: return replace(s, w, out, text, at_start, err);
    case PREPEND: {
        const int rc = buf_puts(out, s->content, err);
        return rc == CLIPC_OK ? buf_add(out, text->data, text->len, err) : rc;
    }
    case PRECOMPILED: return precompiled(s, out, text, err);
    case BYTE_LEVEL: return bytelevel_put(out, text->data, text->len, err);
    case BERT: return bert(s, w, out, text, at_start, err);
    default: return normal_form(s->kind, w, out, text, err);
    }
}

int normalizer_run(const normalizer *n, normalizer_work *w, buf *text, bool *at_start,
                   clipc_err *err)
{
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < n->n && text->len; i++) {
        buf_clear(&w->other);
        rc = run_step(&n->steps[i], w, &w->other, text, at_start, err);
        if (rc == CLIPC_OK && w->other.len > TEXT_GROWN_MAX)
            rc = clipc_fail(err, CLIPC_ERR_TEXT, "text: longer than %d bytes, normalised",
                            TEXT_GROWN_MAX);
        const buf swap = *text;
        *text = w->other;
        w->other = swap;
    }
    return rc;
}

#include "clip/pretrained.h"

#include <stdlib.h>
#include <string.h>

#include "clip/token_folder.h"
#include "text/added.h"
#include "text/clean.h"
#include "text/pipeline.h"
#include "text/sentencepiece.h"

#define META "\xe2\x96\x81" /* U+2581 */

struct pretrained {
    pipeline *pipe;
    int32_t strip_sep; /* open_clip's strip_sep_token: this id becomes 0; -1: none does */
    const char *kind;
    /* SigLIP's class: */
    spm *sp;
    added *added;
    clean_rules canonical;
    int32_t eos, pad, unk, meta; /* meta: the piece U+2581, -1 */
    size_t n_unk;                /* pieces of the string "<unk>" */
    char unk_token[64];
    bool pad_left, cut_left;
    /* Gemma's tokenizer.model: SentencePiece itself, with what the flags put around. */
    int32_t bos;
    bool plain, add_bos, add_eos;
};

struct pretrained_work {
    buf clean, scratch, part;
    clean_work *cleaner;
    pipeline_work *pipe;
    spm_work *sp;
    word_list words;
    id_list ids;
};

/* ---- what begins and ends a text -----------------------------------------------------
 */

static int named_id(int32_t *id, const token_folder *f, const pipeline *p, int which,
                    clipc_err *err)
{
    const char *s = token_folder_named(f, which);

    *id = s ? pipeline_id(p, s) : -1;
    if (*id >= 0) return CLIPC_OK;
    return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no %s (%.40s) in its vocabulary",
                      f->path, token_keys[which], s ? s : "none told");
}

/* Sets the post-processor where a class decides, or without tokenizer.json the flags; p
 * is the same tokenizer without one, to ask for ids. */
static int set_frame(json_t *root, const token_folder *f, const pipeline *p,
                     clipc_err *err)
{
    bool front =
             token_folder_flag(f, "add_bos_token", false) && token_folder_named(f, BOS),
         back =
             token_folder_flag(f, "add_eos_token", false) && token_folder_named(f, EOS);
    int first = BOS, last = EOS, rc = CLIPC_OK;
    int32_t front_id = -1, back_id = -1;

    if (f->class == T5) front = false, back = true;
    else if (f->class == XLM_ROBERTA) front = back = true;
    else if (f->class == ROBERTA) front = back = true, first = CLS, last = SEP;
    else if (f->tokenizer) return CLIPC_OK;
    if (front) rc = named_id(&front_id, f, p, first, err);
    if (rc == CLIPC_OK && back) rc = named_id(&back_id, f, p, last, err);
    if (rc == CLIPC_OK)
        json_object_set_new(
            root, "post_processor",
            token_template_json(front ? token_folder_named(f, first) : NULL,
                                back ? token_folder_named(f, last) : NULL, front_id,
                                back_id));
    return rc;
}

static bool side_left(const token_folder *f, const char *key, const char *own,
                      bool otherwise)
{
    const char *side = json_string_value(json_object_get(f->config, key));
    const json_t *mine = json_object_get(f->tokenizer, own);

    if (side) return strcmp(side, "left") == 0;
    side = json_string_value(json_object_get(mine, "direction"));
    return side ? strcmp(side, "Left") == 0 : otherwise;
}

static int set_sides(pipeline *p, const token_folder *f, clipc_err *err)
{
    const char *pad = token_folder_named(f, PAD);
    const int32_t id = pad ? pipeline_id(p, pad) : pipeline_pad(p);

    if (id < 0)
        return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: its tokenizer has no padding token",
                          f->path);
    pipeline_set_padding(
        p, id, side_left(f, "padding_side", "padding", token_folder_pads_left(f)));
    pipeline_set_truncation(p, side_left(f, "truncation_side", "truncation", false));
    return CLIPC_OK;
}

static int open_pipeline(pretrained *p, const token_folder *f, clipc_err *err)
{
    json_t *root = NULL, *list = NULL;
    pipeline *asked = NULL;
    int rc = token_folder_pipeline(&root, f, err);

    if (rc == CLIPC_OK) rc = token_folder_added(&list, f, err);
    if (rc == CLIPC_OK) {
        json_object_set(root, "added_tokens", list);
        rc = pipeline_new(&asked, root, f->class != AS_IT_IS, f->path, err);
    }
    if (rc == CLIPC_OK) rc = set_frame(root, f, asked, err);
    if (rc == CLIPC_OK)
        rc = pipeline_set_frame(asked, json_object_get(root, "post_processor"), f->path,
                                err);
    if (rc == CLIPC_OK) rc = set_sides(asked, f, err);
    if (rc == CLIPC_OK) p->pipe = asked, asked = NULL;
    p->kind = f->tokenizer ? "tokenizer.json" : f->sp ? "sentencepiece" : "bpe";
    pipeline_free(asked);
    json_decref(root);
    json_decref(list);
    return rc;
}

/* ---- SentencePiece itself ------------------------------------------------------------
 */

static int sp_id(int32_t *id, const token_folder *f, int which, clipc_err *err)
{
    const char *s = token_folder_named(f, which);

    *id = s ? spm_id(f->sp, s) : -1;
    if (*id >= 0) return CLIPC_OK;
    return clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no %s (%.40s)", f->model_path,
                      token_keys[which], s ? s : "none told");
}

/* The tokens that SigLIP's class looks for before anything else. */
static int siglip_added(pretrained *p, const token_folder *f, clipc_err *err)
{
    static const int which[] = {EOS, UNK, PAD};
    json_t *list = NULL;
    int rc = token_folder_added(&list, f, err);

    /* Those of its own, unless the files list them, take the white space around them. */
    for (int i = 0; i < 3 && rc == CLIPC_OK; i++) {
        const char *s = token_folder_named(f, which[i]);
        const json_t *decoder = json_object_get(f->config, "added_tokens_decoder");
        if (!s || json_is_object(decoder) ||
            json_is_object(token_folder_value(f, which[i])))
            continue;
        json_t *t = special_token_json(s);
        json_object_set_new(t, "lstrip", json_true());
        json_object_set_new(t, "rstrip", json_true());
        json_array_append_new(list, t);
    }
    if (rc == CLIPC_OK) rc = added_new(&p->added, err);
    for (size_t i = 0; rc == CLIPC_OK && i < json_array_size(list); i++) {
        json_t *t = json_array_get(list, i);
        const char *s = json_string_value(json_object_get(t, "content"));
        json_object_set_new(t, "normalized", json_false());
        rc = added_add(p->added, t, s ? spm_id(p->sp, s) : -1, spm_size(p->sp), f->path,
                       err);
    }
    if (rc == CLIPC_OK) rc = added_finish(p->added, NULL, f->path, err);
    json_decref(list);
    return rc;
}

static int open_siglip(pretrained *p, token_folder *f, clipc_err *err)
{
    id_list ids = {0};
    spm_work *w = NULL;
    int rc = sp_id(&p->eos, f, EOS, err);

    p->canonical =
        token_folder_flag(f, "do_lower_case", true) ? CLEAN_SIGLIP : CLEAN_SIGLIP_CASED;
    p->meta = spm_id(f->sp, META);
    p->pad_left = side_left(f, "padding_side", "", false);
    p->cut_left = side_left(f, "truncation_side", "", false);
    if (rc == CLIPC_OK) rc = sp_id(&p->pad, f, PAD, err);
    if (rc == CLIPC_OK) rc = sp_id(&p->unk, f, UNK, err);
    if (rc != CLIPC_OK) return rc;
    if (!token_folder_flag(f, "legacy", true)) spm_set_dummy_prefix(f->sp, false);
    p->sp = f->sp, f->sp = NULL;
    if ((rc = spm_work_new(&w, err)) != CLIPC_OK) return rc;
    snprintf(p->unk_token, sizeof p->unk_token, "%s", token_folder_named(f, UNK));
    rc = spm_encode(p->sp, w, &ids, p->unk_token, strlen(p->unk_token), err);
    p->n_unk = ids.n;
    ids_free(&ids);
    spm_work_free(w);
    return rc == CLIPC_OK ? siglip_added(p, f, err) : rc;
}

/* Gemma's vocabulary without tokenizer.json: transformers has no class for it, so this is
 * the vocabulary itself. */
static int open_plain(pretrained *p, token_folder *f, clipc_err *err)
{
    int rc = CLIPC_OK;

    p->plain = true;
    p->add_bos = token_folder_flag(f, "add_bos_token", false);
    p->add_eos = token_folder_flag(f, "add_eos_token", true);
    if (p->add_bos) rc = sp_id(&p->bos, f, BOS, err);
    if (rc == CLIPC_OK && p->add_eos) rc = sp_id(&p->eos, f, EOS, err);
    if (rc == CLIPC_OK) rc = sp_id(&p->pad, f, PAD, err);
    p->pad_left = side_left(f, "padding_side", "", false);
    p->cut_left = side_left(f, "truncation_side", "", false);
    p->sp = f->sp, f->sp = NULL;
    return rc;
}

/* ---- all of it -----------------------------------------------------------------------
 */

int pretrained_open(pretrained **out, token_files *files, clipc_err *err)
{
    pretrained *p = calloc(1, sizeof *p);
    token_folder f = {0};
    int rc;

    *out = NULL;
    if (!p) return clipc_fail_memory(err, files->source->path, sizeof *p);
    p->kind = "sentencepiece";
    p->strip_sep = -1;
    rc = token_folder_open(&f, files, err);
    if (rc == CLIPC_OK && f.class == SIGLIP) rc = open_siglip(p, &f, err);
    else if (rc == CLIPC_OK && f.sp && f.class == GEMMA) rc = open_plain(p, &f, err);
    else if (rc == CLIPC_OK) rc = open_pipeline(p, &f, err);
    if (rc == CLIPC_OK && files->source->cfg.strip_sep && p->pipe)
        rc = named_id(&p->strip_sep, &f, p->pipe, SEP, err);
    if (rc == CLIPC_OK) *out = p;
    else pretrained_free(p);
    token_folder_close(&f);
    return rc;
}

void pretrained_free(pretrained *p)
{
    if (!p) return;
    pipeline_free(p->pipe);
    spm_free(p->sp);
    added_free(p->added);
    free(p);
}

int pretrained_token(buf *out, const pretrained *p, int32_t id, clipc_err *err)
{
    spm_type type;
    float score;

    if (p->pipe) return pipeline_token(out, p->pipe, id, err);
    if (id < 0 || (size_t)id >= spm_size(p->sp)) return CLIPC_OK;
    const span s = spm_piece(p->sp, id, &score, &type);
    return buf_add(out, s.data, s.size, err);
}

size_t pretrained_size(const pretrained *p)
{
    return p->pipe ? pipeline_vocab_size(p->pipe) : spm_size(p->sp);
}

const char *pretrained_kind(const pretrained *p)
{
    return p->kind;
}

/* ---- texts ---------------------------------------------------------------------------
 */

int pretrained_work_new(pretrained_work **out, clipc_err *err)
{
    int rc;

    *out = calloc(1, sizeof **out);
    if (!*out) return clipc_fail_memory(err, "tokenizer", sizeof **out);
    rc = clean_work_new(&(*out)->cleaner, err);
    if (rc == CLIPC_OK) rc = pipeline_work_new(&(*out)->pipe, err);
    return rc == CLIPC_OK ? spm_work_new(&(*out)->sp, err) : rc;
}

void pretrained_work_free(pretrained_work *w)
{
    if (!w) return;
    buf_free(&w->clean);
    buf_free(&w->scratch);
    buf_free(&w->part);
    clean_work_free(w->cleaner);
    pipeline_work_free(w->pipe);
    spm_work_free(w->sp);
    words_free(&w->words);
    ids_free(&w->ids);
    free(w);
}

/* The ids of a text between special tokens: "<unk>" goes in front, so that SentencePiece
 * does not take away the blank there, and its pieces are dropped again. */
static int siglip_part(const pretrained *p, pretrained_work *w, const char *s, size_t len,
                       clipc_err *err)
{
    const size_t before = w->ids.n;
    int rc = text_clean(&w->part, w->cleaner, s, len, p->canonical, err);

    buf_clear(&w->scratch);
    if (rc == CLIPC_OK) rc = buf_puts(&w->scratch, p->unk_token, err);
    if (rc == CLIPC_OK) rc = buf_add(&w->scratch, w->part.data, w->part.len, err);
    if (rc == CLIPC_OK)
        rc = spm_encode(p->sp, w->sp, &w->ids, w->scratch.data, w->scratch.len, err);
    const size_t made = w->ids.n - before;
    if (rc == CLIPC_OK && made >= p->n_unk) {
        memmove(w->ids.at + before, w->ids.at + before + p->n_unk,
                (made - p->n_unk) * sizeof *w->ids.at);
        w->ids.n -= p->n_unk;
    }
    return rc;
}

/* U+2581, and the text with blanks for its own. */
static int with_meta(buf *out, const char *s, size_t len, clipc_err *err)
{
    int rc = buf_puts(out, META, err);

    for (size_t i = 0; rc == CLIPC_OK && i < len; i++) {
        const bool meta = len - i >= 3 && memcmp(s + i, META, 3) == 0;
        rc = meta ? buf_puts(out, " ", err) : buf_add(out, s + i, 1, err);
        i += meta ? 2 : 0;
    }
    return rc;
}

static int siglip_encode(const pretrained *p, pretrained_work *w, const char *s,
                         size_t len, bool special, clipc_err *err)
{
    int rc = CLIPC_OK;

    buf_clear(&w->clean);
    w->words.n = w->ids.n = 0;
    rc = with_meta(&w->clean, s, len, err);
    if (rc == CLIPC_OK)
        rc = added_split(p->added, false, &w->words, w->clean.data, w->clean.len, 0, true,
                         special, err);
    for (size_t i = 0; rc == CLIPC_OK && i < w->words.n; i++) {
        const word from = w->words.at[i];
        rc = from.id >= 0 ? ids_add(&w->ids, from.id, err)
                          : siglip_part(p, w, w->clean.data + from.begin, from.len, err);
        /* The U+2581 that was put in front does not stand before a special token. */
        if (rc == CLIPC_OK && i == 1 && from.id >= 0 && w->ids.n == 2 &&
            w->ids.at[0] == p->meta)
            w->ids.at[0] = w->ids.at[1], w->ids.n = 1;
    }
    return rc;
}

static int plain_encode(const pretrained *p, pretrained_work *w, const char *s,
                        size_t len, clipc_err *err)
{
    w->ids.n = 0;
    return spm_encode(p->sp, w->sp, &w->ids, s, len, err);
}

int pretrained_encode(const pretrained *p, pretrained_work *w, const int32_t **inner,
                      size_t *n, const char *text, size_t len, bool special,
                      clipc_err *err)
{
    if (p->pipe)
        return pipeline_encode(p->pipe, w->pipe, inner, n, text, len, special, err);
    const int rc = p->plain ? plain_encode(p, w, text, len, err)
                            : siglip_encode(p, w, text, len, special, err);
    *inner = w->ids.at;
    *n = rc == CLIPC_OK ? w->ids.n : 0;
    return rc;
}

/* SentencePiece's rows: what begins and ends a text by the flags; SigLIP's class adds no
 * second end token. */
static size_t around(const pretrained *p)
{
    return p->plain ? (size_t)p->add_bos + p->add_eos : 1;
}

static bool ends_itself(const pretrained *p, const int32_t *inner, size_t n)
{
    return !p->pipe && !p->plain && n && inner[n - 1] == p->eos;
}

static void frame_row(const pretrained *p, int32_t *row, size_t context_length,
                      const int32_t *inner, size_t n)
{
    const bool front = p->plain && p->add_bos;
    const size_t room = context_length - around(p);

    if (n > room) {
        if (p->cut_left) inner += n - room;
        n = room;
    }
    const bool back = p->plain ? p->add_eos : !ends_itself(p, inner, n);
    const size_t used = n + front + back;
    for (size_t i = used; p->pad_left && i < context_length; i++) *row++ = p->pad;
    if (front) *row++ = p->bos;
    if (n) memcpy(row, inner, n * sizeof *row);
    row += n;
    if (back) *row++ = p->eos;
    for (size_t i = used; !p->pad_left && i < context_length; i++) *row++ = p->pad;
}

size_t pretrained_room(const pretrained *p, size_t context_length)
{
    const size_t taken = p->pipe ? pipeline_around(p->pipe) : around(p);
    return context_length > taken ? context_length - taken : 0;
}

void pretrained_frame(const pretrained *p, int32_t *ids, size_t context_length,
                      const int32_t *inner, size_t n)
{
    if (p->pipe) pipeline_frame(p->pipe, ids, context_length, inner, n);
    else frame_row(p, ids, context_length, inner, n);
    for (size_t i = 0; p->strip_sep >= 0 && i < context_length; i++)
        if (ids[i] == p->strip_sep) ids[i] = 0;
}

int pretrained_tokenize(const pretrained *p, pretrained_work *w, int32_t *ids,
                        size_t context_length, size_t *n_tokens, const char *text,
                        size_t len, bool special, clipc_err *err)
{
    const size_t room = pretrained_room(p, context_length);
    const int32_t *inner = NULL;
    size_t n = 0;
    int rc;

    if (!room)
        return clipc_fail(err, CLIPC_ERR_ARG, "a context of %zu has no room for a text",
                          context_length);
    rc = pretrained_encode(p, w, &inner, &n, text, len, special, err);
    if (rc != CLIPC_OK) return rc;
    if (n_tokens) *n_tokens = n + context_length - room - ends_itself(p, inner, n);
    pretrained_frame(p, ids, context_length, inner, n);
    return CLIPC_OK;
}

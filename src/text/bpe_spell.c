#include <utf8proc.h>

#include "text/bpe_data.h"
#include "text/bpe_table.h"

/* GPT-2's byte alphabet: the character that stands for token t < 256. */
static utf8proc_int32_t character_of(int32_t t)
{
    const int printable = 188; /* the tokens whose bytes stand for themselves */
    return t < printable ? bpe_bytes[t] : 256 + t - printable;
}

static int spell_inner(buf *out, const bpe *b, int32_t token, bool alphabet,
                       clipc_err *err)
{
    utf8proc_uint8_t c[4];

    if (token >= FIRST_MERGE) {
        const uint16_t *pair = b->merges[token - FIRST_MERGE];
        const int rc = spell_inner(out, b, pair[0], alphabet, err);
        return rc == CLIPC_OK ? spell_inner(out, b, pair[1], alphabet, err) : rc;
    }
    const int32_t t = token % WORD_END;
    if (alphabet)
        return buf_add(out, c, (size_t)utf8proc_encode_char(character_of(t), c), err);
    const char byte = (char)bpe_bytes[t];
    return buf_add(out, &byte, 1, err);
}

bool bpe_ends_word(const bpe *b, int32_t token)
{
    while (token >= FIRST_MERGE) token = b->merges[token - FIRST_MERGE][1];
    return token >= WORD_END;
}

int bpe_spell(buf *out, const bpe *b, int32_t token, bool alphabet, clipc_err *err)
{
    if (token == bpe_token_sot(b)) return buf_puts(out, "<|startoftext|>", err);
    if (token == bpe_token_eot(b)) return buf_puts(out, "<|endoftext|>", err);
    const int rc = spell_inner(out, b, token, alphabet, err);
    return rc == CLIPC_OK && bpe_ends_word(b, token) ? buf_puts(out, "</w>", err) : rc;
}

int bpe_token(buf *out, const bpe *b, int32_t id, clipc_err *err)
{
    for (int32_t t = bpe_token_eot(b); t >= 0; t--)
        if (bpe_id(b, t) == id) return bpe_spell(out, b, t, false, err);
    return CLIPC_OK;
}

/* Backslash and quote are the only characters of the alphabet that JSON escapes. */
static int put_json(buf *out, const char *s, clipc_err *err)
{
    int rc = buf_puts(out, "\"", err);

    for (; rc == CLIPC_OK && *s; s++) {
        if (*s == '"' || *s == '\\') rc = buf_puts(out, "\\", err);
        if (rc == CLIPC_OK) rc = buf_add(out, s, 1, err);
    }
    return rc == CLIPC_OK ? buf_puts(out, "\"", err) : rc;
}

int bpe_vocab_json(buf *out, const bpe *b, clipc_err *err)
{
    buf symbol = {0};
    int rc = buf_puts(out, "{", err);

    for (int32_t t = 0; rc == CLIPC_OK && t <= bpe_token_eot(b); t++) {
        buf_clear(&symbol);
        rc = bpe_spell(&symbol, b, t, true, err);
        if (rc == CLIPC_OK && t) rc = buf_puts(out, ",", err);
        if (rc == CLIPC_OK) rc = put_json(out, symbol.data, err);
        if (rc == CLIPC_OK) rc = buf_printf(out, err, ":%d", (int)bpe_id(b, t));
    }
    buf_free(&symbol);
    return rc == CLIPC_OK ? buf_puts(out, "}\n", err) : rc;
}

int bpe_merges_txt(buf *out, const bpe *b, clipc_err *err)
{
    int rc = buf_puts(out, "#version: 0.2\n", err);

    for (size_t i = 0; rc == CLIPC_OK && i < b->n_merges; i++)
        for (int side = 0; rc == CLIPC_OK && side < 2; side++) {
            rc = bpe_spell(out, b, b->merges[i][side], true, err);
            if (rc == CLIPC_OK) rc = buf_puts(out, side ? "\n" : " ", err);
        }
    return rc;
}

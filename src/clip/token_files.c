#include "clip/token_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

const char *const token_file_names[TOKEN_FILES] = {
    [TOKEN_OPTIONS] = "tokenizer_config.json",
    [TOKEN_SPECIALS] = "special_tokens_map.json",
    [TOKEN_VOCAB] = "vocab.json",
    [TOKEN_MERGES] = "merges.txt",
    [TOKEN_WORDS] = "vocab.txt",
    [TOKEN_JSON] = "tokenizer.json",
    [TOKEN_SPIECE] = "spiece.model",
    [TOKEN_SPBPE] = "sentencepiece.bpe.model",
    [TOKEN_MODEL] = "tokenizer.model"};

void token_files_free(token_files *f)
{
    for (size_t i = 0; i < TOKEN_FILES; i++) {
        buf_free(&f->bytes[i]);
        free(f->paths[i]);
    }
    *f = (token_files){0};
}

int token_files_open(token_files *f, const model_source *s, clipc_err *err)
{
    *f = (token_files){.source = s};
    for (size_t i = 0; i < TOKEN_FILES; i++) {
        f->paths[i] = path_join(s->path, token_file_names[i]);
        if (!f->paths[i]) return clipc_fail_memory(err, s->path, 0);
        f->there[i] = source_has(s, token_file_names[i]);
    }
    return CLIPC_OK;
}

int token_file_read(token_files *f, int which, clipc_err *err)
{
    int rc = CLIPC_OK;

    if (!f->kept[which])
        rc = source_file(&f->bytes[which], f->source, token_file_names[which], err);
    f->kept[which] = rc == CLIPC_OK;
    return rc;
}

int token_files_read(token_files *f, clipc_err *err)
{
    int rc = CLIPC_OK;

    for (int i = 0; rc == CLIPC_OK && i < TOKEN_FILES; i++)
        if (f->there[i]) rc = token_file_read(f, i, err);
    return rc;
}

int token_file_json(json_t **out, token_files *f, int which, clipc_err *err)
{
    const buf *b = &f->bytes[which];
    const int rc = f->there[which] ? token_file_read(f, which, err) : CLIPC_OK;

    if (rc != CLIPC_OK || !f->there[which]) return rc;
    return json_parse(out, b->data, b->len, f->paths[which], err);
}

int token_files_save(const token_files *f, const char *folder, clipc_err *err)
{
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < TOKEN_FILES; i++) {
        char *path = path_join(folder, token_file_names[i]);
        if (!path) return clipc_fail_memory(err, folder, 0);
        if (f->kept[i]) rc = file_replace(path, f->bytes[i].data, f->bytes[i].len, err);
        else remove(path);
        free(path);
    }
    return rc;
}

int token_files_tell(token_files *f, clip_cfg *cfg, clipc_err *err)
{
    static const char class[] = "CLIPTokenizer";

    if (cfg->foreign_tokens || !f->kept[TOKEN_VOCAB]) return CLIPC_OK;
    cfg->foreign_tokens = true;
    strcpy(cfg->tokenizer, class);
    if (f->kept[TOKEN_OPTIONS]) return CLIPC_OK;
    f->kept[TOKEN_OPTIONS] = true;
    return buf_printf(&f->bytes[TOKEN_OPTIONS], err, "{\"tokenizer_class\": \"%s\"}\n",
                      class);
}

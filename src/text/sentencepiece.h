/* text/sentencepiece.h -- SentencePiece's .model files (google/sentencepiece 0.2,
 * src/sentencepiece_model.proto) and its two segmentations, unigram and BPE.
 *
 * A text is normalised by the model's own rules (text/charsmap.h), blanks become U+2581,
 * one is put in front; the result is segmented, and characters that are no piece become
 * the unknown token, one for a run of them, or bytes if the model falls back to them. */
#ifndef CLIPC_TEXT_SENTENCEPIECE_H
#define CLIPC_TEXT_SENTENCEPIECE_H

#include <stdbool.h>

#include "base/file.h"
#include "text/grow.h"

/* Const once made, shared by all threads. */
typedef struct spm spm;
/* One thread's scratch. */
typedef struct spm_work spm_work;

typedef enum spm_type {
    SPM_NORMAL = 1,
    SPM_UNKNOWN = 2,
    SPM_CONTROL = 3,
    SPM_USER_DEFINED = 4,
    SPM_UNUSED = 5,
    SPM_BYTE = 6
} spm_type;

/* Anything but unigram and BPE models is refused by name.  The text is not needed
 * afterwards; `name` is for messages. */
int spm_new(spm **out, const void *data, size_t size, const char *name, clipc_err *err);
void spm_free(spm *m);

int spm_work_new(spm_work **out, clipc_err *err);
void spm_work_free(spm_work *w);

size_t spm_size(const spm *m);
/* The id of a piece of any type; -1. */
int32_t spm_id(const spm *m, const char *name);
int32_t spm_unk(const spm *m);
bool spm_is_bpe(const spm *m);
/* Piece `id`, which is not followed by a NUL, its score and type. */
span spm_piece(const spm *m, int32_t id, float *score, spm_type *type);
/* The rules of normalization as they stand in the file, NULL if there are none. */
span spm_charsmap(const spm *m);
void spm_set_dummy_prefix(spm *m, bool on);

/* Appends the ids of a text, to which no begin or end is added.  CLIPC_ERR_TEXT if it is
 * not UTF-8 or longer than TEXT_MAX bytes (text/clean.h). */
int spm_encode(const spm *m, spm_work *w, id_list *ids, const char *text, size_t len,
               clipc_err *err);

#endif

/* text/bpe_data.h -- OpenAI's vocabulary as data: see tools/make_vocab.py. */
#ifndef CLIPC_TEXT_BPE_DATA_H
#define CLIPC_TEXT_BPE_DATA_H

#include <stdint.h>

enum { BPE_MERGES = 48894 };

extern const uint16_t bpe_bytes[256];            /* the byte that token i stands for */
extern const uint16_t bpe_merges[BPE_MERGES][2]; /* token 512 + i is these two in a row */

#endif

/* base/hash.h -- a number for bytes, for tables and to tell whether they are the same as
 * before; nothing that resists an adversary. */
#ifndef CLIPC_BASE_HASH_H
#define CLIPC_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* FNV-1a (64 bits) over 8 bytes at a time, mixed at the end; goes on from h: hashes of
 * parts in a row make one of all.  Depends on the byte order. */
uint64_t hash_bytes(uint64_t h, const void *data, size_t size);
/* Of a string, its end included. */
uint64_t hash_text(uint64_t h, const char *text);

#endif

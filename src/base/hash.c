#include "base/hash.h"

#include <string.h>

static const uint64_t FNV_PRIME = 0x100000001b3u, FNV_BASIS = 0xcbf29ce484222325u;

uint64_t hash_bytes(uint64_t h, const void *data, size_t size)
{
    const char *p = data;
    uint64_t word;

    h ^= FNV_BASIS;
    for (; size >= sizeof word; size -= sizeof word, p += sizeof word) {
        memcpy(&word, p, sizeof word);
        h = (h ^ word) * FNV_PRIME;
        h ^= h >> 29; /* of whole words FNV's low bits would never see the high ones */
    }
    for (; size; size--, p++) h = (h ^ (unsigned char)*p) * FNV_PRIME;
    h ^= h >> 32;
    return h * 0x9e3779b97f4a7c15u ^ h >> 29;
}

uint64_t hash_text(uint64_t h, const char *text)
{
    return hash_bytes(h, text, strlen(text) + 1);
}

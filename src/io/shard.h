/* io/shard.h -- WebDataset shards: tar files in which the members that share a name up to
 * its first dot are one sample ("000123.png", "000123.json"), next to each other.
 * Read with libarchive.  A plain tar file is mapped and its members stay where they are;
 * a compressed one (gzip, bzip2, xz, zstd) is unpacked into memory. */
#ifndef CLIPC_IO_SHARD_H
#define CLIPC_IO_SHARD_H

#include "base/file.h"

enum { SHARD_PARTS = 8, SHARD_EXT = 16, SHARD_LIMIT = 1 << 30 };

/* A member of a sample: what follows the first dot, in lower case, and its bytes. */
typedef struct shard_part {
    char ext[SHARD_EXT];
    span bytes;
} shard_part;

/* At most SHARD_PARTS members; further ones, and those whose extension is longer than
 * SHARD_EXT holds, are left out. */
typedef struct shard_sample {
    const char *key; /* folder and name up to the dot */
    shard_part parts[SHARD_PARTS];
    size_t n;
} shard_sample;

typedef struct shard {
    shard_sample *samples;
    size_t n;
    span map;    /* a plain tar file, which all parts point into; else empty, and: */
    char *bytes; /* what the parts point into; their keys always do */
    size_t size; /* of bytes */
} shard;

/* Reads the members of a tar file; those of a compressed one have at most `limit` bytes
 * together, commonly SHARD_LIMIT.  Members that are no plain files, and names without a
 * dot or with nothing before it, are passed over; a damaged archive is CLIPC_ERR_FORMAT.
 * Free with shard_free. */
int shard_open(shard *out, const char *path, size_t limit, clipc_err *err);
void shard_free(shard *s);

/* The part with that extension, or NULL. */
const shard_part *shard_find(const shard_sample *s, const char *ext);

/* Whether a path ends in .tar, .tgz or .tar and a compression: .tar.gz, .bz2, .xz, .zst.
 */
bool shard_is(const char *path);

#endif

/* io/shard_write.h -- writes a WebDataset shard: a plain tar file that appears when it is
 * whole.  Nothing of the machine or the hour goes into it: same samples, same bytes. */
#ifndef CLIPC_IO_SHARD_WRITE_H
#define CLIPC_IO_SHARD_WRITE_H

#include "base/file.h"

typedef struct shard_writer {
    struct archive *archive;
    struct archive_entry *entry;
    atomic_file file;
    clipc_err why;  /* what the callback could not do through which libarchive writes */
    uint64_t bytes; /* given to the file so far */
} shard_writer;

/* A shard that is there is replaced. */
int shard_create(shard_writer *w, const char *path, clipc_err *err);
/* Appends a member. */
int shard_put(shard_writer *w, const char *name, const void *data, size_t size,
              clipc_err *err);
int shard_commit(shard_writer *w, clipc_err *err);
/* After a commit, or on a zeroed struct, it does nothing. */
void shard_abort(shard_writer *w);

#endif

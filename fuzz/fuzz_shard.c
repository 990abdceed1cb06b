/* Any bytes as a tar shard. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/shard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int fd = memfd_create("fuzz", MFD_CLOEXEC);
    char path[64];
    shard s;

    if (fd < 0 || write(fd, data, size) != (ssize_t)size) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (shard_open(&s, path, 1 << 20, NULL) == CLIPC_OK)
        for (size_t i = 0; i < s.n; i++) shard_find(&s.samples[i], "png");
    shard_free(&s);
    close(fd);
    return 0;
}

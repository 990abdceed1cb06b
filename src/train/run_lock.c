#define _GNU_SOURCE
#include "train/run_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

static int open_lock(const char *folder, int flags)
{
    char *path = path_join(folder, "lock");
    const int fd = path ? open(path, flags | O_CLOEXEC, 0666) : -1;

    free(path);
    return fd;
}

/* The file holds the number of the process, for the lock itself has none. */
static long read_owner(int fd)
{
    char text[32] = "";

    return pread(fd, text, sizeof text - 1, 0) > 0 ? atol(text) : 0;
}

long run_lock_owner(const char *folder)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    const int fd = open_lock(folder, O_RDONLY);
    const bool held = fd >= 0 && fcntl(fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK;
    const long owner = held ? read_owner(fd) : 0;

    if (fd >= 0) close(fd);
    return owner;
}

static bool write_owner(int fd)
{
    char text[32];
    const int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());

    return ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)len, 0) == len;
}

int run_lock_take(int *fd, const char *folder, clipc_err *err)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    *fd = open_lock(folder, O_RDWR | O_CREAT);
    if (*fd < 0)
        return clipc_fail(err, CLIPC_ERR_IO, "%s/lock: %s", folder, strerror(errno));
    if (fcntl(*fd, F_OFD_SETLK, &l) == 0 && write_owner(*fd)) return CLIPC_OK;
    const int why = errno;
    run_lock_release(*fd);
    *fd = -1;
    return why == EAGAIN || why == EACCES
               ? clipc_fail(err, CLIPC_ERR_EXISTS, "%s: process %ld trains in it", folder,
                            run_lock_owner(folder))
               : clipc_fail(err, CLIPC_ERR_IO, "%s/lock: %s", folder, strerror(why));
}

void run_lock_release(int fd)
{
    if (fd >= 0) close(fd);
}

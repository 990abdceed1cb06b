#define _GNU_SOURCE
#include "train/run_lock.h"

#include <errno.h>
#include <fcntl.h>
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

long run_lock_owner(const char *folder)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    const int fd = open_lock(folder, O_RDONLY);
    const int rc = fd >= 0 ? fcntl(fd, F_GETLK, &l) : -1;

    if (fd >= 0) close(fd);
    return rc == 0 && l.l_type != F_UNLCK ? (long)l.l_pid : 0;
}

int run_lock_take(int *fd, const char *folder, clipc_err *err)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    *fd = open_lock(folder, O_RDWR | O_CREAT);
    if (*fd < 0)
        return clipc_fail(err, CLIPC_ERR_IO, "%s/lock: %s", folder, strerror(errno));
    if (fcntl(*fd, F_SETLK, &l) == 0) return CLIPC_OK;
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

#define _GNU_SOURCE
#include "cli/folder_watch.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

int folder_watch_open(int *out, clipc_err *err)
{
    *out = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    return *out >= 0 ? CLIPC_OK
                     : clipc_fail(err, CLIPC_ERR_IO, "cannot watch: %s", strerror(errno));
}

/* Links are not followed, so that circles end. */
static int add_below(int fd, const char *folder, clipc_err *err)
{
    DIR *d = opendir(folder);
    int rc = CLIPC_OK;

    for (struct dirent *e; d && rc == CLIPC_OK && (e = readdir(d));) {
        struct stat st;
        char *path;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (e->d_type != DT_DIR && e->d_type != DT_UNKNOWN) continue;
        if (!(path = path_join(folder, e->d_name)))
            rc = clipc_fail_memory(err, folder, strlen(folder));
        else if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
            rc = folder_watch_add(fd, path, err);
        free(path);
    }
    if (d) closedir(d);
    return rc;
}

int folder_watch_add(int fd, const char *folder, clipc_err *err)
{
    const uint32_t what = IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE |
                          IN_DELETE | IN_ATTRIB | IN_ONLYDIR;

    if (inotify_add_watch(fd, folder, what) < 0) {
        if (errno == ENOSPC)
            return clipc_fail(err, CLIPC_ERR_LIMIT,
                              "%s: more folders than fs.inotify.max_user_watches",
                              folder);
        return CLIPC_OK; /* gone by now, or not ours to read: the update tells */
    }
    return add_below(fd, folder, err);
}

/* Forgets what has happened so far. */
static void drain(int fd)
{
    char events[4096];

    while (read(fd, events, sizeof events) > 0) continue;
}

bool folder_watch_wait(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int n = poll(&p, 1, -1);

    for (const double begin = clock_now(); n > 0 && clock_now() < begin + 30.0;) {
        drain(fd);
        n = poll(&p, 1, 1000);
        if (n == 0) return true;
    }
    return n > 0;
}

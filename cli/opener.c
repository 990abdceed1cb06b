#define _GNU_SOURCE
#include "cli/opener.h"

#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __APPLE__
#define OPENER "open"
#else
#define OPENER "xdg-open"
#endif

/* Results on standard output stay results. */
static int start(pid_t *pid, char *path)
{
    char program[] = OPENER, *const argv[] = {program, path, NULL};
    posix_spawn_file_actions_t actions;
    int failed = posix_spawn_file_actions_init(&actions);

    if (failed) return failed;
    failed = posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    if (!failed) failed = posix_spawnp(pid, program, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

static int wait_for(pid_t pid, const char *path, clipc_err *err)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return clipc_fail(err, CLIPC_ERR_IO, "%s: " OPENER ": %s", path,
                              strerror(errno));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return CLIPC_OK;
    return clipc_fail(err, CLIPC_ERR_IO, "%s: " OPENER " could not open it (%s %d)", path,
                      WIFEXITED(status) ? "status" : "signal",
                      WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

int opener_open(const char *path, clipc_err *err)
{
    char *whole = realpath(path, NULL); /* no name is taken for an option or address */
    pid_t pid = 0;
    int failed, rc;

    if (!whole) return clipc_fail(err, CLIPC_ERR_IO, "%s: %s", path, strerror(errno));
    failed = start(&pid, whole);
    if (failed)
        rc = clipc_fail(err, CLIPC_ERR_IO, "%s: cannot be opened by " OPENER ": %s", path,
                        failed == ENOENT ? "not installed" : strerror(failed));
    else rc = wait_for(pid, path, err);
    free(whole);
    return rc;
}

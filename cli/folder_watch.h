/* cli/folder_watch.h -- folders, with all below them, that are watched for changes
 * (inotify). */
#ifndef CLIPC_CLI_FOLDER_WATCH_H
#define CLIPC_CLI_FOLDER_WATCH_H

#include <stdbool.h>

#include "base/err.h"

/* *out = a descriptor; close() it.  CLIPC_ERR_IO: the system has no more of them. */
int folder_watch_open(int *out, clipc_err *err);
/* Watches a folder and what lies below it; what is watched already stays so.
 * CLIPC_ERR_LIMIT: more folders than fs.inotify.max_user_watches. */
int folder_watch_add(int fd, const char *folder, clipc_err *err);
/* Waits until something has changed and then for a second nothing more, or half a minute
 * is over since; false: a signal came first. */
bool folder_watch_wait(int fd);

#endif

/* train/run_lock.h -- who trains in a folder: a lock on its file "lock", which the system
 * takes back when the process ends, however it does.  It is of the open file (OFD), not
 * of the process: closing another descriptor of the file does not lose it. */
#ifndef CLIPC_TRAIN_RUN_LOCK_H
#define CLIPC_TRAIN_RUN_LOCK_H

#include "base/err.h"

/* Takes the lock of a folder that is there; *fd holds it until run_lock_release (which
 * takes -1).  CLIPC_ERR_EXISTS: it is taken, and by which process. */
int run_lock_take(int *fd, const char *folder, clipc_err *err);
void run_lock_release(int fd);

/* The process that has it; 0: none. */
long run_lock_owner(const char *folder);

#endif

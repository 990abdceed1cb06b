/* base/cpus.h -- how many threads are worth having where nobody said. */
#ifndef CLIPC_BASE_CPUS_H
#define CLIPC_BASE_CPUS_H

#include <stddef.h>

enum { CPUS_MOST = 256 }; /* threads that one context computes with at most */

/* The processors that this process may run on (its affinity mask), or fewer where its
 * control group or one around it has a limit of processor time, rounded up; 1 to
 * CPUS_MOST.  What cannot be read limits nothing. */
size_t cpus_usable(void);

/* That limit alone: of a process whose /proc/self/cgroup is the file `self`, with control
 * groups mounted at `root` (/sys/fs/cgroup), version 2 or 1; SIZE_MAX for none. */
size_t cpus_of_cgroups(const char *root, const char *self);

#endif

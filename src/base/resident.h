/* base/resident.h -- memory that the process has. */
#ifndef CLIPC_BASE_RESIDENT_H
#define CLIPC_BASE_RESIDENT_H

#include <stddef.h>

/* Bytes of the process that are in memory now; 0 where Linux's /proc is not there. */
size_t resident_bytes(void);

#endif

/* base/clock.h -- seconds since some fixed moment, never running backwards. */
#ifndef CLIPC_BASE_CLOCK_H
#define CLIPC_BASE_CLOCK_H

double clock_now(void);

#endif

/* tests/check.h -- cmocka, and comparisons that NaN cannot pass. */
#ifndef CLIPC_TESTS_CHECK_H
#define CLIPC_TESTS_CHECK_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* cmocka.h wants the four standard headers above to come before it. */
#include <cmocka.h>

#define CHECK_NEAR(a, b, tol)                                                    \
    do {                                                                         \
        const double check_a = (double)(a), check_b = (double)(b);               \
        if (!(fabs(check_a - check_b) <= (double)(tol)))                         \
            fail_msg("%s = %.9g, wanted %s = %.9g within %.3g", #a, check_a, #b, \
                     check_b, (double)(tol));                                    \
    } while (0)

/* The call succeeds; the message of its clipc_err `e` is shown otherwise. */
#define CHECK_OK(call, e)                                                    \
    do {                                                                     \
        const int check_rc = (call);                                         \
        if (check_rc != 0) fail_msg("%s: %d: %s", #call, check_rc, (e).msg); \
    } while (0)

/* The call fails with this code, and its message holds `part`. */
#define CHECK_FAILS(call, want, e, part)                                         \
    do {                                                                         \
        memset(&(e), 0, sizeof(e));                                              \
        const int check_rc = (call);                                             \
        if (check_rc != (want))                                                  \
            fail_msg("%s: %d, wanted %d: %s", #call, check_rc, (want), (e).msg); \
        if (!strstr((e).msg, (part)))                                            \
            fail_msg("%s: \"%s\" does not say \"%s\"", #call, (e).msg, (part));  \
    } while (0)

#endif

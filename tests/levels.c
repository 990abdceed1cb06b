#include "levels.h"

#include <stdlib.h>

#include "check.h"

static char *before; /* what the user had in CLIPC_ISA */

int level_begin(void **state)
{
    const char *isa = getenv("CLIPC_ISA");

    before = isa ? strdup(isa) : NULL;
    return setenv("CLIPC_ISA", *state, 1);
}

int level_end(void **state)
{
    const int rc = before ? setenv("CLIPC_ISA", before, 1) : unsetenv("CLIPC_ISA");

    (void)state;
    free(before);
    return rc;
}

const kernels *level_kernels(void **state)
{
    const kernels *k = kernels_named(*state);

    if (!k) skip();
    return k;
}

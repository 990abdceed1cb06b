#include "train/broken.h"

void broken_add(broken *b, const clipc_err *why)
{
    if (b->n < BROKEN_TOLD) b->first[b->n] = *why;
    b->n++;
}

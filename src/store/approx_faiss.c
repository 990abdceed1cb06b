#include "store/approx.h"

static faiss functions;
static dynlib library = DYNLIB("libclipc_faiss.so", APPROX_FUNCTIONS, functions);

const faiss *faiss_need(const char *path, clipc_err *err)
{
    return dynlib_need(&library, path, err) == CLIPC_OK ? &functions : NULL;
}

#include "base/dynlib.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;

static int load(dynlib *lib, const char *name, clipc_err *err)
{
    void *handle = dlopen(lib->file, RTLD_NOW | RTLD_LOCAL), *function;
    const char *symbol = lib->names;

    if (!handle)
        return clipc_fail(err, CLIPC_ERR_IO, "%s: %s is not installed", name, lib->file);
    for (size_t i = 0; i < lib->n; i++, symbol += strlen(symbol) + 1) {
        function = dlsym(handle, symbol);
        if (!function) {
            dlclose(handle);
            return clipc_fail(err, CLIPC_ERR_IO, "%s: %s has no %s", name, lib->file,
                              symbol);
        }
        memcpy((char *)lib->functions + i * sizeof function, &function, sizeof function);
    }
    lib->loaded = 1;
    return CLIPC_OK;
}

int dynlib_need(dynlib *lib, const char *name, clipc_err *err)
{
    pthread_mutex_lock(&loading);
    const int rc = lib->loaded ? CLIPC_OK : load(lib, name, err);
    pthread_mutex_unlock(&loading);
    return rc;
}

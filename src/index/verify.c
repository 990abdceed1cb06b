#include <stdlib.h>

#include "index/index.h"
#include "index/place.h"

/* Whom store's notes go to. */
typedef struct listener {
    void (*on_bad)(void *user, const char *what);
    void *user;
} listener;

static void note(void *arg, const char *line)
{
    const listener *l = arg;

    if (l->on_bad) l->on_bad(l->user, line);
}

int clipc_index_verify(clipc_index_report *out, const char *folder, int repair,
                       void (*on_bad)(void *user, const char *what), void *user,
                       clipc_err *err)
{
    listener l = {on_bad, user};
    store_report r = {0};
    char *path = NULL;
    int rc = index_place(&path, folder, err);

    if (rc == CLIPC_OK && store_is_url(path))
        rc = clipc_fail(err, CLIPC_ERR_ARG,
                        "a server checks what it keeps: verify is for an index in a "
                        "folder");
    if (rc == CLIPC_OK)
        rc = (repair ? store_repair : store_verify)(path, &r, note, &l, err);
    free(path);
    *out = (clipc_index_report){.vectors = (size_t)r.vectors,
                                .bad = (size_t)(r.bad + r.lost) + r.catalogue,
                                .dropped = (size_t)r.dropped,
                                .made_again = r.made_again};
    return rc;
}

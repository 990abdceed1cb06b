/* A folder on this machine as a kind of store. */
#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "store/catalogue.h"

/* Bytes of the files of a folder, and of what lies below. */
static uint64_t bytes_below(const char *folder)
{
    DIR *d = opendir(folder);
    uint64_t sum = 0;
    struct stat st;

    for (struct dirent *e; d && (e = readdir(d));) {
        char *path = *e->d_name == '.' ? NULL : path_join(folder, e->d_name);
        if (path && lstat(path, &st) == 0)
            sum += S_ISDIR(st.st_mode) ? bytes_below(path) : (uint64_t)st.st_size;
        free(path);
    }
    if (d) closedir(d);
    return sum;
}

static int disk_bytes(store *s, uint64_t *bytes, clipc_err *err)
{
    (void)err;
    *bytes = bytes_below(s->folder);
    return CLIPC_OK;
}

const store_kind disk_kind = {
    .close = disk_close,
    .begin = disk_begin,
    .commit = disk_commit,
    .rollback = disk_rollback,
    .bytes = disk_bytes,
    .root_add = disk_root_add,
    .root_set_meta = disk_root_set_meta,
    .root_remove = disk_root_remove,
    .each_root = disk_each_root,
    .space_find = disk_space_find,
    .space_add = disk_space_add,
    .space_head = disk_space_head,
    .space_get = disk_space_get,
    .space_remove = disk_space_remove,
    .each_space = disk_each_space,
    .item_put = disk_item_put,
    .item_remove = disk_item_remove,
    .item_move = disk_item_move,
    .each_item = disk_each_item,
    .vector_find = disk_vector_find,
    .vector_put = disk_vector_put,
    .vector_get = disk_vector_get,
    .each_item_of = disk_each_item_of,
};

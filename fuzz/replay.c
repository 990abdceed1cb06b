/* fuzz/replay.c -- runs a fuzz target over a folder of saved inputs, without a fuzzing
 * engine, so that every corpus is part of the ordinary checks. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
    clipc_err err;
    buf b = {0};
    const int rc = file_read(&b, path, (size_t)64 << 20, &err);

    if (rc != CLIPC_OK) {
        fprintf(stderr, "%s\n", err.msg);
    } else {
        /* An exact copy: a read past the end must leave the allocation. */
        uint8_t *copy = malloc(b.len ? b.len : 1);
        if (!copy) abort();
        for (size_t i = 0; i < b.len; i++) copy[i] = (uint8_t)b.data[i];
        LLVMFuzzerTestOneInput(copy, b.len);
        free(copy);
    }
    buf_free(&b);
    return rc;
}

int main(int argc, char **argv)
{
    size_t n = 0;

    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        if (!dir) return fprintf(stderr, "%s: no such corpus\n", argv[i]), 1;
        for (struct dirent *e; (e = readdir(dir));) {
            if (e->d_name[0] == '.') continue;
            char *path = path_join(argv[i], e->d_name);
            if (!path || replay(path) != CLIPC_OK) return 1;
            free(path);
            n++;
        }
        closedir(dir);
        printf("fuzz corpus %s: %zu inputs\n", argv[i], n);
    }
    return n == 0;
}

#define _GNU_SOURCE
#include "base/cpus.h"

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/sizes.h"

enum { FILE_MOST = 1 << 16 };

/* A number above 0 at *s, which moves behind it; 0: there is none. */
static uint64_t number(const char **s)
{
    char *end;
    const unsigned long long n = strtoull(*s, &end, 10);
    const bool is_number = **s >= '0' && **s <= '9' && n < UINT32_MAX;

    *s = end;
    return is_number ? n : 0;
}

/* The text of a folder's file `name`; false: none is to be had. */
static bool read_in(buf *out, const char *folder, const char *name)
{
    char *path = path_join(folder, name);
    const bool ok = path && file_read(out, path, FILE_MOST, NULL) == CLIPC_OK;

    free(path);
    return ok && out->len;
}

/* Processors that `quota` of `period` microseconds keep busy. */
static size_t processors(uint64_t quota, uint64_t period)
{
    return quota && period ? (size_t)((quota + period - 1) / period) : SIZE_MAX;
}

/* The limit that one group's folder states: "QUOTA PERIOD" or "max PERIOD" in version 2,
 * two files, -1 for none, in version 1. */
static size_t limit_of(const char *folder, buf *text)
{
    const char *s;
    uint64_t quota, period = 0;

    if (read_in(text, folder, "cpu.max")) {
        s = text->data;
        quota = number(&s);
        while (*s == ' ') s++;
        return processors(quota, number(&s));
    }
    if (!read_in(text, folder, "cpu.cfs_quota_us")) return SIZE_MAX;
    s = text->data;
    quota = number(&s);
    if (read_in(text, folder, "cpu.cfs_period_us")) s = text->data, period = number(&s);
    return processors(quota, period);
}

/* The least limit of the group at `path` (from the mount at `top`) and those around it;
 * path is cut.  Where the process sees only part of the tree, what its path names may not
 * be there: then the groups that are. */
static size_t limit_around(const char *top, char *path, buf *text)
{
    size_t least = SIZE_MAX;

    if (strstr(path, "/..")) *path = '\0'; /* beyond what is mounted */
    for (;;) {
        char *folder = path_join(top, path + strspn(path, "/"));
        char *slash = strrchr(path, '/');
        if (folder) least = min_size(least, limit_of(folder, text));
        free(folder);
        if (!*path) return least;
        *(slash ? slash : path) = '\0';
    }
}

/* Whether "cpu" is one of the names in a list with commas. */
static bool has_cpu(const char *list)
{
    for (const char *s = list; s; s = strchr(s, ',')) {
        s += *s == ',';
        const size_t n = strcspn(s, ",");
        if (n == 3 && memcmp(s, "cpu", n) == 0) return true;
    }
    return false;
}

/* A line of /proc/self/cgroup, "ID:CONTROLLERS:PATH", which is cut.  Version 2 has no
 * controllers there; of version 1, those of "cpu" are mounted under that name. */
static size_t limit_of_line(const char *root, char *line, buf *text)
{
    char *controllers = strchr(line, ':'), *path, *top;
    size_t least;

    path = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!path) return SIZE_MAX;
    *controllers++ = *path++ = '\0';
    if (!*controllers) return limit_around(root, path, text);
    if (!has_cpu(controllers)) return SIZE_MAX;
    top = path_join(root, "cpu");
    if (!top) return SIZE_MAX;
    least = limit_around(top, path, text);
    free(top);
    return least;
}

size_t cpus_of_cgroups(const char *root, const char *self)
{
    size_t least = SIZE_MAX;
    buf lines = {0}, text = {0};

    if (file_read(&lines, self, FILE_MOST, NULL) == CLIPC_OK && lines.len)
        for (char *line = lines.data, *next; line; line = next) {
            next = strchr(line, '\n');
            if (next) *next++ = '\0';
            least = min_size(least, limit_of_line(root, line, &text));
        }
    buf_free(&lines);
    buf_free(&text);
    return least;
}

/* Of the affinity mask; else all that there are. */
static size_t allowed(void)
{
    cpu_set_t set[8]; /* 8192 processors, the most that Linux has */
    long n;

    if (sched_getaffinity(0, sizeof set, set) == 0) n = CPU_COUNT_S(sizeof set, set);
    else n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (size_t)n : 1;
}

size_t cpus_usable(void)
{
    const size_t limit = cpus_of_cgroups("/sys/fs/cgroup", "/proc/self/cgroup");
    return min_size(min_size(allowed(), limit), CPUS_MOST);
}

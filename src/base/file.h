/* base/file.h -- files: mapped, read whole, replaced atomically.  Every error names the
 * file and the reason of the operating system. */
#ifndef CLIPC_BASE_FILE_H
#define CLIPC_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"

/* Bytes that somebody else owns. */
typedef struct span {
    const uint8_t *data;
    size_t size;
} span;

/* Maps a regular file read-only; an empty file gives {NULL, 0}.  The pages stay shared
 * with the page cache: nothing is read until touched.  Release with file_unmap. */
int file_map(span *out, const char *path, clipc_err *err);
void file_unmap(span *s);
/* The pages that lie wholly inside bytes of a mapping are not needed for now: they no
 * longer count as this process's memory, and are read again if touched. */
void file_forget(span bytes);

/* Reads a whole file (or pipe; "-" is standard input) of at most `limit` bytes into *out,
 * which is cleared first. */
int file_read(buf *out, const char *path, size_t limit, clipc_err *err);

/* Exactly `size` bytes from `offset` on into *out, which is cleared first. */
int file_read_part(buf *out, const char *path, uint64_t offset, size_t size,
                   clipc_err *err);

bool file_exists(const char *path);
bool file_is_dir(const char *path);
bool file_is_regular(const char *path); /* no folder, pipe, device or socket */

/* Makes a folder and its missing parents.  An existing one is no error. */
int file_mkdirs(const char *path, clipc_err *err);

/* A file under construction: written beside its target under a temporary name, then
 * synced and renamed over it, so that a reader sees the old file or the new one, whatever
 * kills us in between. */
typedef struct atomic_file {
    FILE *f;
    char *path, *tmp;
} atomic_file;

/* `overwrite` false: fails with CLIPC_ERR_EXISTS when the target is there; a folder, a
 * device or a pipe is never overwritten.  A file that is replaced keeps its permissions;
 * those of a new one are the umask's. */
int atomic_open(atomic_file *a, const char *path, bool overwrite, clipc_err *err);
/* Whether that would work, told before the work whose result goes there. */
int atomic_check(const char *path, bool overwrite, clipc_err *err);
int atomic_write(atomic_file *a, const void *data, size_t size, clipc_err *err);
int atomic_commit(atomic_file *a, clipc_err *err);
/* Removes the temporary file.  After a commit, or on a zeroed struct, it does nothing. */
void atomic_abort(atomic_file *a);

/* The three calls above in one. */
int file_replace(const char *path, const void *data, size_t size, clipc_err *err);

/* "dir/name", "name" where dir is "", in malloc'd memory that the caller frees; NULL when
 * memory is out. */
char *path_join(const char *dir, const char *name);
/* The part behind the last '/'. */
const char *path_base(const char *path);
/* What stands behind the last dot of that part; "" without one. */
const char *path_ending(const char *path);
/* That of a format that image/ decodes. */
bool ending_is_picture(const char *ending);
bool ending_is_video(const char *ending);

#endif

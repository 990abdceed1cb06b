/* io/zip.h -- the directory of a ZIP archive that lies in memory (PKWARE APPNOTE 6.3.10),
 * ZIP64 included.  Nothing is unpacked: an entry that was stored as it is can be looked
 * at where it lies, any other is refused by name.
 *
 * Checksums are not compared: the archives that are read here hold gigabytes of which
 * nothing should be touched before it is used. */
#ifndef CLIPC_IO_ZIP_H
#define CLIPC_IO_ZIP_H

#include "base/file.h"

typedef struct zip_entry {
    span name;       /* in the archive's directory, without a NUL */
    uint64_t header; /* where its local header is */
    uint64_t packed, size;
    unsigned method, flags;
} zip_entry;

typedef struct zip {
    span bytes;
    zip_entry *v; /* sorted by name, each name once */
    size_t n;
} zip;

/* Reads the directory of an archive that outlives *out; `where` is for messages.
 * Time and memory are linear in the directory, up to the sorting. */
int zip_open(zip *out, span bytes, const char *where, clipc_err *err);
/* A zeroed struct is fine. */
void zip_close(zip *z);

/* NULL if there is none of that name. */
const zip_entry *zip_find(const zip *z, span name);
/* The bytes of an entry, checked to lie in the archive.  CLIPC_ERR_FEATURE if they are
 * compressed or encrypted. */
int zip_stored(span *out, const zip *z, const zip_entry *e, const char *where,
               clipc_err *err);

#endif

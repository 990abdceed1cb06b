/* hub/blob.h -- the bytes of one file: fetched beside their place, checked, moved there.
 */
#ifndef CLIPC_HUB_BLOB_H
#define CLIPC_HUB_BLOB_H

#include "hub/http.h"
#include "hub/repo.h"

/* A place for blobs. */
typedef struct blob_store {
    const char *name; /* of the model, for messages */
    char *blobs;      /* ROOT/models--org--name/blobs */
    char *locks;      /* ROOT/.locks/models--org--name */
} blob_store;

/* How many of a file's bytes are here; *whole: its blob is in place. */
uint64_t blob_here(const blob_store *s, const repo_file *f, bool *whole);

/* Puts the blob of a file into its place if it is not there: goes on with what an earlier
 * run left, and checks the hash.  Another process that fetches the same blob is waited
 * for.  *have is how many bytes are there, kept up to date meanwhile.  After a failure
 * what came is kept for the next time, but for CLIPC_ERR_FORMAT: the bytes are not those
 * that the hub announced, and are removed. */
int blob_fetch(const blob_store *s, const repo_file *f, http *h, const char *url,
               long patience, uint64_t *have, clipc_err *err);

#endif

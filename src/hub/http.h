/* hub/http.h -- patient GETs over libcurl, which is loaded when first needed.
 *
 * A GET follows redirects itself, so that the token goes to the host that it is meant for
 * and to no other; goes on where a transfer broke (Range), or from the start where the
 * server does not; waits and tries again after 429, 5xx and failures of the network; and
 * gives up on a server that sends next to nothing. */
#ifndef CLIPC_HUB_HTTP_H
#define CLIPC_HUB_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* Where the bytes of an answer go. */
typedef struct http_sink {
    void *user;
    uint64_t
        have; /* bytes there already: a request asks for what follows; kept by user */
    /* Forgets what is there: the answer begins at its first byte. */
    int (*restart)(void *user, clipc_err *err);
    int (*take)(void *user, const void *data, size_t size, clipc_err *err);
} http_sink;

/* What to know before the first GET; the strings outlive the connection. */
typedef struct http_setup {
    const char *name; /* of the model, for messages */
    const char
        *endpoint;     /* "https://huggingface.co": the only host that sees the token */
    const char *token; /* NULL: none */
    /* Asked several times a second; not 0 ends the transfer. */
    int (*stop)(void *user);
    void *user;
} http_setup;

typedef struct http http;

/* CLIPC_ERR_IO where libcurl is not installed, CLIPC_ERR_FEATURE where clipc was built
 * without it.  Free with http_close. */
int http_open(http **out, const http_setup *setup, clipc_err *err);
void http_close(http *h);

/* GETs `url` into the sink; `patience` is how many seconds the server may take to accept
 * a connection, and how many to send less than a thousand bytes a second.  `file`: what
 * it is, for messages.  On failure the sink keeps what it has. */
int http_get(http *h, const char *url, const char *file, long patience, http_sink *sink,
             clipc_err *err);

/* What the headers about a file on a hub say of its content. */
typedef struct http_about {
    char etag[80]; /* without quotes; "": not said */
    uint64_t size;
    bool linked; /* it is about what a redirect leads to */
} http_about;

/* Asks for the headers of a file (HEAD) alone, X-Linked-ETag and X-Linked-Size before
 * ETag and Content-Length, and follows redirects only as far as it has to. */
int http_head(http *h, const char *url, const char *file, long patience, http_about *out,
              clipc_err *err);

/* Sleeps that long, or until setup.stop says so: CLIPC_ERR_IO. */
int http_pause(http *h, double seconds, clipc_err *err);

#endif

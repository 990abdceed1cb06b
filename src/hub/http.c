#include "hub/http.h"

#ifndef CLIPC_HAVE_CURL

int http_open(http **out, const http_setup *setup, clipc_err *err)
{
    *out = NULL;
    return clipc_fail(err, CLIPC_ERR_FEATURE, "%s: this clipc was built without libcurl",
                      setup->name);
}

void http_close(http *h)
{
    (void)h;
}

int http_get(http *h, const char *url, const char *file, long patience, http_sink *sink,
             clipc_err *err)
{
    (void)h, (void)patience, (void)sink;
    return clipc_fail(err, CLIPC_ERR_FEATURE, "%s: no libcurl to fetch %s", file, url);
}

int http_head(http *h, const char *url, const char *file, long patience, http_about *out,
              clipc_err *err)
{
    (void)out;
    return http_get(h, url, file, patience, NULL, err);
}

int http_pause(http *h, double seconds, clipc_err *err)
{
    (void)h, (void)seconds;
    return clipc_fail(err, CLIPC_ERR_FEATURE, "no libcurl to wait for");
}

#else

#define CURL_DISABLE_TYPECHECK /* its macros call functions by name, not by pointer */
#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "base/dynlib.h"

#define FUNCTIONS(X)      \
    X(curl_global_init)   \
    X(curl_easy_init)     \
    X(curl_easy_setopt)   \
    X(curl_easy_perform)  \
    X(curl_easy_getinfo)  \
    X(curl_easy_cleanup)  \
    X(curl_easy_strerror) \
    X(curl_slist_append)  \
    X(curl_slist_free_all)
static struct {
    DYNLIB_POINTERS(FUNCTIONS)
} lib;
static dynlib library = DYNLIB("libcurl.so.4", FUNCTIONS, lib);

enum {
    HOPS = 8,            /* redirects of one request */
    TRIES = 5,           /* in a row that bring less than PROGRESS bytes */
    PROGRESS = 1 << 20,  /* fewer count as nothing: a server may drip them for ever */
    SLOW = 1000,         /* bytes a second */
    LONGEST_PAUSE = 120, /* seconds that a Retry-After may ask for */
    HEADERS_MAX = 256 << 10,
    CHUNK = 256 << 10,   /* bytes that curl hands over at a time, at most */
    WASTE_MAX = 64 << 10 /* bytes of a page about a redirect or an error */
};

struct http {
    http_setup setup;
    CURL *curl;
    bool reached; /* the server answered once: failures to reach it may pass */
    /* Of the request under way. */
    http_sink *sink;
    http_about *about; /* NULL: the content is asked for */
    uint64_t from;     /* first byte asked for */
    long status;       /* 0 before the status line */
    bool ranged;       /* Content-Range begins at `from` */
    bool begun;        /* the sink knows where the answer begins */
    size_t headers;    /* bytes of them */
    size_t waste;      /* bytes of answers that are none */
    double wait;       /* Retry-After; 0: none */
    int sink_rc;       /* what the sink failed with, its words in sink_err */
    clipc_err sink_err;
};

/* ---- callbacks of curl ---------------------------------------------------------------
 */

/* The value of a header line if it is called `name`; NULL. */
static const char *value_of(const char *line, size_t len, const char *name)
{
    const size_t n = strlen(name);

    if (len <= n || strncasecmp(line, name, n) != 0 || line[n] != ':') return NULL;
    for (line += n + 1; *line == ' ' || *line == '\t';) line++;
    return line;
}

/* ETag: "abc", or W/"abc". */
static void take_etag(http_about *a, const char *value)
{
    if (strncmp(value, "W/", 2) == 0) value += 2;
    if (*value == '"') value++;
    snprintf(a->etag, sizeof a->etag, "%.*s", (int)strcspn(value, "\"\r\n"), value);
}

/* What a header says of the content; a redirect's own etag is not the content's. */
static void take_about(http_about *a, const char *line, size_t len)
{
    const char *value;

    if ((value = value_of(line, len, "X-Linked-ETag")))
        take_etag(a, value), a->linked = true;
    if ((value = value_of(line, len, "X-Linked-Size")))
        a->size = strtoull(value, NULL, 10);
    if (a->linked) return;
    if ((value = value_of(line, len, "ETag"))) take_etag(a, value);
    if ((value = value_of(line, len, "Content-Length")))
        a->size = strtoull(value, NULL, 10);
}

static size_t on_header(char *data, size_t one, size_t n, void *user)
{
    http *h = user;
    char line[256];
    const char *value;
    unsigned long long first;

    h->headers += one * n;
    if (h->headers > HEADERS_MAX) return 0;
    snprintf(line, sizeof line, "%.*s", (int)(n < 255 ? n : 255), data);
    if (strncmp(line, "HTTP/", 5) == 0) {
        const char *space = strchr(line, ' ');
        h->status = space ? strtol(space, NULL, 10) : 0;
        h->ranged = false, h->wait = 0.0;
        if (h->about) *h->about = (http_about){0};
    } else if ((value = value_of(line, n, "Content-Range"))) {
        h->ranged = sscanf(value, "bytes %llu-", &first) == 1 && first == h->from;
    } else if ((value = value_of(line, n, "Retry-After"))) {
        h->wait = strtod(value, NULL); /* 0 for a date */
    }
    if (h->about) take_about(h->about, line, n);
    return one * n;
}

/* The answer holds the bytes that were asked for, or all. */
static bool useful(const http *h)
{
    return h->status == 200 || (h->status == 206 && h->ranged);
}

static size_t on_data(char *data, size_t one, size_t n, void *user)
{
    http *h = user;
    http_sink *s = h->sink;

    if (!useful(h)) {
        h->waste += one * n;
        return h->waste <= WASTE_MAX ? one * n : 0;
    }
    if (!h->begun && (h->status == 200 || !h->from))
        h->sink_rc = s->restart(s->user, &h->sink_err);
    h->begun = true;
    if (h->sink_rc == CLIPC_OK)
        h->sink_rc = s->take(s->user, data, one * n, &h->sink_err);
    return h->sink_rc == CLIPC_OK ? one * n : 0;
}

static bool stopped(const http *h)
{
    return h->setup.stop && h->setup.stop(h->setup.user) != 0;
}

static int on_progress(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    return stopped(user);
}

/* ---- one request ---------------------------------------------------------------------
 */

static int fail_stopped(const http *h, clipc_err *err)
{
    return clipc_fail(err, CLIPC_ERR_STOPPED,
                      "%s: stopped; what came is kept, and the next "
                      "pull goes on from there",
                      h->setup.name);
}

/* The length of "https://host:port" at the front of a URL. */
static size_t origin_len(const char *url)
{
    const char *host = strstr(url, "://");
    return host ? (size_t)(host - url) + 3 + strcspn(host + 3, "/?#") : 0;
}

static bool same_origin(const char *a, const char *b)
{
    const size_t n = origin_len(a);
    return n && n == origin_len(b) && strncasecmp(a, b, n) == 0;
}

static int prepare(http *h, const char *url, long patience, struct curl_slist **headers,
                   clipc_err *err)
{
    char line[4096];
    CURL *c = h->curl;
    int bad = 0;

    if (h->setup.token && same_origin(h->setup.endpoint, url)) {
        snprintf(line, sizeof line, "Authorization: Bearer %s", h->setup.token);
        *headers = lib.curl_slist_append(NULL, line);
        if (!*headers) return clipc_fail_memory(err, "request", sizeof line);
    }
    snprintf(line, sizeof line, "%" PRIu64 "-", h->from);
    bad |= lib.curl_easy_setopt(c, CURLOPT_URL, url);
    bad |= lib.curl_easy_setopt(c, CURLOPT_HTTPHEADER, *headers);
    bad |= lib.curl_easy_setopt(c, CURLOPT_RANGE, h->from ? line : NULL);
    bad |= lib.curl_easy_setopt(c, CURLOPT_NOBODY, h->about ? 1L : 0L);
    if (!h->about) bad |= lib.curl_easy_setopt(c, CURLOPT_HTTPGET, 1L);
    bad |= lib.curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, patience);
    bad |= lib.curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, patience);
    bad |= lib.curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, (long)SLOW);
    return bad ? clipc_fail(err, CLIPC_ERR_ARG, "%s: libcurl refuses %s", h->setup.name,
                            url)
               : CLIPC_OK;
}

/* What a status means for people. */
static const char *meaning(long status)
{
    switch (status) {
    case 401: return "no such model, or one that wants a token (HF_TOKEN)";
    case 403: return "no access: accept the model's terms on its page, and set HF_TOKEN";
    case 404: return "no such model, revision or file";
    case 429: return "too many requests, try again later";
    default: return status >= 500 ? "the server failed" : "an answer of no use";
    }
}

/* Whether what went wrong may be gone the next time. */
static bool may_pass(const http *h, CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST: return h->reached;
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_SSL_CONNECT_ERROR: return true;
    default: return false;
    }
}

/* What came of a request, once redirects are followed. */
static int judge(http *h, CURLcode code, const char *url, const char *file, bool *again,
                 clipc_err *err)
{
    const char *name = h->setup.name;

    *again = false;
    if (h->sink_rc != CLIPC_OK) {
        if (err) *err = h->sink_err;
        return h->sink_rc;
    }
    if (code == CURLE_ABORTED_BY_CALLBACK) return fail_stopped(h, err);
    if (h->headers > HEADERS_MAX)
        return clipc_fail(err, CLIPC_ERR_IO, "%s: %s: more than %d bytes of headers",
                          name, file, HEADERS_MAX);
    if (h->status && !useful(h)) {
        *again = h->status == 429 || h->status == 408 || h->status >= 500;
        if (h->status == 206)
            return clipc_fail(err, CLIPC_ERR_IO, "%s: %s: other bytes than asked for",
                              name, file);
        return clipc_fail(err, CLIPC_ERR_IO, "%s: %s: HTTP %ld: %s", name, file,
                          h->status, meaning(h->status));
    }
    if (code != CURLE_OK) {
        *again = may_pass(h, code);
        return clipc_fail(err, CLIPC_ERR_IO, "%s: %s: %.*s: %s", name, file,
                          (int)(origin_len(url) < 80 ? origin_len(url) : 80), url,
                          code == CURLE_OPERATION_TIMEDOUT
                              ? "too slow, or no answer in time"
                              : lib.curl_easy_strerror(code));
    }
    return CLIPC_OK;
}

/* Where a redirect leads: never from https to http, nor to anything but those. */
static int next_url(http *h, char **url, const char *file, clipc_err *err)
{
    const bool secure = strncasecmp(*url, "https://", 8) == 0;
    char *to = NULL, *copy;

    lib.curl_easy_getinfo(h->curl, CURLINFO_REDIRECT_URL, &to);
    if (!to || (strncasecmp(to, "https://", 8) != 0 &&
                (secure || strncasecmp(to, "http://", 7) != 0)))
        return clipc_fail(err, CLIPC_ERR_IO, "%s: %s: redirected to %.60s", h->setup.name,
                          file, to ? to : "nowhere");
    copy = strdup(to);
    if (!copy) return clipc_fail_memory(err, file, strlen(to));
    free(*url);
    *url = copy;
    return CLIPC_OK;
}

static bool redirects(long status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 ||
           status == 308;
}

static int once(http *h, const char *first, const char *file, long patience, bool *again,
                clipc_err *err)
{
    char *url = strdup(first);
    int rc = url ? CLIPC_OK : clipc_fail_memory(err, file, strlen(first));

    *again = false;
    for (int hop = 0; rc == CLIPC_OK; hop++) {
        struct curl_slist *headers = NULL;
        CURLcode code = CURLE_OK;
        h->status = 0, h->headers = h->waste = 0, h->begun = false, h->sink_rc = CLIPC_OK;
        rc = prepare(h, url, patience, &headers, err);
        if (rc == CLIPC_OK) code = lib.curl_easy_perform(h->curl);
        lib.curl_slist_free_all(headers);
        h->reached = h->reached || h->status;
        if (rc != CLIPC_OK) break;
        if (h->about && h->about->linked) break;
        if (!redirects(h->status) || code == CURLE_ABORTED_BY_CALLBACK) {
            rc = judge(h, code, url, file, again, err);
            break;
        }
        rc = hop < HOPS ? next_url(h, &url, file, err)
                        : clipc_fail(err, CLIPC_ERR_IO, "%s: %s: redirected %d times",
                                     h->setup.name, file, hop);
    }
    free(url);
    return rc;
}

/* ---- patience ------------------------------------------------------------------------
 */

int http_pause(http *h, double seconds, clipc_err *err)
{
    const double end = clock_now() + seconds;
    const struct timespec slice = {0, 100000000};

    while (!stopped(h)) {
        if (clock_now() >= end) return CLIPC_OK;
        nanosleep(&slice, NULL);
    }
    return fail_stopped(h, err);
}

int http_get(http *h, const char *url, const char *file, long patience, http_sink *sink,
             clipc_err *err)
{
    clipc_err failed = {0};
    double wait = 0.5;
    int rc;

    h->sink = sink;
    for (int tries = 1;; tries++, wait *= 2) {
        const uint64_t before = sink->have;
        bool again;
        h->from = before, h->wait = 0.0;
        rc = once(h, url, file, patience, &again, &failed);
        if (rc == CLIPC_OK) {
            /* A file without a byte calls on_data never. */
            return h->begun || h->from ? rc : sink->restart(sink->user, err);
        }
        if (h->status == 416 && before) { /* what is there is not the beginning of this */
            rc = sink->restart(sink->user, &failed);
            again = rc == CLIPC_OK;
        }
        if (sink->have > before && sink->have - before >= PROGRESS)
            tries = 0, wait = 0.25;
        if (!again || tries >= TRIES || h->wait > LONGEST_PAUSE) break;
        rc = http_pause(h, h->wait > 0.0 ? h->wait : wait, &failed);
        if (rc != CLIPC_OK) break;
    }
    if (err) *err = failed;
    return rc;
}

static int nothing(void *user, clipc_err *err)
{
    (void)user, (void)err;
    return CLIPC_OK;
}

int http_head(http *h, const char *url, const char *file, long patience, http_about *out,
              clipc_err *err)
{
    http_sink none = {.restart = nothing};

    *out = (http_about){0};
    h->about = out;
    const int rc = http_get(h, url, file, patience, &none, err);
    h->about = NULL;
    return rc;
}

/* ---- connections ---------------------------------------------------------------------
 */

static int set_up(http *h, clipc_err *err)
{
    const char *authorities = getenv("SSL_CERT_FILE"); /* as Python's ssl */
    CURL *c = h->curl;
    int bad = 0;

    if (authorities && *authorities)
        bad |= lib.curl_easy_setopt(c, CURLOPT_CAINFO, authorities);
    bad |= lib.curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    bad |= lib.curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    bad |= lib.curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    bad |= lib.curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    bad |= lib.curl_easy_setopt(c, CURLOPT_USERAGENT, "clipc/" CLIPC_VERSION);
    bad |= lib.curl_easy_setopt(c, CURLOPT_BUFFERSIZE, (long)CHUNK);
    bad |= lib.curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    bad |= lib.curl_easy_setopt(c, CURLOPT_HEADERDATA, h);
    bad |= lib.curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_data);
    bad |= lib.curl_easy_setopt(c, CURLOPT_WRITEDATA, h);
    bad |= lib.curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    bad |= lib.curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    bad |= lib.curl_easy_setopt(c, CURLOPT_XFERINFODATA, h);
    return bad ? clipc_fail(err, CLIPC_ERR_IO, "%s: this libcurl is older than 7.85",
                            h->setup.name)
               : CLIPC_OK;
}

int http_open(http **out, const http_setup *setup, clipc_err *err)
{
    http *h = NULL;
    int rc = dynlib_need(&library, setup->name, err);

    *out = NULL;
    if (rc != CLIPC_OK) return rc;
    if (lib.curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) h = calloc(1, sizeof *h);
    if (!h) return clipc_fail_memory(err, "libcurl", sizeof *h);
    h->setup = *setup;
    h->curl = lib.curl_easy_init();
    rc = h->curl ? set_up(h, err) : clipc_fail_memory(err, "libcurl", 0);
    if (rc == CLIPC_OK) *out = h;
    else http_close(h);
    return rc;
}

void http_close(http *h)
{
    if (!h) return;
    if (h->curl) lib.curl_easy_cleanup(h->curl);
    free(h);
}

#endif

/* hub/hub.c -- clipc_pull: asks what there is, fetches the blobs, then links them into
 * their snapshot and says which commit the revision means. */
#include "clipc_hub.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "hub/blob.h"

enum { ANSWER_MAX = 16 << 20, TOKEN_MAX = 4000, PATIENCE = 10 };

typedef struct pull {
    const clipc_pull_options *options;
    hub_name name;
    char *endpoint, *token; /* token NULL: none */
    char *folder;           /* ROOT/models--org--name */
    char *snapshot;
    blob_store store;
    repo repo;
    http *http;
    const char *file;           /* being fetched; NULL: none */
    uint64_t done, have, total; /* bytes: of files before it, of it, of all */
    uint64_t missing;           /* of all, when it began */
} pull;

/* ---- the environment -----------------------------------------------------------------
 */

/* An empty variable is none. */
static const char *set(const char *variable)
{
    const char *value = getenv(variable);

    return value && *value ? value : NULL;
}

static bool is_true(const char *variable)
{
    static const char *const words[] = {"1", "on", "yes", "true"};
    const char *value = getenv(variable);

    for (size_t i = 0; value && i < sizeof words / sizeof words[0]; i++)
        if (strcasecmp(words[i], value) == 0) return true;
    return false;
}

static long seconds(const char *variable)
{
    const char *value = getenv(variable);
    const long n = value ? strtol(value, NULL, 10) : 0;

    return n >= 1 && n <= 86400 ? n : PATIENCE;
}

static int find_endpoint(pull *p, clipc_err *err)
{
    const char *text = p->options->endpoint ? p->options->endpoint : set("HF_ENDPOINT");

    if (!text) text = "https://huggingface.co";
    size_t len = strlen(text);
    if (strncasecmp(text, "https://", 8) != 0 && strncasecmp(text, "http://", 7) != 0)
        return clipc_fail(err, CLIPC_ERR_ARG, "%s: endpoint \"%.80s\" is no http(s) URL",
                          p->name.repo, text);
    while (len && text[len - 1] == '/') len--;
    p->endpoint = strndup(text, len);
    return p->endpoint ? CLIPC_OK : clipc_fail_memory(err, "endpoint", len);
}

/* What huggingface_hub's login left in a file; none is no error. */
static int read_token(buf *out, const char *what, clipc_err *err)
{
    char *path = cache_env_path("HF_TOKEN_PATH"), *home = NULL;
    int rc = CLIPC_OK;

    if (!path) {
        rc = cache_home(&home, what, err);
        path = home ? path_join(home, "token") : NULL;
    }
    if (rc == CLIPC_OK && path && file_exists(path))
        rc = file_read(out, path, TOKEN_MAX, err);
    free(home);
    free(path);
    return rc;
}

/* A token goes into a header: blanks around it fall away, anything else is refused. */
static int take_token(pull *p, const char *text, clipc_err *err)
{
    size_t len;

    text += strspn(text, " \t\r\n");
    for (len = strlen(text); len && strchr(" \t\r\n", text[len - 1]);) len--;
    for (size_t i = 0; i < len; i++)
        if (len > TOKEN_MAX || text[i] <= ' ' || text[i] > '~')
            return clipc_fail(err, CLIPC_ERR_ARG, "%s: the access token is none",
                              p->name.repo);
    if (len && !(p->token = strndup(text, len)))
        return clipc_fail_memory(err, "token", len);
    return CLIPC_OK;
}

static int find_token(pull *p, clipc_err *err)
{
    const char *text = p->options->token;
    buf file = {0};
    int rc = CLIPC_OK;

    if (!text) text = set("HF_TOKEN");
    if (!text) text = set("HUGGING_FACE_HUB_TOKEN");
    if (!text && !is_true("HF_HUB_DISABLE_IMPLICIT_TOKEN")) {
        rc = read_token(&file, p->name.repo, err);
        text = file.data;
    }
    if (rc == CLIPC_OK && text) rc = take_token(p, text, err);
    buf_free(&file);
    return rc;
}

/* ---- asking --------------------------------------------------------------------------
 */

/* Appends a part of a URL; `keep` are characters that stay beside letters and digits. */
static int add_quoted(buf *url, const char *text, const char *keep, clipc_err *err)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789-_.~";
    int rc = CLIPC_OK;

    for (; rc == CLIPC_OK && *text; text++)
        rc = strchr(plain, *text) || strchr(keep, *text)
                 ? buf_add(url, text, 1, err)
                 : buf_printf(url, err, "%%%02X", (unsigned char)*text);
    return rc;
}

/* What the hub says, and a name for it in messages. */
typedef struct answer {
    char name[HUB_REPO_MAX + 32];
    buf text;
} answer;

static int answer_restart(void *user, clipc_err *err)
{
    answer *a = user;

    (void)err;
    buf_clear(&a->text);
    return CLIPC_OK;
}

static int answer_take(void *user, const void *data, size_t size, clipc_err *err)
{
    answer *a = user;

    if (size > ANSWER_MAX - a->text.len)
        return clipc_fail(err, CLIPC_ERR_LIMIT, "%s is larger than %d bytes", a->name,
                          ANSWER_MAX);
    return buf_add(&a->text, data, size, err);
}

static int ask(pull *p, clipc_err *err)
{
    buf url = {0};
    answer a = {.text = {0}};
    http_sink sink = {.user = &a, .restart = answer_restart, .take = answer_take};
    json_t *json = NULL;
    int rc =
        buf_printf(&url, err, "%s/api/models/%s/revision/", p->endpoint, p->name.repo);

    snprintf(a.name, sizeof a.name, "%s: the hub's answer", p->name.repo);
    if (rc == CLIPC_OK) rc = add_quoted(&url, p->name.revision, "", err);
    if (rc == CLIPC_OK) rc = buf_puts(&url, "?blobs=true", err);
    if (rc == CLIPC_OK)
        rc = http_get(p->http, url.data, p->name.revision, seconds("HF_HUB_ETAG_TIMEOUT"),
                      &sink, err);
    if (rc == CLIPC_OK)
        rc = json_parse(&json, a.text.data ? a.text.data : "", a.text.len, a.name, err);
    if (rc == CLIPC_OK) rc = repo_read(&p->repo, json, p->name.repo, err);
    if (rc == CLIPC_OK && hub_is_hex(p->name.revision, HUB_COMMIT) &&
        strcmp(p->name.revision, p->repo.commit) != 0)
        rc = clipc_fail(err, CLIPC_ERR_FORMAT, "%s: the hub answers with commit %s",
                        p->name.repo, p->repo.commit);
    json_decref(json);
    buf_free(&url);
    buf_free(&a.text);
    return rc;
}

static int file_url(buf *url, const pull *p, const repo_file *f, clipc_err *err)
{
    const int rc = buf_printf(url, err, "%s/%s/resolve/%s/", p->endpoint, p->name.repo,
                              p->repo.commit);

    return rc == CLIPC_OK ? add_quoted(url, f->name, "/", err) : rc;
}

static int ask_about(const pull *p, repo_file *f, clipc_err *err)
{
    http_about about;
    buf url = {0};
    int rc = file_url(&url, p, f, err);

    if (rc == CLIPC_OK)
        rc = http_head(p->http, url.data, f->name, seconds("HF_HUB_ETAG_TIMEOUT"), &about,
                       err);
    if (rc == CLIPC_OK) rc = repo_identify(f, about.etag, about.size, p->name.repo, err);
    buf_free(&url);
    return rc;
}

/* Some mirrors list names alone: what is wanted is then asked about, file by file. */
static int ask_about_unknown(const pull *p, clipc_err *err)
{
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < p->repo.n; i++)
        if (p->repo.files[i].wanted && !*p->repo.files[i].hash)
            rc = ask_about(p, &p->repo.files[i], err);
    return rc;
}

/* ---- fetching ------------------------------------------------------------------------
 */

static int asked_to_stop(void *user)
{
    const pull *p = user;

    return p->options->on_progress
               ? p->options->on_progress(p->options->user, p->file ? p->file : "",
                                         p->done + p->have, p->total)
               : 0;
}

/* Sums the files up and tells of them. */
static void survey(pull *p)
{
    for (size_t i = 0; i < p->repo.n; i++) {
        const repo_file *f = &p->repo.files[i];
        bool whole;
        if (!f->wanted) continue;
        const uint64_t here = blob_here(&p->store, f, &whole);
        const clipc_hub_file file = {f->name, f->size, here};
        p->total += f->size; /* at most 10,000 files of 2^42 bytes */
        p->missing += f->size - here;
        if (p->options->on_file) p->options->on_file(p->options->user, &file);
    }
}

static int check_room(const pull *p, clipc_err *err)
{
    struct statvfs disk;

    if (statvfs(p->store.blobs, &disk) != 0) return CLIPC_OK;
    const uint64_t room = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (p->missing <= room) return CLIPC_OK;
    return clipc_fail(err, CLIPC_ERR_IO,
                      "%s: %" PRIu64 " MB to fetch, %" PRIu64 " MB free in %s",
                      p->name.repo, p->missing / 1000000, room / 1000000, p->folder);
}

static int fetch_file(pull *p, const repo_file *f, clipc_err *err)
{
    buf url = {0};
    int rc = file_url(&url, p, f, err);

    p->file = f->name, p->have = 0;
    if (rc == CLIPC_OK)
        rc = blob_fetch(&p->store, f, p->http, url.data,
                        seconds("HF_HUB_DOWNLOAD_TIMEOUT"), &p->have, err);
    p->done += p->have, p->have = 0;
    buf_free(&url);
    return rc;
}

/* Small files first: when what is large comes, the small ones cannot fail any more. */
static int by_size(const void *a, const void *b)
{
    const repo_file *x = a, *y = b;
    return x->size != y->size ? (x->size > y->size) - (x->size < y->size)
                              : strcmp(x->name, y->name);
}

static int fetch_all(pull *p, clipc_err *err)
{
    char *snapshots = path_join(p->folder, "snapshots");
    /* huggingface_hub takes a model without this folder for damaged. */
    int rc = snapshots ? file_mkdirs(snapshots, err) : clipc_fail_memory(err, "cache", 0);

    if (rc == CLIPC_OK) rc = file_mkdirs(p->store.blobs, err);
    if (rc == CLIPC_OK) rc = check_room(p, err);
    qsort(p->repo.files, p->repo.n, sizeof *p->repo.files, by_size);
    for (size_t i = 0; rc == CLIPC_OK && i < p->repo.n; i++)
        if (p->repo.files[i].wanted) rc = fetch_file(p, &p->repo.files[i], err);
    free(snapshots);
    return rc;
}

/* ---- publishing ----------------------------------------------------------------------
 */

/* Makes the folders that a file lies in. */
static int make_parents(const char *path, clipc_err *err)
{
    char *folder = strndup(path, (size_t)(path_base(path) - path));
    const int rc = folder ? file_mkdirs(folder, err) : clipc_fail_memory(err, path, 0);

    free(folder);
    return rc;
}

/* A link at `path`, in one step also where there was another. */
static int link_to(const char *path, const char *target, clipc_err *err)
{
    char beside[32], *folder = strndup(path, (size_t)(path_base(path) - path)), *fresh;
    int rc = CLIPC_OK;

    snprintf(beside, sizeof beside, ".clipc-%ld", (long)getpid());
    fresh = folder ? path_join(folder, beside) : NULL;
    if (!fresh) {
        rc = clipc_fail_memory(err, path, 0);
    } else if ((unlink(fresh) != 0 && errno != ENOENT) || symlink(target, fresh) != 0 ||
               rename(fresh, path) != 0) {
        rc = clipc_fail(err, CLIPC_ERR_IO, "%s: cannot link: %s", path, strerror(errno));
        unlink(fresh);
    }
    free(fresh);
    free(folder);
    return rc;
}

/* snapshots/COMMIT/NAME is a link to ../../blobs/HASH. */
static int link_file(const pull *p, const repo_file *f, clipc_err *err)
{
    char *path = path_join(p->snapshot, f->name);
    buf target = {0};
    int rc = path ? make_parents(path, err) : clipc_fail_memory(err, f->name, 0);

    for (const char *c = f->name; rc == CLIPC_OK && (c = strchr(c, '/')); c++)
        rc = buf_puts(&target, "../", err);
    if (rc == CLIPC_OK) rc = buf_printf(&target, err, "../../blobs/%s", f->hash);
    if (rc == CLIPC_OK) rc = link_to(path, target.data, err);
    buf_free(&target);
    free(path);
    return rc;
}

/* refs/REVISION holds the commit. */
static int write_ref(const pull *p, clipc_err *err)
{
    char *refs = path_join(p->folder, "refs");
    char *path = refs ? path_join(refs, p->name.revision) : NULL;
    int rc = path ? make_parents(path, err) : clipc_fail_memory(err, "refs", 0);

    if (rc == CLIPC_OK) rc = file_replace(path, p->repo.commit, HUB_COMMIT, err);
    free(path);
    free(refs);
    return rc;
}

static int publish(pull *p, clipc_err *err)
{
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < p->repo.n; i++)
        if (p->repo.files[i].wanted) rc = link_file(p, &p->repo.files[i], err);
    return rc == CLIPC_OK && !hub_is_hex(p->name.revision, HUB_COMMIT) ? write_ref(p, err)
                                                                       : rc;
}

/* ---- the whole -----------------------------------------------------------------------
 */

static int find_folders(pull *p, clipc_err *err)
{
    char *root = NULL, *locks = NULL;
    int rc = cache_root(&root, p->name.repo, err);

    if (rc == CLIPC_OK) rc = cache_repo(&p->folder, p->name.repo, err);
    if (rc == CLIPC_OK) {
        p->store.name = p->name.repo;
        p->store.blobs = path_join(p->folder, "blobs");
        locks = path_join(root, ".locks");
        p->store.locks = locks ? path_join(locks, path_base(p->folder)) : NULL;
        if (!p->store.blobs || !p->store.locks) rc = clipc_fail_memory(err, "cache", 0);
    }
    free(locks);
    free(root);
    return rc;
}

static int find_snapshot(pull *p, clipc_err *err)
{
    char *snapshots = path_join(p->folder, "snapshots");

    p->snapshot = snapshots ? path_join(snapshots, p->repo.commit) : NULL;
    free(snapshots);
    return p->snapshot ? CLIPC_OK : clipc_fail_memory(err, "cache", 0);
}

static void pull_close(pull *p)
{
    http_close(p->http);
    repo_free(&p->repo);
    free(p->store.blobs);
    free(p->store.locks);
    free(p->snapshot);
    free(p->folder);
    free(p->endpoint);
    free(p->token);
}

static int pull_open(pull *p, const char *model, clipc_err *err)
{
    int rc;

    if (!hub_name_parse(&p->name, model))
        return clipc_fail(err, CLIPC_ERR_ARG, "%s: wanted org/name or org/name@revision",
                          model);
    for (size_t i = 0; i < 2; i++) {
        static const char *const offline[] = {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"};
        if (is_true(offline[i]))
            return clipc_fail(err, CLIPC_ERR_IO, "%s: %s is set: nothing is fetched",
                              p->name.repo, offline[i]);
    }
    rc = find_endpoint(p, err);
    if (rc == CLIPC_OK) rc = find_token(p, err);
    if (rc == CLIPC_OK) rc = find_folders(p, err);
    const http_setup setup = {p->name.repo, p->endpoint, p->token, asked_to_stop, p};
    return rc == CLIPC_OK ? http_open(&p->http, &setup, err) : rc;
}

int clipc_pull(char **path, const char *model, const clipc_pull_options *options,
               clipc_err *err)
{
    const clipc_pull_options none = {0};
    pull p = {.options = options ? options : &none};
    int rc = pull_open(&p, model, err);

    if (path) *path = NULL;
    if (rc == CLIPC_OK) rc = ask(&p, err);
    if (rc == CLIPC_OK)
        rc = repo_choose(&p.repo, p.options->include, p.options->n_include, p.name.repo,
                         err);
    if (rc == CLIPC_OK) rc = ask_about_unknown(&p, err);
    if (rc == CLIPC_OK) rc = find_snapshot(&p, err);
    if (rc == CLIPC_OK) survey(&p);
    if (rc == CLIPC_OK && !p.options->dry_run) {
        rc = fetch_all(&p, err);
        if (rc == CLIPC_OK) rc = publish(&p, err);
        if (rc == CLIPC_OK && path) *path = p.snapshot, p.snapshot = NULL;
    }
    pull_close(&p);
    return rc;
}

#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/walk.h"
#include "cli/cli.h"

int cli_fail(const clipc_err *err)
{
    fprintf(stderr, "clipc: %s\n", err->msg);
    return err->code == CLIPC_ERR_STOPPED ? EXIT_STOPPED : EXIT_NONE;
}

int cli_usage(const char *command, const char *what)
{
    fprintf(stderr, "clipc %s: %s (try clipc %s --help)\n", command, what, command);
    return EXIT_USAGE;
}

int cli_options_exit(int at)
{
    return at < -1 ? -at : EXIT_DONE;
}

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
    if (interrupted && sig == SIGINT) _exit(130); /* Ctrl-C again: at once */
    interrupted = sig;
}

void cli_catch_interrupts(void)
{
    const struct sigaction on = {.sa_handler = on_interrupt};

    sigaction(SIGINT, &on, NULL);
    sigaction(SIGTERM, &on, NULL);
}

bool cli_interrupted(void)
{
    return interrupted != 0;
}

int cli_end(int code)
{
    if (code != EXIT_STOPPED || !interrupted) return code;
    signal(interrupted, SIG_DFL);
    raise(interrupted);
    return EXIT_STOPPED;
}

int strings_add(strings *s, const char *text, size_t len, clipc_err *err)
{
    if (s->n == s->cap) {
        const size_t cap = s->cap ? 2 * s->cap : 16;
        char **v = realloc(s->v, cap * sizeof *v);
        if (!v) return clipc_fail_memory(err, "list", cap * sizeof *v);
        s->v = v, s->cap = cap;
    }
    char *copy = strndup(text, len);
    if (!copy) return clipc_fail_memory(err, "list", len);
    s->v[s->n++] = copy;
    return CLIPC_OK;
}

void strings_free(strings *s)
{
    for (size_t i = 0; i < s->n; i++) free(s->v[i]);
    free(s->v);
    *s = (strings){0};
}

int strings_split(strings *s, const char *text, char at, clipc_err *err)
{
    int rc = CLIPC_OK;

    while (rc == CLIPC_OK && *text) {
        const char *end = strchrnul(text, at), *last = end;
        while (text < end && isspace((unsigned char)*text)) text++;
        while (last > text && isspace((unsigned char)last[-1])) last--;
        if (last > text) rc = strings_add(s, text, (size_t)(last - text), err);
        text = *end ? end + 1 : end;
    }
    return rc;
}

/* What editors on Windows put before UTF-8. */
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

int strings_lines(strings *s, const char *path, clipc_err *err)
{
    buf b = {0};
    int rc = file_read(&b, path, (size_t)256 << 20, err);

    if (rc == CLIPC_OK && b.len && memchr(b.data, '\0', b.len))
        rc = clipc_fail(err, CLIPC_ERR_TEXT, "%s: is no text file", path);
    const bool marked = b.len && strncmp(b.data, BYTE_ORDER_MARK, 3) == 0;
    if (rc == CLIPC_OK && b.len)
        rc = strings_split(s, marked ? b.data + 3 : b.data, '\n', err);
    buf_free(&b);
    return rc;
}

int jsonl_each(const char *path, int (*on)(void *user, json_t *line, size_t number),
               void *user, clipc_err *err)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    char *line = NULL, where[300];
    size_t cap = 0;
    int rc = CLIPC_OK;

    if (!f) return clipc_fail(err, CLIPC_ERR_IO, "%s: %s", path, strerror(errno));
    for (size_t number = 1; rc == CLIPC_OK; number++) {
        const ssize_t n = getline(&line, &cap, f);
        json_t *o = NULL;
        if (n < 0) break;
        if ((size_t)n == strspn(line, " \t\r\n")) continue;
        snprintf(where, sizeof where, "%.250s: line %zu", path, number);
        if (json_parse_line(&o, line, (size_t)n, where, err) == CLIPC_OK &&
            !json_is_object(o)) {
            clipc_fail(err, CLIPC_ERR_FORMAT, "%s: no object", where);
            json_decref(o);
            o = NULL;
        }
        rc = on(user, o, number);
        json_decref(o);
    }
    if (ferror(f))
        rc = clipc_fail(err, CLIPC_ERR_IO, "%s: cannot be read: %s", path,
                        strerror(errno));
    free(line);
    if (f != stdin) fclose(f);
    return rc;
}

static int keep_line(void *user, json_t *line, size_t number)
{
    (void)number;
    return line && json_array_append(user, line) == 0 ? CLIPC_OK : CLIPC_ERR_FORMAT;
}

int jsonl_read(json_t *lines, const char *path, clipc_err *err)
{
    return jsonl_each(path, keep_line, lines, err);
}

/* What adds the paths of a walk to a list. */
typedef struct adding {
    strings *to;
    clipc_err *err;
} adding;

static int add_path(void *user, const char *path, const struct stat *st)
{
    const adding *a = user;

    (void)st;
    return strings_add(a->to, path, strlen(path), a->err);
}

int strings_images(strings *s, char *const *operands, size_t n, clipc_err *err)
{
    int rc = CLIPC_OK;

    for (size_t i = 0; rc == CLIPC_OK && i < n; i++) {
        const size_t before = s->n;
        if (!file_is_dir(operands[i])) {
            rc = strings_add(s, operands[i], strlen(operands[i]), err);
            continue;
        }
        rc = walk_pictures(operands[i], add_path, &(adding){s, err}, err);
        if (rc == CLIPC_OK && s->n == before)
            rc = clipc_fail(err, CLIPC_ERR_IO,
                            "%s: no picture in this folder (.jpg, .png, .webp, .heic ..)",
                            operands[i]);
    }
    return rc;
}

int cli_number(size_t *out, const char *command, const char *option, const char *value,
               size_t least, size_t most)
{
    char *end;
    char what[160];
    errno = 0;
    const unsigned long long x = strtoull(value, &end, 10);

    if (!errno && isdigit((unsigned char)*value) && !*end && x >= least && x <= most) {
        *out = (size_t)x;
        return 0;
    }
    snprintf(what, sizeof what, "--%s %.40s: wanted a whole number from %zu to %zu",
             option, value, least, most);
    return cli_usage(command, what);
}

int cli_image_size(clipc_open_options *out, const char *command, const char *option,
                   const char *value)
{
    const char *x = strchr(value, 'x');
    char rows[16];
    int rc;

    snprintf(rows, sizeof rows, "%.*s", x ? (int)(x - value) : 15, value);
    rc = cli_number(&out->image_size, command, option, rows, 1, 65536);
    if (rc == 0 && x)
        rc = cli_number(&out->image_columns, command, option, x + 1, 1, 65536);
    return rc;
}

void json_print_string(const char *s)
{
    json_print_text(s, strlen(s));
}

void json_print_text(const char *s, size_t len)
{
    json_t *utf8 = json_stringn(s, len); /* NULL: names of files may be any bytes */

    putchar('"');
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)s[i];
        if (c == '"' || c == '\\') printf("\\%c", c);
        else if (c < 0x20 || c == 0x7f) printf("\\u%04x", c);
        else if (c >= 0x80 && !utf8) putchar('?');
        else putchar(c);
    }
    putchar('"');
    json_decref(utf8);
}

progress progress_start(const char *word, size_t total)
{
    return (progress){
        .word = word, .total = total, .begin = clock_now(), .on = isatty(STDERR_FILENO)};
}

static void show_count(const progress *p, size_t done, double rate)
{
    fprintf(stderr, "\r%s %zu/%zu, %.1f a second", p->word, done, p->total, rate);
}

static void show_bytes(const progress *p, size_t done, double rate)
{
    static const char full[] = "########################";
    const int width = (int)sizeof full - 1;
    const int filled = p->total ? (int)((double)done / (double)p->total * width) : width;

    fprintf(stderr, "\r%s [%.*s%*s] %.1f/%.1f MB, %.1f MB a second", p->word, filled,
            full, width - filled, "", (double)done / 1e6, (double)p->total / 1e6,
            rate / 1e6);
}

void progress_show(progress *p, size_t done)
{
    const double now = clock_now(), spent = now - p->begin;

    if (!p->on || now - p->shown < 0.1 || spent < 0.5) return;
    p->shown = now;
    /* Less than before it began: a transfer started anew. */
    const double rate = done > p->from ? (double)(done - p->from) / spent : 0.0;
    (p->bytes ? show_bytes : show_count)(p, done, rate);
    fprintf(stderr, ", %.0f s left \033[K",
            rate > 0 ? (double)(p->total - done) / rate : 0.0);
}

void progress_of_total(void *user, size_t done, size_t total)
{
    progress *p = user;

    p->total = total;
    progress_show(p, done);
}

void progress_end(progress *p)
{
    if (p->on && p->shown > 0.0) fprintf(stderr, "\r\033[K");
}

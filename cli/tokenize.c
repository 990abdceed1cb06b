#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/session.h"

static const opt table[] = {
    SESSION_OPTS,
    {"jsonl", 0, NULL, "texts from standard input: lines {\"id\":..,\"text\":..}"},
    {"json", 'j', NULL, "one JSON line a text"},
    {"strict", 0, NULL, "refuse texts that are longer than the model takes"},
};

static const opts_usage usage = {
    "tokenize", "TEXT... [options]",
    "Shows the tokens of texts as the reference makes them, special strings included:\n"
    "OpenAI's tokenizer, or that of --model. --jsonl writes lines\n"
    "{\"id\":..,\"ids\":[..],\"n\":..,\"pool\":..}: ids padded and cut, n the length "
    "before, "
    "pool the\n"
    "position that the features come from (null: several).",
    "  clipc tokenize \"a photo of a cat\"\n"
    "  clipc tokenize --json \"a dog\" \"two dogs\"\n"
    "  clipc tokenize --jsonl -m ViT-B-32/ <texts.jsonl\n"};

typedef struct tokens {
    session s;
    clipc_tokenizer *t;
    bool json, jsonl, strict;
    int32_t *ids, pool;
    size_t n; /* of ids, before cutting */
    size_t done, failed;
} tokens;

static int on_option(void *user, const char *name, const char *value)
{
    tokens *m = user;

    if (strcmp(name, "json") == 0) return m->json = true, 0;
    if (strcmp(name, "jsonl") == 0) return m->jsonl = true, 0;
    if (strcmp(name, "strict") == 0) return m->strict = true, 0;
    return session_option(&m->s, name, value);
}

/* where: what a message calls the text. */
static int run(tokens *m, const char *text, size_t len, const char *where)
{
    const size_t T = clipc_tokenizer_context_length(m->t);
    const int rc =
        clipc_tokenizer_run(m->t, m->ids, &m->n, &m->pool, text, len, 1, &m->s.err);

    if (rc != CLIPC_OK || !m->strict || m->n <= T) return rc;
    return clipc_fail(&m->s.err, CLIPC_ERR_TEXT, "%s: %zu tokens, the model takes %zu",
                      where, m->n, T);
}

static void print_ids(const tokens *m)
{
    const size_t T = clipc_tokenizer_context_length(m->t);

    printf("\"ids\":[");
    for (size_t i = 0; i < T; i++) printf("%s%d", i ? "," : "", (int)m->ids[i]);
    printf("],\"n\":%zu,\"pool\":", m->n);
    if (m->pool < 0) puts("null}");
    else printf("%d}\n", (int)m->pool);
}

static void print_readably(const tokens *m)
{
    const size_t T = clipc_tokenizer_context_length(m->t), shown = m->n < T ? m->n : T;
    char token[64];

    for (size_t i = 0; i < shown; i++) {
        clipc_tokenizer_text(m->t, m->ids[i], token, sizeof token);
        printf("%6d  %s\n", (int)m->ids[i], token);
    }
    if (m->n > T) printf("(%zu tokens, cut to %zu)\n", m->n, T);
}

static void one(tokens *m, const char *text)
{
    char where[80];

    snprintf(where, sizeof where, "\"%.60s\"", text);
    if (run(m, text, strlen(text), where) != CLIPC_OK) {
        m->failed++;
        cli_fail(&m->s.err);
    } else if (m->json) {
        printf("{\"text\":");
        json_print_string(text);
        putchar(',');
        print_ids(m);
    } else {
        print_readably(m);
    }
    m->done++;
}

/* {"id":.., or, of a line without one, {"line":.. */
static void print_id(const json_t *line, size_t number)
{
    char *id = json_dumps(json_object_get(line, "id"), JSON_ENCODE_ANY | JSON_COMPACT);

    if (id) printf("{\"id\":%s,", id);
    else printf("{\"line\":%zu,", number);
    free(id);
}

static int on_line(void *user, json_t *line, size_t number)
{
    tokens *m = user;
    const json_t *text = json_object_get(line, "text");
    char where[40];
    int rc = line ? CLIPC_OK : CLIPC_ERR_FORMAT;

    snprintf(where, sizeof where, "line %zu", number);
    if (line && !json_is_string(text))
        rc = clipc_fail(&m->s.err, CLIPC_ERR_FORMAT, "%s: no \"text\"", where);
    if (rc == CLIPC_OK)
        rc = run(m, json_string_value(text), json_string_length(text), where);
    if (rc == CLIPC_OK) {
        print_id(line, number);
        print_ids(m);
    } else {
        m->failed++;
        cli_fail(&m->s.err);
    }
    m->done++;
    return CLIPC_OK;
}

static int open_tokenizer(tokens *m)
{
    int rc = clipc_tokenizer_open(&m->t, m->s.model_name, &m->s.err);

    if (rc != CLIPC_OK) return rc;
    const size_t size = clipc_tokenizer_context_length(m->t) * sizeof *m->ids;
    m->ids = malloc(size);
    return m->ids ? CLIPC_OK : clipc_fail_memory(&m->s.err, "ids", size);
}

static int run_all(tokens *m, char **texts, size_t n)
{
    if (open_tokenizer(m) != CLIPC_OK) return cli_fail(&m->s.err);
    if (m->jsonl && jsonl_each("-", on_line, m, &m->s.err) != CLIPC_OK)
        return cli_fail(&m->s.err);
    for (size_t i = 0; i < n; i++) one(m, texts[i]);
    return !m->failed ? EXIT_DONE : m->failed < m->done ? EXIT_SOME : EXIT_NONE;
}

int cmd_tokenize(int argc, char **argv)
{
    tokens m = {.s.command = "tokenize"};
    const int at = opts_parse(argc, argv, table, sizeof table / sizeof table[0], &usage,
                              on_option, &m);
    int rc = cli_options_exit(at);

    if (at >= 0 && m.jsonl && at < argc)
        rc = cli_usage("tokenize", "--jsonl reads standard input and takes no texts");
    else if (at >= 0 && !m.jsonl && at == argc)
        rc = cli_usage("tokenize", "no texts given");
    else if (at >= 0) rc = run_all(&m, argv + at, (size_t)(argc - at));
    clipc_tokenizer_free(m.t);
    free(m.ids);
    return rc;
}

/* cli/cli.h -- the commands, and what they share. */
#ifndef CLIPC_CLI_CLI_H
#define CLIPC_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/json.h"
#include "clipc.h"

/* Exit codes. */
enum {
    EXIT_DONE = 0,
    EXIT_SOME = 1,     /* some inputs failed, the rest is done */
    EXIT_USAGE = 2,    /* the command line makes no sense */
    EXIT_NONE = 3,     /* every input failed, or nothing could be done */
    EXIT_STOPPED = 130 /* by Ctrl-C or SIGTERM: main ends it by that signal */
};

int cmd_assemble(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_classify(int argc, char **argv);
int cmd_similarity(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_data(int argc, char **argv);
int cmd_dedup(int argc, char **argv);
int cmd_cluster(int argc, char **argv);
int cmd_convert(int argc, char **argv);
int cmd_embed(int argc, char **argv);
int cmd_eval(int argc, char **argv);
int cmd_index(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_models(int argc, char **argv);
int cmd_preprocess(int argc, char **argv);
int cmd_pull(int argc, char **argv);
int cmd_quantize(int argc, char **argv);
int cmd_search(int argc, char **argv);
int cmd_tokenize(int argc, char **argv);
int cmd_train(int argc, char **argv);
int cmd_vocab(int argc, char **argv);

/* Of commands that read training sets: how tables among these are read. */
#define TABLE_OPTS                                                               \
    {"csv-img-key", 0, "NAME", "column of a table that holds paths (filepath)"}, \
        {"csv-caption-key", 0, "NAME", "column that holds captions (title)"},    \
    {                                                                            \
        "csv-separator", 0, "C", "between columns (tab or comma, by the header)" \
    }

/* "clipc train status ..", "clipc train plot ..". */
int train_status(int argc, char **argv);
int train_plot(int argc, char **argv);

/* "clipc: " and the message, on standard error; returns EXIT_NONE, or EXIT_STOPPED. */
int cli_fail(const clipc_err *err);
/* A usage error in one line; returns EXIT_USAGE. */
int cli_usage(const char *command, const char *what);
/* The exit code of a command that ends because opts_parse returned `at` < 0. */
int cli_options_exit(int at);

/* From here on Ctrl-C and SIGTERM are noted, for the command to end in good order; Ctrl-C
 * again ends it at once. */
void cli_catch_interrupts(void);
bool cli_interrupted(void);
/* Ends a process that was stopped by the signal that did so, as shells expect; other
 * codes are returned. */
int cli_end(int code);

/* A growing list of strings it owns. */
typedef struct strings {
    char **v;
    size_t n, cap;
} strings;

int strings_add(strings *s, const char *text, size_t len, clipc_err *err);
void strings_free(strings *s);

/* Cuts at a character: "a cat, a dog" -> "a cat" "a dog"; blanks around parts fall away,
 * empty parts are left out. */
int strings_split(strings *s, const char *text, char at, clipc_err *err);
/* The same of the lines of a file ("-": standard input); a byte order mark is left out.
 */
int strings_lines(strings *s, const char *path, clipc_err *err);
/* The lines of a JSONL file ("-": standard input), each an object; empty lines are left
 * out.  on(user, line, number) takes a line, or with NULL hears of one that is no object,
 * which err tells of; what it returns other than CLIPC_OK ends the reading. */
int jsonl_each(const char *path, int (*on)(void *user, json_t *line, size_t number),
               void *user, clipc_err *err);
/* The same into an array; a line that is no object is an error. */
int jsonl_read(json_t *lines, const char *path, clipc_err *err);

/* Pictures: files as they are, folders walked in order of name. */
int strings_images(strings *s, char *const *operands, size_t n, clipc_err *err);

/* A whole number from least to most, or a usage error. */
int cli_number(size_t *out, const char *command, const char *option, const char *value,
               size_t least, size_t most);

/* "N" or "ROWSxCOLUMNS", or a usage error. */
int cli_image_size(clipc_open_options *out, const char *command, const char *option,
                   const char *value);

/* A result as a line, or as a JSON object without its last brace to standard output. */
void eval_print(FILE *to, const clipc_eval_result *r);
void eval_print_json(const clipc_eval_result *r);
/* Its recalls at 1, 5 and 10 behind a comma and a key. */
void json_print_recall(const char *key, const double recall[3]);

/* A text as a JSON string, quotes included, to standard output; of one that is no UTF-8,
 * as json_text has it. */
void json_print_string(const char *s);
void json_print_text(const char *s, size_t len);

/* A progress line on standard error, if that is a terminal: "word done/total, rate,
 * left"; of bytes with a bar, in MB. */
typedef struct progress {
    const char *word;
    size_t total, from; /* from: what was done before it began */
    double begin, shown;
    bool on, bytes;
} progress;

progress progress_start(const char *word, size_t total);
void progress_show(progress *p, size_t done);
/* The same as clipc_eval calls it; user is the progress. */
void progress_of_total(void *user, size_t done, size_t total);
void progress_end(progress *p);

#endif

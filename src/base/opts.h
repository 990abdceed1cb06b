/* base/opts.h -- option tables over getopt_long: one table gives the parsing and --help.
 */
#ifndef CLIPC_BASE_OPTS_H
#define CLIPC_BASE_OPTS_H

#include <stddef.h>

typedef struct opt {
    const char *name; /* long name, without dashes */
    char letter;      /* short name, or 0 */
    const char *arg;  /* name of the argument in the help, NULL: takes none; only a "TEXT"
                         may be empty: elsewhere that is a variable that was not set */
    const char *help;
} opt;

/* A command's own words for --help. */
typedef struct opts_usage {
    const char *command;  /* "classify" */
    const char *synopsis; /* "IMAGE... --labels LIST" */
    const char *about;    /* one paragraph */
    const char *examples; /* lines, each with its newline */
} opts_usage;

/* Calls on(user, name, value) for each option in turn (value NULL without argument),
 * which returns 0, or 2 for a value it cannot take, or 3 for a file it cannot read,
 * having said so.  Returns the index of the first operand, -1 after --help (printed to
 * standard output), -2 on a usage error (one line on standard error), or minus what on()
 * returned. Options may stand behind operands. */
int opts_parse(int argc, char **argv, const opt *table, size_t n, const opts_usage *usage,
               int (*on)(void *user, const char *name, const char *value), void *user);

#endif

#define _GNU_SOURCE
#include "base/opts.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum { OPTS_MAX = 64, FIRST_LONG = 256 };

static void print_help(const opt *table, size_t n, const opts_usage *u)
{
    printf("usage: clipc %s %s\n\n%s\n\noptions:\n", u->command, u->synopsis, u->about);
    for (size_t i = 0; i < n; i++) {
        char left[64];
        const char letter[] = {'-', table[i].letter, ',', ' ', '\0'};
        snprintf(left, sizeof left, "%s--%s%s%s", table[i].letter ? letter : "    ",
                 table[i].name, table[i].arg ? " " : "",
                 table[i].arg ? table[i].arg : "");
        printf("  %-28s %s\n", left, table[i].help);
    }
    printf("  %-28s %s\n", "-h, --help", "this text");
    if (u->examples) printf("\nexamples:\n%s", u->examples);
}

int opts_parse(int argc, char **argv, const opt *table, size_t n, const opts_usage *usage,
               int (*on)(void *user, const char *name, const char *value), void *user)
{
    struct option longs[OPTS_MAX + 2] = {{0}};
    char shorts[2 * OPTS_MAX + 4] = ":h";
    size_t s = 2;
    int c;

    for (size_t i = 0; i < n && i < OPTS_MAX; i++) {
        longs[i] =
            (struct option){table[i].name, table[i].arg ? required_argument : no_argument,
                            NULL, FIRST_LONG + (int)i};
        if (!table[i].letter) continue;
        shorts[s++] = table[i].letter;
        if (table[i].arg) shorts[s++] = ':';
    }
    longs[n] = (struct option){"help", no_argument, NULL, 'h'};
    optind = 0; /* glibc: start afresh */
    opterr = 0;
    while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        size_t i = c >= FIRST_LONG ? (size_t)(c - FIRST_LONG) : 0;
        if (c == 'h') {
            print_help(table, n, usage);
            return -1;
        }
        if (c == '?' || c == ':') {
            fprintf(stderr, "clipc %s: %s %s (try clipc %s --help)\n", usage->command,
                    argv[optind - 1],
                    c == ':' ? "wants an argument" : "is no option here", usage->command);
            return -2;
        }
        while (c < FIRST_LONG && table[i].letter != (char)c) i++;
        if (table[i].arg && !*optarg && strcmp(table[i].arg, "TEXT") != 0) {
            fprintf(stderr,
                    "clipc %s: --%s: its argument is empty (try clipc %s --help)\n",
                    usage->command, table[i].name, usage->command);
            return -2;
        }
        const int rc = on(user, table[i].name, optarg);
        if (rc != 0) return -rc;
    }
    return optind;
}

/* task/eval_set.h -- pictures with what they are judged by: the class of each, or its
 * captions.  A set is
 * - a list (.tsv): a line for each picture, its path (relative to the list), a tab and
 *   its class, or a caption; a picture with several captions has several lines;
 * - a WebDataset shard (.tar, .tar.gz ..): each picture with a .txt that holds its class,
 *   or a caption a line;
 * - a folder: in it one for each class, whose name ('_' is a blank) is the class's; or
 *   pictures with a .txt beside each that holds a caption a line. */
#ifndef CLIPC_TASK_EVAL_SET_H
#define CLIPC_TASK_EVAL_SET_H

#include "io/shard.h"

/* The classes of one or more sets.  Free with eval_classes_free. */
typedef struct eval_classes {
    char **v;
    size_t *set; /* [n] the first of the classes that compete with this one */
    size_t n, cap;
    bool closed;   /* another name is an error, instead of a further class */
    bool numbered; /* lists have numbers from 0 instead of names */
} eval_classes;

/* Adds a class that competes with those from `set` on. */
int eval_classes_add(eval_classes *c, const char *name, size_t len, size_t set,
                     clipc_err *err);
void eval_classes_free(eval_classes *c);

typedef struct eval_sample {
    const char *name;      /* path in `folder`; key in the shard */
    span picture;          /* in the shard; empty: a file */
    size_t label;          /* its class */
    size_t first, n_texts; /* its captions are texts[first .. first + n_texts) */
} eval_sample;

typedef struct eval_set {
    const char *path;
    char *folder; /* that names are relative to */
    buf lines;
    shard shard;
    eval_sample *samples;
    size_t n;
    char **texts;
    size_t n_texts;
} eval_set;

/* At least one sample, each with a label in `classes` or, where that is NULL, with one
 * caption or more.  by_folder: only the classes of one folder of a shard compete.  path
 * must live as long.  Free with eval_set_free. */
int eval_set_open(eval_set *v, const char *path, eval_classes *classes, bool by_folder,
                  clipc_err *err);
void eval_set_free(eval_set *v);

/* The last part of a path, for a set that has no other name. */
void eval_set_name(char *name, size_t size, const char *path);

/* Whether eval_set_open takes it, by its name: else it is a JSON file that tells more. */
bool eval_set_is(const char *path);

#endif

/* base/json.h -- jansson, with errors that name the file and the key.
 *
 * Every getter takes the object that holds the key (NULL or JSON null: as if empty) and a
 * `where` for messages, normally the path of the file.  A missing key leaves *out as it
 * is and is no error; a key of the wrong type or out of range is CLIPC_ERR_FORMAT. */
#ifndef CLIPC_BASE_JSON_H
#define CLIPC_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Parses a file of at most 64 MB (vocabularies are 1 to 17 MB).  Release by json_decref.
 */
int json_read(json_t **out, const char *path, clipc_err *err);
int json_parse(json_t **out, const char *text, size_t len, const char *where,
               clipc_err *err);

/* A line of a JSONL file that holds people's texts: "\u0000" in a string is a character
 * like others (json_string_length counts it), and half a surrogate pair, which UTF-8
 * cannot hold, becomes U+FFFD. */
int json_parse_line(json_t **out, const char *line, size_t len, const char *where,
                    clipc_err *err);

/* A string value of names and messages that may be no UTF-8: then what is not ASCII
 * becomes
 * '?'.  NULL when memory is out. */
json_t *json_text(const char *s);

/* Puts a text that must be kept as it is under a key; NULL is left out.  CLIPC_ERR_TEXT:
 * no UTF-8, and the key. */
int json_set_text(json_t *o, const char *key, const char *text, clipc_err *err);

int json_get_size(size_t *out, const json_t *o, const char *key, const char *where,
                  clipc_err *err);
int json_get_f64(double *out, const json_t *o, const char *key, const char *where,
                 clipc_err *err);
int json_get_f32(float *out, const json_t *o, const char *key, const char *where,
                 clipc_err *err);
int json_get_bool(bool *out, const json_t *o, const char *key, const char *where,
                  clipc_err *err);
/* *out points into the JSON value and lives as long. */
int json_get_string(const char **out, const json_t *o, const char *key, const char *where,
                    clipc_err *err);
/* *choice: the place of the value in the NULL-terminated `names`, 0 if there is none;
 * `wanted` lists them for the message. */
int json_get_choice(size_t *choice, const char *const *names, const char *wanted,
                    const json_t *o, const char *key, const char *where, clipc_err *err);
/* Exactly n numbers. */
int json_get_floats(float *out, size_t n, const json_t *o, const char *key,
                    const char *where, clipc_err *err);

/* Fails with the name of the first key of `o` that is not in the NULL-terminated `known`.
 */
int json_check_keys(const json_t *o, const char *const *known, const char *where,
                    clipc_err *err);

#endif

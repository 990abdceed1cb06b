/* text/entities_data.h -- HTML5's named characters: see tools/make_vocab.py. */
#ifndef CLIPC_TEXT_ENTITIES_DATA_H
#define CLIPC_TEXT_ENTITIES_DATA_H

#include <stddef.h>

typedef struct entity {
    const char *name;  /* "amp;", "amp", ... */
    const char *value; /* UTF-8 */
} entity;

extern const entity entities[]; /* sorted by name, bytewise */
extern const size_t n_entities;

#endif

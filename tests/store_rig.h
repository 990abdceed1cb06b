/* tests/store_rig.h -- what tests of the store have in common: contents that a number
 * names, with its hash and its vector. */
#ifndef CLIPC_TESTS_STORE_RIG_H
#define CLIPC_TESTS_STORE_RIG_H

#include "store/store.h"

store_hash srig_hash(uint64_t content);
/* row [dim] of unit length. */
void srig_row(float *row, size_t dim, uint64_t content);
/* An item of root `root`; key points to `name`. */
store_item srig_item(int64_t root, const char *name, uint64_t content);

/* The index of that folder, to be written; a space of that dim and type, made within a
 * transaction of its own. */
store *srig_open(const char *folder, store_mode mode);
int64_t srig_space(store *s, size_t dim, dtype type);
/* Contents [from, to), items of names "item N" and their vectors, in one transaction. */
void srig_fill(store *s, int64_t space, uint64_t from, uint64_t to);

/* Adds one to *(uint64_t *)arg. */
int srig_count(void *arg, const store_item *item);
uint64_t srig_items(store *s, const store_filter *f);
store_bytes srig_bytes(const char *s);
/* The item of want's root and key is there and is `want`. */
void srig_check_item(store *s, const store_item *want);

/* The one file of the folder that ends so: "folder/name", until the next call. */
const char *srig_file(const char *folder, const char *ending);
/* Turns a bit of a byte of a file; cuts it to a size. */
void srig_damage(const char *path, long at);
void srig_cut(const char *path, long size);

#endif

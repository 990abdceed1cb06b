/* io/pickle.h -- Python pickles of protocols 2 to 5, read as data (opcodes after Python's
 * Lib/pickletools.py).
 *
 * A pickle is a program that builds objects by calling functions it names.  Here nothing
 * is called: a global is a pair of strings, and what a call would have returned is a
 * value that records which global was to be called on what.  The caller knows the few
 * that it wants by name; all others are inert, whatever they are.
 *
 * Opcodes that only protocols 0 and 1 write, extension codes and buffers out of band are
 * refused.  No recursion; time and memory are linear in the bytes read, of which there
 * may be at most PKL_MAX. */
#ifndef CLIPC_IO_PICKLE_H
#define CLIPC_IO_PICKLE_H

#include "base/file.h"

enum { PKL_MAX = 32 << 20 }; /* the largest checkpoints have one or two megabytes */

typedef enum pkl_kind {
    PKL_NONE,
    PKL_BOOL,
    PKL_INT,
    PKL_LONG, /* a number of more than 64 bits: its bytes, little-endian */
    PKL_FLOAT,
    PKL_STR,
    PKL_BYTES,
    PKL_TUPLE,
    PKL_LIST, /* sets as well */
    PKL_DICT,
    PKL_GLOBAL,
    PKL_CALL,   /* what calling something would have returned */
    PKL_OUTSIDE /* a persistent id: what stands for something outside the pickle */
} pkl_kind;

typedef struct pkl_value pkl_value;
struct pkl_value {
    pkl_kind kind;
    union {
        int64_t i; /* PKL_BOOL, PKL_INT */
        double f;
        span s; /* PKL_STR (maybe no UTF-8), PKL_BYTES, PKL_LONG; no NUL behind it */
        struct {
            pkl_value **v;
            size_t n, cap;
        } items; /* PKL_TUPLE, PKL_LIST; PKL_DICT: key, value, key, value, ... */
        struct {
            span module, name;
        } global;
        struct {
            pkl_value *callee, *args; /* any kinds */
            pkl_value *state;         /* what __setstate__ would have got, or NULL */
            pkl_value *filled; /* PKL_LIST or PKL_DICT, items it was given; or NULL */
        } call;
        pkl_value *id; /* PKL_OUTSIDE */
    };
};

/* A growing array of pointers to values. */
typedef struct pkl_list {
    pkl_value **v;
    size_t n, cap;
} pkl_list;

typedef struct pkl {
    const pkl_value *root;
    size_t used;      /* bytes up to and with the pickle's end mark */
    pkl_list globals; /* all PKL_GLOBAL, in the order of the file */
    pkl_list outside; /* all PKL_OUTSIDE, likewise */
    struct pkl_chunk *chunks;
} pkl;

/* Reads the pickle at the head of `bytes`, into which strings of *out point.  Values may
 * be shared, and may contain themselves. */
int pkl_parse(pkl *out, span bytes, const char *where, clipc_err *err);
/* A zeroed struct is fine. */
void pkl_free(pkl *p);

/* False for NULL and for other kinds. */
bool pkl_is_string(const pkl_value *v, const char *s);
bool pkl_is_global(const pkl_value *v, const char *module, const char *name);
/* The i-th item of a tuple or list; NULL if there is none. */
const pkl_value *pkl_item(const pkl_value *v, size_t i);
bool span_is(span s, const char *text);

#endif

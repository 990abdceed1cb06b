/* tests/layer_rig.h -- a layer under test: what it reads, what it makes, and its
 * gradients against central differences. */
#ifndef CLIPC_TESTS_LAYER_RIG_H
#define CLIPC_TESTS_LAYER_RIG_H

#include "base/rng.h"
#include "nn/param.h"
#include "tensor/exec.h"

enum { FIELDS = 16 };

/* Something that a layer reads, and where its gradient goes. */
typedef struct field {
    const char *name;
    float *x, *g;
    size_t n;
} field;

typedef struct layer {
    exec *e;
    void (*fwd)(struct layer *l), (*bwd)(struct layer *l);
    field f[FIELDS];
    size_t n_fields;
    float *y, *dy; /* [n_y] */
    size_t n_y;
    void *own; /* what else fwd and bwd need */
    rng r;
    float *mem[64]; /* all that floats_of gave */
    size_t n_mem;
} layer;

/* On the kernels of an instruction set, by two threads. */
layer layer_of(const char *isa, void (*fwd)(layer *l), void (*bwd)(layer *l));
void layer_free(layer *l);

/* n floats that live as long as the layer, drawn if std is above 0, else zeros. */
float *floats_of(layer *l, size_t n, float std);
/* The next of what it reads, drawn, and zeros for its gradient. */
field *add_field(layer *l, const char *name, size_t n);
/* Every parameter of a table, at its own slots; gradients in `grads`'s. */
void add_params(layer *l, const param_list *list, const param_list *grads);
/* What it makes, and a drawn gradient of that. */
void set_output(layer *l, size_t n);

/* The gradient of one field, which bwd has made, along a random direction:
 * (f(x + h d) - f(x - h d)) / 2h = g . d. */
void check_field(layer *l, const field *f);
/* Forward, backward, the gradients of all fields; frees the layer. */
void check_layer(layer *l);

/* check(isa) for every instruction set that runs here. */
void each_isa(void (*check)(const char *isa));

#endif

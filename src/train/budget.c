#include "train/budget.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sizes.h"

/* Below, chunks cost more time than recomputing does. */
enum { CHUNK_LEAST = 16 };

size_t budget_total(const budget *b)
{
    return b->program + b->weights + b->gradients + b->moments + b->activations +
           b->batches + b->held_out + b->near + b->teacher + b->caches + b->evals;
}

static int measure(bool *fits, budget *b, const pass_cfg *how, net *n, size_t most,
                   clipc_err *err)
{
    pass p;
    const int rc = pass_make(&p, &b->activations, n, NULL, *how, err);

    *fits = rc == CLIPC_OK && budget_total(b) <= most;
    return rc;
}

/* The largest chunk that fits, of how->chunk pairs down to `least`; if a smaller one than
 * that, the smallest that cuts the batch into as many. */
static int largest_chunk(bool *fits, budget *b, pass_cfg *how, size_t least, net *n,
                         size_t most, clipc_err *err)
{
    const size_t asked = how->chunk;
    size_t low = least - 1, high = asked;
    int rc = CLIPC_OK;

    while (rc == CLIPC_OK && low < high) {
        how->chunk = high - (high - low) / 2;
        rc = measure(fits, b, how, n, most, err);
        if (*fits) low = how->chunk;
        else high = how->chunk - 1;
    }
    if (rc != CLIPC_OK) return rc;
    how->chunk = low < least    ? least
                 : low == asked ? asked
                                : div_up(how->batch, div_up(how->batch, low));
    return measure(fits, b, how, n, most, err);
}

int budget_fit(budget *b, pass_cfg *how, net *n, size_t most, clipc_err *err)
{
    const pass_cfg asked = *how;
    const struct {
        bool recompute;
        size_t least;
    } ways[] = {{false, asked.chunk},
                {true, asked.chunk},
                {false, min_size(CHUNK_LEAST, asked.chunk)},
                {true, 1}};
    bool fits = false;

    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        if (asked.recompute && !ways[i].recompute) continue;
        *how = asked;
        how->recompute = ways[i].recompute;
        const int rc =
            largest_chunk(&fits, b, how, ways[i].least, n, most ? most : SIZE_MAX, err);
        if (rc != CLIPC_OK || fits) return rc;
    }
    return clipc_fail(err, CLIPC_ERR_MEMORY,
                      "max_memory is %.0f MiB: one pair at a time takes %.0f MiB",
                      (double)most * 0x1p-20, (double)budget_total(b) * 0x1p-20);
}

void budget_print(char *out, size_t size, const budget *b, const pass_cfg *how)
{
    const struct {
        const char *what;
        size_t bytes;
        bool always;
    } parts[] = {
        {"weights", b->weights, true},      {"gradients", b->gradients, true},
        {"moments", b->moments, true},      {"activations", b->activations, true},
        {"batches", b->batches, true},      {"held-out data", b->held_out, true},
        {"hard negatives", b->near, false}, {"the teacher", b->teacher, false},
        {"caches", b->caches, false},       {"evaluations", b->evals, false},
        {"the program", b->program, true}};
    const char *before = ": ";
    size_t at = (size_t)snprintf(out, size, "%.0f MiB of memory",
                                 (double)budget_total(b) * 0x1p-20);

    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && at < size; i++) {
        if (!parts[i].always && !parts[i].bytes) continue;
        at += (size_t)snprintf(out + at, size - at, "%s%s %.1f", before, parts[i].what,
                               (double)parts[i].bytes * 0x1p-20);
        before = ", ";
    }
    if (at < size)
        snprintf(out + at, size - at, "; %zu of %zu pairs at a time%s", how->chunk,
                 how->batch, how->recompute ? ", blocks computed again" : "");
}

int budget_limit(size_t *out, const json_t *config, const char *where, clipc_err *err)
{
    static const char units[] = "KMGT";
    const json_t *v = json_object_get(config, "max_memory");
    const char *text = json_string_value(v);
    double bytes = json_is_number(v) ? json_number_value(v) : -1.0;

    if (!v) return CLIPC_OK;
    if (text) {
        char *end;
        bytes = strtod(text, &end);
        const char *unit = *end ? strchr(units, *end) : NULL;
        if (unit) bytes *= (double)((uint64_t)1 << 10 * (unit - units + 1)), end++;
        if (end == text || *end) bytes = -1.0;
    }
    if (!(bytes >= 0.0 && bytes < 0x1p63))
        return clipc_fail(err, CLIPC_ERR_FORMAT,
                          "%s: \"max_memory\": wanted bytes, or a size like \"4G\"",
                          where);
    *out = (size_t)bytes;
    return CLIPC_OK;
}

#include "train/sampling.h"

#include <math.h>
#include <stdlib.h>

#include "base/permute.h"

/* Streams of the seed beside those of the samples, which are their places. */
#define EPOCH_STREAM  ((uint64_t)1 << 62)
#define SOURCE_STREAM ((uint64_t)1 << 61)

static size_t first_of(const sampling *s, size_t source)
{
    return source ? s->ends[source - 1] : 0;
}

int sampling_init(sampling *s, const size_t *ends, const float *weights, size_t n,
                  uint64_t seed, clipc_err *err)
{
    double sum = 0.0;

    *s = (sampling){.ends = ends, .n = n, .seed = seed};
    s->shares = calloc(n, sizeof *s->shares);
    if (!s->shares) return clipc_fail_memory(err, "sources", n * sizeof *s->shares);
    for (size_t i = 0; i < n; i++) {
        sum += weights ? (double)weights[i] : (double)(ends[i] - first_of(s, i));
        s->shares[i] = sum;
    }
    for (size_t i = 0; i < n; i++) s->shares[i] /= sum;
    return CLIPC_OK;
}

void sampling_free(sampling *s)
{
    free(s->shares);
    *s = (sampling){0};
}

size_t sampling_draw(const sampling *s, rng *r)
{
    const double u = (double)rng_uniform(r);
    size_t i = 0;

    while (i + 1 < s->n && u >= s->shares[i]) i++;
    return first_of(s, i) + rng_below(r, s->ends[i] - first_of(s, i));
}

/* Where the places of the sources before this one end, of an epoch of n. */
static size_t places_before(const sampling *s, size_t source, size_t n)
{
    return source ? (size_t)llround(s->shares[source - 1] * (double)n) : 0;
}

size_t sampling_shuffled(const sampling *s, size_t place)
{
    const size_t n = s->ends[s->n - 1], epoch = place / n;
    rng r = rng_seed(s->seed, EPOCH_STREAM | epoch);
    permutation p = permute_make(&r, n);
    const size_t at = permute_at(&p, place % n);
    size_t source = 0;

    while (places_before(s, source + 1, n) <= at) source++;
    const size_t begin = places_before(s, source, n);
    const size_t places = places_before(s, source + 1, n) - begin;
    const size_t count = s->ends[source] - first_of(s, source);
    /* How often the source was asked before. */
    const size_t turn = epoch * places + at - begin;
    r = rng_seed(s->seed, SOURCE_STREAM | (uint64_t)source << 48 | turn / count);
    p = permute_make(&r, count);
    return first_of(s, source) + permute_at(&p, turn % count);
}
